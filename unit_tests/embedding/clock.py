"""Time for a pace, in which nothing sleeps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from destination_milvus.embedding.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1000.0


class Clock(threading.Condition):
    """Time that passes only where a pace waits; seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.time = START
        self.meanwhile: Callable[[], None] | None = None
        """Happens once, at the next wait, and ends it."""

    def now(self) -> float:
        """What the clock shows."""
        return self.time

    def wait(self, timeout: float | None = None) -> bool:
        """Let time pass."""
        assert timeout is not None
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
            return True
        self.time += timeout
        return False

    def pace(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> Pace:
        """A pace that goes by this clock."""
        return Pace(requests_per_minute, tokens_per_minute, changed=self, now=self.now)
