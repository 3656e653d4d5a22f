"""When the next request may start: configured ceilings, pauses that a service asks for, and the rates that it tells.

Requests start evenly spaced instead of in a burst at the top of each minute: OpenAI enforces a limit a minute over
shorter windows. One timeline of slots for all threads is all it takes, whatever the size of a request. While a service
wants to be left alone the timeline stands still, and all slots move: a pause costs its seconds and nothing more.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from destination_milvus.embedding.rates import Rates

SECONDS_PER_MINUTE = 60.0


class Slot(NamedTuple):
    """A place on the timeline, in seconds."""

    start: float
    length: float


class Pace:
    """Spaces the requests of all threads; without ceilings it only honours pauses."""

    __slots__ = ("_free_from", "_lock", "_now", "_paused_until", "_per_request", "_per_token", "_sleep", "_stood_still")

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
        self._stood_still = 0.0
        """Seconds that the timeline stood still so far: how far it lags behind the clock."""
        self._free_from = self._paused_until = now()

    @property
    def counts_tokens(self) -> bool:
        """Whether the size of a request makes a difference."""
        return self._per_token > 0

    def wait(self, tokens: int) -> Slot:
        """Return when a request of this many tokens may start, with the slot that it takes."""
        slot = self._reserve(tokens)
        moment = None
        while moment != (moment := self._start_of(slot)):  # a pause may have moved it while this thread slept
            self._sleep_until(moment)
        return slot

    def refused(self, slot: Slot, seconds: float) -> None:
        """A request was not served: let none start for this long, of any thread, and give its slot back."""
        with self._lock:
            until = max(self._paused_until, self._now() + seconds)
            self._stood_still += until - max(self._paused_until, self._now())
            self._paused_until = until
            self._free_from -= slot.length

    def learn(self, rates: Rates) -> bool:
        """Go no faster than the service says it allows; whether that is slower than before."""
        with self._lock:
            before = self._per_request, self._per_token
            self._per_request = max(self._per_request, rates.seconds_per_request)
            self._per_token = max(self._per_token, rates.seconds_per_token)
            return before != (self._per_request, self._per_token)

    def _reserve(self, tokens: int) -> Slot:
        with self._lock:
            start = max(self._free_from, max(self._now(), self._paused_until) - self._stood_still)
            length = max(self._per_request, tokens * self._per_token)
            self._free_from = start + length
            return Slot(start, length)

    def _start_of(self, slot: Slot) -> float:
        with self._lock:
            return max(slot.start + self._stood_still, self._paused_until)

    def _sleep_until(self, moment: float) -> None:
        seconds = moment - self._now()
        if seconds > 0:
            self._sleep(seconds)
