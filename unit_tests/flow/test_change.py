from __future__ import annotations

import json
import math
from array import array
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.collection import DEFAULT_COLLECTION, Collection, Column, own_bytes
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.paths import FieldPath
from destination_milvus.errors import BadRecord, ConfigError, InternalError
from destination_milvus.fields import MAX_DYNAMIC_BYTES, META_CHANGES, SYSTEM_FIELDS
from destination_milvus.flow.change import VectorField, change_of
from destination_milvus.model import Delete, RecordKey, Upsert, WriteMode, metadata_json
from destination_milvus.protocol.catalog import KeyPath, StreamPlan, plan_streams, with_own_generation
from destination_milvus.protocol.messages import Record

ID = [["id"]]


def configured(mode: str = "append_dedup", *, name: str = "tickets", **parts: Any) -> dict[str, Any]:
    stream = {"name": name, "namespace": parts.pop("namespace", None), **parts.pop("stream", {})}
    return {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": mode, **parts}


def plan_of(mode: str = "append_dedup", **parts: Any) -> StreamPlan:
    (plan,) = plan_streams({"streams": [configured(mode, **parts)]}).values()
    return plan


# --- catalogs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "primary_key", "generations", "expected"),
    [
        ("append", [], (None, None), (WriteMode.APPEND, 0, 0)),
        ("append", ID, (None, None), (WriteMode.APPEND, 0, 0)),
        ("append", ID, (5, 0), (WriteMode.APPEND, 5, 0)),
        ("append", ID, (5, 5), (WriteMode.APPEND, 5, 5)),
        ("append_dedup", ID, (None, None), (WriteMode.DEDUP, 0, 0)),
        ("append_dedup", ID, (0, 0), (WriteMode.DEDUP, 0, 0)),
        ("append_dedup", ID, (5, 0), (WriteMode.DEDUP, 5, 0)),
        ("append_dedup", ID, (5, 3), (WriteMode.DEDUP, 5, 3)),
        ("append_dedup", ID, (5, 5), (WriteMode.DEDUP, 5, 5)),
        ("overwrite", ID, (5, 5), (WriteMode.DEDUP, 5, 5)),
        ("overwrite", [], (5, 5), (WriteMode.APPEND, 5, 5)),
        ("overwrite", [], (5, 0), (WriteMode.APPEND, 5, 0)),
        ("overwrite", ID, (None, None), (WriteMode.DEDUP, None, 0)),
        ("overwrite", [], (None, None), (WriteMode.APPEND, None, 0)),
        ("overwrite", [], (0, 0), (WriteMode.APPEND, None, 0)),
    ],
)
def test_sync_modes_and_generations_become_plans(
    mode: str,
    primary_key: list[list[str]],
    generations: tuple[int | None, int | None],
    expected: tuple[WriteMode, int | None, int],
) -> None:
    generation, minimum = generations
    plan = plan_of(mode, primary_key=primary_key, generation_id=generation, minimum_generation_id=minimum)
    assert (plan.mode, plan.generation, plan.minimum_generation) == expected
    assert bool(plan.primary_key) == (plan.mode is WriteMode.DEDUP)


def test_an_overwrite_without_generations_counts_down_and_sweeps_the_rest() -> None:
    """Below zero, where no number of the platform's can meet its own."""
    plan = with_own_generation(plan_of("overwrite", primary_key=ID, cursor_field=["at"]), lowest_generation=-4)
    assert (plan.generation, plan.minimum_generation) == (-5, -5)
    assert (plan.identifier, plan.mode, plan.primary_key) == ("tickets", WriteMode.DEDUP, (("id",),))
    assert plan.protected == {"id", "at"}


@pytest.mark.parametrize("mode", ["update", "soft_delete", None, "APPEND"])
def test_sync_modes_that_vectors_cannot_serve_are_refused_with_the_ones_that_they_can(mode: str | None) -> None:
    with pytest.raises(ConfigError, match=r"choose Append, Append \+ Deduped or Overwrite") as caught:
        plan_of(mode, primary_key=ID, namespace="sales")  # type: ignore[arg-type]
    assert caught.value.stream == ("tickets", "sales"), "the name that the platform knows, not the identifier"


