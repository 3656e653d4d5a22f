"""Decides, from what came and what is stored, what a batch embeds, takes over, writes and deletes. No IO.

The numbers in comments are the steps of the commit procedure in docs/delivery.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from destination_milvus import digests
from destination_milvus.model import (
    PENDING,
    Change,
    Chunk,
    Delete,
    Head,
    Plan,
    RecordKey,
    RecordWrite,
    Removal,
    StoredRow,
    Upsert,
    Vector,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An upsert whose stored version is not the one that came."""

    upsert: Upsert
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Triage:
    """The changes of a batch by what they ask for."""

    candidates: tuple[Candidate, ...]
    deletes: tuple[RecordKey, ...]
    unchanged: int


def triage(changes: Iterable[Change], heads: Mapping[RecordKey, Head], row_format: str) -> Triage:
    """Step 3: sort out the records that are stored already in just this version."""
    candidates, deletes, unchanged = [], [], 0
    for change in changes:
        head = heads.get(change.key)
        if isinstance(change, Delete):
            deletes.append(change.key)
            continue
        fingerprint = change.fingerprint or digests.fingerprint(change.document, change.generation, row_format)
        if head is not None and head.fingerprint == fingerprint:
            unchanged += 1
        else:
            candidates.append(Candidate(change, fingerprint))
    return Triage(tuple(candidates), tuple(deletes), unchanged)


def rows_to_read(
    chunked: Sequence[tuple[Candidate, tuple[Chunk, ...]]],
    deletes: Iterable[RecordKey],
    heads: Mapping[RecordKey, Head],
) -> dict[RecordKey, int]:
    """How many rows to read of each record, from row 0: all for a new version, the head to announce a removal."""
    wanted = {}
    for candidate, chunks in chunked:
        key = candidate.upsert.key
        if key in heads:
            wanted[key] = heads[key].chunks if chunks else 1
    wanted.update({key: 1 for key in deletes if key in heads and heads[key].chunks > 1})
    return wanted


def reconcile(
    sorted_changes: Triage,
    chunked: Sequence[tuple[Candidate, tuple[Chunk, ...]]],
    heads: Mapping[RecordKey, Head],
    stored: Mapping[RecordKey, Mapping[int, StoredRow]],
    row_format: str,
) -> Plan:
    """Steps 4 and 5: the plan of a batch."""
    writes = tuple(
        _write(candidate, chunks, heads.get(candidate.upsert.key), stored.get(candidate.upsert.key, {}), row_format)
        for candidate, chunks in chunked
        if chunks
    )
    without_text = (candidate.upsert.key for candidate, chunks in chunked if not chunks)
    removals = tuple(
        _removal(key, heads[key], stored.get(key, {}))
        for key in (*sorted_changes.deletes, *without_text)
        if key in heads
    )
    vectors = _vectors_at_hand(writes)
    embed = {
        chunk.text_hash: chunk.text for write in writes for chunk in write.chunks if chunk.text_hash not in vectors
    }
    return Plan(writes, removals, embed, vectors, sorted_changes.unchanged)


def _write(
    candidate: Candidate,
    chunks: tuple[Chunk, ...],
    head: Head | None,
    stored: Mapping[int, StoredRow],
    row_format: str,
) -> RecordWrite:
    metadata = candidate.upsert.document.metadata_json
    others = (digests.row_fingerprint(chunk.text_hash, metadata, row_format) for chunk in chunks[1:])
    fingerprints = ("", *others)
    unchanged = frozenset(
        number
        for number in range(1, len(chunks))
        if number in stored and stored[number].fingerprint == fingerprints[number]
    )
    count = head.chunks if head is not None else 0
    surplus = tuple(range(len(chunks), count))
    other_rows_change = bool(surplus) or len(unchanged) < len(chunks) - 1
    announced = head is not None and head.fingerprint == PENDING and head.chunks >= len(chunks)
    # 6: append has no earlier version that a half-written one could be mistaken for
    announces = other_rows_change and not announced and candidate.upsert.lookup
    return RecordWrite(
        upsert=candidate.upsert,
        fingerprint=candidate.fingerprint,
        chunks=chunks,
        row_fingerprints=fingerprints,
        unchanged=unchanged,
        surplus=surplus,
        announce=max(count, len(chunks)) if announces else None,
        stored=stored,
    )


def _removal(key: RecordKey, head: Head, stored: Mapping[int, StoredRow]) -> Removal:
    announces = head.chunks > 1 and head.fingerprint != PENDING
    return Removal(key, head.chunks, stored.get(0) if announces else None)


def _vectors_at_hand(writes: Iterable[RecordWrite]) -> dict[str, Vector]:
    vectors = {}
    for write in writes:
        vectors.update({row.text_hash: row.vector for row in write.stored.values() if row.text_hash})
        brought = write.upsert.document.vector
        if brought is not None:
            vectors.update({chunk.text_hash: brought for chunk in write.chunks})
    return vectors


def without_refused(plan: Plan, refused: frozenset[str]) -> Plan:
    """The plan without the records that need a text which could not be embedded: their old versions stay."""
    kept = tuple(write for write in plan.writes if refused.isdisjoint(chunk.text_hash for chunk in write.chunks))
    return Plan(kept, plan.removals, plan.embed, plan.vectors, plan.unchanged)
