"""The types of the flow, one a stage, and the two seams where it touches the network.

    Change (Upsert | Delete) → Chunk → Plan (RecordWrite …) → rows with vectors → stored

All are frozen. A chunk has no vector and cannot be written; a plan names every row that a commit may touch.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeAlias

Vector: TypeAlias = "array[float]"
"""One embedding: `array('f')` of the model's dimension (float32, four bytes a component)."""

Json: TypeAlias = Any
"""A value that JSON can hold."""

PENDING = ""
"""Fingerprint of a head row whose record is not completely stored in any one version."""


class WriteMode(Enum):
    """How the records of a stream meet what is stored already."""

    APPEND = "append"
    DEDUP = "dedup"


class RecordKey(NamedTuple):
    """Identity of a record in the collection."""

    stream: str
    """Airbyte's stream identifier: `name`, or `namespace_name`."""
    record_id: str
    """What `_ab_record_id` holds."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a record says (text) and what it is filtered by (metadata)."""

    text: str
    """Everything to embed; empty where the record has no text."""
    context: str
    """Repeated on top of every chunk; empty where none is configured."""
    metadata: Mapping[str, Json]
    emitted_at: int
    """Milliseconds since the epoch at which the source emitted the record."""
    vector: Vector | None = None
    """The embedding that the record brought along (`from_field`), else None."""
    metadata_json: bytes = field(default=b"", compare=False, repr=False)
    """The metadata as `metadata_json` writes it, once a record; empty has it written."""

    def __post_init__(self) -> None:
        if not self.metadata_json:
            object.__setattr__(self, "metadata_json", metadata_json(self.metadata))

    def with_metadata(self, metadata: Mapping[str, Json]) -> Document:
        """The document with other metadata."""
        return replace(self, metadata=metadata, metadata_json=b"")


def metadata_json(metadata: Mapping[str, Json]) -> bytes:
    """Metadata as JSON, its keys in order: what its size is counted by, and what fingerprints are made of."""
    import orjson  # noqa: PLC0415 - who takes only a model from here need not have it

    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


@dataclass(frozen=True, slots=True)
class Upsert:
    """This record now looks like this."""

    key: RecordKey
    generation: int
    document: Document
    lookup: bool = True
    """False where no earlier version can exist: append, with its fresh random ids."""
    known_absent: bool = False
    """True where it is known without a look that nothing of the record is stored."""
    fingerprint: str = ""
    """Of the version, where it is not made of the document: of rows that come from another collection, which is not
    known to be any version of the source's."""


@dataclass(frozen=True, slots=True)
class Delete:
    """This record is gone at the source."""

    key: RecordKey


Change: TypeAlias = Upsert | Delete


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, as it will be embedded."""

    number: int
    text: str
    text_hash: str
    """Digest of text and embedding model: equal hashes have equal vectors."""


@dataclass(frozen=True, slots=True)
class Head:
    """What chunk 0 says about its record."""

    fingerprint: str
    """Of the version that is stored completely; `PENDING` where none is."""
    chunks: int
    """Rows 0 … chunks-1 may exist, and no others."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as read back, whole, so that it can be written again."""

    number: int
    text_hash: str
    fingerprint: str
    vector: Vector
    entity: Mapping[str, Json]
    """All fields, dynamic ones included, by name; without the vector."""


@dataclass(frozen=True, slots=True)
class RecordWrite:
    """All that a commit does to one record that is new or has changed."""

    upsert: Upsert
    fingerprint: str
    chunks: tuple[Chunk, ...]
    row_fingerprints: tuple[str, ...]
    """One a chunk; that of chunk 0 is empty: the head carries the record's."""
    unchanged: frozenset[int]
    """Numbers of stored rows that already equal their chunk in text and metadata."""
    surplus: tuple[int, ...]
    """Numbers of rows that this version no longer has."""
    announce: int | None
    """Count to write into the head, without a fingerprint, before rows 1 … change; None where not needed."""
    stored: Mapping[int, StoredRow]
    """The rows of the version before, by number."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A record to take out."""

    key: RecordKey
    chunks: int
    """Rows 0 … chunks-1 may exist, and no others."""
    announce: StoredRow | None
    """The head, to be marked as pending before its other rows go; None for a record of one row."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one batch does, decided before anything is embedded or written."""

    writes: tuple[RecordWrite, ...]
    removals: tuple[Removal, ...]
    embed: Mapping[str, str]
    """Text hash → text, each text once, without those whose vector is stored."""
    vectors: Mapping[str, Vector]
    """Text hash → vector, of those that are stored or that records brought along."""
    unchanged: int
    """Records whose stored version is the one that came."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The endpoint will not embed this one text, whatever is tried; the others of its request are unharmed."""

    reason: str
    """One clause for the user, without the text."""


class Embedder(Protocol):
    """Turns texts into vectors. Called from several threads at once."""

    @property
    def identity(self) -> str:
        """Provider, model and dimension; two embedders of one identity give equal vectors for equal texts."""

    @property
    def dimensions(self) -> int:
        """Length of every vector."""

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector a text, in the order of the texts; any number of texts, none of them empty.

        Raises:
            ConfigError: the account, the key, the model or the quota stands in the way.
            TransientError: the endpoint failed until the deadline for retries.
        """


class Splitter(Protocol):
    """Divides documents. Called from several threads at once."""

    @property
    def max_bytes(self) -> int:
        """Most UTF-8 bytes of a chunk."""

    def split(self, document: Document) -> list[str]:
        """The texts to embed, in the order of the document; none where it has no text but whitespace."""


class VectorStore(Protocol):
    """The calls of the commit procedure, no more. All reads are strong."""

    def heads(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        """The head rows of those records that have one."""

    def read_rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """Rows 0 … count-1 of each record, whole, by number; absent ones tolerated."""

    def apply(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """Carry out a plan: every phase is acknowledged before the next starts, heads last."""

    def sweep(self, stream: str, generation: int, minimum: int, *, keyed: bool) -> int:
        """Delete what older generations left, and rows that no head vouches for.

        Returns:
            How many records went; 0 where nobody counts them.

        Raises:
            DestinationError: Milvus failed for good, or acknowledges deletions that have no effect.
        """
