"""When the next request may start: the configured ceilings, and the pauses that a service asks for.

Requests start evenly spaced instead of in a burst at the top of each minute: OpenAI enforces a limit a minute over
shorter windows. One clock for all threads is all it takes, whatever the size of a request.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS_PER_MINUTE = 60.0


class Pace:
    """Spaces the requests of all threads; without ceilings it only honours pauses."""

    __slots__ = ("_free_from", "_lock", "_now", "_paused_until", "_per_request", "_per_token", "_sleep")

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_request = SECONDS_PER_MINUTE / requests_per_minute if requests_per_minute else 0.0
        self._per_token = SECONDS_PER_MINUTE / tokens_per_minute if tokens_per_minute else 0.0
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_from = self._paused_until = now()

    def wait(self, tokens: int) -> None:
        """Return when a request of this many tokens may start."""
        self._sleep_until(self._reserve(tokens))
        self._sleep_until(self._paused_until)

    def pause(self, seconds: float) -> None:
        """Let no request start for this long, of any thread."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._now() + seconds)

    def _reserve(self, tokens: int) -> float:
        with self._lock:
            start = max(self._free_from, self._now())
            self._free_from = start + max(self._per_request, tokens * self._per_token)
            return start

    def _sleep_until(self, moment: float) -> None:
        seconds = moment - self._now()
        if seconds > 0:
            self._sleep(seconds)
