"""What a record says, and what it is filtered by: fields become the text to embed, its context and the metadata.

Paths are compiled once and records walked once. What Milvus cannot hold is mended here (half characters, NUL, numbers
that are none, more metadata than a row takes), and every loss is told as a `FieldChange`, in Airbyte's words.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import translate
from functools import lru_cache
from textwrap import indent
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import orjson

from destination_milvus.columns import Column, fitted
from destination_milvus.html import markdown
from destination_milvus.model import Document
from destination_milvus.rows import MAX_PARTITION_BYTES, OWN_LAYOUT, PARTITION, Layout

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from destination_milvus.config import Processing
    from destination_milvus.model import Json, Vector

METADATA_BYTES = 60_000
"""Most bytes of a record's metadata as JSON. A Milvus server refuses rows whose dynamic fields exceed 65,536; the
rest is left to the fields that the connector adds."""

_MAX_DEPTH = 100
"""Levels of nesting that are kept: pymilvus encodes 254, and deeper values are nobody's metadata."""

_MIN_KEPT = 100
"""A string of which fewer characters than these would be left is dropped rather than shortened."""

_INT64 = range(-(2**63), 2**63)

Location: TypeAlias = "tuple[str | int, ...]"
"""Names and list indices that lead to a value in a record."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A metadata field that is not stored as it came, in the terms of Airbyte's `_airbyte_meta.changes`."""

    field: str
    """Its name in Milvus."""
    change: Literal["NULLED", "TRUNCATED"]
    reason: Literal[
        "DESTINATION_FIELD_SIZE_LIMITATION", "DESTINATION_RECORD_SIZE_LIMITATION", "DESTINATION_TYPECAST_ERROR"
    ]

    def as_json(self) -> dict[str, str]:
        """The change as an item of Airbyte's list."""
        return {"field": self.field, "change": self.change, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of a record, fit for a row."""

    metadata: dict[str, Json]
    changes: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class BuiltDocument:
    """A document, and what its record lost on the way."""

    document: Document
    changes: tuple[FieldChange, ...]


# --- which fields -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A configured path such as `user.name` or `users.*.name`, compiled.

    A step is a name, an index of a list, or a pattern of names or indices (`*`, and as in Airbyte's CDK `custom_*`).
    A field of the record whose name is the whole path, dots included, goes first.
    """

    path: str
    steps: tuple[str | re.Pattern[str], ...]

    @classmethod
    def parse(cls, path: str) -> FieldPath:
        """The path as configured, compiled."""
        return cls(path, tuple(_step(name) for name in path.split(".")))

    @property
    def names_field(self) -> bool:
        """Whether the top-level field is named, not matched."""
        return isinstance(self.steps[0], str)

    def select(self, data: Mapping[str, Json]) -> list[tuple[Location, Json]]:
        """The values at the path, in the order of the record; none where it leads nowhere."""
        if self.path in data:
            return [((self.path,), data[self.path])]
        found: list[tuple[Location, Json]] = [((), data)]
        for step in self.steps:
            found = [((*at, key), child) for at, value in found for key, child in _children(value, step)]
        return found


def _step(name: str) -> str | re.Pattern[str]:
    return re.compile(translate(name)) if set(name) & set("*?[") else name


def _children(value: Json, step: str | re.Pattern[str]) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, list):
        if isinstance(step, str):
            index = int(step) if step.isascii() and step.isdecimal() else len(value)
            yield from ((index, item) for item in value[index : index + 1])
        else:
            yield from ((index, item) for index, item in enumerate(value) if step.match(str(index)))
    elif isinstance(value, dict):
        if isinstance(step, str):
            yield from ((key, value[key]) for key in (step,) if key in value)
        else:
            yield from ((key, item) for key, item in value.items() if step.match(key))


_PARTITION_COLUMN = Column(PARTITION, "VARCHAR", max_bytes=MAX_PARTITION_BYTES)


@dataclass(frozen=True, slots=True)
class Partition:
    """What decides about the partition of a record: a value of its stream, or a field of its own."""

    stream: str = ""
    field: str | None = None
    """Its name in Milvus."""
    paths: tuple[FieldPath, ...] = ()
    """Where the record has it; the first that leads somewhere counts."""

    @classmethod
    def by_field(cls, field: str, sources: Mapping[str, Sequence[str]]) -> Partition:
        """By a field that is stored under this name; `sources` has the paths of names that others are mapped to."""
        return cls(field=field, paths=_paths(sources.get(field, [field])))

    def of(self, data: Mapping[str, Json], metadata: Mapping[str, Json], stored: Container[str]) -> str:
        """The value for a record, as a text; empty where it has none, several, or one that is no scalar.

        Where the field is metadata of its own, that value counts, so that filters by both agree; `stored` has the names
        of all metadata, also of what Milvus cannot hold.
        """
        if self.field is None:
            value: Json = self.stream
        elif self.field in stored:
            value = metadata.get(self.field)
        else:
            found = next(filter(None, (path.select(data) for path in self.paths)), [])
            value = _storable(found[0][1], self.field, []) if len(found) == 1 else None
        return fitted(value, _PARTITION_COLUMN).value or ""


