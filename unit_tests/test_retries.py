from __future__ import annotations

import time

import pytest

from destination_milvus.errors import ConfigError, TransientError
from destination_milvus.retries import Retries, RetryLater, _Patience, with_retries


class Flaky:
    """Fails with each of its errors in turn, then returns a number."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        """One attempt."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 42


def nothing() -> None:
    pass


@pytest.fixture
def quick() -> Retries:
    """Retries that a test can wait for."""
    return Retries(deadline=0.2, first_wait=0.001, longest_wait=0.02)


def test_a_request_that_recovers_returns_its_result(quick: Retries) -> None:
    flaky = Flaky(RetryLater("Down."), RetryLater("Still down."))
    repetitions: list[int] = []
    assert with_retries(flaky, quick, lambda: repetitions.append(flaky.calls)) == 42
    assert repetitions == [1, 2]


def test_an_error_that_retries_cannot_mend_is_raised_at_once(quick: Retries) -> None:
    flaky = Flaky(ConfigError("Wrong key."))
    with pytest.raises(ConfigError, match="Wrong key"):
        with_retries(flaky, quick, nothing)
    assert flaky.calls == 1


def test_the_deadline_ends_the_attempts_with_the_last_reason(quick: Retries) -> None:
    flaky = Flaky(*[RetryLater("The service is down.")] * 10_000)
    started = time.monotonic()
    with pytest.raises(
        TransientError, match=r"The service is down\. Gave up after \d+ attempts in \d+ s; run the sync again"
    ) as caught:
        with_retries(flaky, quick, nothing)
    assert 0.15 < time.monotonic() - started < 3
    assert type(caught.value) is TransientError
    assert isinstance(caught.value.__cause__, RetryLater)


def test_the_service_says_how_long_to_wait(quick: Retries) -> None:
    started = time.monotonic()
    assert with_retries(Flaky(RetryLater("Busy.", wait=0.1)), quick, nothing) == 42
    assert time.monotonic() - started >= 0.1


def test_a_service_that_wants_to_be_asked_again_at_once_is_not(quick: Retries) -> None:
    """`Retry-After: 0` in every refusal would be a storm of requests: the back-off decides."""
    assert _Patience(quick).next_wait(RetryLater("Busy.", wait=0.0)) is True


def test_timeouts_and_waits_are_in_proportion_to_the_deadline() -> None:
    """Those of a sync are the default; who waits for seconds waits for seconds in all."""
    assert Retries.within(900) == Retries()
    assert Retries.within(5) == Retries(5, longest_wait=1, request_timeout=5, connect_timeout=2.5)


def test_a_pause_beyond_the_deadline_is_not_waited_for(quick: Retries) -> None:
    flaky = Flaky(RetryLater("Busy.", wait=3600))
    with pytest.raises(TransientError, match="after 1 attempt in 0 s: it asks to wait 3600 s"):
        with_retries(flaky, quick, nothing)
    assert flaky.calls == 1


def test_broken_answers_are_tried_a_few_times_only() -> None:
    flaky = Flaky(*[RetryLater("Nonsense.", attempts=5)] * 100)
    with pytest.raises(TransientError, match="after 5 attempts"):
        with_retries(flaky, Retries(deadline=60, first_wait=0.001, longest_wait=0.01), nothing)
    assert flaky.calls == 5
