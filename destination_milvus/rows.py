"""Chunk ↔ Milvus entity: the names and types of the fields, filters and message sizes. No IO.

Every literal of a filter is quoted here and nowhere else: a key or a form field can never widen a filter.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import orjson

from destination_milvus.identity import DIGEST_CHARACTERS, chunk_key
from destination_milvus.model import PENDING, Json, RecordKey, RecordWrite, StoredRow, Vector

PRIMARY_KEY = "pk"
STREAM = "_ab_stream"
RECORD_ID = "_ab_record_id"
CHUNK = "_ab_chunk"
CHUNKS = "_ab_chunks"
TEXT_HASH = "_ab_text_hash"
FINGERPRINT = "_ab_fingerprint"
GENERATION = "_ab_generation_id"
EXTRACTED_AT = "_ab_extracted_at"
META_CHANGES = "_ab_meta_changes"
"""What was cut from the record's metadata, as Airbyte's `_airbyte_meta.changes` says it; absent where nothing was."""

PARTITION = "_ab_partition"
"""Partition key of collections that are partitioned by namespace or by a metadata field: its value, as a text."""

SYSTEM_FIELDS = frozenset(
    {STREAM, RECORD_ID, CHUNK, CHUNKS, TEXT_HASH, FINGERPRINT, GENERATION, EXTRACTED_AT, META_CHANGES, PARTITION}
)

MAX_VARCHAR_BYTES = 65_535
"""Milvus: largest `max_length` of a VARCHAR field, which the server counts in bytes."""

MIN_VARCHAR_BYTES = 256
"""Fewest bytes of a column that holds texts, names or keys: some 60 tokens. Narrower ones are refused."""

MAX_DYNAMIC_BYTES = 65_536
"""A Milvus server's limit for the dynamic fields of a row, as JSON; Milvus Lite has none."""

TOO_LARGE_TO_CUT = (
    f"its primary key and cursor, which are never cut, leave too little of the {MAX_DYNAMIC_BYTES:,} bytes that Milvus "
    "holds of a row's metadata"
)

MAX_PARTITION_BYTES = 1_024
"""So much of a value decides about its partition; keys of tenants are shorter."""

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Half of the 64 MiB that a Milvus server accepts: the estimate below need not be exact."""

MAX_ROWS_A_CALL = 1_000
"""Beyond 500 to 1,000 rows a call, larger ones were not measured to be faster."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The collection as far as rows care."""

    key_field: str
    auto_id: bool
    """True for collections whose keys Milvus makes: rows are found by record id instead of by primary key."""
    vector_field: str
    text_field: str | None
    """None where the raw text is left out."""
    dynamic: frozenset[str] = frozenset()
    """Fields of the connector's own, the text included, that are no columns: they share the limit of a row's dynamic
    fields with its metadata."""
    record_id_bytes: int = MAX_VARCHAR_BYTES
    """Most bytes of a record's id."""
    merges_upserts: bool = False
    """True where an upsert keeps the dynamic fields of the row before it that the new row lacks (Milvus Lite)."""
    computed: frozenset[str] = frozenset()
    """Fields that Milvus makes of others, returns, and refuses to be given: the sparse vector of the text."""

    @property
    def reserved(self) -> frozenset[str]:
        """Names that a record's metadata must not take."""
        return SYSTEM_FIELDS | {self.key_field, self.vector_field, self.text_field or "text", "$meta", *self.computed}

    @property
    def dynamic_text(self) -> str | None:
        """Name of the text where it is a dynamic field: it gives way where those would be too large; else None."""
        return self.text_field if self.text_field in self.dynamic else None


OWN_LAYOUT = Layout(PRIMARY_KEY, auto_id=False, vector_field="vector", text_field="text")
"""Of a collection that the connector creates, with the default names."""


def own_bytes(key: RecordKey, layout: Layout) -> int:
    """Most bytes, as JSON, of the dynamic fields in a row of a record that are no metadata, without a text.

    0 in collections that the connector creates: there all of them are columns.
    """
    if layout.dynamic_text is None and layout.dynamic.isdisjoint(_SIZED):
        return 0
    own = {**_LARGEST, STREAM: key.stream, RECORD_ID: key.record_id}
    dynamic: dict[str, Json] = {name: value for name, value in own.items() if name in layout.dynamic}
    if layout.dynamic_text is not None:
        dynamic |= {layout.dynamic_text: "", META_CHANGES: [_cut(layout.dynamic_text)]}
    return len(orjson.dumps(dynamic)) - len("{}") + len(",")


