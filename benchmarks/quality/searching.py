"""One variant: synced by the connector into Milvus Lite, then asked every question."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installing import work_folder
from benchmarks.quality import metrics
from benchmarks.quality.sources import Pair
from benchmarks.quality.variants import Search, Variant
from destination_milvus import fields
from destination_milvus.fields import SPARSE_FIELD
from destination_milvus.model import Vector
from devtools import connector
from devtools.backends import Backend, config

STREAM = "articles"

FETCHED = 50
"""Chunks that a search fetches, to find the best ten records among them."""
TOGETHER = 100
"""Questions in a request."""


@dataclass(frozen=True)
class Question:
    """A query, and the record that answers it."""

    text: str
    vector: Vector
    record_id: str
    long: bool
    """Whether the answer takes several chunks."""


@dataclass(frozen=True)
class Asked:
    """How good the answers to a set of queries were."""

    scores: metrics.Scores
    long_mrr_10: float
    """Over the queries whose answer is long."""


@dataclass(frozen=True)
class Measured:
    """A variant under one way of searching."""

    search: Search
    asked: Sequence[Asked]
    """By set of queries."""
    rows: int
    megabytes: float
    """Of the database on disk."""


def folder() -> Path:
    """Where databases and vectors are."""
    path = work_folder() / "quality"
    path.mkdir(exist_ok=True)
    return path


def source(pairs: Sequence[Pair]) -> list[str]:
    """The articles as lines of the protocol, with the state at their end."""
    articles = ({"id": pair.key, "source": pair.source, "title": pair.title, "body": pair.answer} for pair in pairs)
    return [*(connector.record(article, STREAM) for article in articles), connector.state(1, STREAM)]


def measured(
    variant: Variant, lines: Sequence[str], sets: Sequence[Sequence[Question]], embedding: Mapping[str, Any]
) -> Iterator[Measured]:
    """Sync a variant and search it in each of its ways."""
    database = folder() / f"{''.join(letter if letter.isalnum() else '_' for letter in variant.name)}.db"
    shutil.rmtree(database, ignore_errors=True)
    backend = Backend("lite", str(database))
    articles = connector.catalog(connector.stream(STREAM))
    done = connector.run(folder(), "write", _config(variant, backend, embedding), articles, lines, timeout=3600)
    if done.exit_code:
        raise RuntimeError(f"The sync of “{variant.name}” failed: {done.error}")
    megabytes = sum(file.stat().st_size for file in database.rglob("*") if file.is_file()) / 1e6
    with backend.client() as client:
        client.load_collection(STREAM)
        count = client.query(STREAM, output_fields=["count(*)"])[0]["count(*)"]
        for search in variant.searches:
            yield Measured(search, [_ask(client, search, queries) for queries in sets], count, megabytes)


def _config(variant: Variant, backend: Backend, embedding: Mapping[str, Any]) -> dict[str, Any]:
    return config(
        backend,
        embedding=embedding,
        processing=variant.processing,
        indexing={"collection": STREAM, "full_text_search": variant.full_text},
        # the model is one, and two cores serve it: more requests at once would only wait, up to the timeout
        advanced={"concurrency": 1},
    )


def _ask(client: Any, search: Search, questions: Sequence[Question]) -> Asked:
    ranks = list(_ranks(client, search, questions))
    long = [rank for rank, question in zip(ranks, questions, strict=True) if question.long]
    return Asked(metrics.scores(ranks), metrics.reciprocal_rank(long, 10))


def _ranks(client: Any, search: Search, questions: Sequence[Question]) -> Iterator[int | None]:
    """The rank of each question's record: records are ranked by their best chunk."""
    ask = _SEARCHES[search]
    for start in range(0, len(questions), TOGETHER):
        asked = questions[start : start + TOGETHER]
        for question, hits in zip(asked, ask(client, asked), strict=True):
            records = metrics.first_of_each(hit["entity"][fields.RECORD_ID] for hit in hits)
            yield metrics.rank(records, question.record_id)


def _dense(client: Any, questions: Sequence[Question]) -> Any:
    vectors = [list(question.vector) for question in questions]
    return client.search(STREAM, data=vectors, anns_field="vector", limit=FETCHED, output_fields=[fields.RECORD_ID])


def _words(client: Any, questions: Sequence[Question]) -> Any:
    texts = [question.text for question in questions]
    return client.search(STREAM, data=texts, anns_field=SPARSE_FIELD, limit=FETCHED, output_fields=[fields.RECORD_ID])


def _both(client: Any, questions: Sequence[Question], *, dense: int, k: int) -> Any:
    """Reciprocal rank fusion of BM25's ranking and the vectors', which may be counted several times."""
    from pymilvus import AnnSearchRequest, RRFRanker  # noqa: PLC0415 - two seconds, which `--help` need not wait

    vectors = [list(question.vector) for question in questions]
    texts = [question.text for question in questions]
    by_vector = [AnnSearchRequest(data=vectors, anns_field="vector", param={}, limit=FETCHED) for _ in range(dense)]
    by_words = AnnSearchRequest(data=texts, anns_field=SPARSE_FIELD, param={}, limit=FETCHED)
    return client.hybrid_search(
        STREAM, reqs=[*by_vector, by_words], ranker=RRFRanker(k), limit=FETCHED, output_fields=[fields.RECORD_ID]
    )


_SEARCHES: dict[Search, Callable[[Any, Sequence[Question]], Any]] = {
    "dense": _dense,
    "BM25": _words,
    "hybrid, RRF": lambda client, questions: _both(client, questions, dense=1, k=60),
    "hybrid, RRF 3:1": lambda client, questions: _both(client, questions, dense=3, k=5),
}
