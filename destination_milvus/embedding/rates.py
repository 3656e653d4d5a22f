"""The rates at which a service lets an account go, from the headers of a refusal. Pure.

Two kinds of limit send the same headers. Of a token bucket (OpenAI) what was used comes back evenly until `reset`; of a
fixed window all of it comes back at `reset`. In both, the limit that refused a request has less left than the request
needs, and has all of it again after `reset`: so what was used, spread over that time, is never slower than the service
allows. It is exact for a bucket; for a window that was entered late it is too fast, and the next refusals tell more.

A limit that has enough left is not the one that refused: what it says of itself is no rate.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RESET = 900.0
"""Seconds. OpenAI's page shows up to six minutes; longer ones, of limits a day, and Unix times tell nothing that a sync
could wait for."""

LONGEST_SPACING = 60.0
"""Seconds between two requests that a refusal can bring about: a limit a minute serves one request at least."""

HOLD = 60.0
"""Seconds for which a learned rate stays as it is; afterwards it doubles as often, until the next refusal."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a request and a token cost in time; 0 where the service does not say."""

    seconds_per_request: float = 0.0
    seconds_per_token: float = 0.0

    def spacing(self, tokens: int) -> float:
        """Seconds that a request of so many tokens takes up."""
        return max(self.seconds_per_request, tokens * self.seconds_per_token)

    def or_slower(self, other: Rates) -> Rates:
        """Of both the slower, for requests and for tokens."""
        return Rates(
            max(self.seconds_per_request, other.seconds_per_request),
            max(self.seconds_per_token, other.seconds_per_token),
        )

    def eased(self, age: float) -> Rates:
        """What is left of rates that were learned so many seconds ago: services do not say when they raise a limit."""
        factor = 2.0 ** min(0.0, 1 - age / HOLD)
        return Rates(self.seconds_per_request * factor, self.seconds_per_token * factor)

    def is_slower_than(self, other: Rates) -> bool:
        """Whether by a tenth or more, for requests or for tokens: remainders are told in whole units."""
        return (
            self.seconds_per_request > 1.1 * other.seconds_per_request
            or self.seconds_per_token > 1.1 * other.seconds_per_token
        )

    def a_minute(self) -> str:
        """The rates in words: `60 requests and 150,000 tokens`."""
        costs = {"requests": self.seconds_per_request, "tokens": self.seconds_per_token}
        amounts = {unit: 60 / cost for unit, cost in costs.items() if cost}
        return " and ".join(f"{n:,.0f} {unit}" if n >= 1 else f"{n:.2g} {unit}" for unit, n in amounts.items())


UNKNOWN = Rates()


class Allowance(NamedTuple):
    """One limit, as a service tells it: of `limit` so much is left, and all of it is there again after `reset`."""

    limit: float
    remaining: float
    reset: float
    """Seconds."""

    def refuses(self, amount: float) -> bool:
        """Whether it has too little left for a request that needs so much."""
        return self.remaining < amount and self.remaining < self.limit

    def seconds_per_unit(self) -> float:
        """What a request or a token costs in time.

        Remainders are told in whole units, and nearly one more may have been left: of a limit of 20 requests a minute
        the rate would be 5 % too fast, and every request refused once.
        """
        return min(self.reset / max(1, self.limit - self.remaining - 1), LONGEST_SPACING)


@dataclass(frozen=True, slots=True)
class Allowances:
    """What a service tells of its limits when it refuses; None where it does not, or says what cannot be."""

    requests: Allowance | None = None
    tokens: Allowance | None = None

    def rates(self, tokens: int) -> Rates:
        """How fast the account may go, by the limits that refused a request of so many tokens."""
        return Rates(
            self.requests.seconds_per_unit() if self.requests and self.requests.refuses(1) else 0.0,
            self.tokens.seconds_per_unit() if self.tokens and self.tokens.refuses(tokens) else 0.0,
        )

    def wait(self, tokens: int, *, again: bool) -> float | None:
        """Seconds until such a request may pass, for services that do not say; None where no limit refuses it.

        At first as of a bucket, until what is missing is back. A request that waited for that and is refused `again`
        met a window: all comes back at its end.
        """
        waits = [
            min(allowance.reset, math.inf if again else (amount - allowance.remaining) * allowance.seconds_per_unit())
            for allowance, amount in ((self.requests, 1), (self.tokens, tokens))
            if allowance and allowance.refuses(amount)
        ]
        return max(waits, default=None)


UNTOLD = Allowances()

_PREFIXES = ("x-ratelimit-", "llm_provider-x-ratelimit-")
"""OpenAI's, also of Azure and gateways; LiteLLM adds those of the provider behind it as the second."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|$)", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def allowances(headers: Mapping[str, str]) -> Allowances:
    """What OpenAI's `x-ratelimit-*` headers say of requests and of tokens.

    https://platform.openai.com/docs/guides/rate-limits, https://docs.litellm.ai/docs/proxy/response_headers
    """
    return Allowances(_allowance(headers, "requests"), _allowance(headers, "tokens"))


def _allowance(headers: Mapping[str, str], unit: str) -> Allowance | None:
    return next(filter(None, (_told(headers, prefix, unit) for prefix in _PREFIXES)), None)


def _told(headers: Mapping[str, str], prefix: str, unit: str) -> Allowance | None:
    try:
        limit, remaining = (float(headers[f"{prefix}{name}-{unit}"]) for name in ("limit", "remaining"))
        reset = seconds(headers[f"{prefix}reset-{unit}"])
    except (KeyError, ValueError):
        return None
    can_be = 0 <= remaining <= limit < math.inf and 0 < reset <= LONGEST_RESET
    return Allowance(limit, remaining, reset) if can_be else None


def seconds(duration: str) -> float:
    """A duration as Go writes it: `6m0s`, `1.5s`, `88ms`; a bare number counts seconds, as Azure sends it.

    Raises:
        ValueError: it is none.
    """
    if not _DURATION.fullmatch(duration):
        raise ValueError("no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))
