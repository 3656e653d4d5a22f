"""The objects and rows that other destinations leave, read as records."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from destination_milvus.backfill.forms import Order, Stored, Wrong, from_arrow, is_message, lsn_text, stored

NOW = 1_767_312_000_000
TODAY: dict[str, Any] = {
    "_airbyte_raw_id": "b2d3",
    "_airbyte_extracted_at": NOW,
    "_airbyte_generation_id": 3,
    "_airbyte_meta": {"sync_id": 7, "changes": [{"field": "x", "change": "NULLED", "reason": "R"}, "odd"]},
}
BEFORE = {"_airbyte_ab_id": "b2d3", "_airbyte_emitted_at": NOW}
DATA = {"id": 1, "body": "text"}


def test_the_record_lies_in_a_field_or_at_the_root() -> None:
    changes = ({"field": "x", "change": "NULLED", "reason": "R"},)
    expected = Stored(DATA, NOW, 3, "b2d3", changes)
    assert stored({**TODAY, "_airbyte_data": DATA}) == expected
    assert stored({**TODAY, **DATA}) == expected


def test_the_older_form_has_other_names_and_no_generation() -> None:
    assert stored({**BEFORE, "_airbyte_data": DATA}) == Stored(DATA, NOW, None, "b2d3", ())


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"_airbyte_data": "{}"}, "its _airbyte_data is no object"),
        ({"_airbyte_extracted_at": None}, "it has neither _airbyte_extracted_at nor _airbyte_emitted_at"),
        ({"_airbyte_extracted_at": "yesterday"}, "its _airbyte_extracted_at is no number of milliseconds"),
        ({"_airbyte_extracted_at": True}, "its _airbyte_extracted_at is no number of milliseconds"),
        ({"_airbyte_extracted_at": 2**63}, "its _airbyte_extracted_at is no number of milliseconds"),
        ({"_airbyte_generation_id": "1"}, "its _airbyte_generation_id is no whole number"),
        ({"_airbyte_generation_id": True}, "its _airbyte_generation_id is no whole number"),
    ],
)
def test_what_is_no_such_object_is_told_by_a_reason(odd: dict[str, Any], reason: str) -> None:
    with pytest.raises(Wrong, match=reason):
        stored({**TODAY, **DATA, **odd})


@pytest.mark.parametrize("raw_id", [None, "", "x" * 65, 7, "a\0b"])
def test_an_id_that_is_none_is_left_out(raw_id: Any) -> None:
    assert stored({**TODAY, **DATA, "_airbyte_raw_id": raw_id}).raw_id is None


def test_odd_notes_of_changes_are_passed_over() -> None:
    assert stored({**TODAY, **DATA, "_airbyte_meta": "{}"}).changes == ()
    assert stored({**TODAY, **DATA, "_airbyte_meta": {"changes": "none"}}).changes == ()


def test_a_row_of_parquet_may_lack_all_of_airbytes_columns() -> None:
    assert stored(DATA, is_row=True) == Stored(DATA, 0, None, None, ())
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert stored({**DATA, "_airbyte_extracted_at": moment}, is_row=True).extracted_at == NOW
    assert stored({**DATA, "_airbyte_extracted_at": moment.replace(tzinfo=None)}, is_row=True).extracted_at == NOW


def test_a_time_may_be_written_with_a_point() -> None:
    assert stored({**TODAY, **DATA, "_airbyte_extracted_at": float(NOW)}).extracted_at == NOW


def test_messages_of_a_source_are_told_from_records_that_have_a_type() -> None:
    assert is_message({"type": "RECORD", "record": {}})
    assert not is_message({**TODAY, "type": "RECORD"})
    assert not is_message({"type": "incident"})


def order(generation: int | None = 1, lsn: Any = None, at: int = 0) -> Order:
    """The order of a version."""
    return stored({**DATA, "_ab_cdc_lsn": lsn, "_airbyte_extracted_at": at, "_airbyte_generation_id": generation}).order


def test_a_version_is_newer_by_generation_then_log_position_then_time() -> None:
    versions = [
        order(None, at=9),
        order(1, None, 5),
        order(1, None, 8),
        order(1, 7, 3),
        order(1, 30, 2),
        order(2, None, 1),
    ]
    assert sorted(versions) == versions


def test_positions_in_a_log_compare_as_numbers_or_as_texts_of_one_length() -> None:
    assert lsn_text(9) < lsn_text("10") < lsn_text(11.0) < lsn_text(Decimal(12))
    assert lsn_text("00000027:00000758:0003") < lsn_text("00000027:00000758:000a")
    assert lsn_text(10**50) == str(10**50)
    assert {lsn_text(odd) for odd in (None, True, -1, float("nan"), [], "")} == {""}


def test_values_of_parquet_become_those_of_json() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 600_000)  # noqa: DTZ001 - as Parquet has them
    row = {
        "utc": moment.replace(tzinfo=timezone.utc),
        "zone": moment.replace(tzinfo=timezone(timedelta(hours=2))),
        "plain": [moment],
        "date": date(2026, 1, 2),
        "nested": {"bytes": b"text"},
        "double": Decimal("1.5"),
        "exact": Decimal("1234567890123456.01"),
        "null": None,
    }
    assert from_arrow(row) == {
        "utc": "2026-01-02T03:04:05.600000Z",
        "zone": "2026-01-02T03:04:05.600000+02:00",
        "plain": ["2026-01-02T03:04:05.600000"],
        "date": "2026-01-02",
        "nested": {"bytes": "text"},
        "double": 1.5,
        "exact": Decimal("1234567890123456.01"),
        "null": None,
    }
    assert isinstance(from_arrow(Decimal("1.5")), float)
    with pytest.raises(Wrong, match="bytes that are no text"):
        from_arrow(b"\xff")
