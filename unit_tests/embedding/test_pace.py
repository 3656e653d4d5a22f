from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.rates import HOLD, LONGEST_SPACING, UNKNOWN, Rates
from destination_milvus.errors import TransientError
from unit_tests.embedding.clock import START, Clock

if TYPE_CHECKING:
    from destination_milvus.embedding.pace import Pace
    from unit_tests.embedding.clock import Clock


def starts(pace: Pace, clock: Clock, sizes: list[int]) -> list[float]:
    moments = []
    for tokens in sizes:
        pace.wait(tokens)
        moments.append(clock.time - START)
    return moments


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 40), st.integers(500, 5000))
def test_no_minute_holds_more_than_the_ceilings_and_one_request(sizes: list[int], requests: int, tokens: int) -> None:
    clock = Clock()
    moments = starts(clock.pace(requests, tokens), clock, sizes)
    for first, moment in enumerate(moments):
        minute = [size for start, size in zip(moments[first:], sizes[first:], strict=True) if start < moment + 59.99]
        assert len(minute) <= requests + 1
        assert sum(minute[:-1]) <= tokens


def test_the_first_request_starts_at_once(clock: Clock) -> None:
    assert starts(clock.pace(1, 1), clock, [100]) == [0.0]


def test_without_ceilings_nothing_waits(clock: Clock) -> None:
    assert starts(clock.pace(None, None), clock, [10**9, 10**9]) == [0.0, 0.0]


def test_a_request_of_many_tokens_delays_the_next_one(clock: Clock) -> None:
    assert starts(clock.pace(None, 600), clock, [300, 60, 1]) == pytest.approx([0, 30, 36])


def test_a_request_as_large_as_a_whole_minute_waits_no_longer_than_a_small_one(clock: Clock) -> None:
    assert starts(clock.pace(None, 300_000), clock, [5_000, 300_000, 1]) == pytest.approx([0, 1, 61])


def test_a_pause_holds_back_every_request_and_a_shorter_one_does_not_end_it(clock: Clock) -> None:
    pace = clock.pace(None, None)
    turns = [pace.wait(1), pace.wait(1)]
    pace.refused(turns[0], 20)
    pace.refused(turns[1], 5)
    assert starts(pace, clock, [1, 1]) == [20.0, 20.0]


def test_a_refused_request_costs_the_pause_and_no_more(clock: Clock) -> None:
    """An allowance that began with nothing: the second attempt starts after the pause, and the others follow it."""
    pace = clock.pace(60, None)
    pace.refused(pace.wait(1), 1)
    assert starts(pace, clock, [1, 1, 1]) == pytest.approx([1, 2, 3])


def test_a_refused_request_leaves_those_alone_that_started_later(clock: Clock) -> None:
    """The service may have served the second: what it was charged stays."""
    pace = clock.pace(6, None)
    first = pace.wait(1)
    pace.wait(1)
    pace.refused(first, 1)
    assert starts(pace, clock, [1, 1]) == pytest.approx([20, 30])


def test_a_request_that_waits_starts_sooner_where_the_one_before_it_was_refused(clock: Clock) -> None:
    """It takes the place of the refused one, after the pause."""
    pace = clock.pace(1, None)
    first = pace.wait(1)
    clock.meanwhile = lambda: pace.refused(first, 2)
    assert starts(pace, clock, [1, 1]) == pytest.approx([2, 62])


def test_a_request_that_waits_is_held_back_by_a_pause_too(clock: Clock) -> None:
    """The pause comes while it waits: it waits on."""
    pace = clock.pace(60, None)
    first = pace.wait(1)

    def pause() -> None:
        clock.time += 0.5
        pace.refused(first, 10)

    clock.meanwhile = pause
    assert starts(pace, clock, [1]) == pytest.approx([10.5])


@given(st.lists(st.tuples(st.integers(1, 500), st.none() | st.floats(0, 30)), min_size=1, max_size=40))
def test_pauses_never_let_more_through_than_the_ceiling(requests: list[tuple[int, float | None]]) -> None:
    """Whatever is refused in between, what is served keeps to the tokens of a minute."""
    served: list[tuple[float, int]] = []
    clock = Clock()
    pace = clock.pace(None, 1000)
    for tokens, refusal in requests:
        turn = pace.wait(tokens)
        if refusal is None:
            served.append((clock.time, tokens))
        else:
            pace.refused(turn, refusal)
    assert_within(1000, served)


@given(st.lists(st.tuples(st.integers(1, 500), st.booleans(), st.floats(0, 30)), min_size=1, max_size=40))
def test_refusals_that_come_late_never_let_more_through_either(requests: list[tuple[int, bool, float]]) -> None:
    """Each answer comes when the next request has started already."""
    served: list[tuple[float, int]] = []
    clock = Clock()
    pace = clock.pace(None, 1000)
    before: tuple[int, float] | None = None
    for tokens, refused, seconds in requests:
        turn = pace.wait(tokens)
        if not refused:
            served.append((clock.time, tokens))
        if before is not None:
            pace.refused(*before)
        before = (turn, seconds) if refused else None
    assert_within(1000, served)


def assert_within(tokens_per_minute: int, served: list[tuple[float, int]]) -> None:
    for first, (moment, _) in enumerate(served):
        minute = [tokens for start, tokens in served[first:] if start < moment + 59.99]
        assert sum(minute[:-1]) <= tokens_per_minute


