"""One batch, from its changes to their rows in Milvus: the straight line that everything else serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from destination_milvus import digests
from destination_milvus.errors import BadRecord
from destination_milvus.fields import truncated
from destination_milvus.flow.recent_vectors import RecentVectors
from destination_milvus.flow.reconcile import Candidate, Triage, reconcile, rows_to_read, triage, without_refused
from destination_milvus.model import (
    Change,
    Chunk,
    Delete,
    Document,
    Embedder,
    Head,
    Plan,
    RecordKey,
    Refusal,
    Splitter,
    Vector,
    VectorStore,
)

Chunked: TypeAlias = tuple[Candidate, tuple[Chunk, ...]]

MAX_STORED_ROWS = 2_000
"""Stored rows that a batch holds at a time: about 15 MB with 1,536 dimensions. Twice what a batch of records that have
changed a little reads; a batch whose records were once much longer is committed in portions."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What a batch did, for progress and summary."""

    written: int = 0
    """Records stored in a new version."""
    removed: int = 0
    unchanged: int = 0
    chunks: int = 0
    """Rows of the records that were written."""
    embedded: int = 0
    """Texts sent to the embedding model."""
    bad: tuple[BadRecord, ...] = field(default=())
    """Records that were left as they were, because the model refused a text of theirs."""

    def __add__(self, other: Committed) -> Committed:
        return Committed(
            written=self.written + other.written,
            removed=self.removed + other.removed,
            unchanged=self.unchanged + other.unchanged,
            chunks=self.chunks + other.chunks,
            embedded=self.embedded + other.embedded,
            bad=self.bad + other.bad,
        )


@dataclass(frozen=True, slots=True)
class Committer:
    """Commits batches. Called from several threads at once, never for the same record."""

    store: VectorStore
    embedder: Embedder
    chunker: Splitter
    row_format: str
    skip_bad_records: bool
    recent: RecentVectors = field(default_factory=RecentVectors)
    max_stored_rows: int = MAX_STORED_ROWS

    def commit(self, changes: Sequence[Change]) -> Committed:
        """Make Milvus hold these changes. When it returns, they are durable.

        Raises:
            BadRecord: the model refuses a text, and bad records are not to be skipped. Nothing was written of the
                portion that it is in.
            DestinationError: an endpoint failed for good. What is stored is either version of each record, or is
                marked as unfinished; committing the same changes again completes it.
        """
        heads = self.store.heads(_keys_to_look_up(changes))
        sorted_changes = triage(changes, heads, self.row_format)
        chunked = [(candidate, self._chunks(candidate.upsert.document)) for candidate in sorted_changes.candidates]
        first, *others = _portions(chunked, heads, self.max_stored_rows)
        committed = self._commit(sorted_changes, first, heads)
        for portion in others:
            committed += self._commit(Triage((), (), 0), portion, heads)
        return committed

    def _commit(self, sorted_changes: Triage, chunked: Sequence[Chunked], heads: Mapping[RecordKey, Head]) -> Committed:
        stored = self.store.read_rows(rows_to_read(chunked, sorted_changes.deletes, heads))
        plan = reconcile(sorted_changes, chunked, heads, stored, self.row_format)
        vectors, refused, embedded = self._vectors(plan)
        bad = self._bad_records(plan, refused)
        plan = without_refused(plan, frozenset(refused))
        self.store.apply(plan, vectors)
        return _committed(plan, bad, embedded)

    def _chunks(self, document: Document) -> tuple[Chunk, ...]:
        if document.vector is not None:
            # a vector of the whole record: one row, findable even where there is no text
            text = truncated(document.text, self.chunker.max_bytes)
            return (Chunk(0, text, digests.text_hash(text, self.embedder.identity, document.vector.tobytes())),)
        return tuple(
            Chunk(number, text, digests.text_hash(text, self.embedder.identity))
            for number, text in enumerate(self.chunker.split(document))
        )

    def _vectors(self, plan: Plan) -> tuple[Mapping[str, Vector], Mapping[str, Refusal], int]:
        if not plan.embed:
            return plan.vectors, {}, 0
        answers, asked_for = self.recent.embed(plan.embed, self.embedder)
        refused = {text_hash: answer for text_hash, answer in answers.items() if isinstance(answer, Refusal)}
        embedded = {text_hash: answer for text_hash, answer in answers.items() if not isinstance(answer, Refusal)}
        return {**plan.vectors, **embedded}, refused, asked_for

    def _bad_records(self, plan: Plan, refused: Mapping[str, Refusal]) -> tuple[BadRecord, ...]:
        if not refused:
            return ()
        bad = tuple(
            BadRecord(refused[chunk.text_hash].reason, stream=write.upsert.key.stream, key=write.upsert.key.record_id)
            for write in plan.writes
            for chunk in write.chunks
            if chunk.text_hash in refused
        )
        if not self.skip_bad_records:
            raise bad[0]
        # one a record, however many of its chunks were refused
        return tuple({(error.identifier, error.key): error for error in bad}.values())


def _portions(chunked: Sequence[Chunked], heads: Mapping[RecordKey, Head], most: int) -> Iterator[Sequence[Chunked]]:
    """Records in portions that read at most so many stored rows, or one record; at least one portion, even of none."""
    counts = rows_to_read(chunked, (), heads)
    portion: list[Chunked] = []
    rows = 0
    for record in chunked:
        count = counts.get(record[0].upsert.key, 0)
        if portion and rows + count > most:
            yield portion
            portion, rows = [], 0
        portion.append(record)
        rows += count
    yield portion


def _keys_to_look_up(changes: Sequence[Change]) -> list[RecordKey]:
    return [
        change.key for change in changes if isinstance(change, Delete) or (change.lookup and not change.known_absent)
    ]


def _committed(plan: Plan, bad: tuple[BadRecord, ...], embedded: int) -> Committed:
    return Committed(
        written=len(plan.writes),
        removed=len(plan.removals),
        unchanged=plan.unchanged,
        chunks=sum(len(write.chunks) for write in plan.writes),
        embedded=embedded,
        bad=bad,
    )
