"""The records of a collection, written into another one with the vectors of another model.

Rows are read, a record at a time, their texts are embedded, and the commit procedure writes them: announced, vouched
for, unchanged where they are stored already. So a killed run goes on, and a second one embeds what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from destination_milvus import digests
from destination_milvus.collection import Collection
from destination_milvus.documents.metadata import fit, free_names
from destination_milvus.documents.partition import Partition
from destination_milvus.fields import (
    EXTRACTED_AT,
    GENERATION,
    MAX_VARCHAR_BYTES,
    META_CHANGES,
    PARTITION,
    SYSTEM_FIELDS,
)
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.scan import StoredRecord
from destination_milvus.model import Change, Document, Json, Upsert

MARK = "~"
"""Begins the fingerprint of a record that was written here: complete, and of no version that a source is known to have.
Behind all hexadecimal digits, so that one comparison tells it from the fingerprints of a sync."""

_BETWEEN_CHUNKS = "\0"
"""No text that Milvus stores has it."""


class StoredChunks:
    """Divides where the old collection did: a `Splitter`."""

    max_bytes = MAX_VARCHAR_BYTES

    def split(self, document: Document) -> list[str]:
        """As `Splitter.split`."""
        return [text for text in document.text.split(_BETWEEN_CHUNKS) if text.strip()]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How a stored record becomes a change of another collection. Pure."""

    source: Collection
    target: Collection
    row_format: str
    """Decides what rows look like: another one writes every record anew."""
    partition: Partition | None = None
    """Of the target, where it is by a field of the metadata."""

    def upsert(self, record: StoredRecord) -> Upsert:
        """What a complete record asks for."""
        head = record.rows[0].entity
        document = Document(
            text=_BETWEEN_CHUNKS.join(str(row.entity.get(self.source.text_field or "") or "") for row in record.rows),
            context="",
            metadata=self._metadata(head),
            emitted_at=int(head.get(EXTRACTED_AT) or 0),
        )
        generation = int(head.get(GENERATION) or 0)
        fingerprint = MARK + digests.fingerprint(document, generation, self.row_format)[len(MARK) :]
        return Upsert(record.key, generation, document, fingerprint=fingerprint)

    def _metadata(self, head: Mapping[str, Json]) -> dict[str, Json]:
        source, target = self.source, self.target
        own = SYSTEM_FIELDS - {META_CHANGES} | {source.key_field, source.vector_field, source.text_field}
        values = {name: value for name, value in head.items() if name not in own and value is not None}
        names = free_names(tuple(values), target.reserved - {META_CHANGES})
        metadata = {names[name]: value for name, value in values.items()}
        fit(metadata, target.columns)
        if self.partition is not None:
            metadata[PARTITION] = self.partition.of(metadata, metadata, metadata)
        elif target.partition_key == PARTITION:
            metadata[PARTITION] = head.get(PARTITION) or ""
        return metadata


@dataclass
class Reembedding:
    """What a run has met."""

    progress: Progress
    incomplete: int = 0
    """Records that are half written, by a sync that was interrupted or is under way."""
    without_text: int = 0

    def upserts(self, records: Iterable[StoredRecord], rewriting: Rewriting) -> Iterator[tuple[Change, int]]:
        """The changes that records ask for, each with its size in bytes."""
        for record in records:
            self.progress.read += 1
            if not record.rows:
                self.incomplete += 1
                continue
            upsert = rewriting.upsert(record)
            self.without_text += not upsert.document.text.strip(_BETWEEN_CHUNKS + " \n")
            yield upsert, len(upsert.document.text) + len(upsert.document.metadata_json)