_LARGEST = {
    CHUNK: 10**9,
    CHUNKS: 10**9,
    TEXT_HASH: "0" * DIGEST_CHARACTERS,
    FINGERPRINT: "0" * DIGEST_CHARACTERS,
    GENERATION: 2**63 - 1,
    EXTRACTED_AT: 2**63 - 1,
}
_SIZED = frozenset({STREAM, RECORD_ID, *_LARGEST})


def entity(write: RecordWrite, number: int, vectors: Mapping[str, Vector], layout: Layout) -> dict[str, Json]:
    """Row `number` of a version, complete; row 0 carries the version's fingerprint."""
    fingerprint = write.fingerprint if number == 0 else write.row_fingerprints[number]
    return _entity(write, number, len(write.chunks), fingerprint, vectors, layout)


def self_contained(write: RecordWrite, number: int, vectors: Mapping[str, Vector], layout: Layout) -> dict[str, Json]:
    """Row `number` where rows are found by record id: each carries the version's fingerprint."""
    return _entity(write, number, len(write.chunks), write.fingerprint, vectors, layout)


def _fitted(row: dict[str, Json], layout: Layout) -> dict[str, Json]:
    """The row with its text shortened, where the text is a dynamic field and they would be too large together.

    Without a text it fits: who makes records leaves `own_bytes` free.
    """
    name = layout.dynamic_text
    if name is None:
        return row
    columns = layout.reserved - layout.dynamic
    dynamic = {field: value for field, value in row.items() if field not in columns}
    excess = len(orjson.dumps(dynamic)) - MAX_DYNAMIC_BYTES
    if excess <= 0:
        return row
    changes = [*row.get(META_CHANGES, []), _cut(name)]
    room = len(orjson.dumps(row[name])) - excess - len(orjson.dumps({META_CHANGES: changes}))
    return {**row, name: _beginning(row[name], room), META_CHANGES: changes}


def _cut(text_field: str) -> dict[str, str]:
    """What a row says whose text was shortened, as an item of Airbyte's list."""
    return {"field": text_field, "change": "TRUNCATED", "reason": "DESTINATION_RECORD_SIZE_LIMITATION"}