@pytest.mark.parametrize("primary_key", [None, [], [[]]])
def test_deduplication_without_a_primary_key_is_refused(primary_key: list[list[str]] | None) -> None:
    with pytest.raises(ConfigError, match="has no primary key"):
        plan_of(primary_key=primary_key)


def test_the_primary_key_of_the_source_counts_where_the_user_chose_none() -> None:
    plan = plan_of(stream={"source_defined_primary_key": [["a"], ["b", "c"]]})
    assert plan.primary_key == (("a",), ("b", "c"))


def test_the_fields_of_key_and_cursor_are_protected_in_every_mode() -> None:
    plan = plan_of("append", primary_key=[["id"], ["owner", "id"]], cursor_field=["meta", "at"])
    assert plan.protected == {"id", "owner", "meta"}


@pytest.mark.parametrize("namespace", [None, ""])
def test_no_namespace_is_none_however_it_is_written(namespace: str | None) -> None:
    plans = plan_streams({"streams": [configured(namespace=namespace, primary_key=ID)]})
    assert list(plans) == [("tickets", None)]


def test_streams_are_told_apart_by_namespace() -> None:
    streams = [configured(namespace=namespace, primary_key=ID) for namespace in ("a", "b", None)]
    plans = plan_streams({"streams": streams})
    assert [plan.identifier for plan in plans.values()] == ["a_tickets", "b_tickets", "tickets"]


def test_two_streams_that_would_be_one_in_the_collection_are_refused_by_name() -> None:
    one = configured(name="b_c", namespace="a", primary_key=ID)
    other = configured(name="c", namespace="a_b", primary_key=ID)
    words = r'"b_c" of namespace "a" and "c" of namespace "a_b".*stored as "a_b_c"'
    with pytest.raises(ConfigError, match=words) as caught:
        plan_streams({"streams": [one, other]})
    assert caught.value.stream == ("c", "a_b")
    same = [configured(primary_key=ID), configured(namespace="", primary_key=ID)]
    with pytest.raises(ConfigError, match='The streams "tickets" and "tickets" would'):
        plan_streams({"streams": same})


def test_a_catalog_without_streams_has_no_plans() -> None:
    assert plan_streams({}) == {}


# --- records ----------------------------------------------------------------------------------------------------------

BUILDER = DocumentBuilder(include_names=False)


def dedup(*paths: KeyPath, generation: int | None = 3) -> StreamPlan:
    return StreamPlan("tickets", WriteMode.DEDUP, paths or (("id",),), frozenset(), generation, 0)


APPEND = StreamPlan("tickets", WriteMode.APPEND, (), frozenset(), 3, 0)


def record(data: dict[str, Any], **parts: Any) -> Record:
    return Record("tickets", None, data, 9, **parts)


def test_a_record_becomes_an_upsert_of_its_document_in_its_generation() -> None:
    change = change_of(record({"id": 7, "text": "Hello"}), dedup(), BUILDER, "random", None)
    assert isinstance(change, Upsert)
    assert change.key == RecordKey("tickets", "tickets_7")
    assert (change.generation, change.lookup) == (3, True)
    assert (change.document.text, change.document.emitted_at) == ("7\n\nHello", 9)
    assert change.document.metadata == {"id": 7, "text": "Hello"}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([("id",)], "tickets_7"),
        ([("user", "id")], "tickets_u1"),
        ([("id",), ("user", "id")], 'tickets_["7","u1"]'),
        ([("user",)], 'tickets_{"id":"u1"}'),
        ([("zero",)], "tickets_0"),
        ([("empty",)], "tickets_"),
        ([("no",)], "tickets_false"),
    ],
)
def test_the_key_is_found_by_its_paths_and_may_be_falsy(paths: list[KeyPath], expected: str) -> None:
    data = {"id": 7, "user": {"id": "u1"}, "zero": 0, "empty": "", "no": False}
    assert change_of(record(data), dedup(*paths), BUILDER, "random", None).key.record_id == expected


@pytest.mark.parametrize(
    "data", [{}, {"id": None, "user": {"id": 1}}, {"id": 1}, {"id": 1, "user": None}, {"id": 1, "user": "u"}]
)
def test_a_record_without_a_part_of_its_key_is_bad(data: dict[str, Any]) -> None:
    with pytest.raises(BadRecord, match=r"no value in its primary key \(.*id.*\)") as caught:
        change_of(record(data), dedup(("id",), ("user", "id")), BUILDER, "random", None)
    assert caught.value.identifier == "tickets"
    assert caught.value.key is None


