"""When the next request may start: configured ceilings, pauses that a service asks for, and the rates that it tells.

Requests start evenly spaced instead of in a burst at the top of each minute: OpenAI enforces a limit a minute over
shorter windows. So a limiter counts time instead of requests or tokens: each request costs the time that it takes up at
the ceilings, and the next one starts when that is over, whatever its own size.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from throttled import MemoryStore, RateLimiterType, Throttled, per_sec, utils

if TYPE_CHECKING:
    from destination_milvus.embedding.rates import Rates

SECONDS_PER_MINUTE = 60.0
MICROSECONDS = 1_000_000
"""In a second: the limiter counts whole ones."""


class Pace:
    """Spaces the requests of all threads; without ceilings it only honours pauses."""

    __slots__ = ("_changed", "_paused_until", "_per_request", "_per_token", "_queue", "_store", "_turns")

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        *,
        changed: threading.Condition | None = None,
    ) -> None:
        self._per_request = SECONDS_PER_MINUTE / requests_per_minute if requests_per_minute else 0.0
        self._per_token = SECONDS_PER_MINUTE / tokens_per_minute if tokens_per_minute else 0.0
        self._queue = threading.Lock()
        self._changed = changed or threading.Condition()
        self._store = MemoryStore()
        self._turns = 0
        self._paused_until = utils.now_mono_f()

    @property
    def counts_tokens(self) -> bool:
        """Whether the size of a request makes a difference."""
        return self._per_token > 0

    def wait(self, tokens: int) -> int:
        """Return when a request of this many tokens may start, with the number of its turn."""
        with self._queue, self._changed:  # one after the other: nobody is overtaken for ever
            while (seconds := self._pause() or self._charge(tokens)) > 0:
                self._changed.wait(seconds)
            self._turns += 1
            return self._turns

    def refused(self, turn: int, seconds: float) -> None:
        """A request was not served: let none start for this long, of any thread, and give its turn back."""
        with self._changed:
            self._paused_until = max(self._paused_until, utils.now_mono_f() + seconds)
            if turn == self._turns:  # else another has started since, and what is charged is charged to that one
                self._store = MemoryStore()
                self._changed.notify()

    def learn(self, rates: Rates) -> bool:
        """Go no faster than the service says it allows; whether that is slower than before."""
        with self._changed:
            before = self._per_request, self._per_token
            self._per_request = max(self._per_request, rates.seconds_per_request)
            self._per_token = max(self._per_token, rates.seconds_per_token)
            return before != (self._per_request, self._per_token)

    def _pause(self) -> float:
        """What is left of it, in seconds."""
        return max(0.0, self._paused_until - utils.now_mono_f())

    def _charge(self, tokens: int) -> float:
        """Charge a request for the time that it takes up; seconds until that can be done, 0 where it was."""
        cost = round(max(self._per_request, tokens * self._per_token) * MICROSECONDS)
        if not cost:
            return 0.0
        # a burst of just its cost: it starts once all before it is over, and no sooner
        quota = per_sec(MICROSECONDS, burst=cost)
        limiter = Throttled("requests", using=RateLimiterType.GCRA.value, quota=quota, store=self._store)
        return limiter.limit(cost=cost).state.retry_after
