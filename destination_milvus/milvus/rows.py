"""Chunk ↔ Milvus entity: the names and types of the fields, filters and message sizes. No IO.

Every literal of a filter is quoted here and nowhere else: a key or a form field can never widen a filter.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

import orjson

from destination_milvus.collection import Collection, text_change
from destination_milvus.digests import chunk_key
from destination_milvus.fields import (
    CHUNK,
    CHUNKS,
    EXTRACTED_AT,
    FINGERPRINT,
    GENERATION,
    MAX_DYNAMIC_BYTES,
    META_CHANGES,
    RECORD_ID,
    STREAM,
    TEXT_HASH,
)
from destination_milvus.model import PENDING, Json, RecordKey, RecordWrite, StoredRow, Vector

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Half of the 64 MiB that a Milvus server accepts: the estimate below need not be exact."""

MAX_ROWS_A_CALL = 1_000
"""Beyond 500 to 1,000 rows a call, larger ones were not measured to be faster."""


def entity(write: RecordWrite, number: int, vectors: Mapping[str, Vector], collection: Collection) -> dict[str, Json]:
    """Row `number` of a version, complete; row 0 carries the version's fingerprint."""
    fingerprint = write.fingerprint if number == 0 else write.row_fingerprints[number]
    return _entity(write, number, len(write.chunks), fingerprint, vectors, collection)


def self_contained(
    write: RecordWrite, number: int, vectors: Mapping[str, Vector], collection: Collection
) -> dict[str, Json]:
    """Row `number` where rows are found by record id: each carries the version's fingerprint."""
    return _entity(write, number, len(write.chunks), write.fingerprint, vectors, collection)


def _fitted(row: dict[str, Json], collection: Collection) -> dict[str, Json]:
    """The row with its text shortened, where the text is a dynamic field and they would be too large together.

    Without a text it fits: who makes records leaves `own_bytes` free.
    """
    name = collection.dynamic_text
    if name is None:
        return row
    columns = collection.reserved - collection.dynamic
    dynamic = {field: value for field, value in row.items() if field not in columns}
    excess = len(orjson.dumps(dynamic)) - MAX_DYNAMIC_BYTES
    if excess <= 0:
        return row
    changes = [*row.get(META_CHANGES, []), text_change(name)]
    room = len(orjson.dumps(row[name])) - excess - len(orjson.dumps({META_CHANGES: changes}))
    return {**row, name: _beginning(row[name], room), META_CHANGES: changes}


def _beginning(text: str, size: int) -> str:
    """The beginning of a text that takes no more than so many bytes as JSON, quotes and escapes included."""
    while text and (now := len(orjson.dumps(text))) > size:
        text = text[: len(text) * size // now]
    return text


def announced_head(write: RecordWrite, vectors: Mapping[str, Vector], collection: Collection) -> dict[str, Json]:
    """The head before the other rows change: the old one, or the new one of a new record, without a fingerprint."""
    count = write.announce if write.announce is not None else len(write.chunks)
    old = write.stored.get(0)
    if old is None:
        return _entity(write, 0, count, PENDING, vectors, collection)
    return pending(old, count, collection)


def pending(head: StoredRow, count: int, collection: Collection) -> dict[str, Json]:
    """A stored head as it was, but vouching for no version."""
    return {**head.entity, collection.vector_field: head.vector, FINGERPRINT: PENDING, CHUNKS: count}


def _entity(
    write: RecordWrite,
    number: int,
    count: int,
    fingerprint: str,
    vectors: Mapping[str, Vector],
    collection: Collection,
) -> dict[str, Json]:
    upsert, chunk = write.upsert, write.chunks[number]
    row: dict[str, Json] = {
        **upsert.document.metadata,
        STREAM: upsert.key.stream,
        RECORD_ID: upsert.key.record_id,
        CHUNK: number,
        CHUNKS: count,
        TEXT_HASH: chunk.text_hash,
        FINGERPRINT: fingerprint,
        GENERATION: upsert.generation,
        EXTRACTED_AT: upsert.document.emitted_at,
        collection.vector_field: vectors[chunk.text_hash],
    }
    if not collection.auto_id:
        row[collection.key_field] = chunk_key(upsert.key, number)
    if collection.text_field is not None:
        row[collection.text_field] = chunk.text
    row = _fitted(row, collection)
    old = write.stored.get(number)
    return {**_cleared(old), **row} if old is not None and collection.merges_upserts else row


def _cleared(old: StoredRow) -> dict[str, None]:
    """Explicit nulls for what the old row has, where it would otherwise outlive the upsert: metadata, and a raw text.

    Deleting the row first would clear it too, but a crash in between would leave a record without its head.
    """
    return dict.fromkeys(old.entity)


def stored_row(raw: Mapping[str, Json], collection: Collection) -> StoredRow:
    """A row as Milvus returned it, with all its fields."""
    return StoredRow(
        number=raw.get(CHUNK) or 0,
        text_hash=raw.get(TEXT_HASH) or "",
        fingerprint=raw.get(FINGERPRINT) or PENDING,
        vector=array("f", raw[collection.vector_field]),
        entity={
            name: value
            for name, value in raw.items()
            if name != collection.vector_field and name not in collection.computed
        },
    )


def is_vouched_for(raw: Mapping[str, Json], chunks: Mapping[RecordKey, int], collection: Collection) -> bool:
    """Whether a row belongs to its record, by the numbers of rows that the heads count.

    A row that was copied under another key, or that was left behind when its stream had no key, belongs to none.
    """
    if raw.get(RECORD_ID) is None or raw.get(CHUNK) is None:
        return False
    record, number = record_of(raw), int(raw[CHUNK])
    return number < chunks.get(record, 0) and raw[collection.key_field] == chunk_key(record, number)


def record_of(raw: Mapping[str, Json]) -> RecordKey:
    """The record that a row belongs to."""
    return RecordKey(raw[STREAM], raw[RECORD_ID])


def row_bytes(row: Mapping[str, Json], vector_field: str) -> int:
    """About what a row takes in a message: four bytes a component, the rest as JSON."""
    rest = {name: value for name, value in row.items() if name != vector_field}
    return 4 * len(row[vector_field]) + len(orjson.dumps(rest, option=orjson.OPT_NON_STR_KEYS))


def portions(rows: Sequence[Mapping[str, Json]], vector_field: str) -> Iterator[list[Mapping[str, Json]]]:
    """Rows in portions that fit a message."""
    portion: list[Mapping[str, Json]] = []
    size = 0
    for row in rows:
        weight = row_bytes(row, vector_field)
        if portion and (size + weight > MAX_MESSAGE_BYTES or len(portion) >= MAX_ROWS_A_CALL):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += weight
    if portion:
        yield portion
