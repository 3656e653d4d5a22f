"""Vectors out of the JSON of an answer, and the doubts that an answer deserves. Pure.

A vector under the wrong text, of the wrong length or not finite would be stored, never found and never noticed.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
import pybase64

from destination_milvus.embedding.failures import Service, broken_answer
from destination_milvus.errors import ConfigError
from destination_milvus.model import Json, Refusal, Vector

NOT_FINITE = Refusal("the embedding model returned a vector with values that are not numbers")
ZERO = Refusal("the embedding model returned a vector of zeros, which no search can find")

_HIGHEST_BYTE = 3 if sys.byteorder == "little" else 0
_FULL_EXPONENT = (b"\x7f", b"\xff")


class Answer(NamedTuple):
    """What a service made of the texts of one request."""

    vectors: list[Vector | Refusal]
    """One a text, in the order of the request."""
    tokens: int
    """What it counted; 0 where it does not tell."""


def body(content: bytes, service: Service) -> Mapping[str, Json]:
    """The JSON object of an answer.

    Raises:
        Unavailable: it is none.
    """
    parsed = _parse(content)
    if not isinstance(parsed, Mapping):
        raise broken_answer(service, "something that is not JSON" if parsed is None else "unknown JSON")
    return parsed


def in_order(data: Json, count: int, service: Service) -> list[Json]:
    """The `embedding` of every item of OpenAI's `data`, in the order of the texts.

    The API does not promise an order: `index` tells it. Servers that leave `index` out keep the order.

    Raises:
        Unavailable: other than one item for each of `count` texts.
    """
    items = data if isinstance(data, list) and all(isinstance(item, Mapping) for item in data) else []
    if len(items) != count:
        raise broken_answer(service, f"{len(items)} items for {count} texts")
    indexes = [item.get("index") for item in items]
    if any(index is not None for index in indexes):
        if {index for index in indexes if isinstance(index, int)} != set(range(count)):
            raise broken_answer(service, "items that do not say which text they belong to")
        items.sort(key=lambda item: int(item["index"]))
    return [item.get("embedding") for item in items]


def vectors(embeddings: Json, count: int, dimensions: int, service: Service) -> list[Vector | Refusal]:
    """One vector a text, out of base64 (little-endian float32) or lists of numbers.

    A vector that is not finite, or zero, is a property of its text and its model: asking again gives it again,
    so that one text is refused.

    Raises:
        Unavailable: other than `count` embeddings, or some that cannot be decoded.
        ConfigError: vectors of another length than `dimensions`.
    """
    if not isinstance(embeddings, Sequence) or len(embeddings) != count:
        raise broken_answer(service, f"another number of vectors than the {count} asked for")
    return [_checked(_decode(embedding, service), dimensions, service) for embedding in embeddings]


def token_count(usage: Json, *path: str) -> int:
    """The number at a path of nested objects; 0 where there is none."""
    for name in path:
        usage = usage.get(name) if isinstance(usage, Mapping) else None
    return int(usage) if isinstance(usage, int | float) and math.isfinite(usage) else 0


def _parse(content: bytes) -> Json:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _parse_leniently(content)


def _parse_leniently(content: bytes) -> Json:
    """Some Python servers write NaN, which is no JSON; one such vector must not cost the others of its request."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _decode(embedding: Json, service: Service) -> Vector:
    try:
        return _from_base64(embedding) if isinstance(embedding, str) else _from_numbers(embedding)
    except (TypeError, ValueError):
        raise broken_answer(service, "vectors that cannot be decoded") from None


def _from_base64(text: str) -> Vector:
    vector = array("f")
    vector.frombytes(pybase64.b64decode(text))  # an eighth of the time of the standard library's
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def _from_numbers(numbers: Json) -> Vector:
    """Some servers write NaN as null."""
    if not isinstance(numbers, list):
        raise TypeError("not a list")
    return array("f", [math.nan if number is None else number for number in numbers])


def _checked(vector: Vector, dimensions: int, service: Service) -> Vector | Refusal:
    if len(vector) != dimensions:
        raise ConfigError(
            f"{service.name} returned a vector of {len(vector)} dimensions where the configuration has {dimensions}: "
            f"check {service.model} and the dimensions set for it."
        )
    if not _is_finite(vector):
        return NOT_FINITE
    return vector if any(vector) else ZERO


def _is_finite(vector: Vector) -> bool:
    """Whether no component is NaN or infinite.

    Those have all bits of the exponent set, so that their highest byte is 7F or FF: to look for these bytes takes
    1 µs, to look at 1,536 numbers 15. NaN and infinity survive a sum, and finite float32 values cannot overflow
    the double that adds them up.
    """
    highest = vector.tobytes()[_HIGHEST_BYTE :: vector.itemsize]
    return not any(byte in highest for byte in _FULL_EXPONENT) or math.isfinite(sum(vector))
