"""A RECORD → the change that it asks for. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from destination_milvus import digests
from destination_milvus.collection import own_bytes
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.metadata import FieldChange
from destination_milvus.documents.paths import FieldPath
from destination_milvus.documents.text import clean
from destination_milvus.errors import BadRecord, InternalError
from destination_milvus.fields import MAX_DYNAMIC_BYTES, META_CHANGES
from destination_milvus.model import Change, Delete, Document, Json, RecordKey, Upsert, Vector, WriteMode
from destination_milvus.protocol.catalog import KeyPath, StreamPlan
from destination_milvus.protocol.messages import Record

CDC_DELETED_AT = "_ab_cdc_deleted_at"
"""Airbyte's mark of a record that is gone at its source; a truthy value is the time of the deletion."""

MAX_NOTED_CHANGES = 10
MAX_NOTED_CHARACTERS = 40
"""So many changes of so many characters fit, in any script, beside the metadata's own budget of a row."""

TOO_LARGE_TO_CUT = (
    f"its primary key and cursor, which are never cut, leave too little of the {MAX_DYNAMIC_BYTES:,} bytes that Milvus "
    "holds of a row's metadata"
)


@dataclass(frozen=True, slots=True)
class VectorField:
    """Where records carry their own vectors (`from_field`)."""

    path: FieldPath
    """Leads to one value, else to none."""
    dimensions: int


def change_of(
    record: Record, plan: StreamPlan, builder: DocumentBuilder, random_id: str, vector_field: VectorField | None
) -> Change:
    """What a record asks for.

    Args:
        record: as it came.
        plan: of its stream, with its generation resolved.
        builder: makes the documents of the stream.
        random_id: identity of the record where the stream gives it none.
        vector_field: where the record carries its vector, if it does.

    Raises:
        BadRecord: the record lacks its key or its vector, or either is unusable or too large.
    """
    record_id = record_id_of(record.data, plan, builder.collection.record_id_bytes)
    raw_id = record.raw_id if record_id is None and plan.knows_raw_ids else None
    key = RecordKey(plan.identifier, record_id or raw_id or random_id)
    if record_id is not None and record.data.get(CDC_DELETED_AT):
        return Delete(key)
    if plan.generation is None:
        raise InternalError(f'Stream "{plan.identifier}" was read before its generation was known.')
    document = _document(record, builder, key, vector_field)
    return Upsert(key, plan.generation, document, lookup=bool(record_id or raw_id))


def record_id_of(data: Mapping[str, Json], plan: StreamPlan, limit: int) -> str | None:
    """What its key makes of a record's id, of so many bytes; None where it has none, and need not have one.

    Raises:
        BadRecord: the record lacks a part of its key, or the key is too large.
    """
    if plan.mode is WriteMode.APPEND:
        return None
    values = [_at(data, path) for path in plan.primary_key]
    absent = [".".join(path) for path, value in zip(plan.primary_key, values, strict=True) if value is None]
    if absent and not plan.needs_key:
        return None
    if absent:
        raise BadRecord(
            f"it has no value in its primary key ({', '.join(absent)}). Mend it at the source, choose another primary "
            'key, or set advanced.bad_records to "skip"',
            stream=plan.identifier,
        )
    record_id = digests.record_id(plan.identifier, values)
    if len(record_id.encode()) > limit:
        raise BadRecord(
            f"its primary key is longer than the {limit:,} bytes that Milvus can hold",
            stream=plan.identifier,
            key=record_id,
        )
    return record_id


def _at(data: Json, path: KeyPath) -> Json:
    for name in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def _document(record: Record, builder: DocumentBuilder, key: RecordKey, vector_field: VectorField | None) -> Document:
    vector = _vector(record.data, vector_field, key) if vector_field is not None else None
    built = builder.build(record.data, record.emitted_at, vector)
    own = own_bytes(key, builder.collection)
    document = _with_changes(built.document, built.changes, record)
    if own and _exceeds(document, own):
        # the key stands in the dynamic fields a second time, so less than usual is left for what may be cut
        smaller = replace(builder, metadata_bytes=builder.metadata_bytes - own).metadata(record.data)
        document = _with_changes(built.document.with_metadata(smaller.metadata), smaller.changes, record)
    if missing := [
        name for name, column in builder.columns.items() if column.required and name not in document.metadata
    ]:
        raise BadRecord(
            f"it has no value that fits the collection's column {', '.join(missing)}, which takes no null",
            stream=key.stream,
            key=key.record_id,
        )
    if _exceeds(document, own):
        raise BadRecord(TOO_LARGE_TO_CUT, stream=key.stream, key=key.record_id)
    return document


def _exceeds(document: Document, own: int) -> bool:
    """Whether a row that adds so many bytes of its own is too large for Milvus, its text cut to nothing."""
    return len(document.metadata_json) + own > MAX_DYNAMIC_BYTES


def _with_changes(document: Document, changes: Sequence[FieldChange], record: Record) -> Document:
    """The document with a note of what its metadata lost, here and at the source."""
    told = [*(change.as_json() for change in changes), *record.changes][:MAX_NOTED_CHANGES]
    return document.with_metadata({**document.metadata, META_CHANGES: list(map(_noted, told))}) if told else document


def _noted(change: Mapping[str, Json]) -> dict[str, str]:
    """A change as it is stored: what the platform and the source say of theirs has any type and length."""
    return {
        name: clean(str(change[name]))[:MAX_NOTED_CHARACTERS]
        for name in ("field", "change", "reason")
        if name in change
    }


def _vector(data: Mapping[str, Json], field: VectorField, key: RecordKey) -> Vector:
    name = field.path.path
    found = [value for _, value in field.path.select(data)]
    value = found[0] if len(found) == 1 else None
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise BadRecord(f'its field "{name}" holds no vector', stream=key.stream, key=key.record_id)
    if len(value) != field.dimensions:
        raise BadRecord(
            f'the vector in its field "{name}" has {len(value)} numbers and not {field.dimensions}',
            stream=key.stream,
            key=key.record_id,
        )
    try:
        vector = array("f", value)
    except (TypeError, OverflowError):
        vector = array("f", [math.nan])
    if not all(map(math.isfinite, vector)):
        raise BadRecord(
            f'the vector in its field "{name}" holds something that is not a finite 32-bit number',
            stream=key.stream,
            key=key.record_id,
        )
    return vector
