"""What a preview warns of, what things cost, and the estimate that both are made from."""

from __future__ import annotations

from typing import Any

import pytest

from destination_milvus.config.models import Config, parse_config
from destination_milvus.preview.advice import warnings
from destination_milvus.preview.cost import Rates, cost_of
from destination_milvus.preview.estimate import MOST_BAD, Estimate
from destination_milvus.protocol.catalog import plan_streams
from destination_milvus.protocol.messages import Message, Record, StreamStatus
from devtools.connector import catalog, stream


def configured(processing: dict[str, Any], embedding: dict[str, Any]) -> Config:
    return parse_config(
        {
            "embedding": embedding,
            "processing": {"chunk_size": 50, **processing},
            "indexing": {"host": "m.db", "collection": "c", "auth": {"mode": "no_auth"}},
        }
    )


def record(data: dict[str, Any], name: str = "tickets", place: str = "") -> Record:
    return Record(name, None, data, 0, size=10, place=place)


def estimated(*records: Message, processing: dict[str, Any] | None = None, **options: Any) -> tuple[Config, Estimate]:
    config = configured(processing or {}, options.pop("embedding", {"mode": "fake"}))
    mode = options.pop("mode", "append_dedup")
    estimate = Estimate(config, plan_streams(catalog(stream("tickets", mode))), **options)
    assert estimate.take(records)
    return config, estimate


def sentences(config: Config, estimate: Estimate, model_tokens: int = 50) -> dict[str, str]:
    counts = {estimate.plans[name].identifier: counts for name, counts in estimate.streams.items()}
    return {f"{each.option}: {each.sentence}": each.stream for each in warnings(config, counts, model_tokens)}


def begins(told: dict[str, str], *beginnings: str) -> None:
    """These warnings, in this order, and no others."""
    assert len(told) == len(beginnings), told
    for sentence, beginning in zip(told, beginnings, strict=True):
        assert sentence.startswith(beginning), sentence


GOOD = {"processing": {"text_fields": ["body"]}}


def test_what_is_well_gets_no_warning() -> None:
    begins(sentences(*estimated(record({"id": 1, "body": "Hello there"}), **GOOD)))


GERMAN = "Wenn das Telefon mit der App verloren ist, die die Codes erzeugt, hilft die Verwaltung des Kontos."


def test_an_english_model_for_texts_in_another_language_is_told() -> None:
    records = [record({"id": number, "body": GERMAN}) for number in range(9)]
    told = sentences(*estimated(*records, **GOOD, embedding={"mode": "local"}), model_tokens=200)
    [sentence] = told
    assert sentence.startswith("embedding.model: Most of the first")
    assert "universal-sentence-encoder-multilingual" in sentence
    begins(sentences(*estimated(*records, **GOOD), model_tokens=200))


def test_html_that_stays_is_told_with_its_option() -> None:
    html = record({"id": 1, "body": "<p>Hello</p>"})
    begins(sentences(*estimated(html, **GOOD)), 'processing.html_fields: HTML in "body" is embedded')
    begins(sentences(*estimated(html, processing={"text_fields": ["body"], "html_fields": ["body"]})))
    few = [record({"id": number, "body": "Hello" if number else "<p>Hello</p>"}) for number in range(20)]
    begins(sentences(*estimated(*few, **GOOD)))


def test_everything_embedded_and_numbers_as_text_are_told() -> None:
    links = {f"link{number}": "https://x.example" for number in range(6)}
    begins(
        sentences(*estimated(record({"id": 1, "body": "Hello there", **links})), model_tokens=500),
        "processing.text_fields: All 8 fields are embedded",
        'processing.text_fields: In "id", "link0", "link1", "link2", "link3", 2 more are mostly numbers',
    )


def test_chunks_beyond_the_model_are_told_with_the_share_that_is_read() -> None:
    told = sentences(*estimated(record({"id": 1, "body": "hello " * 40}), **GOOD), model_tokens=20)
    begins(told, "processing.chunk_size: 1 chunks are longer than the 20 tokens that the model reads")
    assert "Set processing.chunk_size to 20 or less." in next(iter(told))