# --- the builder ------------------------------------------------------------------------------------------------------


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
    layout: Layout = OWN_LAYOUT
    """Of the collection's rows: it decides how much of a row is left for metadata."""

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
            text_fields=_paths(processing.text_fields),
            metadata_fields=_paths(processing.metadata_fields),
            html_fields=_paths(processing.html_fields),
            context_fields=_paths(processing.context_fields),
            # the first mapping of a field counts, as in Airbyte's connector
            names={mapping.from_field: mapping.to_field for mapping in reversed(processing.field_name_mappings)},
            include_names=processing.include_field_names,
            # chunks give at most half of their tokens to the context, and a token has at least one byte
            context_room=processing.chunk_size // 2,
            reserved=frozenset(reserved),
            protected=frozenset(protected),
            omitted=_paths(omitted),
            columns=columns or {},
            partition=partition,
            metadata_bytes=metadata_bytes,
        )

    def build(self, data: Mapping[str, Json], emitted_at: int, vector: Vector | None = None) -> BuiltDocument:
        """The document of a record's data; `emitted_at` in milliseconds since the epoch. `data` stays as it is."""
        text, context = self.text(data)
        metadata = self.metadata(data)
        document = Document(
            text=text, context=context, metadata=metadata.metadata, emitted_at=emitted_at, vector=vector
        )
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
        context = "\n".join(filter(None, map(_rendered, contexts.values())))
        repeated = contexts if len(context.encode()) + 2 <= self.context_room else {}
        paragraphs = (
            _labelled(name, value) if self.include_names else _rendered(value)
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
        names = _free_names(tuple(sources), self.reserved)
        changes: list[FieldChange] = []
        cleaned = ((names[name], _storable(selected[path], names[name], changes)) for name, path in sources.items())
        metadata = {name: value for name, value in cleaned if value is not None}
        changes += _fit(metadata, self.columns)
        if len(orjson.dumps(metadata)) > self.metadata_bytes:
            protected = {names[name] for name, path in sources.items() if self._is_protected(path)}
            changes += _shrink(metadata, self.metadata_bytes, protected)
        if self.partition is not None:
            metadata[PARTITION] = self.partition.of(data, metadata, {names[name] for name in sources})
        return Metadata(metadata, tuple(dict.fromkeys(changes)))

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
                    data = cast("Mapping[str, Json]", _without(data, at))
        return data

    def _without_html(self, data: Mapping[str, Json]) -> Mapping[str, Json]:
        """The record with its HTML fields as Markdown; what is not on the way to one of them is shared."""
        for path in self.html_fields:
            for at, value in path.select(data):
                if isinstance(value, str) and value:
                    data = cast("Mapping[str, Json]", _replaced(data, at, markdown(clean(value))))
        return data


def _paths(paths: Iterable[str]) -> tuple[FieldPath, ...]:
    return tuple(map(FieldPath.parse, paths))


def _without(value: Json, at: Location) -> Json:
    """A copy of `value` without what is at one place; in a list null stands there, so that no other item moves."""
    name, *rest = at
    if rest:
        return _replaced(value, (name,), _without(value[name], tuple(rest)))
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key != name}
    return _replaced(value, at, None)


def _replaced(value: Json, at: Location, new: Json) -> Json:
    """A copy of `value` with another value at one place."""
    if not at:
        return new
    copy = value.copy()
    copy[at[0]] = _replaced(value[at[0]], at[1:], new)
    return copy


