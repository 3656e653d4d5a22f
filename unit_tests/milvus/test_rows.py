from __future__ import annotations

import itertools
import json
from array import array
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus import digests, fields
from destination_milvus.collection import DEFAULT_COLLECTION, Collection, own_bytes
from destination_milvus.fields import (
    CHUNK,
    CHUNKS,
    EXTRACTED_AT,
    FINGERPRINT,
    GENERATION,
    META_CHANGES,
    PARTITION,
    RECORD_ID,
    STREAM,
    SYSTEM_FIELDS,
    TEXT_HASH,
)
from destination_milvus.milvus import filters, rows
from destination_milvus.model import PENDING, Chunk, Document, RecordKey, RecordWrite, StoredRow, Upsert
from unit_tests.fakes import COLLECTION, LITE_COLLECTION, vector_of

AUTO_ID = Collection(key_field="id", auto_id=True, vector_field="vec", text_field=None)
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\ )(]\n%_"), max_size=20)


# --- filters ----------------------------------------------------------------------------------------------------------


def literals_in(query_filter: str) -> tuple[list[str], str]:
    """The string literals of a filter, and what stands around them."""
    literals, around, rest = [], "", query_filter
    while (start := rest.find('"')) >= 0:
        value, length = json.JSONDecoder(strict=False).raw_decode(rest[start:])
        literals.append(value)
        around, rest = around + rest[:start] + "?", rest[start + length :]
    return literals, around + rest


@given(HOSTILE)
def test_a_literal_is_one_value_and_means_it(value: str) -> None:
    assert json.loads(filters.literal(value), strict=False) == value


@given(HOSTILE, st.lists(HOSTILE, min_size=1, max_size=3))
def test_no_key_can_widen_a_filter(stream: str, record_ids: list[str]) -> None:
    found, around = literals_in(filters.records_filter(stream, record_ids))
    assert found == [stream, *record_ids]
    assert around == f"_ab_stream == ? and _ab_record_id in [{', '.join('?' * len(record_ids))}]"


@given(HOSTILE, st.lists(HOSTILE, min_size=1, max_size=3, unique=True), st.sets(st.integers(0, 2)))
def test_of_a_record_with_one_row_to_read_no_other_is_asked_for(
    stream: str, record_ids: list[str], several: set[int]
) -> None:
    """A removal reads the head alone, however many rows its record has; no key can widen the filter."""
    more = [record_id for number, record_id in enumerate(record_ids) if number in several]
    found, around = literals_in(filters.first_rows_filter(stream, record_ids, set(more)))
    chosen = f"_ab_stream == ? and _ab_record_id in [{', '.join('?' * len(record_ids))}]"
    if len(more) == len(record_ids):
        assert (found, around) == ([stream, *record_ids], chosen)
    else:
        assert found == [stream, *record_ids, *more]
        also = f"(_ab_chunk == 0 or _ab_record_id in [{', '.join('?' * len(more))}])" if more else "_ab_chunk == 0"
        assert around == f"{chosen} and {also}"


@given(HOSTILE)
def test_no_stream_name_can_widen_a_sweep(stream: str) -> None:
    heads = filters.stale_heads_filter(stream, 7, 7)
    assert literals_in(heads) == (
        [stream, ""],
        "_ab_stream == ? and _ab_chunk == 0 and (_ab_generation_id != 7 or _ab_fingerprint == ?)",
    )
    stale = filters.stale_rows_filter(stream, 7, 3, dynamic=False)
    assert literals_in(stale) == ([stream], "_ab_stream == ? and _ab_generation_id < 3")
    below = filters.before_filter(stream, -7)
    assert literals_in(below) == ([stream], "_ab_stream == ? and _ab_generation_id < -7")


@given(st.lists(st.sampled_from("0123456789abcdef"), max_size=3).map("".join), st.text(max_size=5))
def test_a_split_range_covers_every_key_once(low: str, key: str) -> None:
    """Whatever the key, of ours or of somebody else's; and each part is a filter that no key can widen."""

    def covers(keys: filters.KeyRange, wanted: str) -> bool:
        return keys.low <= wanted and (keys.high is None or wanted < keys.high)

    for whole in (filters.KeyRange(), filters.KeyRange(low, low + "g"), filters.KeyRange(low)):
        for wanted in (key, low + key):
            assert sum(covers(part, wanted) for part in whole.split()) == covers(whole, wanted)
    assert literals_in(filters.KeyRange(low, key).filter("pk")) == ([low, key], "pk >= ? and pk < ?")
    assert literals_in(filters.KeyRange().filter("pk")) == ([""], "pk >= ?")