def test_keys_that_repeat_and_records_without_text_are_told() -> None:
    records = [record({"id": 1, "body": "x"}), record({"id": 1, "body": "y"}), record({"id": 2})]
    begins(
        sentences(*estimated(*records, **GOOD)),
        "primary_key: 1 records have a key that came before",
        "processing.text_fields: 1 records have no text",
    )
    begins(sentences(*estimated(*records[:2], mode="append", **GOOD)))


def test_records_are_counted_by_what_becomes_of_them() -> None:
    """Stored, deleted, bad, of another stream; a status is no record."""
    bad = [record({"body": "x"}, place=f"line {number}") for number in range(5)]
    gone = record({"id": 1, "_ab_cdc_deleted_at": "2026-01-01"})
    visited: list[tuple[str, list[str]]] = []
    _, estimate = estimated(
        record({"id": 1, "body": "Hello"}), gone, *bad, StreamStatus("tickets", None, "COMPLETE"), record({}, "other"),
        examples=1, visit=lambda upsert, texts: visited.append((upsert.key.record_id, texts)), **GOOD,
    )  # fmt: skip
    counts = estimate.streams["tickets", None]
    assert (counts.records, counts.deletions, counts.bad, counts.rows, estimate.others) == (7, 1, 5, 1, 1)
    assert [error.message.partition(":")[0] for error in counts.first_bad] == ["line 0", "line 1", "line 2"]
    assert len(counts.first_bad) == MOST_BAD
    assert visited == [("tickets_1", ["body: Hello"])]
    assert [(each.record_id, each.texts, each.chunks) for each in estimate.examples] == [
        ("tickets_1", ["body: Hello"], 1)
    ]
    assert (estimate.records, estimate.bytes, estimate.is_exact) == (8, 80, True)
    assert estimate.tokens == counts.sizes.tokens > 0


def test_a_sample_ends_where_more_comes() -> None:
    config = configured({}, {"mode": "fake"})
    estimate = Estimate(config, plan_streams(catalog(stream("tickets"))))
    assert estimate.take([record({"id": 1}), record({"id": 2})], most=2)
    assert not estimate.take([record({"id": 3})], most=2)
    assert estimate.records == 2


def test_vectors_that_records_bring_are_rows_without_texts() -> None:
    """No text is embedded, and none is missing; no warning is about texts that nobody embeds."""
    embedding = {"mode": "from_field", "field_name": "v", "dimensions": 2}
    config, estimate = estimated(record({"id": 1, "v": [0.5, 1.0], "body": "<p>x</p>"}), embedding=embedding)
    counts = estimate.streams["tickets", None]
    assert (counts.rows, counts.sizes.texts, counts.without_text) == (1, 0, 0)
    begins(sentences(config, estimate))


def test_an_overwrite_without_generations_is_counted_like_any_other() -> None:
    _, estimate = estimated(record({"id": 1, "body": "x"}), mode="overwrite", **GOOD)
    assert estimate.streams["tickets", None].rows == 1


def test_cost_is_money_requests_time_and_memory() -> None:
    rates = Rates(0.5, tokens_per_minute=1_000_000, requests_per_minute=2, texts_per_request=100)
    cost = cost_of(2_000_000, 401, 401, 8, rates)
    assert (cost.money, cost.requests, cost.seconds, cost.vector_bytes) == (1.0, 5, 150, 401 * 32)
    by_tokens = cost_of(2_000_000, 401, 401, 8, Rates(texts_per_request=100, tokens_per_request=300_000))
    assert (by_tokens.requests, by_tokens.money, by_tokens.seconds) == (7, None, None)


def test_the_whole_of_a_sample_is_so_many_times_as_large() -> None:
    cost = cost_of(100, 10, 10, 8, Rates(1_000_000.0), factor=2.5)
    assert (cost.tokens, cost.rows, cost.money, cost.requests) == (250, 25, pytest.approx(250), 0)
