"""Pages in a real browser: a program that serves them as a process of its own, and somebody who looks at them."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from destination_milvus.config.embedding import MINILM

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


COLOURS = 128
"""Of a picture: enough for pages, and a third of the bytes."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end(process: subprocess.Popen[Any]) -> None:
    """Let a process end, by force if need be."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@dataclass(frozen=True, slots=True)
class Served:
    """Pages that are being served."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    database: Path
    """What it opens, unless it was told otherwise; not there at first."""

    def wait(self) -> Served:
        """Return once it answers."""
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, f"It has ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"It does not answer: {self.log.read_text()}"
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5):  # noqa: S310 - loopback
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


Serve = Callable[..., Served]


def serving(program: Path, factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The body of a fixture that starts a program, each a process of its own as `make` starts it."""
    started: list[Served] = []

    def start(**environment: str) -> Served:
        folder, port = factory.mktemp("served"), free_port()
        database = folder / "milvus.db"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MILVUS", "OPENAI"))}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "--server.port", str(port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**inherited, "MILVUS_URL": str(database), "EMBEDDING_MODEL": MINILM, **environment},
            )
        started.append(Served(process, f"http://127.0.0.1:{port}", folder / "log", database))
        return started[-1]

    yield start
    for each in started:
        end(each.process)


def launched() -> Iterator[Any]:
    """The body of a fixture: Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        pytest.skip("no browser: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser driver: install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody at the pages, in a browser window of their own."""

    page: Any
    hosts: set[str | None] = field(default_factory=set)
    """Where the page fetched anything from."""

    def tab_to(self, selector: str) -> None:
        """Press Tab until such an element has the focus."""
        self.page.locator(selector).first.wait_for(state="attached")
        for _ in range(30):  # several times around: what the page draws anew loses the focus
            self.page.keyboard.press("Tab")
            if self.page.evaluate(f"document.activeElement.matches('{selector}')"):
                return
        raise AssertionError(f"Tab does not lead to {selector}.")

    def settle(self) -> None:
        """Wait until nothing is being drawn."""
        self.page.wait_for_function("!document.querySelector('[data-stale=\"true\"], [data-testid=stSpinner]')")

    def sees(self, heading: str) -> str:
        """Wait for a page; its text."""
        self.page.get_by_role("heading", name=heading, exact=True).wait_for()
        self.settle()
        text: str = self.page.locator(".stMain").inner_text()
        return text

    def is_as_wide_as_the_window(self) -> bool:
        """Whether nothing sticks out to the right."""
        fits: bool = self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        return fits

    def shoot(self, name: str) -> None:
        """Take a picture for the documentation, where asked to."""
        if os.environ.get("UPDATE_SCREENSHOTS"):
            self.page.wait_for_timeout(400)  # the running man in the corner goes
            from PIL import Image  # noqa: PLC0415 - Streamlit brings it; few need it

            picture = Image.open(io.BytesIO(self.page.screenshot(full_page=True)))
            picture.quantize(COLOURS).save(ROOT / "docs" / "images" / f"{name}.png", optimize=True)


V = TypeVar("V", bound=Visitor)


def windows(chromium: Any, kind: type[V], width: int = 900, height: int = 760) -> Iterator[Callable[..., V]]:
    """The body of a fixture that opens browser windows."""
    contexts = []

    def open_window(width: int = width, height: int = height, **options: Any) -> V:
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        visitor = kind(page)
        page.on("request", lambda request: visitor.hosts.add(urlsplit(request.url).hostname))
        return visitor

    yield open_window
    for context in contexts:
        context.close()