def test_a_row_is_vouched_for_by_the_head_of_its_record_and_under_its_own_key() -> None:
    """Left behind are rows beyond the head's count, of records without a head, copies, and rows of nobody's making."""
    key, other = RecordKey("s", "s_1"), RecordKey("s", "s_2")

    def row(record: RecordKey, number: int, **fields: Any) -> dict[str, Any]:
        return {"_ab_stream": record.stream, "_ab_record_id": record.record_id, "_ab_chunk": number, **fields}

    def vouched(raw: dict[str, Any]) -> bool:
        return rows.is_vouched_for(raw, {key: 2}, COLLECTION)

    assert vouched(row(key, 1, pk=digests.chunk_key(key, 1)))
    assert not vouched(row(key, 2, pk=digests.chunk_key(key, 2)))
    assert not vouched(row(key, 1, pk="a copy"))
    assert not vouched(row(other, 1, pk=digests.chunk_key(other, 1)))
    assert not vouched({"pk": "p", "_ab_stream": "s"})
    assert not vouched({"pk": "p", "_ab_stream": "s", "_ab_record_id": "s_1"})


def test_rows_without_a_generation_are_stale_where_it_is_a_dynamic_field() -> None:
    assert filters.stale_rows_filter("s", 7, 7, dynamic=True) == (
        '_ab_stream == "s" and (_ab_generation_id != 7 or not exists _ab_generation_id)'
    )


@pytest.mark.parametrize(
    ("generation", "minimum", "expected"),
    [(7, 7, "_ab_generation_id != 7"), (7, 8, "_ab_generation_id != 7"), (7, 6, "_ab_generation_id < 6")],
)
def test_a_truncating_refresh_takes_out_every_other_generation_and_a_resumed_one_the_lower(
    generation: int, minimum: int, expected: str
) -> None:
    assert filters.older(generation, minimum) == expected


# --- rows -------------------------------------------------------------------------------------------------------------

KEY = RecordKey("tickets", "tickets_7")
METADATA = {"status": "new", "organization_id": 360033549136}


def write(
    texts: str = "ab",
    *,
    metadata: dict[str, Any] | None = None,
    announce: int | None = None,
    stored: dict[int, StoredRow] | None = None,
) -> RecordWrite:
    document = Document(texts, "", METADATA if metadata is None else metadata, 1_700_000_000_000)
    return RecordWrite(
        upsert=Upsert(KEY, 3, document),
        fingerprint="version",
        chunks=tuple(Chunk(number, text, f"hash of {text}") for number, text in enumerate(texts)),
        row_fingerprints=tuple(f"row {text}" for text in texts),
        unchanged=frozenset(),
        surplus=(),
        announce=announce,
        stored=stored or {},
    )


VECTORS = {f"hash of {text}": vector_of(text) for text in "abc"}


def test_a_row_holds_everything_and_the_head_the_fingerprint_of_the_version() -> None:
    head = rows.entity(write(), 0, VECTORS, COLLECTION)
    assert head == {
        **METADATA,
        "pk": digests.chunk_key(KEY, 0),
        "vector": vector_of("a"),
        "text": "a",
        STREAM: "tickets",
        RECORD_ID: "tickets_7",
        CHUNK: 0,
        CHUNKS: 2,
        TEXT_HASH: "hash of a",
        FINGERPRINT: "version",
        GENERATION: 3,
        EXTRACTED_AT: 1_700_000_000_000,
    }
    second = rows.entity(write(), 1, VECTORS, COLLECTION)
    assert (second["pk"], second[FINGERPRINT], second["text"]) == (digests.chunk_key(KEY, 1), "row b", "b")


def test_a_row_has_no_key_where_milvus_makes_it_and_no_text_where_it_is_left_out() -> None:
    row = rows.entity(write(), 0, VECTORS, AUTO_ID)
    assert row.keys() == {*METADATA, "vec"} | SYSTEM_FIELDS - {META_CHANGES, PARTITION}


def test_metadata_never_takes_the_place_of_what_the_connector_needs() -> None:
    metadata = dict.fromkeys(COLLECTION.reserved - {META_CHANGES, PARTITION, "$meta"}, "x")
    assert rows.entity(write(metadata=metadata), 0, VECTORS, COLLECTION) == rows.entity(
        write(metadata={}), 0, VECTORS, COLLECTION
    )