def _beginning(text: str, size: int) -> str:
    """The beginning of a text that takes no more than so many bytes as JSON, quotes and escapes included."""
    while text and (now := len(orjson.dumps(text))) > size:
        text = text[: len(text) * size // now]
    return text


def announced_head(write: RecordWrite, vectors: Mapping[str, Vector], layout: Layout) -> dict[str, Json]:
    """The head before the other rows change: the old one, or the new one of a new record, without a fingerprint."""
    count = write.announce if write.announce is not None else len(write.chunks)
    old = write.stored.get(0)
    if old is None:
        return _entity(write, 0, count, PENDING, vectors, layout)
    return pending(old, count, layout)


def pending(head: StoredRow, count: int, layout: Layout) -> dict[str, Json]:
    """A stored head as it was, but vouching for no version."""
    return {**head.entity, layout.vector_field: head.vector, FINGERPRINT: PENDING, CHUNKS: count}


def _entity(
    write: RecordWrite,
    number: int,
    count: int,
    fingerprint: str,
    vectors: Mapping[str, Vector],
    layout: Layout,
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
        layout.vector_field: vectors[chunk.text_hash],
    }
    if not layout.auto_id:
        row[layout.key_field] = chunk_key(upsert.key, number)
    if layout.text_field is not None:
        row[layout.text_field] = chunk.text
    row = _fitted(row, layout)
    old = write.stored.get(number)
    return {**_cleared(old), **row} if old is not None and layout.merges_upserts else row


def _cleared(old: StoredRow) -> dict[str, None]:
    """Explicit nulls for what the old row has, where it would otherwise outlive the upsert: metadata, and a raw text.

    Deleting the row first would clear it too, but a crash in between would leave a record without its head.
    """
    return dict.fromkeys(old.entity)


def stored_row(raw: Mapping[str, Json], layout: Layout) -> StoredRow:
    """A row as Milvus returned it, with all its fields."""
    return StoredRow(
        number=raw.get(CHUNK) or 0,
        text_hash=raw.get(TEXT_HASH) or "",
        fingerprint=raw.get(FINGERPRINT) or PENDING,
        vector=array("f", raw[layout.vector_field]),
        entity={
            name: value for name, value in raw.items() if name != layout.vector_field and name not in layout.computed
        },
    )


def truncated(text: str, limit: int = MAX_VARCHAR_BYTES) -> str:
    """The beginning of a text that takes no more than so many bytes, whole characters only."""
    return text.encode()[:limit].decode(errors="ignore")


# no \u escapes: Milvus Lite does not know them, and takes control characters as they are, as the server does
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def literal(value: str | int) -> str:
    """A value as a literal of Milvus' filter language."""
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else str(value)


def literals(values: Iterable[str | int]) -> str:
    """Values as a list of Milvus' filter language."""
    return f"[{', '.join(literal(value) for value in values)}]"


def stream_filter(stream: str) -> str:
    """All rows of a stream."""
    return f"{STREAM} == {literal(stream)}"


def records_filter(stream: str, record_ids: Iterable[str]) -> str:
    """Rows of these records of a stream."""
    return f"{stream_filter(stream)} and {RECORD_ID} in {literals(record_ids)}"


def first_rows_filter(stream: str, record_ids: Sequence[str], several: Collection[str]) -> str:
    """Rows of these records of a stream; of those that are not among `several` the first alone."""
    more = [record_id for record_id in record_ids if record_id in several]
    if len(more) == len(record_ids):
        return records_filter(stream, record_ids)
    first = f"{CHUNK} == 0" if not more else f"({CHUNK} == 0 or {RECORD_ID} in {literals(more)})"
    return f"{records_filter(stream, record_ids)} and {first}"


def older(generation: int, minimum: int) -> str:
    """Rows of the generations that a sweep takes out."""
    return f"{GENERATION} != {generation}" if minimum >= generation else f"{GENERATION} < {minimum}"


def stale_heads_filter(stream: str, generation: int, minimum: int) -> str:
    """Heads of the records that a sweep takes out: of older generations, or of no complete version."""
    return f'{STREAM} == {literal(stream)} and {CHUNK} == 0 and ({older(generation, minimum)} or {FINGERPRINT} == "")'


def stale_rows_filter(stream: str, generation: int, minimum: int, *, dynamic: bool) -> str:
    """All rows of older generations; `dynamic` where the generation is no column."""
    stale = older(generation, minimum)
    if dynamic:
        # what a comparison with an absent dynamic field gives differs between Milvus Lite and the server
        stale = f"({stale} or not exists {GENERATION})"
    return f"{stream_filter(stream)} and {stale}"


def before_filter(stream: str, generation: int) -> str:
    """Rows of a stream below a generation."""
    return f"{stream_filter(stream)} and {GENERATION} < {generation}"


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Primary keys from `low` on and before `high`, as texts: a page of a collection that needs no order of answers."""

    low: str = ""
    high: str | None = None

    def filter(self, key_field: str) -> str:
        """Rows whose primary key lies in the range."""
        below = "" if self.high is None else f" and {key_field} < {literal(self.high)}"
        return f"{key_field} >= {literal(self.low)}{below}"

    def split(self) -> list[KeyRange]:
        """Ranges that make up this one, by the next character of a digest."""
        borders = [self.low, *(self.low + digit for digit in "123456789abcdef"), self.high]
        return [KeyRange(low or "", high) for low, high in pairwise(borders)]


def is_vouched_for(raw: Mapping[str, Json], chunks: Mapping[RecordKey, int], layout: Layout) -> bool:
    """Whether a row belongs to its record, by the numbers of rows that the heads count.

    A row that was copied under another key, or that was left behind when its stream had no key, belongs to none.
    """
    if raw.get(RECORD_ID) is None or raw.get(CHUNK) is None:
        return False
    record, number = record_of(raw), int(raw[CHUNK])
    return number < chunks.get(record, 0) and raw[layout.key_field] == chunk_key(record, number)


def record_of(raw: Mapping[str, Json]) -> RecordKey:
    """The record that a row belongs to."""
    return RecordKey(raw[STREAM], raw[RECORD_ID])


def row_bytes(row: Mapping[str, Json], vector_field: str) -> int:
    """About what a row takes in a message: four bytes a component, the rest as JSON."""
    rest = {name: value for name, value in row.items() if name != vector_field}
    return 4 * len(row[vector_field]) + len(orjson.dumps(rest, option=orjson.OPT_NON_STR_KEYS))


def calls(rows: Sequence[Mapping[str, Json]], vector_field: str) -> Iterator[list[Mapping[str, Json]]]:
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
