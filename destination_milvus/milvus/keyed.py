"""The store of a collection whose primary keys are ours: rows are found by key, and a head vouches for its record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from destination_milvus.digests import chunk_key
from destination_milvus.errors import TransientError
from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, GENERATION, RECORD_ID, STREAM
from destination_milvus.milvus.address import described, is_embedded
from destination_milvus.milvus.calls import ROWS_PAGE, Calls
from destination_milvus.milvus.filters import KeyRange, stale_heads_filter, stale_rows_filter
from destination_milvus.milvus.phases import Upserts, phases
from destination_milvus.milvus.rows import is_vouched_for, record_of, stored_row
from destination_milvus.model import PENDING, Head, Plan, RecordKey, StoredRow, Vector

SWEEP_PAGE = 500
"""Records a round of the sweep; a query's window ends at 16,384 rows."""

EMBEDDED_ROWS_PAGE = 1_000_000
"""Rows a round where only their keys are read, of Milvus Lite: it knows no window, holds its rows in this process, and
looks at each for every query."""


class KeyedStore:
    """A collection with our keys, as a `VectorStore`. Safe to use from several threads."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._collection = calls.collection

    def heads(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        """As `VectorStore.heads`: one read by primary key."""
        key_field = self._collection.key_field
        by_primary_key = {chunk_key(key, 0): key for key in keys}
        return {
            by_primary_key[raw[key_field]]: Head(raw.get(FINGERPRINT) or PENDING, raw[CHUNKS])
            for raw in self._calls.get(list(by_primary_key), [key_field, FINGERPRINT, CHUNKS], ROWS_PAGE)
        }

    def read_rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """As `VectorStore.read_rows`."""
        wanted = [chunk_key(key, number) for key, count in counts.items() for number in range(count)]
        stored: dict[RecordKey, dict[int, StoredRow]] = {}
        for raw in self._calls.get(wanted, ["*"]):
            row = stored_row(raw, self._collection)
            stored.setdefault(record_of(raw), {})[row.number] = row
        return stored

    def apply(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """As `VectorStore.apply`: every phase is acknowledged before the next starts, heads last."""
        for phase in phases(plan, vectors, self._collection):
            if isinstance(phase, Upserts):
                self._calls.upsert(phase.entities)
            else:
                self._calls.delete(phase.primary_keys)

    def sweep(self, stream: str, generation: int, minimum: int, *, keyed: bool) -> int:
        """As `VectorStore.sweep`.

        By heads and not by the generation of each row: that would leave rows without a head when it is interrupted,
        and take rows from a record that did not change and whose head alone was renewed. Where no record can have rows
        of two generations, or none of an older one is to stay, it is by the generation, and 0 are told.
        """
        stale_rows = stale_rows_filter(stream, generation, minimum, dynamic=GENERATION in self._collection.dynamic)
        if not keyed and minimum >= generation:
            self._calls.delete_matching(stale_rows)
            return 0
        swept = self._sweep_heads(stream, stale_heads_filter(stream, generation, minimum))
        self._sweep_rows_without_head(stream, stale_rows)
        return swept

    def _sweep_heads(self, stream: str, stale: str) -> int:
        """Take out the records of these heads, page by page, each head after its other rows."""
        key_field = self._collection.key_field
        swept, before = 0, frozenset[str]()
        while heads := self._calls.query(stale, [key_field, STREAM, RECORD_ID, CHUNKS], SWEEP_PAGE):
            page = frozenset(raw[key_field] for raw in heads)
            self._require_progress(stream, page, before)
            # a head that was copied under another key stands for no other rows: those are the original's
            self._calls.delete(
                chunk_key(record_of(raw), number)
                for raw in heads
                if raw[key_field] == chunk_key(record_of(raw), 0)
                for number in range(1, int(raw[CHUNKS]))
            )
            self._calls.delete(page)
            swept, before = swept + len(page), page
        return swept

    def _sweep_rows_without_head(self, stream: str, stale: str) -> None:
        """Take out of these rows those that no head vouches for: once no head is stale, all heads are of today.

        What is vouched for stays and is found again by every query, so that pages are ranges of the primary key.
        """
        key_field = self._collection.key_field
        page = EMBEDDED_ROWS_PAGE if is_embedded(self._calls.indexing.host) else ROWS_PAGE
        ranges, before = [KeyRange()], frozenset[str]()
        while ranges:
            keys = ranges.pop()
            found = self._calls.query(
                f"{stale} and {keys.filter(key_field)}", [key_field, STREAM, RECORD_ID, CHUNK], page
            )
            records = {record_of(raw) for raw in found if raw.get(RECORD_ID) is not None}
            chunks = {record: head.chunks for record, head in self.heads(records).items()}
            unvouched = frozenset(raw[key_field] for raw in found if not is_vouched_for(raw, chunks, self._collection))
            self._require_progress(stream, unvouched, before)
            self._calls.delete(unvouched)
            before = unvouched
            if len(found) == page:
                ranges += [keys] if unvouched else keys.split()

    def _require_progress(self, stream: str, page: frozenset[str], before: frozenset[str]) -> None:
        """Refuse to delete again and again what comes back each time."""
        if page & before:
            raise TransientError(
                f'Sweeping stream "{stream}" makes no progress: {described(self._calls.indexing.host)} acknowledges '
                "the deletion of rows of older generations, and still has them. Check its health, then sync again."
            )