@pytest.mark.parametrize("collection", [COLLECTION, AUTO_ID])
def test_reserved_names_are_all_that_a_row_brings_by_itself(collection: Collection) -> None:
    assert collection.reserved >= rows.entity(write(metadata={}), 0, VECTORS, collection).keys() | {"text"}


def as_stored(row: dict[str, Any], collection: Collection = COLLECTION) -> StoredRow:
    """As Milvus gives it back."""
    return rows.stored_row({**row, collection.vector_field: list(row[collection.vector_field])}, collection)


def test_a_row_read_back_can_be_written_again_as_it_was() -> None:
    row = rows.entity(write(), 1, VECTORS, COLLECTION)
    stored = as_stored(row)
    assert (stored.number, stored.text_hash, stored.fingerprint, stored.vector) == (
        1,
        "hash of b",
        "row b",
        vector_of("b"),
    )
    assert isinstance(stored.vector, array)
    assert {**stored.entity, "vector": stored.vector} == row


def test_what_milvus_computes_is_not_written_back() -> None:
    """It comes with all fields of a row, and Milvus refuses to be given it; no metadata takes its name."""
    collection = replace(COLLECTION, computed=frozenset({"sparse"}))
    row = rows.entity(write(), 1, VECTORS, collection)
    stored = as_stored({**row, "sparse": {7: 0.5}}, collection)
    assert {**stored.entity, "vector": stored.vector} == row
    assert "sparse" in collection.reserved


def test_a_row_of_another_connector_has_no_hash_and_vouches_for_nothing() -> None:
    raw = {"id": 1, "vec": [0.5], CHUNK: None, TEXT_HASH: None, FINGERPRINT: None}
    assert rows.stored_row(raw, AUTO_ID) == StoredRow(
        0, "", PENDING, array("f", [0.5]), {name: value for name, value in raw.items() if name != "vec"}
    )


def test_a_new_record_is_announced_by_its_new_head_without_a_fingerprint() -> None:
    row = rows.announced_head(write(announce=5), VECTORS, COLLECTION)
    assert row == {**rows.entity(write(), 0, VECTORS, COLLECTION), FINGERPRINT: PENDING, CHUNKS: 5}


def test_a_changed_record_is_announced_by_its_old_head_which_stays_searchable() -> None:
    old = rows.entity(write("c", metadata={"old": True}), 0, VECTORS, COLLECTION)
    row = rows.announced_head(write(announce=2, stored={0: as_stored(old)}), VECTORS, COLLECTION)
    assert row == {**old, FINGERPRINT: PENDING, CHUNKS: 2}


def test_a_head_without_announcement_counts_its_chunks() -> None:
    assert rows.announced_head(write(), VECTORS, COLLECTION)[CHUNKS] == 2


def test_metadata_that_went_away_is_cleared_where_an_upsert_would_keep_it() -> None:
    """`_ab_meta_changes` too: it is written only where something was cut."""
    old = as_stored(rows.entity(write(metadata={"gone": 1, "status": "old", META_CHANGES: []}), 0, VECTORS, COLLECTION))
    merged = rows.entity(write(stored={0: old}), 0, VECTORS, LITE_COLLECTION)
    assert merged == {**rows.entity(write(), 0, VECTORS, LITE_COLLECTION), "gone": None, META_CHANGES: None}
    assert rows.entity(write(stored={0: old}), 0, VECTORS, COLLECTION) == rows.entity(write(), 0, VECTORS, COLLECTION)


def test_a_text_is_cleared_that_is_left_out_from_now_on() -> None:
    """An upsert that lacks it would keep it beside the new vector."""
    old = as_stored(rows.entity(write(), 0, VECTORS, LITE_COLLECTION), LITE_COLLECTION)
    silent = replace(LITE_COLLECTION, text_field=None)
    row = rows.entity(write(stored={0: old}), 0, VECTORS, silent)
    assert row == {**rows.entity(write(), 0, VECTORS, silent), "text": None}


def test_rows_found_by_record_id_all_carry_the_fingerprint_of_the_version() -> None:
    assert [rows.self_contained(write(), number, VECTORS, AUTO_ID)[FINGERPRINT] for number in (0, 1)] == ["version"] * 2


DYNAMIC = Collection("id", auto_id=True, vector_field="vec", text_field="text", dynamic=SYSTEM_FIELDS | {"text"})
"""As in a collection of Airbyte's existing connector: its columns are a key and a vector."""