# --- text -------------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text that UTF-8 and Milvus can hold: without NUL, and with U+FFFD for each half of a character.

    The two halves of one character, left apart by a careless decoder, are joined.
    """
    text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _labelled(name: str, value: Json, depth: int = 0) -> str:
    body = _rendered(value, depth)
    if not body:
        return ""
    name = clean(name)
    if isinstance(value, dict) or (isinstance(value, list) and "\n" in body):
        return f"{name}:\n{indent(body, '  ')}"
    return f"{name}:\n{body}" if "\n" in body else f"{name}: {body}"


def _rendered(value: Json, depth: int = 0) -> str:
    """A value for reading: text as it is, numbers as in JSON, objects and lists by lines; empty for nothing."""
    if isinstance(value, str):
        return clean(value).replace("\r\n", "\n").strip()
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or depth == _MAX_DEPTH:
        return ""
    if isinstance(value, dict):
        return "\n".join(filter(None, (_labelled(name, item, depth + 1) for name, item in value.items())))
    if isinstance(value, list):
        return _listed(value, depth + 1)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(values: list[Json], depth: int) -> str:
    """One line, or a line for each item where items have structure or commas of their own."""
    items = [item for item in (_rendered(value, depth) for value in values) if item]
    structured = any(isinstance(value, dict | list) for value in values)
    if structured or any("," in item or "\n" in item for item in items):
        return "\n".join("- " + indent(item, "  ").lstrip() for item in items)
    return ", ".join(items)


# --- metadata ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)  # the records of a stream have the same few sets of names
def _free_names(names: tuple[str, ...], reserved: frozenset[str]) -> Mapping[str, str]:
    """A name in Milvus for each: its own where that can be, else made free with underscores."""
    wanted = {name: clean(name) or "_" for name in names}
    final = {name: name for name, want in wanted.items() if want == name and name not in reserved}
    taken = {*reserved, *final}
    for name, want in wanted.items():
        if name not in final:
            free = want
            while free in taken:
                free += "_"
            final[name] = free
            taken.add(free)
    return final


def _storable(value: Json, name: str, changes: list[FieldChange], depth: int = 1) -> Json:
    """The value as Milvus can hold it, and into `changes` what that took away."""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, dict | list):
        return _storable_scalar(value, name, changes)
    if depth == _MAX_DEPTH:
        changes.append(FieldChange(name, "NULLED", "DESTINATION_FIELD_SIZE_LIMITATION"))
        return None
    if isinstance(value, list):
        return [_storable(item, name, changes, depth + 1) for item in value]
    names = _free_names(tuple(value), frozenset())
    return {names[key]: _storable(item, name, changes, depth + 1) for key, item in value.items()}


def _storable_scalar(value: Json, name: str, changes: list[FieldChange]) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        changes.append(FieldChange(name, "NULLED", "DESTINATION_TYPECAST_ERROR"))
        return None
    if isinstance(value, Decimal) or (isinstance(value, int) and value not in _INT64):
        # all digits stay, the number becomes a text: Airbyte has no other word for it
        changes.append(FieldChange(name, "TRUNCATED", "DESTINATION_TYPECAST_ERROR"))
        return str(value)
    return value


def _fit(metadata: dict[str, Json], columns: Mapping[str, Column]) -> list[FieldChange]:
    """Bring the values to the types of their columns; one that does not fit goes, and is null there."""
    changes = []
    for name in [name for name in metadata if name in columns]:
        fit = fitted(metadata[name], columns[name])
        if fit.change == "TRUNCATED":
            changes.append(FieldChange(name, "TRUNCATED", "DESTINATION_FIELD_SIZE_LIMITATION"))
        elif fit.change:
            changes.append(FieldChange(name, "NULLED", "DESTINATION_TYPECAST_ERROR"))
        if fit.value is None:
            del metadata[name]
        else:
            metadata[name] = fit.value
    return changes


def _shrink(metadata: dict[str, Json], size: int, protected: set[str]) -> list[FieldChange]:
    """Bring `metadata` to `size` bytes, the largest values first; what is protected stays in any case."""
    excess = len(orjson.dumps(metadata)) - size
    changes: list[FieldChange] = []
    sizes = {name: len(orjson.dumps({name: value})) for name, value in metadata.items() if name not in protected}
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        changes.append(_shortened(metadata, name, excess))
        excess -= sizes[name] - (len(orjson.dumps({name: metadata[name]})) if name in metadata else 1)
    return changes


def _shortened(metadata: dict[str, Json], name: str, excess: int) -> FieldChange:
    """Take `excess` bytes from a value: the end of a string, all of anything else."""
    value = metadata[name]
    kept = _prefix(value, len(orjson.dumps(value)) - excess) if isinstance(value, str) else ""
    if len(kept) < _MIN_KEPT:
        del metadata[name]
        return FieldChange(name, "NULLED", "DESTINATION_RECORD_SIZE_LIMITATION")
    metadata[name] = kept
    return FieldChange(name, "TRUNCATED", "DESTINATION_RECORD_SIZE_LIMITATION")


def _prefix(text: str, size: int) -> str:
    """A beginning of `text` with at most `size` bytes as JSON, quotes and escapes included."""
    while text and (now := len(orjson.dumps(text))) > size:
        text = text[: len(text) * max(size, 0) // now]
    return text
