"""One variant: synced by the connector into Milvus Lite, then asked every question."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installing import work_folder
from benchmarks.quality import metrics
from benchmarks.quality.sources import Pair
from benchmarks.quality.variants import Search, Variant
from destination_milvus.config.models import parse_config
from destination_milvus.embedding import create_embedder
from destination_milvus.fields import RECORD_ID
from destination_milvus.milvus.reader import Fusion, Hit, Reader, open_reader
from destination_milvus.model import Vector
from devtools import connector
from devtools.backends import Backend, config

STREAM = "articles"

FETCHED = 50
"""Chunks that a search fetches, to find the best ten records among them."""


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
    variant: Variant,
    lines: Sequence[str],
    sets: Sequence[Sequence[Question]],
    embedding: Mapping[str, Any],
    by_vectors: Sequence[Sequence[Question]] = (),
) -> Iterator[Measured]:
    """Sync a variant and search it in each of its ways; further sets of questions are asked by vectors alone."""
    database = folder() / f"{''.join(letter if letter.isalnum() else '_' for letter in variant.name)}.db"
    shutil.rmtree(database, ignore_errors=True)
    backend = Backend("lite", str(database))
    articles = connector.catalog(connector.stream(STREAM))
    conf = _config(variant, backend, embedding)
    done = connector.run(folder(), "write", conf, articles, lines, timeout=3600)
    if done.exit_code:
        raise RuntimeError(f"The sync of “{variant.name}” failed: {done.error}")
    megabytes = sum(file.stat().st_size for file in database.rglob("*") if file.is_file()) / 1e6
    parsed = parse_config(conf)
    with (
        closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder,
        open_reader(parsed, embedder, timeout=60) as reader,
    ):
        count = reader.query("", ["count(*)"])[0]["count(*)"]
        for search in variant.searches:
            asked = [*sets, *by_vectors] if search == "dense" else sets
            yield Measured(search, [_ask(reader, search, queries) for queries in asked], count, megabytes)


def _config(variant: Variant, backend: Backend, embedding: Mapping[str, Any]) -> dict[str, Any]:
    return config(
        backend,
        embedding=embedding,
        processing=variant.processing,
        indexing={"collection": STREAM, "full_text_search": variant.full_text, **variant.indexing},
        # the model is one, and two cores serve it: more requests at once would only wait, up to the timeout
        advanced={"concurrency": 1},
    )


def _ask(reader: Reader, search: Search, questions: Sequence[Question]) -> Asked:
    ranks = [_rank(reader, search, question) for question in questions]
    long = [rank for rank, question in zip(ranks, questions, strict=True) if question.long]
    return Asked(metrics.scores(ranks), metrics.reciprocal_rank(long, 10) if long else 0.0)


def _rank(reader: Reader, search: Search, question: Question) -> int | None:
    """The rank of the question's record: records are ranked by their best chunk."""
    hits = _SEARCHES[search](reader, question)
    return metrics.rank(metrics.first_of_each(hit.entity[RECORD_ID] for hit in hits), question.record_id)


_FETCHED: Any = {"fields": [RECORD_ID], "limit": FETCHED}
_SEARCHES: dict[Search, Callable[[Reader, Question], list[Hit]]] = {
    "dense": lambda reader, question: reader.search(question.vector, **_FETCHED),
    "BM25": lambda reader, question: reader.search_words(question.text, **_FETCHED),
    "hybrid, RRF": lambda reader, question: reader.search_both(question.vector, question.text, **_FETCHED),
    "hybrid, RRF 3:1": lambda reader, question: reader.search_both(
        question.vector, question.text, fusion=Fusion(vector_weight=3, constant=5), **_FETCHED
    ),
}
