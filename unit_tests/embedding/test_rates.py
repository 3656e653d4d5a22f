from __future__ import annotations

import pytest

from destination_milvus.embedding.rates import UNKNOWN, Rates, rates, seconds


def headers(unit: str, limit: str, remaining: str, reset: str) -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{name}-{unit}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("6m0s", 360.0), ("1.5s", 1.5), ("88ms", 0.088), ("1h2m3s", 3723.0), ("1d", 86400.0), ("12", 12.0), ("0s", 0.0)],
)
def test_durations_are_read_as_go_writes_them(duration: str, expected: float) -> None:
    assert seconds(duration) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "s", "1x", "-1s", "1s 2s", "\u0661s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


def test_what_was_used_comes_back_evenly_until_the_reset() -> None:
    """150,000 tokens a minute: 100,000 of them are back in 40 s. 200 requests a day: one is back in 7 m 12 s."""
    told = rates(headers("tokens", "150000", "50000", "40s") | headers("requests", "200", "199", "7m12s"))
    assert told == Rates(seconds_per_request=pytest.approx(432), seconds_per_token=pytest.approx(60 / 150_000))
    assert told.a_minute() == "0.14 requests and 150,000 tokens"


@pytest.mark.parametrize(
    "told",
    [
        {},
        headers("tokens", "150000", "150000", "0s"),
        headers("tokens", "150000", "160000", "1s"),
        headers("tokens", "many", "1", "1s"),
        headers("tokens", "150000", "1", "soon"),
        {"x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "1"},
    ],
    ids=str,
)
def test_headers_that_tell_nothing_are_no_rate(told: dict[str, str]) -> None:
    assert rates(told) == UNKNOWN
