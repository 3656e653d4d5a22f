"""What the person who watches a sync sees: a line now and then, and a summary. No IO but the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from destination_milvus.errors import BadRecord
from destination_milvus.flow.commit import Committed

logger = logging.getLogger("airbyte.sync")

SECONDS_BETWEEN_LINES = 10.0

NAMED_BAD_RECORDS = 10
"""So many skipped records are named in the log; the others are counted."""


@dataclass
class Progress:
    """Counts of a sync."""

    started: float = field(default_factory=time.monotonic)
    read: int = 0
    committed: int = 0
    written: int = 0
    removed: int = 0
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0
    bad: int = 0
    swept: int = 0
    beside: Callable[[], Iterable[str]] = tuple
    """What else a line tells, a phrase each: how far the input is read, where that is known."""
    seconds_between_lines: float = SECONDS_BETWEEN_LINES
    """Infinite where something else shows the progress."""
    _last_line: float = field(default_factory=time.monotonic)

    def count(self, records: int, committed: Committed) -> None:
        """Count a batch of so many records in."""
        self.committed += records
        self.written += committed.written
        self.removed += committed.removed
        self.unchanged += committed.unchanged
        self.chunks += committed.chunks
        self.embedded += committed.embedded

    def become(self, parts: Sequence[Progress]) -> None:
        """Count what others have counted between them, but for bad records, which are to be named."""
        for name in ("read", "committed", "written", "removed", "unchanged", "chunks", "embedded"):
            setattr(self, name, sum(getattr(part, name) for part in parts))

    def skip(self, error: BadRecord) -> None:
        """Count a bad record, and name it in the log if it is one of the first."""
        self.bad += 1
        if self.bad <= NAMED_BAD_RECORDS:
            logger.warning("Skipped a record. %s.", error.message.rstrip("."))
        if self.bad == NAMED_BAD_RECORDS:
            logger.warning("Further skipped records are counted and not named.")

    def tick(self) -> None:
        """Write a line if the last one is old enough."""
        now = time.monotonic()
        if now - self._last_line >= self.seconds_between_lines:
            self._last_line = now
            logger.info("Progress: %s.", "; ".join([*self.beside(), self.sentence()]))

    def sentence(self) -> str:
        """The counts in words."""
        seconds = max(time.monotonic() - self.started, 0.001)
        outcomes = f"{self.written:,} new or changed, {self.unchanged:,} unchanged, {self.removed:,} removed"
        parts = [
            f"{self.read:,} records read",
            f"{self.committed:,} committed ({outcomes})",
            f"{self.chunks:,} chunks written, {self.embedded:,} texts embedded",
        ]
        if self.bad:
            parts.append(f"{self.bad:,} bad records skipped")
        if self.swept:
            parts.append(f"{self.swept:,} records of older generations swept")
        parts.append(f"{self.committed / seconds:,.0f} records/s")
        return "; ".join(parts)
