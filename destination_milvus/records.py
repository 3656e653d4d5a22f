"""Catalog → stream plans; RECORD → Change. Pure.

What Airbyte's sync modes and generations mean here is decided in `plan_streams`, once, before anything is read.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from destination_milvus import identity
from destination_milvus.errors import BadRecord, ConfigError, InternalError
from destination_milvus.model import Change, Delete, Document, Json, RecordKey, Upsert, Vector, WriteMode
from destination_milvus.protocol import Record
from destination_milvus.rows import MAX_DYNAMIC_BYTES, META_CHANGES, TOO_LARGE_TO_CUT, own_bytes
from destination_milvus.text import DocumentBuilder, FieldChange, FieldPath, clean

CDC_DELETED_AT = "_ab_cdc_deleted_at"
"""Airbyte's mark of a record that is gone at its source; a truthy value is the time of the deletion."""

MAX_NOTED_CHANGES = 10
MAX_NOTED_CHARACTERS = 40
"""So many changes of so many characters fit, in any script, beside the metadata's own budget of a row."""

StreamName: TypeAlias = tuple[str, str | None]
"""(name, namespace); the namespace of streams without one is None."""

KeyPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What a sync does with one stream."""

    identifier: str
    mode: WriteMode
    primary_key: tuple[KeyPath, ...]
    """Empty in append, where records have no identity."""
    protected: frozenset[str]
    """Top-level fields that are never altered: those of primary key and cursor."""
    generation: int | None
    """Generation of the records; None where one below the lowest stored generation is to be taken."""
    minimum_generation: int
    """Rows below it are swept once the stream is complete; 0 for no sweep."""
    needs_key: bool = True
    """Whether a record without a whole key is a bad one; else it is stored under an identity of its own."""
    awaits_complete: bool = False
    """Whether the stream is complete only once a status says so. A platform that counts generations sends COMPLETE for
    every stream when the source has ended well, and nothing at all when the source has failed."""


def plan_streams(catalog: Mapping[str, Json]) -> dict[StreamName, StreamPlan]:
    """The plan of each stream of a configured catalog (protocol JSON).

    Raises:
        ConfigError: a sync mode that vectors cannot serve, append_dedup without a primary key, two streams that would
            be one in the collection, or no configured catalog at all.
    """
    plans: dict[StreamName, StreamPlan] = {}
    for number, configured in enumerate(catalog.get("streams") or [], 1):
        try:
            stream = configured["stream"]
            name = (stream["name"], stream.get("namespace") or None)
            identifier = identity.stream_identifier(*name)
            unfit = identity.is_unfit(identifier)
            plan = _plan_stream(configured, name, identifier)
        except (KeyError, TypeError, AttributeError):
            raise ConfigError(
                f"Stream number {number} of the catalog is not a configured stream: it needs stream.name, "
                "destination_sync_mode and, as a list of paths, primary_key."
            ) from None
        if unfit:
            raise ConfigError(
                f"The name of stream number {number} of the catalog holds a character that Milvus cannot store (NUL or "
                "half of one): rename it."
            )
        _refuse_collision(plan.identifier, name, plans)
        plans[name] = plan
    return plans


def _refuse_collision(identifier: str, name: StreamName, plans: Mapping[StreamName, StreamPlan]) -> None:
    for other, plan in plans.items():
        if plan.identifier == identifier:
            raise ConfigError(
                f'The streams {_described(other)} and {_described(name)} would both be stored as "{identifier}" and '
                "replace each other's records. Rename one of them, give it a prefix, or sync it into a collection "
                "of its own.",
                stream=name,
            )


def _described(name: StreamName) -> str:
    return f'"{name[0]}"' + (f' of namespace "{name[1]}"' if name[1] else "")


def _plan_stream(configured: Mapping[str, Json], name: StreamName, identifier: str) -> StreamPlan:
    mode = configured.get("destination_sync_mode")
    stream = configured["stream"]
    primary_key = _key_paths(configured.get("primary_key") or stream.get("source_defined_primary_key") or [])
    if mode not in {"append", "append_dedup", "overwrite"}:
        raise ConfigError(
            f'Stream "{identifier}" asks for the sync mode "{mode}": choose Append, Append + Deduped or Overwrite.',
            stream=name,
        )
    if mode == "append_dedup" and not primary_key:
        raise ConfigError(
            f'Stream "{identifier}" is to be deduplicated but has no primary key: choose one in the connection, or '
            "another sync mode.",
            stream=name,
        )
    keyed = mode != "append" and bool(primary_key)
    generation, minimum = _generations(configured, overwrite=mode == "overwrite")
    cursor = configured.get("cursor_field") or []
    return StreamPlan(
        identifier=identifier,
        mode=WriteMode.DEDUP if keyed else WriteMode.APPEND,
        primary_key=primary_key if keyed else (),
        # a plain overwrite uses a key that the source defines, and nobody asked to deduplicate
        needs_key=mode == "append_dedup",
        protected=frozenset(path[0] for path in (*primary_key, cursor) if path),
        generation=generation,
        minimum_generation=minimum,
        awaits_complete=configured.get("generation_id") is not None,
    )


def _key_paths(paths: Sequence[Sequence[str]]) -> tuple[KeyPath, ...]:
    if any(isinstance(path, str) for path in paths):
        raise TypeError  # a list of names would be read as paths of single letters
    return tuple(tuple(path) for path in paths if path)


def _generations(configured: Mapping[str, Json], *, overwrite: bool) -> tuple[int | None, int]:
    generation = configured.get("generation_id") or 0
    minimum = configured.get("minimum_generation_id") or 0
    if not generation and overwrite:
        return None, 0
    return generation, minimum


def resolved(plan: StreamPlan, lowest_generation: int) -> StreamPlan:
    """The plan of an overwrite on a platform without generations: all that is stored is older than what comes.

    Counted down from -1: the platform's own numbers, which may come one day, are never taken for one of these.
    """
    generation = lowest_generation - 1
    return replace(plan, generation=generation, minimum_generation=generation)


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
    record_id = _record_id(record.data, plan, builder.layout.record_id_bytes)
    key = RecordKey(plan.identifier, record_id or random_id)
    if record_id is not None and record.data.get(CDC_DELETED_AT):
        return Delete(key)
    if plan.generation is None:
        raise InternalError(f'Stream "{plan.identifier}" was read before its generation was known.')
    document = _document(record, builder, key, vector_field)
    return Upsert(key, plan.generation, document, lookup=record_id is not None)


def _record_id(data: Mapping[str, Json], plan: StreamPlan, limit: int) -> str | None:
    """Of the record; None where it has none, and need not have one."""
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
    record_id = identity.record_id(plan.identifier, values)
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
    own = own_bytes(key, builder.layout)
    metadata = _with_changes(built.document.metadata, built.changes, record)
    if own and _exceeds(metadata, own):
        # the key stands in the dynamic fields a second time, so less than usual is left for what may be cut
        smaller = replace(builder, metadata_bytes=builder.metadata_bytes - own).metadata(record.data)
        metadata = _with_changes(smaller.metadata, smaller.changes, record)
    if missing := [name for name, column in builder.columns.items() if column.required and name not in metadata]:
        raise BadRecord(
            f"it has no value that fits the collection's column {', '.join(missing)}, which takes no null",
            stream=key.stream,
            key=key.record_id,
        )
    if _exceeds(metadata, own):
        raise BadRecord(TOO_LARGE_TO_CUT, stream=key.stream, key=key.record_id)
    return built.document if metadata is built.document.metadata else replace(built.document, metadata=metadata)


def _exceeds(metadata: Mapping[str, Json], own: int) -> bool:
    """Whether a row that adds so many bytes of its own is too large for Milvus, its text cut to nothing."""
    return len(identity.metadata_bytes(metadata)) + own > MAX_DYNAMIC_BYTES


def _with_changes(metadata: Mapping[str, Json], changes: Sequence[FieldChange], record: Record) -> Mapping[str, Json]:
    """The metadata with a note of what it lost, here and at the source."""
    told = [*(change.as_json() for change in changes), *record.changes][:MAX_NOTED_CHANGES]
    return {**metadata, META_CHANGES: [_noted(change) for change in told]} if told else metadata


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
