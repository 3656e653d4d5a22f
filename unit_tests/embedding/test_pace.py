from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.rates import UNKNOWN, Rates

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    time: float = 1000.0

    def now(self) -> float:
        """What the clock shows."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


def starts(pace: Pace, clock: Clock, sizes: list[int]) -> list[float]:
    moments = []
    for tokens in sizes:
        pace.wait(tokens)
        moments.append(clock.time)
    return moments


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 40), st.integers(500, 5000))
def test_no_minute_holds_more_than_the_ceilings_and_one_request(sizes: list[int], requests: int, tokens: int) -> None:
    clock = Clock()
    moments = starts(Pace(requests, tokens, now=clock.now, sleep=clock.sleep), clock, sizes)
    for first, moment in enumerate(moments):
        minute = [size for start, size in zip(moments[first:], sizes[first:], strict=True) if start < moment + 59.99]
        assert len(minute) <= requests + 1
        assert sum(minute[:-1]) <= tokens


def test_the_first_request_starts_at_once() -> None:
    clock = Clock()
    assert starts(Pace(1, 1, now=clock.now, sleep=clock.sleep), clock, [100]) == [1000.0]


def test_without_ceilings_nothing_waits() -> None:
    clock = Clock()
    assert starts(Pace(None, None, now=clock.now, sleep=clock.sleep), clock, [10**9, 10**9]) == [1000.0] * 2


def test_a_request_of_many_tokens_delays_the_next_one() -> None:
    clock = Clock()
    pace = Pace(None, 600, now=clock.now, sleep=clock.sleep)
    assert starts(pace, clock, [300, 60, 1]) == pytest.approx([1000, 1030, 1036])


def test_a_pause_holds_back_every_request_and_a_shorter_one_does_not_end_it() -> None:
    clock = Clock()
    pace = Pace(None, None, now=clock.now, sleep=clock.sleep)
    slots = [pace.wait(1), pace.wait(1)]
    pace.refused(slots[0], 20)
    pace.refused(slots[1], 5)
    assert starts(pace, clock, [1, 1]) == [1020.0, 1020.0]


def test_a_refused_request_costs_the_pause_and_no_slot() -> None:
    """An allowance that began with nothing: the second attempt takes the first slot, and the others follow it."""
    clock = Clock()
    pace = Pace(60, None, now=clock.now, sleep=clock.sleep)
    pace.refused(pace.wait(1), 1)
    assert starts(pace, clock, [1, 1, 1]) == pytest.approx([1001, 1002, 1003])


def test_requests_that_wait_for_their_slots_are_held_back_by_a_pause_too() -> None:
    """The pause comes while a request sleeps until its slot: it sleeps on."""
    clock = Clock()
    paused = False

    def sleep(seconds: float) -> None:
        nonlocal paused
        if not paused:
            paused = True
            clock.time += 0.5
            pace.refused(first, 10)
            clock.time -= 0.5
        clock.sleep(seconds)

    pace = Pace(60, None, now=clock.now, sleep=sleep)
    first = pace.wait(1)
    assert starts(pace, clock, [1]) == pytest.approx([1011.0])


@given(st.lists(st.tuples(st.integers(1, 500), st.none() | st.floats(0, 30)), min_size=1, max_size=40))
def test_pauses_never_let_more_through_than_the_ceiling(requests: list[tuple[int, float | None]]) -> None:
    """Whatever is refused in between, what is served keeps to the tokens of a minute."""
    clock = Clock()
    pace = Pace(None, 1000, now=clock.now, sleep=clock.sleep)
    served: list[tuple[float, int]] = []
    for tokens, refusal in requests:
        slot = pace.wait(tokens)
        if refusal is None:
            served.append((clock.time, tokens))
        else:
            pace.refused(slot, refusal)
    for first, (moment, _) in enumerate(served):
        minute = [tokens for start, tokens in served[first:] if start < moment + 59.99]
        assert sum(minute[:-1]) <= 1000


def test_a_service_that_tells_its_rates_is_not_asked_faster() -> None:
    clock = Clock()
    pace = Pace(None, None, now=clock.now, sleep=clock.sleep)
    assert not pace.learn(UNKNOWN)
    assert not pace.counts_tokens
    assert pace.learn(Rates(seconds_per_request=1.0, seconds_per_token=0.1))
    assert pace.counts_tokens
    assert starts(pace, clock, [1, 100, 1]) == pytest.approx([1000, 1001, 1011])


def test_a_ceiling_that_is_lower_than_the_rates_stays() -> None:
    clock = Clock()
    pace = Pace(6, None, now=clock.now, sleep=clock.sleep)
    assert not pace.learn(Rates(seconds_per_request=1.0))
    assert starts(pace, clock, [1, 1]) == pytest.approx([1000, 1010])


def test_threads_share_one_ceiling() -> None:
    """Sixteen threads reserve sixteen different slots."""
    slept: list[float] = []
    pace = Pace(60, None, now=lambda: 0.0, sleep=slept.append)
    threads = [threading.Thread(target=calling(pace)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == pytest.approx(range(1, 16))


def calling(pace: Pace) -> Callable[[], None]:
    return lambda: pace.wait(1)
