"""A record's metadata, as a row of Milvus can hold it; every loss is told, in Airbyte's words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import orjson

from destination_milvus.collection import Column
from destination_milvus.documents.columns import fitted
from destination_milvus.documents.text import clean
from destination_milvus.fields import INT64, MAX_DEPTH
from destination_milvus.model import Json

METADATA_BYTES = 60_000
"""Most bytes of a record's metadata as JSON. A Milvus server refuses rows whose dynamic fields exceed 65,536; the
rest is left to the fields that the connector adds."""

_MIN_KEPT = 100
"""A string of which fewer characters than these would be left is dropped rather than shortened."""


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
    as_json: bytes = b""
    """As `model.metadata_json` writes it; empty where it was cut, or given more, after it was measured."""


@lru_cache(maxsize=64)  # the records of a stream have the same few sets of names
def free_names(names: tuple[str, ...], reserved: frozenset[str]) -> Mapping[str, str]:
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


def storable(value: Json, name: str, changes: list[FieldChange], depth: int = 1) -> Json:
    """The value as Milvus can hold it, and into `changes` what that took away."""
    if isinstance(value, str):
        return clean(value)
    if not isinstance(value, dict | list):
        return _storable_scalar(value, name, changes)
    if depth == MAX_DEPTH:
        changes.append(FieldChange(name, "NULLED", "DESTINATION_FIELD_SIZE_LIMITATION"))
        return None
    if isinstance(value, list):
        return [storable(item, name, changes, depth + 1) for item in value]
    names = free_names(tuple(value), frozenset())
    return {names[key]: storable(item, name, changes, depth + 1) for key, item in value.items()}


def _storable_scalar(value: Json, name: str, changes: list[FieldChange]) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        changes.append(FieldChange(name, "NULLED", "DESTINATION_TYPECAST_ERROR"))
        return None
    if isinstance(value, Decimal) or (isinstance(value, int) and value not in INT64):
        # all digits stay, the number becomes a text: Airbyte has no other word for it
        changes.append(FieldChange(name, "TRUNCATED", "DESTINATION_TYPECAST_ERROR"))
        return str(value)
    return value


def fit(metadata: dict[str, Json], columns: Mapping[str, Column]) -> list[FieldChange]:
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


def shrink(metadata: dict[str, Json], size: int, protected: set[str]) -> list[FieldChange]:
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
