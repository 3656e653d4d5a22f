from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.rates import (
    HOLD,
    LONGEST_RESET,
    LONGEST_SPACING,
    UNKNOWN,
    UNTOLD,
    Allowance,
    Allowances,
    Rates,
    allowances,
    seconds,
)


def headers(unit: str, limit: str, remaining: str, reset: str, prefix: str = "") -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"{prefix}x-ratelimit-{name}-{unit}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("6m0s", 360.0), ("1.5s", 1.5), ("88ms", 0.088), ("1h2m3s", 3723.0), ("1d", 86400.0), ("12", 12.0), ("0s", 0.0)],
)
def test_durations_are_read_as_go_writes_them(duration: str, expected: float) -> None:
    """Units follow each other; a bare number counts seconds."""
    assert seconds(duration) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "s", "1x", "-1s", "1s 2s", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Also a negative one."""
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (headers("requests", "60", "0", "1m0s"), Allowances(requests=Allowance(60, 0, 60))),
        (headers("requests", "60", "59", "1s"), Allowances(requests=Allowance(60, 59, 1))),
        (headers("tokens", "150000", "149984", "6m0s"), Allowances(tokens=Allowance(150_000, 149_984, 360))),
        (headers("tokens", "1000000", "998000", "88ms"), Allowances(tokens=Allowance(1_000_000, 998_000, 0.088))),
        (
            headers("requests", "720", "0", "10") | headers("tokens", "120000", "119000", "26"),
            Allowances(Allowance(720, 0, 10), Allowance(120_000, 119_000, 26)),
        ),
        (
            headers("requests", "100", "0", "1795824000") | headers("requests", "60", "0", "59s", "llm_provider-"),
            Allowances(requests=Allowance(60, 0, 59)),
        ),
    ],
    ids=["OpenAI, empty", "OpenAI, one used", "OpenAI, minutes", "OpenAI, milliseconds", "Azure", "LiteLLM"],
)
def test_the_limits_of_each_service_are_read(told: dict[str, str], expected: Allowances) -> None:
    """Azure sends bare numbers; LiteLLM a Unix time of its own, and the headers of the provider behind it."""
    assert allowances(told) == expected


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"retry-after": "20", "retry-after-ms": "20000"},
        {"x-trial-endpoint-call-limit": "100", "x-trial-endpoint-call-remaining": "0"},
        headers("requests", "-1", "-1", "1s"),
        headers("requests", "100", "-5", "1s"),
        headers("requests", "100", "0", "1795824000"),
        headers("requests", "100", "0", "2026-11-28T12:00:00Z"),
        headers("requests", "200", "0", "24h0m0s"),
        headers("requests", "100", "0", "0s"),
        headers("requests", "100", "0", "9" * 400),
        headers("requests", "nan", "0", "1s"),
        headers("requests", "100", "nan", "1s"),
        headers("requests", "inf", "0", "1s"),
        headers("requests", "100", "-inf", "1s"),
        headers("tokens", "150000", "160000", "1s"),
        headers("tokens", "many", "1", "1s"),
        headers("tokens", "150000", "1", "soon"),
        {"x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "1"},
    ],
    ids=str,
)
def test_headers_that_tell_nothing_or_what_cannot_be_are_no_limit(told: dict[str, str]) -> None:
    """Azure without limits, Cohere, Unix times, dates, days, what is negative, not finite or no number."""
    assert allowances(told) == UNTOLD


def test_what_was_used_comes_back_evenly_until_the_reset() -> None:
    """150,000 tokens a minute: 100,000 of them are back in 40 s, and 60,000 had been asked for."""
    told = allowances(headers("tokens", "150000", "50000", "40s")).rates(60_000)
    assert told == Rates(seconds_per_token=pytest.approx(40 / 99_999))
    assert told.a_minute() == "149,998 tokens"


def test_a_limit_with_enough_left_is_not_the_one_that_refused() -> None:
    """A fixed window of 100 requests, 99 of them left, and tokens that are used up: it was the tokens."""
    told = allowances(headers("requests", "100", "99", "59s") | headers("tokens", "1000", "10", "59s"))
    assert told.rates(20) == Rates(seconds_per_token=59 / 989)
    assert told.rates(5) == UNKNOWN
    assert told.wait(5, again=False) is None


def test_a_request_that_is_larger_than_a_whole_limit_says_nothing_of_the_rate() -> None:
    """Nothing was used, and nothing comes back."""
    assert allowances(headers("tokens", "1000", "1000", "1s")).rates(2000) == UNKNOWN


def test_without_a_pause_that_the_service_names_what_is_missing_is_waited_for_and_then_the_window() -> None:
    """A bucket has what is missing after a part of its reset; where it has not, it was a window."""
    told = allowances(headers("requests", "61", "0", "60s"))
    assert told.wait(1, again=False) == pytest.approx(1)
    assert told.wait(1, again=True) == 60


def test_a_rate_holds_for_a_minute_and_then_eases() -> None:
    """Twice as fast with every further minute, until nothing is left of it."""
    learned = Rates(4.0, 0.5)
    assert learned.eased(0) == learned.eased(HOLD) == learned
    assert learned.eased(3 * HOLD) == Rates(1.0, 0.125)
    assert learned.eased(1e9) == UNKNOWN


ANYTHING = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.floats(0, 1e4).map(str))


@given(*[ANYTHING] * 3, st.sampled_from(["requests", "tokens"]), st.integers(0, 10**9))
def test_whatever_the_headers_say_what_is_learned_lies_within_its_bounds(
    limit: str, remaining: str, reset: str, unit: str, tokens: int
) -> None:
    """A unit never costs more than a minute, a pause is never longer than the longest reset that is believed."""
    told = allowances(headers(unit, limit, remaining, reset))
    learned = told.rates(tokens)
    assert 0 <= learned.seconds_per_request <= LONGEST_SPACING
    assert 0 <= learned.seconds_per_token <= LONGEST_SPACING
    assert learned.a_minute() is not None
    for again in (False, True):
        pause = told.wait(tokens, again=again)
        assert pause is None or 0 < pause <= LONGEST_RESET