def test_a_plain_overwrite_needs_no_whole_key() -> None:
    """Its key is the source's, and nobody asked to deduplicate: such a record is stored for itself."""
    plan = plan_of("overwrite", primary_key=[["id"], ["part"]], generation_id=1, minimum_generation_id=1)
    change = change_of(record({"id": 1, "part": None}), plan, BUILDER, "random", None)
    assert isinstance(change, Upsert)
    assert (change.key.record_id, change.lookup) == ("random", False)
    assert change_of(record({"id": 1, "part": 2}), plan, BUILDER, "random", None).key.record_id == 'tickets_["1","2"]'


def test_only_the_absent_parts_of_the_key_are_named() -> None:
    with pytest.raises(BadRecord, match=r"primary key \(user\.id\)"):
        change_of(record({"id": 1}), dedup(("id",), ("user", "id")), BUILDER, "random", None)


@pytest.mark.parametrize(("length", "fits"), [(65_527, True), (65_528, False)])
def test_a_key_longer_than_milvus_can_hold_is_bad(length: int, *, fits: bool) -> None:
    data = {"id": "x" * length}
    if fits:
        assert change_of(record(data), dedup(), BUILDER, "random", None)
    else:
        with pytest.raises(BadRecord, match="longer than the 65,535 bytes") as caught:
            change_of(record(data), dedup(), BUILDER, "random", None)
        assert len(caught.value.message) < 300, "the key is shortened in the message"


def test_the_length_of_a_key_is_counted_in_bytes() -> None:
    with pytest.raises(BadRecord, match="longer"):
        change_of(record({"id": "字" * 22_000}), dedup(), BUILDER, "random", None)


@pytest.mark.parametrize(("mark", "deletes"), [("2026-01-01", True), (1, True), (None, False), ("", False)])
def test_a_record_with_a_time_of_deletion_is_a_delete(mark: object, *, deletes: bool) -> None:
    data = {"id": 7, "_ab_cdc_deleted_at": mark}
    change = change_of(record(data), dedup(), BUILDER, "random", None)
    assert isinstance(change, Delete) == deletes
    assert change.key == RecordKey("tickets", "tickets_7")


def test_appended_records_get_a_random_identity_and_are_never_looked_up_nor_deleted() -> None:
    change = change_of(record({"id": 7, "_ab_cdc_deleted_at": "now"}), APPEND, BUILDER, "random", None)
    assert isinstance(change, Upsert)
    assert (change.key, change.lookup) == (RecordKey("tickets", "random"), False)


def test_a_record_without_a_key_is_known_by_the_id_that_airbyte_gave_it_where_the_input_has_it() -> None:
    """It is looked up then, since it may come again; it is deleted no more than another appended one."""
    plan = replace(plan_of("append"), knows_raw_ids=True)
    assert plan.finds_again
    assert not plan_of("append").finds_again
    record = Record("tickets", None, {"_ab_cdc_deleted_at": "now"}, 0, raw_id="raw")
    change = change_of(record, plan, DocumentBuilder(), "random", None)
    assert isinstance(change, Upsert)
    assert (change.key, change.lookup) == (RecordKey("tickets", "raw"), True)
    without = change_of(replace(record, raw_id=None), plan, DocumentBuilder(), "random", None)
    assert isinstance(without, Upsert)
    assert (without.key, without.lookup) == (RecordKey("tickets", "random"), False)
    keyed = replace(plan_of(primary_key=[["id"]]), knows_raw_ids=True)
    found = change_of(replace(record, data={"id": 1}), keyed, DocumentBuilder(), "random", None)
    assert found.key == RecordKey("tickets", "tickets_1")


def test_a_record_before_its_generation_is_known_is_a_bug() -> None:
    with pytest.raises(InternalError, match="before its generation"):
        change_of(record({"id": 7}), dedup(generation=None), BUILDER, "random", None)


