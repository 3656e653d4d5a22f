"""The store of a collection whose primary keys Milvus makes: rows are found by stream and record id.

Such collections were made by hand, or by Airbyte's own connector. No row is replaced in place: all rows of a new
version go in, then every other row of the record goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, GENERATION, RECORD_ID, STREAM
from destination_milvus.milvus.calls import Calls, RawRow
from destination_milvus.milvus.filters import first_rows_filter, stale_rows_filter
from destination_milvus.milvus.rows import portions, record_of, self_contained, stored_row
from destination_milvus.model import PENDING, Head, Json, Plan, RecordKey, StoredRow, Vector


class AutoIdStore:
    """A collection with keys of Milvus' own, as a `VectorStore`. Safe to use from several threads."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._collection = calls.collection

    def heads(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        """As `VectorStore.heads`: all rows of a record vouch for it together."""
        fields = [STREAM, RECORD_ID, CHUNK, CHUNKS, FINGERPRINT]
        return {key: _head_of_rows(found) for key, found in self._rows_by_record(keys, fields).items()}

    def read_rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """As `VectorStore.read_rows`; numbered as they are found."""
        several = {key.record_id for key, count in counts.items() if count > 1}
        found = self._rows_by_record(counts, ["*"], several)
        return {key: dict(enumerate(stored_row(raw, self._collection) for raw in raws)) for key, raws in found.items()}

    def apply(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """As `VectorStore.apply`.

        An insert that was sent again may have been applied before; the rows that nobody acknowledged go out with the
        old ones. Append has no old ones: there its records are looked up only after such an insert.
        """
        doubtful: set[RecordKey] = set()
        acknowledged: dict[RecordKey, set[Json]] = {removal.key: set() for removal in plan.removals}
        new = [
            (write.upsert.key, self_contained(write, number, vectors, self._collection))
            for write in plan.writes
            for number in range(len(write.chunks))
        ]
        owners = iter([key for key, _ in new])
        for portion in portions([row for _, row in new], self._collection.vector_field):
            primary_keys, once = self._calls.insert(portion)
            for primary_key, owner in zip(primary_keys, owners, strict=False):
                acknowledged.setdefault(owner, set()).add(primary_key)
                if not once:
                    doubtful.add(owner)
        written = (write.upsert.key for write in plan.writes if write.upsert.lookup or write.upsert.key in doubtful)
        self._delete_all_but(acknowledged, [*written, *(removal.key for removal in plan.removals)])

    def _delete_all_but(self, acknowledged: Mapping[RecordKey, set[Json]], keys: Iterable[RecordKey]) -> None:
        key_field = self._collection.key_field
        found = self._rows_by_record(keys, [key_field, STREAM, RECORD_ID])
        self._calls.delete(
            raw[key_field] for key, raws in found.items() for raw in raws if raw[key_field] not in acknowledged[key]
        )

    def sweep(self, stream: str, generation: int, minimum: int, *, keyed: bool) -> int:  # noqa: ARG002 - no heads
        """As `VectorStore.sweep`: every row carries its version's fingerprint, so that the generation decides."""
        self._calls.delete_matching(
            stale_rows_filter(stream, generation, minimum, dynamic=GENERATION in self._collection.dynamic)
        )
        return 0

    def _rows_by_record(
        self, keys: Iterable[RecordKey], fields: list[str], several: set[str] | None = None
    ) -> dict[RecordKey, list[RawRow]]:
        """Rows found by stream and record id.

        In the order of their chunks, where those are among the fields. Of records that are not among `several`, where
        that is given, the first row.
        """
        by_stream: dict[str, list[str]] = {}
        for key in keys:
            by_stream.setdefault(key.stream, []).append(key.record_id)
        found: dict[RecordKey, list[RawRow]] = {}
        for stream, record_ids in by_stream.items():
            for raw in self._calls.paged(record_ids, partial(self._query_records, stream, fields, several)):
                found.setdefault(record_of(raw), []).append(raw)
        return {key: sorted(raws, key=lambda raw: int(raw.get(CHUNK) or 0)) for key, raws in found.items()}

    def _query_records(
        self, stream: str, fields: list[str], several: set[str] | None, record_ids: Sequence[str]
    ) -> Sequence[RawRow]:
        whole = record_ids if several is None else several
        return self._calls.query(first_rows_filter(stream, record_ids, whole), fields)


def _head_of_rows(found: Sequence[RawRow]) -> Head:
    """What the rows of a record say together: complete only if they are exactly the rows of one version."""
    fingerprints = {raw.get(FINGERPRINT) or PENDING for raw in found}
    numbers = [raw.get(CHUNK) for raw in found]
    whole = numbers == list(range(len(found))) and found[0].get(CHUNKS) == len(found)
    exact = whole and len(fingerprints) == 1
    return Head(fingerprints.pop() if exact else PENDING, len(found))
