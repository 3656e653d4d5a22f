from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.pace import Pace

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
    pace.pause(20)
    pace.pause(5)
    assert starts(pace, clock, [1, 1]) == [1020.0, 1020.0]


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
