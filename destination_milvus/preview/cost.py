"""What tokens and rows cost: money, requests, time, memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_A_NUMBER = 4
"""Of a vector: float32."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What embedding is limited by, and costs."""

    price: float | None = None
    """Money for a million tokens; None where nobody said."""
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    texts_per_request: int | None = None
    """None for models that are asked nothing over the network."""
    tokens_per_request: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a number of texts."""

    tokens: int
    rows: int
    money: float | None
    requests: int
    """At least so many: where requests are filled."""
    seconds: float | None
    """At least; None where no limit is known."""
    vector_bytes: int
    """That the vectors take in Milvus, as numbers; an index adds to that."""


def cost_of(tokens: int, texts: int, rows: int, dimensions: int, rates: Rates, factor: float = 1.0) -> Cost:
    """The cost of so many tokens in so many texts, `factor` times: of a sample, how many times larger the whole is."""
    tokens, texts, rows = (round(number * factor) for number in (tokens, texts, rows))
    requests = max(_over(texts, rates.texts_per_request), _over(tokens, rates.tokens_per_request))
    minutes = [
        number / limit
        for number, limit in ((tokens, rates.tokens_per_minute), (requests, rates.requests_per_minute))
        if limit is not None
    ]
    return Cost(
        tokens=tokens,
        rows=rows,
        money=None if rates.price is None else rates.price * tokens / 1_000_000,
        requests=requests,
        seconds=60 * max(minutes) if minutes else None,
        vector_bytes=rows * dimensions * BYTES_A_NUMBER,
    )


def _over(number: int, each: int | None) -> int:
    return -(-number // each) if each else 0
