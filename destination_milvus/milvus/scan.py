"""A whole collection, record by record, in pages: ranges of the primary key, since Milvus gives rows in any order.

A page that is full is divided at the median of the keys that it found, so that pages follow how keys are spread. A
record is given once, with the page that its first row is in, and read whole, wherever its other rows are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, RECORD_ID, STREAM
from destination_milvus.milvus.address import is_embedded
from destination_milvus.milvus.calls import READ_PAGE, ROWS_PAGE, Calls, RawRow
from destination_milvus.milvus.filters import KeyRange, all_of, between
from destination_milvus.milvus.keyed import EMBEDDED_ROWS_PAGE
from destination_milvus.milvus.rows import record_of, stored_row
from destination_milvus.model import PENDING, RecordKey, StoredRow, VectorStore

ROW_ID = "row "
"""Begins the id of a record that is one row without an id: of Airbyte's own connector, in Append. The row's key
follows."""

EVERYTHING = ""
"""The share of who reads the whole collection."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as a collection has it."""

    key: RecordKey
    rows: tuple[StoredRow, ...]
    """In the order of its chunks; none of a record that is not complete in any version."""


class Scan:
    """A collection, read once; or a share of it."""

    def __init__(self, calls: Calls, store: VectorStore, share: str = EVERYTHING) -> None:
        self._calls = calls
        self._share = share
        self._store = store
        self._collection = calls.collection
        self._page = EMBEDDED_ROWS_PAGE if is_embedded(calls.indexing.host) else ROWS_PAGE
        self.seen = 0
        """Rows so far, or heads where there are some: what `count` counts."""

    def count(self) -> int:
        """Rows that a scan goes through: heads, or all rows where Milvus makes the keys."""
        return int(self._calls.query(all_of(*self._every), ["count(*)"])[0]["count(*)"])

    def shares(self, least: int) -> list[str]:
        """Filters that divide the collection into so many shares or more, about equally large."""
        key = self._collection.key_field
        if self._collection.auto_id:
            return [f"{key} % {least} == {number}" for number in range(least)]
        ranges = [KeyRange()]
        while len(ranges) < least:
            ranges = [part for whole in ranges for part in whole.split()]
        return [each.filter(key) for each in ranges]

    @property
    def _every(self) -> list[str]:
        return [*([] if self._collection.auto_id else [f"{CHUNK} == 0"]), *filter(None, [self._share])]

    def pages_of_keys(self) -> Iterator[Sequence[RecordKey]]:
        """The records, a page at a time; one whose rows lie in several pages more than once."""
        for found in self._pages():
            yield list(dict.fromkeys(self._key(raw) for raw in found))
            self.seen += len(found)

    def records(self) -> Iterator[StoredRecord]:
        """The records, each once."""
        read = self._of_rows if self._collection.auto_id else self._of_heads
        for found in self._pages():
            for start in range(0, len(found), READ_PAGE):
                portion = found[start : start + READ_PAGE]
                yield from read(portion)
                self.seen += len(portion)

    def _pages(self) -> Iterator[Sequence[RawRow]]:
        """Every row once: its key, and what tells its record."""
        key = self._collection.key_field
        fields = [key, STREAM, RECORD_ID, *([] if self._collection.auto_id else [CHUNKS, FINGERPRINT])]
        waiting: list[tuple[str | int | None, str | int | None]] = [(None, None)]
        while waiting:
            low, high = waiting.pop()
            conditions = [*self._every, *between(key, low, high)]
            found = sorted(self._calls.query(all_of(*conditions), fields, self._page), key=lambda raw: raw[key])
            if len(found) == self._page:
                middle = found[len(found) // 2][key]
                waiting += [(middle, high), (low, middle)]
            else:
                yield found

    def _key(self, raw: RawRow) -> RecordKey:
        if raw.get(RECORD_ID) is not None:
            return record_of(raw)
        return RecordKey(raw.get(STREAM) or "", f"{ROW_ID}{raw[self._collection.key_field]}")

    def _of_heads(self, heads: Sequence[RawRow]) -> Iterator[StoredRecord]:
        counts = {record_of(raw): int(raw[CHUNKS]) for raw in heads if raw.get(FINGERPRINT)}
        stored = self._store.read_rows(counts)
        for raw in heads:
            key = record_of(raw)
            rows = stored.get(key, {})
            whole = sorted(rows) == list(range(counts.get(key, -1)))
            yield StoredRecord(key, tuple(rows[number] for number in sorted(rows)) if whole else ())

    def _of_rows(self, found: Sequence[RawRow]) -> Iterator[StoredRecord]:
        key_field = self._collection.key_field
        alone = [raw[key_field] for raw in found if raw.get(RECORD_ID) is None]
        for raw in self._calls.get(alone, ["*"]):
            yield StoredRecord(self._key(raw), (stored_row(raw, self._collection),))
        keys = dict.fromkeys(record_of(raw) for raw in found if raw.get(RECORD_ID) is not None)
        here = {raw[key_field] for raw in found}
        whole = dict.fromkeys(keys, 2)  # of which 1 would be the first row alone
        for key, rows in self._store.read_rows(whole).items():
            in_order = sorted(rows.values(), key=lambda row: (row.number, row.entity[key_field]))
            if min(row.entity[key_field] for row in in_order) in here:
                yield StoredRecord(key, tuple(in_order) if _is_whole(in_order) else ())


def _is_whole(rows: Sequence[StoredRow]) -> bool:
    """Whether rows are those of one version. Of rows of Airbyte's own connector nothing tells: they are taken so."""
    fingerprints = {row.fingerprint for row in rows}
    if fingerprints == {PENDING}:
        return True
    return (
        len(fingerprints) == 1
        and [row.number for row in rows] == list(range(len(rows)))
        and rows[0].entity.get(CHUNKS) == len(rows)
    )