def test_what_was_cut_on_the_way_and_here_is_told_in_the_metadata() -> None:
    earlier = {"field": "body", "change": "TRUNCATED", "reason": "SOURCE_FIELD_SIZE_LIMITATION"}
    change = change_of(record({"id": 7, "x": math.nan}, changes=(earlier,)), dedup(), BUILDER, "random", None)
    assert isinstance(change, Upsert)
    own = {"field": "x", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
    assert change.document.metadata == {"id": 7, META_CHANGES: [own, earlier]}


def test_notes_of_what_was_cut_fit_a_row_whatever_the_platform_says() -> None:
    """Milvus' limit of a row's dynamic fields leaves 5,536 bytes beside the metadata's budget."""
    earlier = tuple({"field": "😀" * 500 + "\0\ud800", "change": {"deep": [1]}, "other": 1} for _ in range(500))
    change = change_of(record({"id": 7}, changes=earlier), dedup(), BUILDER, "random", None)
    assert isinstance(change, Upsert)
    noted = change.document.metadata[META_CHANGES]
    assert noted[0]["field"] == "😀" * 40
    assert set(noted[0]) == {"field", "change"}
    assert len(json.dumps(noted, ensure_ascii=False).encode()) < 4_000


def test_a_key_that_fills_a_row_alone_is_a_bad_record() -> None:
    """Keys are never cut, and a server refuses the row: better one named record than a failed batch."""
    builder = DocumentBuilder(include_names=False, protected=frozenset({"id"}))
    with pytest.raises(BadRecord, match="leave too little"):
        change_of(record({"id": "k" * 65_500, "body": "b"}), dedup(), builder, "random", None)


DYNAMIC = replace(DEFAULT_COLLECTION, dynamic=SYSTEM_FIELDS | {"text"})
"""Of a collection without columns: all that a row holds beside key and vector shares one limit."""


@pytest.mark.parametrize("collection", [DYNAMIC, replace(DYNAMIC, auto_id=True), replace(DYNAMIC, text_field=None)])
def test_a_key_that_stands_in_a_row_twice_leaves_less_for_what_may_be_cut(collection: Collection) -> None:
    """In the metadata and, where it is no column, as the record's id: other metadata gives way, and then the record."""
    builder = DocumentBuilder(include_names=False, protected=frozenset({"id"}), collection=collection)
    change = change_of(record({"id": "k" * 20_000, "note": "n" * 50_000}), dedup(), builder, "random", None)
    assert isinstance(change, Upsert)
    metadata = change.document.metadata
    assert metadata["id"] == "k" * 20_000
    assert 15_000 < len(metadata["note"]) < 25_000
    assert metadata[META_CHANGES][0]["field"] == "note"
    assert len(metadata_json(metadata)) + own_bytes(change.key, collection) <= MAX_DYNAMIC_BYTES
    with pytest.raises(BadRecord, match="leave too little"):
        change_of(record({"id": "k" * 32_700}), dedup(), builder, "random", None)


def test_a_key_is_as_long_as_the_column_of_the_collection_takes() -> None:
    """In bytes, which a server counts."""
    builder = DocumentBuilder(collection=replace(DEFAULT_COLLECTION, record_id_bytes=256))
    change_of(record({"id": "é" * 124}), dedup(), builder, "random", None)
    with pytest.raises(BadRecord, match="longer than the 256 bytes"):
        change_of(record({"id": "é" * 125}), dedup(), builder, "random", None)


def test_a_column_that_takes_no_null_makes_a_record_without_a_value_bad() -> None:
    """A collection that somebody else made may have such columns; the sentence names them."""
    columns = {name: Column(name, "INT64", required=name != "c") for name in ("a", "b", "c")}
    builder = DocumentBuilder(columns=columns)
    change_of(record({"id": 1, "a": 1, "b": 2}), dedup(), builder, "random", None)
    with pytest.raises(BadRecord, match=r'record "tickets_1".*column a, b, which takes no null'):
        change_of(record({"id": 1, "a": "x", "c": 3}), dedup(), builder, "random", None)


@pytest.mark.parametrize("configured", [{}, {"stream": {}}, {"stream": None}, "tickets", None])
def test_a_catalog_that_is_none_is_named_by_the_number_of_its_stream(configured: object) -> None:
    with pytest.raises(ConfigError, match="Stream number 2 of the catalog"):
        plan_streams({"streams": [{"stream": {"name": "a"}, "destination_sync_mode": "append"}, configured]})


@pytest.mark.parametrize("name", ["half \ud800", "nul \0"])
def test_a_stream_name_that_milvus_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="name of stream number 1"):
        plan_streams({"streams": [{"stream": {"name": name}, "destination_sync_mode": "append"}]})