def test_a_service_that_tells_its_rates_is_not_asked_faster(clock: Clock) -> None:
    """From its first refusal on, by the size of each request."""
    pace = clock.pace(None, None)
    assert not pace.learn(UNKNOWN)
    assert not pace.counts_tokens
    assert pace.learn(Rates(seconds_per_request=1.0, seconds_per_token=0.1))
    assert pace.counts_tokens
    assert starts(pace, clock, [1, 100, 1]) == pytest.approx([0, 1, 11])


def test_a_ceiling_that_is_lower_than_the_rates_stays(clock: Clock) -> None:
    """What a service tells never makes a sync faster than it was configured."""
    pace = clock.pace(6, None)
    assert not pace.learn(Rates(seconds_per_request=1.0))
    assert starts(pace, clock, [1, 1]) == pytest.approx([0, 10])


def test_a_learned_rate_never_holds_a_request_back_for_more_than_a_minute(clock: Clock) -> None:
    """Whatever the request's size; a configured ceiling may."""
    pace = clock.pace(None, None)
    pace.learn(Rates(seconds_per_token=1.0))
    assert starts(pace, clock, [300_000, 300_000]) == pytest.approx([0, LONGEST_SPACING])
    assert starts(clock.pace(None, 1), clock, [300, 1])[1] == pytest.approx(clock.time - START)


def test_a_learned_rate_eases_while_nothing_is_refused_and_tightens_at_the_next_refusal(clock: Clock) -> None:
    """One wrong header costs minutes, not the rest of the sync; it is told once."""
    pace = clock.pace(None, None)
    wrong = Rates(seconds_per_request=LONGEST_SPACING)
    assert pace.learn(wrong)
    moments = starts(pace, clock, [1] * 200)
    assert moments[-1] - moments[-2] < 1
    assert moments[-1] < 10 * HOLD
    assert not pace.learn(wrong)
    first, second = starts(pace, clock, [1] * 2)
    assert second - first == pytest.approx(LONGEST_SPACING)


def test_a_refusal_that_tells_a_faster_rate_does_not_undo_what_was_learned(clock: Clock) -> None:
    """A fixed window that is nearly over seems faster than it is: it was the slower rate that was refused."""
    pace = clock.pace(None, None)
    pace.learn(Rates(seconds_per_request=2.0))
    assert not pace.learn(Rates(seconds_per_request=0.1))
    assert starts(pace, clock, [1, 1]) == pytest.approx([0, 2])


def test_the_time_of_a_pause_does_not_ease_a_rate(clock: Clock) -> None:
    """Nothing was asked in it."""
    pace = clock.pace(None, None)
    turn = pace.wait(1)
    pace.learn(Rates(seconds_per_request=2.0))
    pace.refused(turn, 600)
    assert starts(pace, clock, [1, 1, 1]) == pytest.approx([600, 602, 604])


# --- patience ---------------------------------------------------------------------------------------------------------


def test_a_pause_and_a_learned_rate_are_waited_for_no_longer_than_the_patience(clock: Clock) -> None:
    """The sync ends with a sentence at once, instead of standing still and failing then."""
    pace = clock.pace(None, None)
    pace.refused(pace.wait(1), 20)
    with pytest.raises(TransientError, match="run the sync again later"):
        pace.wait(1, patience=19)
    assert clock.time == START
    pace.learn(Rates(seconds_per_request=30.0))
    pace.wait(1, patience=20)
    with pytest.raises(TransientError, match="limits its rate"):
        pace.wait(1, patience=29)
    assert clock.time == START + 20


def test_a_configured_ceiling_is_waited_for_however_long_it_takes(clock: Clock) -> None:
    """A low ceiling is no failure of the service; a pause on top of it counts for itself."""
    pace = clock.pace(1, None)
    pace.learn(Rates(seconds_per_request=1.0))
    for _ in range(3):
        turn = pace.wait(1, patience=1)
    pace.refused(turn, 5)
    pace.wait(1, patience=5)
    assert clock.time == pytest.approx(START + 125)


def test_the_turns_of_others_count_against_the_patience_unless_a_ceiling_holds_them(clock: Clock) -> None:
    """Sixteen threads, a minute each: with a learned rate those give up that come too late, with a ceiling none."""

    def started(pace: Pace) -> int:
        arrived: set[int] = set()
        turns: list[int] = []

        def now() -> float:
            arrived.add(threading.get_ident())
            return clock.time

        def wait() -> None:
            with suppress(TransientError):
                turns.append(pace.wait(1, patience=100))

        threads = [threading.Thread(target=wait) for _ in range(16)]
        pace._now = now
        with pace._queue:  # all of them arrive before the first may go
            for thread in threads:
                thread.start()
            while len(arrived) < 16:
                time.sleep(0.001)
        for thread in threads:
            thread.join()
        return len(turns)

    learned = clock.pace(None, None)
    learned.learn(Rates(seconds_per_request=LONGEST_SPACING))
    assert started(learned) == 2
    assert started(clock.pace(1, None)) == 16


def test_threads_share_one_ceiling(clock: Clock) -> None:
    """Sixteen threads start at sixteen different moments: the last of them after fifteen seconds."""
    pace = clock.pace(60, None)
    threads = [threading.Thread(target=pace.wait, args=(1,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.time - START == pytest.approx(15)
