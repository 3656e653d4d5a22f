"""The rates at which a service lets an account go, from the headers of its answers. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Rates:
    """What a request and a token cost in time; 0 where the service does not say."""

    seconds_per_request: float = 0.0
    seconds_per_token: float = 0.0

    def a_minute(self) -> str:
        """The rates in words: `60 requests and 150,000 tokens`."""
        costs = {"requests": self.seconds_per_request, "tokens": self.seconds_per_token}
        amounts = {unit: 60 / cost for unit, cost in costs.items() if cost}
        return " and ".join(f"{n:,.0f} {unit}" if n >= 1 else f"{n:.2g} {unit}" for unit, n in amounts.items())


UNKNOWN = Rates()

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|$)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def rates(headers: Mapping[str, str]) -> Rates:
    """What OpenAI's `x-ratelimit-*` headers come to, for requests and for tokens.

    `remaining` of `limit` are left now, and all of it after `reset`: what was used comes back evenly until then. So
    the rate is known whatever the window is, a minute or a day.
    https://platform.openai.com/docs/guides/rate-limits
    """
    return Rates(_seconds_per_unit(headers, "requests"), _seconds_per_unit(headers, "tokens"))


def _seconds_per_unit(headers: Mapping[str, str], unit: str) -> float:
    try:
        limit, remaining = (float(headers[f"x-ratelimit-{name}-{unit}"]) for name in ("limit", "remaining"))
        used = limit - remaining
        return seconds(headers[f"x-ratelimit-reset-{unit}"]) / used if used > 0 else 0.0
    except (KeyError, ValueError):
        return 0.0


def seconds(duration: str) -> float:
    """A duration as Go writes it: `6m0s`, `1.5s`, `88ms`; a bare number counts seconds, as Azure sends it.

    Raises:
        ValueError: it is none.
    """
    if not _DURATION.fullmatch(duration):
        raise ValueError("no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
