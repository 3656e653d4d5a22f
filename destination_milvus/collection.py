"""What a collection is, as far as anything here cares: its columns, its limits, and how its rows are told apart. Pure.

One type describes it, whoever made it. Documents fit their metadata to its columns, the flow counts what a row may
take, and `milvus` reads it off a description and makes rows for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import orjson

from destination_milvus.digests import DIGEST_CHARACTERS
from destination_milvus.fields import (
    CHUNK,
    CHUNKS,
    EXTRACTED_AT,
    FINGERPRINT,
    GENERATION,
    MAX_VARCHAR_BYTES,
    META_CHANGES,
    PRIMARY_KEY,
    RECORD_ID,
    STREAM,
    SYSTEM_FIELDS,
    TEXT_HASH,
)
from destination_milvus.model import Json, RecordKey

MAX_CAPACITY = 4_096
"""Milvus: most elements of an ARRAY."""

Scalar: TypeAlias = Literal["BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR"]
"""Names of Milvus' types with one value."""

SCALARS: frozenset[str] = frozenset(get_args(Scalar))


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a collection's schema that metadata goes into."""

    name: str
    type: Scalar | Literal["ARRAY"] | None
    """None for types that take a value as it is, such as JSON."""
    element: Scalar | None = None
    """Of an ARRAY."""
    max_bytes: int = MAX_VARCHAR_BYTES
    """Of a VARCHAR, or of each element of an ARRAY of them."""
    capacity: int = MAX_CAPACITY
    required: bool = False
    """True where Milvus takes no null and has no default."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, as it was found or made."""

    key_field: str
    auto_id: bool
    """True for collections whose keys Milvus makes: rows are found by record id instead of by primary key."""
    vector_field: str
    text_field: str | None
    """None where the raw text is left out."""
    name: str = ""
    dimensions: int = 0
    metric_type: str = ""
    """Empty where the index is still to be made: the sync that created the collection got no further."""
    embedding_model: str | None = None
    """Identity of the model that its vectors are of; None where nobody has noted it."""
    unused_key: Json = "no such key"
    """What a primary key could be and none is."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Typed fields that metadata goes into; all other metadata is dynamic."""
    partition_key: str | None = None
    """The field that it is partitioned by."""
    full_text_field: str | None = None
    """Where the words of the text are, for search by BM25."""
    analyzer: Mapping[str, Json] = field(default_factory=dict)
    """How they are found: `analyzer_params` or `multi_analyzer_params` of the text, as JSON; empty for Milvus' own way,
    `standard`."""
    text_bytes: int = MAX_VARCHAR_BYTES
    """Most bytes of a text; no less than `fields.MIN_VARCHAR_BYTES`. Milvus Lite would take as many characters."""
    record_id_bytes: int = MAX_VARCHAR_BYTES
    """Most bytes of a record's id."""
    ttl_seconds: int = 0
    """Age at which Milvus removes rows, counted from when they were written; 0 for never."""
    dynamic: frozenset[str] = frozenset()
    """Fields of the connector's own, the text included, that are no columns: they share the limit of a row's dynamic
    fields with its metadata."""
    merges_upserts: bool = False
    """True where an upsert keeps the dynamic fields of the row before it that the new row lacks (Milvus Lite)."""
    computed: frozenset[str] = frozenset()
    """Fields that Milvus makes of others, returns, and refuses to be given: the sparse vector of the text."""

    @property
    def reserved(self) -> frozenset[str]:
        """Names that a record's metadata must not take."""
        return SYSTEM_FIELDS | {self.key_field, self.vector_field, self.text_field or "text", "$meta", *self.computed}

    @property
    def analyzer_field(self) -> str | None:
        """The field that says in which language the words of a row are found; None where it is one for all."""
        by_field = self.analyzer.get("multi_analyzer_params", {}).get("by_field")
        return None if by_field is None else str(by_field)

    @property
    def dynamic_text(self) -> str | None:
        """Name of the text where it is a dynamic field: it gives way where those would be too large; else None."""
        return self.text_field if self.text_field in self.dynamic else None


DEFAULT_COLLECTION = Collection(PRIMARY_KEY, auto_id=False, vector_field="vector", text_field="text")
"""As the connector creates it, with the default names."""


def own_bytes(key: RecordKey, collection: Collection) -> int:
    """Most bytes, as JSON, of the dynamic fields in a row of a record that are no metadata, without a text.

    0 in collections that the connector creates: there all of them are columns.
    """
    if collection.dynamic_text is None and collection.dynamic.isdisjoint(_SIZED):
        return 0
    own = {**_LARGEST, STREAM: key.stream, RECORD_ID: key.record_id}
    dynamic: dict[str, Json] = {name: value for name, value in own.items() if name in collection.dynamic}
    if collection.dynamic_text is not None:
        dynamic |= {collection.dynamic_text: "", META_CHANGES: [text_change(collection.dynamic_text)]}
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


def text_change(text_field: str) -> dict[str, str]:
    """What a row says whose text was shortened, as an item of Airbyte's list of changes."""
    return {"field": text_field, "change": "TRUNCATED", "reason": "DESTINATION_RECORD_SIZE_LIMITATION"}
