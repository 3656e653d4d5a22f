"""What fields hold: types, losses, renames, HTML, numbers and links."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from destination_milvus.config.processing import Processing
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.preview.profile import EVERY, EXACT, MOST_NAMES, Profile, kind_of, shown


def profile_of(*records: dict[str, Any], **processing: Any) -> Profile:
    builder = DocumentBuilder.configured(
        Processing(chunk_size=100, **processing), reserved=["text", "_ab_stream"], metadata_bytes=2_000
    )
    profile = Profile()
    for data in records:
        built = builder.build(data, 0)
        told = [change.as_json() for change in built.changes]
        metadata = {**built.document.metadata, **({"_ab_meta_changes": told} if told else {})}
        profile.add(data, built.document.with_metadata(metadata), builder)
    return profile


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "boolean"), (1, "number"), (Decimal("1.5"), "number"), ("x", "text"), ([], "list"), ({}, "object")],
)
def test_a_value_has_a_type(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


def test_an_example_is_short_on_one_line_and_leaves_a_terminal_alone() -> None:
    assert shown("a\nb\x1b[31m") == "a b [31m"
    assert shown("w" * 100) == "w" * 39 + "…"


def test_metadata_are_told_by_type_with_what_was_cut_or_renamed() -> None:
    """A field that collides gets its own name beside it; a number that is too long, its reason."""
    profile = profile_of({"text": "x", "big": 10**30, "nothing": None}, {"text": 5, "big": 2, "ends_": "x"})
    assert set(profile.metadata) == {"text_", "big", "ends_"}
    assert profile.metadata["text_"].renamed_from == "text"
    assert profile.metadata["ends_"].renamed_from is None
    assert dict(profile.metadata["text_"].kinds) == {"text": 1, "number": 1}
    assert dict(profile.metadata["big"].cut) == {"TRUNCATED DESTINATION_TYPECAST_ERROR": 1}
    assert profile.metadata["big"].example == str(10**30)


def test_a_field_that_was_dropped_is_told_with_what_it_was() -> None:
    profile = profile_of({"id": 1, "items": ["w" * 3_000]})
    assert profile.metadata["items"].seen == 0
    assert sum(profile.metadata["items"].cut.values()) == 1
    assert profile.metadata["items"].example.startswith("['www")


def test_texts_are_told_apart_from_what_is_no_words() -> None:
    """Dates are numbers here; a link in a sentence is a sentence; `1 < 2` is no HTML."""
    records = [
        {"body": "<p>Hello</p>", "url": "https://x.example/1", "at": "2026-01-02T03:04:05Z", "n": 5, "ok": True},
        {"body": "See https://x.example: 1 < 2", "url": "http://x.example", "at": "12.5", "n": None, "ok": {}},
    ]
    texts = profile_of(*records).texts
    assert {name: (each.seen, each.html, each.links, each.numbers) for name, each in texts.items()} == {
        "body": (2, 1, 0, 0),
        "url": (2, 0, 2, 0),
        "at": (2, 0, 0, 2),
        "n": (1, 0, 0, 1),
        "ok": (2, 0, 0, 1),
    }


def test_only_text_fields_are_looked_at_as_texts() -> None:
    """By their paths as configured; bookkeeping is no text."""
    nested = profile_of({"a": [{"b": "<b>x</b>"}, {"b": "y"}], "c": "z"}, text_fields=["a.*.b"])
    assert {name: (each.seen, each.html) for name, each in nested.texts.items()} == {"a.*.b": (2, 1)}
    assert set(profile_of({"_airbyte_raw_id": "1", "_ab_cdc_lsn": 2, "c": "z"}).texts) == {"c"}


def test_many_names_and_many_records_cost_no_memory_and_little_time() -> None:
    profile = profile_of({f"f{number}": number for number in range(2 * MOST_NAMES)})
    assert len(profile.metadata) == len(profile.texts) == MOST_NAMES
    many = profile_of(*[{"id": number} for number in range(EXACT + 10 * EVERY)])
    assert many.records == EXACT + 10 * EVERY
    assert many.looked_at == pytest.approx(EXACT + 10, abs=1)
