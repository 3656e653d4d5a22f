"""Rows as pages show them."""

from __future__ import annotations

import csv
import io

from destination_milvus.collection import DEFAULT_COLLECTION
from destination_milvus.fields import EXTRACTED_AT
from playground.rows import csv_of, day_fields, day_of, fields_of, groups, metadata_of, name_of, shown, text_of

ROW = {
    "pk": "0", "vector": [1.0], "text": "words", "_ab_stream": "tickets", "_ab_record_id": "tickets_1", "_ab_chunk": 1,
    "status": "new", "id": 1, "created_at": "2026-01-02T03:04:05Z", "gone": None,
}  # fmt: skip


def test_fields_are_what_people_ask_for() -> None:
    """The text first, the record's own by name, then the connector's; neither key nor vector."""
    names = ["text", "created_at", "id", "status", "_ab_chunk", "_ab_record_id", "_ab_stream"]
    assert fields_of([ROW], DEFAULT_COLLECTION) == names
    assert metadata_of(ROW, DEFAULT_COLLECTION) == {"created_at": ROW["created_at"], "id": 1, "status": "new"}
    assert text_of(ROW, DEFAULT_COLLECTION) == "words"
    assert text_of({}, DEFAULT_COLLECTION) is None


def test_a_chunk_is_named_for_people() -> None:
    assert name_of(ROW, 3) == "tickets · tickets_1 · chunk 2 of 3"
    assert name_of(ROW) == "tickets · tickets_1 · chunk 2"
    assert name_of({"_ab_stream": "t", "_ab_record_id": "t_1"}) == "t · t_1"


def test_days_are_read_where_there_are_some() -> None:
    """ISO texts and the time of extraction; other texts, and times beyond reason, are none."""
    assert day_of("2026-01-02T03:04:05Z", "created_at") == "2026-01-02"
    assert day_of(1_767_312_000_000, EXTRACTED_AT) == "2026-01-02"
    for value, field in [("soon", "a"), (2**62, EXTRACTED_AT), (0, EXTRACTED_AT), (5, "a"), ("2026-13-01", "a")]:
        assert day_of(value, field) is None
    assert day_fields([ROW, {**ROW, EXTRACTED_AT: 1_767_312_000_000}], DEFAULT_COLLECTION) == [
        "created_at",
        EXTRACTED_AT,
    ]


def test_rare_values_are_one_group() -> None:
    """The nine most frequent have a name of their own."""
    rows = [{"n": number % 12} for number in range(12)] + [{"n": number} for number in range(9)] + [{"n": None}] * 3
    found = groups(rows, "n")
    assert len(set(found)) == 10
    assert found[-1] == "none"
    assert found[11] == "others"


def test_a_csv_is_exact_and_runs_nothing() -> None:
    """Quotes, lines and lists come back; what a spreadsheet would take for a formula is text."""
    rows = [{"a": 'say "yes",\nnow', "b": ["x", 1], "c": -5}, {"a": "=HYPERLINK(1)", "b": None, "c": "+1"}]
    text = csv_of(rows, ["a", "b", "c"]).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["a", "b", "c"],
        ['say "yes",\nnow', '["x",1]', "-5"],
        ["'=HYPERLINK(1)", "", "'+1"],
    ]


def test_a_value_is_shown_as_text() -> None:
    assert [shown(value) for value in ("a", None, True, {"b": 1}, 2.5, {1})] == [
        "a",
        "",
        "true",
        '{"b":1}',
        "2.5",
        "{1}",
    ]
