"""What becomes of a service that limits its rate: pace and rates against simulated limits, in time that costs none."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count, cycle, repeat
from typing import TYPE_CHECKING, Protocol

from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.rates import allowances
from unit_tests.embedding.clock import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 8
MINUTES = 15


class Limit(Protocol):
    """A limit on requests or tokens a minute."""

    per_minute: int

    def left(self, now: float) -> float:
        """How much may be used."""

    def reset(self, now: float) -> float:
        """Seconds until all of it may be."""

    def missing(self, now: float, amount: float) -> float:
        """Seconds until so much may be."""

    def take(self, amount: float) -> None:
        """Use it."""


@dataclass
class Bucket:
    """What was used comes back evenly, as at OpenAI."""

    per_minute: int
    level: float = 0.0
    filled: float = START

    def left(self, now: float) -> float:
        """As `Limit`."""
        self.level = min(self.per_minute, self.level + (now - self.filled) * self.per_minute / 60)
        self.filled = now
        return self.level

    def reset(self, now: float) -> float:
        """As `Limit`."""
        return (self.per_minute - self.left(now)) * 60 / self.per_minute

    def missing(self, now: float, amount: float) -> float:
        """As `Limit`."""
        return max(0.0, amount - self.left(now)) * 60 / self.per_minute

    def take(self, amount: float) -> None:
        """As `Limit`."""
        self.level -= amount


@dataclass
class Window:
    """All comes back at the full minute."""

    per_minute: int
    offset: float = 0.0
    """Seconds of the first minute that are over."""
    used: float = 0.0
    minute: int = 0

    def left(self, now: float) -> float:
        """As `Limit`."""
        minute = int((now + self.offset) // 60)
        if minute != self.minute:
            self.minute, self.used = minute, 0.0
        return self.per_minute - self.used

    def reset(self, now: float) -> float:
        """As `Limit`."""
        return 60 - (now + self.offset) % 60

    def missing(self, now: float, amount: float) -> float:
        """As `Limit`."""
        return self.reset(now) if self.left(now) < amount else 0.0

    def take(self, amount: float) -> None:
        """As `Limit`."""
        self.used += amount


class Agenda(Clock):
    """A clock at which answers arrive while others wait."""

    def __init__(self) -> None:
        super().__init__()
        self._order = count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, seconds: float, happens: Callable[[], None]) -> None:
        """Something happens then."""
        heapq.heappush(self._coming, (self.time + seconds, next(self._order), happens))

    def next(self) -> None:
        """Let time pass until the next thing happens."""
        moment, _, happens = heapq.heappop(self._coming)
        self.time = max(self.time, moment)
        happens()

    def wait(self, timeout: float | None = None) -> bool:
        """Let time pass, but no further than to the next thing."""
        assert timeout is not None
        if self._coming and self._coming[0][0] <= self.time + timeout:
            self.next()
            return True
        self.time += timeout
        return False


@dataclass
class Account:
    """A sync's requests against the limits of an account; several at once, refused ones are repeated."""

    limits: dict[str, Limit]
    sizes: Iterator[int]
    latency: float
    names_pauses: bool
    served: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    idle: int = WORKERS
    due: list[tuple[int, int]] = field(default_factory=list)
    """Tokens and attempts of what may be asked again."""

    def run(self) -> None:
        """For a quarter of an hour."""
        clock = Agenda()
        pace = Pace(None, None, changed=clock, now=clock.now)
        while clock.time < START + 60 * MINUTES:
            if self.due:
                self.ask(pace, clock, *self.due.pop(0))
            elif self.idle:
                self.idle -= 1
                self.ask(pace, clock, next(self.sizes), 0)
            else:
                clock.next()

    def ask(self, pace: Pace, clock: Agenda, tokens: int, attempts: int) -> None:
        """One request, whose answer comes later."""
        turn = pace.wait(tokens if pace.counts_tokens else 0)
        now = clock.time
        amounts = {"requests": 1, "tokens": tokens}
        missing = max(limit.missing(now, amounts[unit]) for unit, limit in self.limits.items())
        if missing < 1e-6:
            for unit, limit in self.limits.items():
                limit.take(amounts[unit])
            self.served.append((now, tokens))
            clock.later(self.latency, self.finish)
            return
        self.refused.append(now)
        told = allowances(self.headers(now))

        def refuse() -> None:
            pace.learn(told.rates(tokens))
            pause = missing if self.names_pauses else told.wait(tokens, again=attempts > 0)
            assert pause is not None
            pace.refused(turn, pause)
            clock.later(pause, lambda: self.due.append((tokens, attempts + 1)))

        clock.later(self.latency, refuse)

    def finish(self) -> None:
        """One is served: the next may be asked."""
        self.idle += 1

    def headers(self, now: float) -> dict[str, str]:
        """As OpenAI sends them: remainders in whole units."""
        return {
            f"x-ratelimit-{name}-{unit}": value
            for unit, limit in self.limits.items()
            for name, value in {
                "limit": str(limit.per_minute),
                "remaining": str(int(limit.left(now))),
                "reset": f"{limit.reset(now):.3f}s",
            }.items()
        }

    def share(self, unit: str) -> float:
        """What was used of what the limit allowed, in whole minutes after the first refusal."""
        limit = self.limits[unit]
        first = self.refused[0]
        begins = first + limit.reset(first) if isinstance(limit, Window) else first
        minutes = int((START + 60 * MINUTES - begins) // 60)
        if not minutes:  # nothing was refused before the last one: all that came was served
            return 1.0
        ends = begins + 60 * minutes
        used = sum(tokens if unit == "tokens" else 1 for moment, tokens in self.served if begins <= moment < ends)
        return used / (minutes * limit.per_minute)


def limit_of(kind: str, per_minute: int, offset: float) -> Limit:
    """A limit of a kind: a bucket that is empty at first or full, or a window that is partly over."""
    if kind == "window":
        return Window(per_minute, offset)
    return Bucket(per_minute, per_minute if kind == "full bucket" else 0)


def assert_used(account: Account, unit: str) -> None:
    """At least nine tenths; refused is what is under way when a window ends, and two or three a minute of a bucket."""
    account.run()
    assert account.share(unit) >= 0.9
    a_minute = 2 * WORKERS if isinstance(account.limits[unit], Window) else 3
    assert len(account.refused) <= WORKERS + MINUTES * a_minute


KINDS = st.sampled_from(["bucket", "full bucket", "window"])


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([3, 10, 60, 300]), KINDS, st.floats(0, 59), st.floats(0.05, 1.5), st.booleans())
def test_a_limit_of_requests_is_used_and_refusals_are_few(
    per_minute: int, kind: str, offset: float, latency: float, names_pauses: bool
) -> None:
    """After one refusal nine tenths of what is allowed and more, whichever way it comes back, and no storm."""
    limit = limit_of(kind, per_minute, offset)
    assert_used(Account({"requests": limit}, repeat(100), latency, names_pauses), "requests")


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([150_000, 1_000_000]),
    KINDS,
    st.floats(0, 59),
    st.lists(st.integers(20, 70), min_size=1, max_size=20),
    st.booleans(),
)
def test_a_limit_of_tokens_is_used_and_refusals_are_few(
    per_minute: int, kind: str, offset: float, thousandths: list[int], names_pauses: bool
) -> None:
    """Beside a limit of requests with enough left, which must not be taken for the one that refuses."""
    limits = {"requests": limit_of(kind, 3000, offset), "tokens": limit_of(kind, per_minute, offset)}
    sizes = (per_minute * size // 1000 for size in cycle(thousandths))
    assert_used(Account(limits, sizes, 0.2, names_pauses), "tokens")
