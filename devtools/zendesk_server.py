"""The stub's REST server as a process of its own: `source-zendesk-stub serve`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.connector import environment

PROGRAM = Path(sys.executable).with_name("source-zendesk-stub")
SUBDOMAIN = "tallyroost"
EMAIL = "agent@tallyroost.example"
TOKEN = "stub-token"  # noqa: S105 - the server's default
CREDENTIALS = (f"{EMAIL}/token", TOKEN)
"""As HTTP's basic authentication has them."""


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    port: int
    authority: Path
    """The certificate to trust."""
    log: Path

    @property
    def address(self) -> str:
        """What clients on this machine connect to."""
        return f"https://localhost:{self.port}"

    @property
    def proxy(self) -> str:
        """What clients name as their proxy for the account's host."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[str]:
        """The targets of the requests that were answered well so far, in order."""
        lines = self.log.read_text().splitlines()
        return [line.split(" ")[1] for line in lines if line.startswith('"GET') and " 200 " in line]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """A server with its files in `folder`, while it is needed."""
    authority, log = folder / "zendesk-ca.pem", folder / "zendesk.log"
    command = [str(PROGRAM), "serve", "--port", "0", "--ca-file", str(authority), *options]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment())
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, log.read_text()
        process.stdout.readline()
        process.stdout.readline()
        yield Served(int(first.rsplit(":", 1)[1]), authority, log)
    finally:
        process.terminate()
        process.communicate()