def test_a_primary_key_of_names_instead_of_paths_is_refused() -> None:
    """["id"] would be read as the path i, d."""
    stream = {"stream": {"name": "a"}, "destination_sync_mode": "append_dedup", "primary_key": ["id"]}
    with pytest.raises(ConfigError, match="list of paths"):
        plan_streams({"streams": [stream]})


# --- vectors of the records' own --------------------------------------------------------------------------------------

FIELD = VectorField(FieldPath.parse("vectors.body"), 3)


def test_a_record_brings_its_vector_along() -> None:
    change = change_of(record({"id": 7, "vectors": {"body": [1, 0.5, -2]}}), dedup(), BUILDER, "random", FIELD)
    assert isinstance(change, Upsert)
    assert change.document.vector == array("f", [1, 0.5, -2])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, 'its field "vectors.body" holds no vector'),
        ("123", "holds no vector"),
        ({"0": 1}, "holds no vector"),
        ([1, 2], "has 2 numbers and not 3"),
        ([1, 2, 3, 4], "has 4 numbers and not 3"),
        ([1, 2, "3"], "not a finite 32-bit number"),
        ([1, 2, None], "not a finite 32-bit number"),
        ([1, 2, math.nan], "not a finite 32-bit number"),
        ([1, 2, math.inf], "not a finite 32-bit number"),
        ([1, 2, 1e39], "not a finite 32-bit number"),
        ([1, 2, 10**400], "not a finite 32-bit number"),
        ([1, 2, Decimal("1e400")], "not a finite 32-bit number"),
        ([1, 2, [3]], "not a finite 32-bit number"),
    ],
)
def test_an_unusable_vector_is_a_bad_record_named_by_its_key(value: object, words: str) -> None:
    with pytest.raises(BadRecord, match=words) as caught:
        change_of(record({"id": 7, "vectors": {"body": value}}), dedup(), BUILDER, "random", FIELD)
    assert caught.value.key == "tickets_7"


def test_a_vector_of_more_digits_than_a_double_holds_is_rounded_as_every_vector_is() -> None:
    value = [Decimal("0.12345678901234567890123"), 2, 3.5]
    change = change_of(record({"id": 7, "vectors": {"body": value}}), dedup(), BUILDER, "random", FIELD)
    assert isinstance(change, Upsert)
    assert change.document.vector == array("f", [0.123456789, 2, 3.5])


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.b", {"a.b": [1, 2, 3], "a": {"b": "other"}}),
        ("a.b", {"a": {"b": [1, 2, 3]}}),
        ("a.1.b", {"a": [{"b": "other"}, {"b": [1, 2, 3]}]}),
        ("a.*.b", {"a": [{"c": "other"}, {"b": [1, 2, 3]}]}),
    ],
)
def test_a_vector_is_found_by_its_path_as_every_field_is(path: str, data: dict[str, object]) -> None:
    """A field whose name is the whole path goes first, and lists are on the way."""
    field = VectorField(FieldPath.parse(path), 3)
    change = change_of(record({"id": 7, **data}), dedup(), BUILDER, "random", field)
    assert isinstance(change, Upsert)
    assert change.document.vector == array("f", [1, 2, 3])


def test_a_path_that_leads_to_two_vectors_leads_to_none() -> None:
    """A record has one vector: which of two is meant, nobody has said."""
    field = VectorField(FieldPath.parse("a.*"), 3)
    with pytest.raises(BadRecord, match="holds no vector"):
        change_of(record({"id": 7, "a": [[1, 2, 3], [4, 5, 6]]}), dedup(), BUILDER, "random", field)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_every_vector_of_finite_numbers_is_taken_as_it_is(value: list[float]) -> None:
    change = change_of(record({"id": 7, "vectors": {"body": value}}), dedup(), BUILDER, "random", FIELD)
    assert isinstance(change, Upsert)
    assert list(change.document.vector or []) == value
