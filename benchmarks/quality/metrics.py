"""How good a ranking is, from the rank of the one right answer. Pure.

Every query has exactly one right record, so recall@k is the share of queries that have it among their first k, and
MRR@k the mean of 1/rank, where a rank beyond k counts nothing (Craswell, *Mean Reciprocal Rank*, 2009).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over queries, each from 0 to 1."""

    queries: int
    recall_1: float
    recall_5: float
    mrr_10: float


def first_of_each(hits: Iterable[Key]) -> list[Key]:
    """The records of ranked chunks, each at the rank of its best chunk."""
    return list(dict.fromkeys(hits))


def rank(found: Sequence[Key], right: Key) -> int | None:
    """Place of the right record, from 1; None where it was not found."""
    return found.index(right) + 1 if right in found else None


def recall(ranks: Sequence[int | None], k: int) -> float:
    """Share of the queries whose right record is among the first `k`."""
    return sum(place is not None and place <= k for place in ranks) / len(ranks)


def reciprocal_rank(ranks: Sequence[int | None], k: int) -> float:
    """Mean of 1/rank over the queries; what is beyond `k` counts 0."""
    return sum(1 / place for place in ranks if place is not None and place <= k) / len(ranks)


def scores(ranks: Sequence[int | None]) -> Scores:
    """All figures of a list of ranks, one rank a query.

    Raises:
        ValueError: there are no queries, and so no mean.
    """
    if not ranks:
        raise ValueError("Scores need at least one query.")
    return Scores(len(ranks), recall(ranks, 1), recall(ranks, 5), reciprocal_rank(ranks, 10))


def mean_of(*parts: Scores) -> float:
    """MRR@10 over the queries of several sets together."""
    return sum(part.mrr_10 * part.queries for part in parts) / sum(part.queries for part in parts)
