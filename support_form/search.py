"""What is asked of Milvus, and what its answers mean: filters, distances, the best hit of each record. Pure.

A customer's words become a vector and never a part of a filter; every value in a filter is quoted by the destination's
own `filters.literal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from destination_milvus.errors import ConfigError
from destination_milvus.fields import RECORD_ID, STREAM
from destination_milvus.milvus.filters import literal, literals, stream_filter
from destination_milvus.milvus.reader import Hit
from destination_milvus.model import Json

TICKETS = "tickets"
ARTICLES = "articles"

OPEN_STATUSES = ("new", "open", "pending", "hold")
"""Zendesk's statuses of tickets that somebody still works on."""

TICKET_FIELDS = (RECORD_ID, "id", "subject", "status", "organization_id")
ARTICLE_FIELDS = (RECORD_ID, "title", "html_url", "draft", "user_segment_id")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An open ticket that may tell the same problem."""

    number: int
    subject: str
    status: str
    distance: float
    """Squared L2 distance between unit vectors."""


@dataclass(frozen=True, slots=True)
class Article:
    """An article that may help."""

    title: str
    url: str
    distance: float


@dataclass(frozen=True, slots=True)
class Near:
    """One row that Milvus found, and how far away it is."""

    entity: Mapping[str, Json]
    distance: float
    """Squared L2 distance between unit vectors."""


def open_tickets_filter(organization: int | str, *, but: int) -> str:
    """Rows of an organization's open tickets, without the ticket `but` that is being submitted."""
    return (
        f"{STREAM} == {literal(TICKETS)} and organization_id == {literal(organization)} "
        f"and status in {literals(OPEN_STATUSES)} and id != {literal(but)}"
    )


def articles_filter() -> str:
    """Rows of articles."""
    return stream_filter(ARTICLES)


def squared_distance(score: float, metric: str) -> float:
    """What Milvus calls a hit's distance, as squared L2 distance between unit vectors.

    For unit vectors |a - b|² = 2 - 2 a·b, and a·b is what COSINE and IP give. Milvus' L2 is squared already.

    Raises:
        ConfigError: the collection has a metric for which there is no such distance.
    """
    if metric in {"COSINE", "IP"}:
        return max(0.0, 2 - 2 * score)
    if metric == "L2":
        return score
    raise ConfigError(f"The collection's metric is {metric or 'unknown'}, and the form knows COSINE, IP and L2.")


def nearest_rows(found: Iterable[Hit], metric: str) -> list[Near]:
    """What a search found, the best row of each record, nearest first."""
    measured = (Near(hit.entity, squared_distance(hit.score, metric)) for hit in found)
    best: dict[Json, Near] = {}
    for row in sorted(measured, key=lambda row: row.distance):
        best.setdefault(row.entity.get(RECORD_ID), row)
    return list(best.values())


def same_problem(found: Sequence[Near], organization: int | str, threshold: float, limit: int) -> tuple[Ticket, ...]:
    """The tickets that are near enough to tell the same problem.

    The organization is looked at once more: showing another one's ticket is the worst that this form could do.
    """
    near = (hit for hit in found if hit.distance < threshold and hit.entity.get("organization_id") == organization)
    tickets = (Ticket(int(hit.entity["id"]), _text(hit, "subject"), _text(hit, "status"), hit.distance) for hit in near)
    return tuple(tickets)[:limit]


def helpful(found: Sequence[Near], threshold: float, limit: int) -> tuple[Article, ...]:
    """The articles that are near enough to help, that are public and have an address to link to."""
    near = (hit for hit in found if hit.distance < threshold and _is_public(hit))
    articles = (Article(_text(hit, "title"), _text(hit, "html_url"), hit.distance) for hit in near)
    return tuple(article for article in articles if article.title and _is_web_address(article.url))[:limit]


def _is_public(hit: Near) -> bool:
    """Zendesk's drafts, and articles for some readers only, are not for everybody; where this is stored."""
    return not hit.entity.get("draft") and hit.entity.get("user_segment_id") is None


def _is_web_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False


def _text(hit: Near, field: str) -> str:
    value = hit.entity.get(field)
    return value if isinstance(value, str) else ""