@pytest.mark.parametrize("collection", [DYNAMIC, replace(DYNAMIC, auto_id=False)], ids=["auto_id", "own keys"])
@pytest.mark.parametrize("filler", ["x", "é", '"', "\n", "字"])
@pytest.mark.parametrize("size", [10, 30_000, 70_000])
def test_a_dynamic_text_is_shortened_to_what_a_server_takes_and_the_row_says_so(
    filler: str, size: int, collection: Collection
) -> None:
    text = filler * size
    long = write("a", metadata={"note": "m" * 1_000})
    long = RecordWrite(long.upsert, "version", (Chunk(0, text, "hash of a"),), ("r",), frozenset(), (), None, {})
    row = (rows.self_contained if collection.auto_id else rows.entity)(long, 0, VECTORS, collection)
    dynamic = {name: value for name, value in row.items() if name not in {"vec", "id"}}
    assert len(orjson.dumps(dynamic)) <= fields.MAX_DYNAMIC_BYTES
    assert text.startswith(row["text"])
    assert (META_CHANGES in row) == (row["text"] != text)


@pytest.mark.parametrize("dynamic", [DYNAMIC.dynamic, DYNAMIC.dynamic - {"text"}, frozenset(), frozenset({RECORD_ID})])
@pytest.mark.parametrize("auto_id", [True, False])
@given(record_id=HOSTILE, text=HOSTILE, left=st.integers(0, 300))
def test_a_row_fits_whose_metadata_leaves_room_for_the_fields_of_the_connector(
    dynamic: frozenset[str], auto_id: bool, record_id: str, text: str, left: int
) -> None:
    """Sizes are decided where records are made, with `own_bytes`: no row of a plan is too large when it is written."""
    collection = replace(DYNAMIC, auto_id=auto_id, dynamic=dynamic)
    key = RecordKey("tickets", record_id)
    room = fields.MAX_DYNAMIC_BYTES - own_bytes(key, collection) - left - len('{"note":""}')
    made = write("a", metadata={"note": "m" * room})
    upsert = replace(made.upsert, key=key)
    made = replace(made, upsert=upsert, chunks=(Chunk(0, text * 100, "hash of a"),))
    row = rows.self_contained(made, 0, VECTORS, collection)
    columns = {"vec", "id", *(SYSTEM_FIELDS - dynamic - {META_CHANGES}), *({"text"} - dynamic)}
    assert len(orjson.dumps({name: value for name, value in row.items() if name not in columns})) <= (
        fields.MAX_DYNAMIC_BYTES
    )
    assert row["note"] == "m" * room


def test_a_collection_of_the_connectors_own_leaves_all_room_to_metadata() -> None:
    """All of its own fields are columns there."""
    assert own_bytes(KEY, DEFAULT_COLLECTION) == 0
    assert own_bytes(KEY, replace(DEFAULT_COLLECTION, dynamic=frozenset({META_CHANGES, PARTITION}))) == 0


@given(st.text(max_size=20), st.integers(0, 30))
def test_a_text_is_cut_at_whole_characters(text: str, limit: int) -> None:
    cut = fields.truncated(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len((cut + text[len(cut)]).encode()) > limit


# --- messages ---------------------------------------------------------------------------------------------------------


def test_the_size_of_a_row_is_about_what_its_message_takes() -> None:
    assert rows.row_bytes({"v": array("f", [0.0] * 10), "text": "é"}, "v") == 40 + len('{"text":"é"}'.encode())


@given(
    st.lists(st.integers(0, 40), max_size=30),
    st.integers(1, 5),
    st.integers(20, 100),
)
def test_rows_go_in_order_in_calls_within_both_limits(sizes: list[int], most: int, size: int) -> None:
    made = [{"v": array("f", [1.0]), "t": "x" * length} for length in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "MAX_ROWS_A_CALL", most)
        patch.setattr(rows, "MAX_MESSAGE_BYTES", size)
        portions = list(rows.portions(made, "v"))
    assert [row for portion in portions for row in portion] == made
    for portion in portions:
        assert 1 <= len(portion) <= most
        assert sum(rows.row_bytes(row, "v") for row in portion) <= size or len(portion) == 1
    for portion, following in itertools.pairwise(portions):
        weight = sum(rows.row_bytes(row, "v") for row in [*portion, following[0]])
        assert len(portion) == most or weight > size, "no call could have taken the next row as well"


def test_the_record_of_a_row_is_named_by_stream_and_id() -> None:
    assert rows.record_of(rows.entity(write(), 1, VECTORS, COLLECTION)) == KEY
