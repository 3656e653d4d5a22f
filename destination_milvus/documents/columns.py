"""Typed columns for metadata: which a catalog gives rise to, and what of a value fits into one. No IO.

A column holds what its type holds. A value that does not fit becomes null, with a `FieldChange` that says so: one odd
value must not end a sync, and an invented one would be found by filters.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import orjson

from destination_milvus.collection import Column, Scalar
from destination_milvus.fields import truncated
from destination_milvus.model import Json

_INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
_MAX_FLOAT = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a column takes of a value."""

    value: Json
    """None where nothing of it fits."""
    change: Literal["NULLED", "TRUNCATED"] | None = None


NOTHING = Fitted(None, "NULLED")


def fitted(value: Json, column: Column) -> Fitted:
    """A metadata value as its column holds it; null fits no typed one."""
    if column.type is None:
        return Fitted(value)
    if column.type != "ARRAY":
        return _scalar(value, column.type, column.max_bytes)
    if not isinstance(value, list) or len(value) > column.capacity or column.element is None:
        return NOTHING
    elements = [_scalar(item, column.element, column.max_bytes) for item in value]
    # an array has no nulls, and one with a part of its elements would be found and not found by the wrong filters
    return NOTHING if any(item.change for item in elements) else Fitted([item.value for item in elements])


def _scalar(value: Json, kind: Scalar, max_bytes: int) -> Fitted:
    if value is None or isinstance(value, list | dict):
        return NOTHING
    if kind == "VARCHAR":
        return _text(value if isinstance(value, str) else orjson.dumps(value).decode(), max_bytes)
    if kind == "BOOL":
        return Fitted(value) if isinstance(value, bool) else NOTHING
    if isinstance(value, bool | str):
        return NOTHING
    if kind in _INTEGERS:
        bits = _INTEGERS[kind] - 1
        return Fitted(int(value)) if value == int(value) and -(2**bits) <= value < 2**bits else NOTHING
    # an integer that a float cannot hold exactly would equal its neighbours
    number = float(value)
    return Fitted(number) if number == value and (kind == "DOUBLE" or abs(number) <= _MAX_FLOAT) else NOTHING


def _text(value: str, max_bytes: int) -> Fitted:
    kept = truncated(value, max_bytes)
    return Fitted(value) if kept == value else Fitted(kept, "TRUNCATED")
