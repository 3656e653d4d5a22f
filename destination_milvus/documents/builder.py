"""What a record says, and what it is filtered by: fields become the text to embed, its context and the metadata.

Paths are compiled once and records walked once. What Milvus cannot hold is mended here (half characters, NUL, numbers
that are none, more metadata than a row takes), and every loss is told as a `FieldChange`, in Airbyte's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from destination_milvus.collection import DEFAULT_COLLECTION, Collection, Column
from destination_milvus.documents.html import markdown
from destination_milvus.documents.metadata import (
    METADATA_BYTES,
    FieldChange,
    Metadata,
    fit,
    free_names,
    shrink,
    storable,
)
from destination_milvus.documents.partition import Partition
from destination_milvus.documents.paths import FieldPath, Location, compiled, with_value, without_value
from destination_milvus.documents.text import clean, labelled, rendered
from destination_milvus.fields import PARTITION
from destination_milvus.model import Document, metadata_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from destination_milvus.config.processing import Processing
    from destination_milvus.model import Json, Vector


@dataclass(frozen=True, slots=True)
class BuiltDocument:
    """A document, and what its record lost on the way."""

    document: Document
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class DocumentBuilder:
    """Makes documents of the records of one stream. Safe to share between threads."""

    text_fields: tuple[FieldPath, ...] = ()
    """Empty for all fields."""
    metadata_fields: tuple[FieldPath, ...] = ()
    """Empty for all fields."""
    html_fields: tuple[FieldPath, ...] = ()
    context_fields: tuple[FieldPath, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Other names of fields and paths, by the name or path as configured."""
    include_names: bool = True
    context_room: int = 0
    """Bytes of context, a blank line included, that surely stand whole on top of every chunk."""
    reserved: frozenset[str] = frozenset()
    """Names that the collection uses itself."""
    protected: frozenset[str] = frozenset()
    """Top-level fields (primary key, cursor) that are never shortened or dropped."""
    metadata_bytes: int = METADATA_BYTES
    """Most bytes of the metadata as JSON."""
    omitted: tuple[FieldPath, ...] = ()
    """What is neither text nor metadata, wherever it lies, unless it is asked for by this very path: the vector of
    `from_field`. Of an object or list around it all else stays."""
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Columns of the collection that metadata goes into, by name; all other metadata is dynamic."""
    partition: Partition | None = None
    """What the collection is partitioned by; None where it has no field for that."""
    collection: Collection = DEFAULT_COLLECTION
    """It decides how much of a row is left for metadata."""

    @classmethod
    def configured(
        cls,
        processing: Processing,
        *,
        reserved: Iterable[str] = (),
        protected: Iterable[str] = (),
        omitted: Iterable[str] = (),
        columns: Mapping[str, Column] | None = None,
        partition: Partition | None = None,
        metadata_bytes: int = METADATA_BYTES,
    ) -> DocumentBuilder:
        """The builder of a configuration, and of what its stream and collection need."""
        return cls(
            text_fields=compiled(processing.text_fields),
            metadata_fields=compiled(processing.metadata_fields),
            html_fields=compiled(processing.html_fields),
            context_fields=compiled(processing.context_fields),
            # the first mapping of a field counts, as in Airbyte's connector
            names={mapping.from_field: mapping.to_field for mapping in reversed(processing.field_name_mappings)},
            include_names=processing.include_field_names,
            # chunks give at most half of their tokens to the context, and a token has at least one byte
            context_room=processing.chunk_size // 2,
            reserved=frozenset(reserved),
            protected=frozenset(protected),
            omitted=compiled(omitted),
            columns=columns or {},
            partition=partition,
            metadata_bytes=metadata_bytes,
        )

    def build(self, data: Mapping[str, Json], emitted_at: int, vector: Vector | None = None) -> BuiltDocument:
        """The document of a record's data; `emitted_at` in milliseconds since the epoch. `data` stays as it is."""
        text, context = self.text(data)
        metadata = self.metadata(data)
        document = Document(text, context, metadata.metadata, emitted_at, vector, metadata.as_json)
        return BuiltDocument(document, metadata.changes)

    def text(self, data: Mapping[str, Json]) -> tuple[str, str]:
        """The text of a record and its context, each empty where there is none.

        Text is a paragraph a field: `title: Printer on fire`, or the name on a line of its own above a value of
        several lines, so that Markdown in it keeps its headings. Context is values alone, one a line: it is there to
        be read with every chunk, not to be told apart. A context field is left out of the text, since all chunks
        carry it, unless it is so long that a chunk may shorten it; where nothing else is text, it is the text.
        """
        readable = self._without_html(self._without_omitted(data, (*self.text_fields, *self.context_fields)))
        contexts = {at: value for path in self.context_fields for at, value in self._select(path, readable)}
        context = "\n".join(filter(None, map(rendered, contexts.values())))
        repeated = contexts if len(context.encode()) + 2 <= self.context_room else {}
        paragraphs = (
            labelled(name, value) if self.include_names else rendered(value)
            for at, name, value in self._text_values(readable)
            if at not in repeated
        )
        text = "\n\n".join(filter(None, paragraphs))
        return (text, context) if text else (context, "")

    def metadata(self, data: Mapping[str, Json]) -> Metadata:
        """The metadata of a record: whole if it fits, else with its largest values shortened or dropped first.

        A value is stored under its name or its path as configured, several values of a path as a list; nulls are
        left out. Names that the collection uses get a trailing underscore.
        """
        selected = self._metadata_values(self._without_omitted(data, self.metadata_fields))
        # as in Airbyte's connector, a mapped field replaces one that has the name already
        mapped = {self.names[path]: path for path in selected if path in self.names}
        sources = {**{path: path for path in selected if path not in self.names}, **mapped}
        names = free_names(tuple(sources), self.reserved)
        changes: list[FieldChange] = []
        cleaned = ((names[name], storable(selected[path], names[name], changes)) for name, path in sources.items())
        metadata = {name: value for name, value in cleaned if value is not None}
        changes += fit(metadata, self.columns)
        as_json = metadata_json(metadata)
        if len(as_json) > self.metadata_bytes:
            protected = {names[name] for name, path in sources.items() if self._is_protected(path)}
            changes += shrink(metadata, self.metadata_bytes, protected)
            as_json = b""
        if self.partition is not None:
            metadata[PARTITION] = self.partition.of(data, metadata, {names[name] for name in sources})
            as_json = b""
        return Metadata(metadata, tuple(dict.fromkeys(changes)), as_json)

    def _is_protected(self, path: str) -> bool:
        return path in self.protected or path.split(".", maxsplit=1)[0] in self.protected

    def _text_values(self, data: Mapping[str, Json]) -> Iterator[tuple[Location, str, Json]]:
        """Place, name and value of each text, a place that several paths lead to once."""
        if not self.text_fields:
            for name, value in data.items():
                if not (self._is_bookkeeping(name) or name.startswith("_ab_cdc_")):
                    yield (name,), self.names.get(name, name), value
            return
        seen: set[Location] = set()
        for path in self.text_fields:
            for at, value in self._select(path, data):
                if at not in seen:
                    seen.add(at)
                    yield at, self.names.get(path.path) or ".".join(map(str, at)), value

    def _metadata_values(self, data: Mapping[str, Json]) -> dict[str, Json]:
        if not self.metadata_fields:
            return {name: value for name, value in data.items() if not (self._is_bookkeeping(name) or value is None)}
        found: dict[str, Json] = {}
        for path in self.metadata_fields:
            if path.names_field and path.path in data:  # most paths, in less than half of the time
                found[path.path] = data[path.path]
            elif values := [value for _, value in self._select(path, data)]:
                found[path.path] = values if len(values) > 1 else values[0]
        return found

    def _select(self, path: FieldPath, data: Mapping[str, Json]) -> list[tuple[Location, Json]]:
        found = path.select(data)
        if path.names_field:
            return found
        return [(at, value) for at, value in found if not self._is_bookkeeping(str(at[0]))]

    def _is_bookkeeping(self, name: str) -> bool:
        # PyAirbyte puts its own columns (_airbyte_raw_id, _airbyte_extracted_at, _airbyte_meta) into the record
        return name.startswith("_airbyte_")

    def _without_omitted(self, data: Mapping[str, Json], asked_for: Sequence[FieldPath]) -> Mapping[str, Json]:
        for path in self.omitted:
            if path not in asked_for:
                for at, _ in path.select(data):
                    data = cast("Mapping[str, Json]", without_value(data, at))
        return data

    def _without_html(self, data: Mapping[str, Json]) -> Mapping[str, Json]:
        """The record with its HTML fields as Markdown; what is not on the way to one of them is shared."""
        for path in self.html_fields:
            for at, value in path.select(data):
                if isinstance(value, str) and value:
                    data = cast("Mapping[str, Json]", with_value(data, at, markdown(clean(value))))
        return data
