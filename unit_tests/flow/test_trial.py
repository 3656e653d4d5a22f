from __future__ import annotations

import time

import pytest

from destination_milvus.errors import ConfigError
from destination_milvus.flow import trial
from destination_milvus.flow.trial import Trial

TICKETS, ARTICLES = ("tickets", "support"), ("articles", None)


class Bench:
    """A trial, and the states that it has given back."""

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self.trial = Trial(self.given.extend)

    def comes(self, stream: tuple[str, str | None], good: int = 0, bad: int = 0) -> None:
        """Records whose outcome is known at once."""
        for number in range(good + bad):
            self.trial.read(stream)
            if number < bad:
                self.trial.skipped(stream)
            else:
                self.trial.stored([stream])


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("read", "skipped", "expected"),
    [(99, 99, False), (100, 50, False), (100, 51, True), (1_000, 500, False), (1_000, 501, True), (0, 0, False)],
)
def test_more_than_half_of_at_least_a_hundred_records_is_too_much(
    bench: Bench, read: int, skipped: int, *, expected: bool
) -> None:
    bench.comes(TICKETS, good=read - skipped, bad=skipped)
    if expected:
        with pytest.raises(ConfigError, match=f"{skipped:,} of {read:,} records cannot be stored") as caught:
            bench.trial.judge()
        assert caught.value.stream == TICKETS
    else:
        bench.trial.judge()


def test_states_leave_at_once_where_every_record_is_good(bench: Bench) -> None:
    bench.comes(TICKETS, good=3)
    bench.trial.acknowledge([b"1", b"2"])
    assert bench.given == [b"1", b"2"]


def test_no_state_leaves_behind_a_skipped_record_of_a_sync_that_is_stopped(bench: Bench) -> None:
    """Neither while it is not known yet what the stream is like, nor with the verdict."""
    bench.trial.acknowledge([b"0"])
    for number in range(13):
        bench.comes(TICKETS, bad=10)
        bench.trial.acknowledge([b"%d" % number])
        if number < 9:
            bench.trial.judge()
    with pytest.raises(ConfigError, match="130 of 130"):
        bench.trial.judge()
    assert bench.given == [b"0"]


def test_what_was_held_leaves_in_order_once_a_hundred_outcomes_are_known(bench: Bench) -> None:
    """Records that are read and not yet committed tell nothing: the model may still refuse them."""
    bench.comes(TICKETS, bad=1)
    for _ in range(200):
        bench.trial.read(TICKETS)
    bench.trial.acknowledge([b"1"])
    bench.trial.stored([TICKETS] * 98)
    bench.trial.judge()
    bench.trial.acknowledge([b"2"])
    assert bench.given == []
    bench.trial.stored([TICKETS])
    bench.trial.judge()
    assert bench.given == [b"1", b"2"]
    bench.comes(TICKETS, bad=1_000)
    bench.trial.acknowledge([b"3"])
    bench.trial.judge()
    assert bench.given == [b"1", b"2", b"3"], "the verdict was given: it is not taken back"


def test_streams_are_judged_by_themselves(bench: Bench) -> None:
    """One that is good does not make up for another; a state waits for each of those that are on trial."""
    bench.comes(TICKETS, good=10_000)
    bench.comes(TICKETS, good=100, bad=1)
    bench.comes(ARTICLES, bad=99)
    bench.trial.acknowledge([b"1"])
    bench.trial.judge()
    assert bench.given == []
    bench.comes(ARTICLES, bad=1)
    with pytest.raises(ConfigError, match='Stream "articles": 100 of 100'):
        bench.trial.judge()


def test_the_end_of_the_input_is_a_verdict(bench: Bench) -> None:
    bench.comes(TICKETS, bad=99)
    bench.trial.acknowledge([b"1"])
    bench.trial.judge(is_over=True)
    assert bench.given == [b"1"]


@pytest.mark.parametrize("cause", ["time", "size"])
def test_states_are_not_held_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    """The platform gives up on a destination without states, and memory is bounded."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    bench.comes(TICKETS, bad=1)
    state = b"x" * (trial.MAX_HELD_BYTES if cause == "size" else 1)
    bench.trial.acknowledge([state])
    now[0] += trial.MAX_HELD_SECONDS - 1
    bench.trial.judge()
    assert bench.given == []
    if cause == "size":
        bench.trial.acknowledge([b"x"])
    else:
        now[0] += 1
    bench.trial.judge()
    assert bench.given[0] == state
