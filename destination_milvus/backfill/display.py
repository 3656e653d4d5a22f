"""What people see: lines of text, a bar where the output is a terminal, and a table at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from destination_milvus.backfill.meanwhile import repeated
from destination_milvus.model import Json

if TYPE_CHECKING:
    from rich.console import Console

REFRESH_SECONDS = 0.5

PREFIXES = {"WARN": "Warning: ", "ERROR": "Error: ", "FATAL": "Error: "}


class PlainOutput:
    """What the log says, on standard error, as text; in the place of the protocol's messages."""

    after_a_stop = "What is stored stays. The same command goes on from there."

    def __init__(self) -> None:
        self.redact: Callable[[str], str] = str
        """Leaves the secrets out, once the configuration has told them."""
        self._lock = threading.Lock()
        self._console: Console | None = None

    def message(self, message: Mapping[str, Json]) -> None:
        """Write a LOG as text. A TRACE says once more what the log has said, for a platform."""
        if message["type"] == "LOG":
            log = message["log"]
            self.line(PREFIXES.get(log["level"], "") + log["message"])

    def line(self, text: str) -> None:
        """Write a line, above the bar where there is one."""
        with self._lock:
            if self._console is not None:
                self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()

    @property
    def draws(self) -> bool:
        """Whether there is a terminal to draw a bar on."""
        return sys.stderr.isatty()

    @contextmanager
    def bar(self, share: Callable[[], float], words: Callable[[], str]) -> Iterator[None]:
        """Show a bar meanwhile, where the output is a terminal.

        Args:
            share: how much is done, from 0 to 1.
            words: what stands behind the bar.
        """
        if not self.draws:
            yield
            return
        from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=1.0)

            def draw() -> None:
                progress.update(task, completed=share(), description=words())

            self._console = progress.console
            try:
                with repeated(draw, REFRESH_SECONDS, "bar"):
                    yield
            finally:
                self._console = None


class Clock:
    """Time that is left, from the share that is done."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds_spent(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._started

    def seconds_left(self, share: float) -> float | None:
        """About; None as long as too little is done to tell."""
        spent = self.seconds_spent
        if share < 0.001 or spent < 1:  # noqa: PLR2004
            return None
        return spent * (1 - share) / share


def duration(seconds: float) -> str:
    """A time in words, to two places: 45 s, 12 min, 3 h 20 min, 2 days 4 h."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 1:
        return f"{int(seconds)} s"
    if hours < 1:
        return f"{minutes} min"
    if hours < 24:  # noqa: PLR2004
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]
