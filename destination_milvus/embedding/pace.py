"""When the next request may start: configured ceilings, pauses that a service asks for, and the rates that it tells.

Requests start evenly spaced instead of in a burst at the top of each minute: OpenAI enforces a limit a minute over
shorter windows. So it is time that is counted, and not requests or tokens: each request takes up what it costs at the
ceilings, and the next one starts when that is over, whatever its own size.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from destination_milvus.embedding.rates import LONGEST_SPACING, UNKNOWN, Rates
from destination_milvus.errors import TransientError

SECONDS_PER_MINUTE = 60.0


class Pace:
    """Spaces the requests of all threads; without ceilings it only honours pauses and what it has learned."""

    __slots__ = (
        "_ceilings",
        "_changed",
        "_excused",
        "_free_at",
        "_held_by_ceilings",
        "_learned",
        "_learned_at",
        "_now",
        "_paused_until",
        "_queue",
        "_told",
        "_turns",
        "_was_refused",
    )

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        *,
        changed: threading.Condition | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ceilings = Rates(
            SECONDS_PER_MINUTE / requests_per_minute if requests_per_minute else 0.0,
            SECONDS_PER_MINUTE / tokens_per_minute if tokens_per_minute else 0.0,
        )
        self._learned = self._told = UNKNOWN
        self._now = now
        self._learned_at = self._paused_until = self._free_at = now()
        self._queue = threading.Lock()
        self._changed = changed or threading.Condition()
        self._turns = 0
        self._was_refused = False
        self._held_by_ceilings = True
        self._excused = 0.0

    @property
    def counts_tokens(self) -> bool:
        """Whether the size of a request makes a difference."""
        return self._ceilings.or_slower(self._learned).seconds_per_token > 0

    @property
    def limits_requests(self) -> bool:
        """Whether a limit on their number is known, or was met: the service has asked for a pause."""
        return self._was_refused or self._ceilings.or_slower(self._learned).seconds_per_request > 0

    def wait(self, tokens: int, patience: float = math.inf) -> int:
        """Return when a request of this many tokens may start, with the number of its turn.

        Args:
            tokens: of the request.
            patience: seconds to wait at most for pauses and learned rates. What the configured ceilings take does not
                count: a low ceiling is no failure of the service.

        Raises:
            TransientError: it would take longer.
        """
        excused, arrived = self._excused, self._now()
        with self._queue, self._changed:  # one after the other: nobody is overtaken for ever
            while (seconds := (pause := self._pause()) or self._charge(tokens)) > 0:
                now = self._now()
                by_ceilings = self._held_by_ceilings and not pause
                if not by_ceilings and now - arrived - (self._excused - excused) + seconds > patience:
                    raise TransientError(
                        "The embedding service limits its rate so much that a request would have to wait for longer "
                        "than failures are borne with: run the sync again later, lower advanced.concurrency, or raise "
                        "the limits of the account."
                    )
                self._changed.wait(seconds)
                if by_ceilings:
                    self._excused += self._now() - now
            self._turns += 1
            return self._turns

    def refused(self, turn: int, seconds: float) -> None:
        """A request was not served: let none start for this long, of any thread, and give its turn back."""
        with self._changed:
            self._was_refused = True
            self._paused_until = max(self._paused_until, self._now() + seconds)
            if turn == self._turns:  # else another has started since, and what is charged is charged to that one
                self._free_at = self._now()
                self._changed.notify()

    def learn(self, rates: Rates) -> bool:
        """Go no faster than the service says it allows; whether that is slower than it ever said before.

        What was learned before and has eased since was too fast, or there were no refusal: the slower one holds.
        """
        with self._changed:
            if rates == UNKNOWN:
                return False
            self._learned, self._learned_at = self._eased().or_slower(rates), self._now()
            known = self._ceilings.or_slower(self._told)
            self._told = self._told.or_slower(rates)
            return rates.is_slower_than(known)

    def _eased(self) -> Rates:
        """What was learned, as far as it holds now. The time of a pause does not count: nothing was tried in it."""
        return self._learned.eased(self._now() - max(self._learned_at, self._paused_until))

    def _pause(self) -> float:
        """What is left of it, in seconds."""
        return max(0.0, self._paused_until - self._now())

    def _charge(self, tokens: int) -> float:
        """Charge a request for the time that it takes up; seconds until that can be done, 0 where it was."""
        now = self._now()
        if now < self._free_at:
            return self._free_at - now
        ceilings = self._ceilings.spacing(tokens)
        learned = min(self._eased().spacing(tokens), LONGEST_SPACING)
        self._free_at = now + max(ceilings, learned)
        self._held_by_ceilings = ceilings >= learned
        return 0.0
