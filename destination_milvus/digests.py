"""Names and digests: which record this is, which row, and whether two versions are the same.

All digests are 128-bit BLAKE2b in hex (32 characters): a collision among 10 billion rows has odds below 1 in 10^18.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from hashlib import blake2b

import orjson

from destination_milvus.model import Document, Json, RecordKey

DIGEST_BYTES = 16
DIGEST_CHARACTERS = 2 * DIGEST_BYTES
_PLAIN = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Rounds nothing."""
_PLAIN_DIGITS = 400
"""Whole numbers of more digits, which are none of a key's, are written with an exponent: it may have any size."""


def stream_identifier(name: str, namespace: str | None) -> str:
    """Airbyte's identifier of a stream in vector stores, held by `_ab_stream`."""
    return f"{namespace}_{name}" if namespace else name


def record_id(stream: str, key: Sequence[Json]) -> str:
    """What `_ab_record_id` holds: `{stream}_{key}`, the key of several columns as a JSON array.

    Keys that differ have different ids, but for their type: 7, 7.0 and "7" are one record, because columns change type
    at their source. A text that Milvus cannot store as it is (NUL, lone surrogates) stands in JSON, in quotes.
    """
    return f"{stream}_{_one(key[0]) if len(key) == 1 else canonical_json([_text(part) for part in key])}"


def _one(part: Json) -> str:
    text = _text(part)
    return _escaped(text) if text.startswith('"') or is_unfit(text) else text


def is_unfit(text: str) -> bool:
    """Whether Milvus cannot store a text as it is: NUL, and halves of characters (lone surrogates)."""
    return "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text))


def _text(part: Json) -> str:
    if isinstance(part, float):
        return _number(part)
    if isinstance(part, Decimal):
        return _decimal(part)
    return part if isinstance(part, str) else canonical_json(part)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)  # JSON would make null of all of them
    return _decimal(Decimal(repr(value))) if value.is_integer() else canonical_json(value)


def _decimal(value: Decimal) -> str:
    """All digits, and no zeros behind the point: one text for equal numbers, also for an int."""
    value = _EXACT.normalize(value)
    return str(int(value)) if 0 <= value.adjusted() < _PLAIN_DIGITS and value == value.to_integral() else str(value)


def canonical_json(value: Json) -> str:
    """JSON with sorted keys and no blanks; what Milvus cannot store is escaped."""
    try:
        text = orjson.dumps(value, option=_PLAIN, default=_decimal).decode()
    except TypeError:  # integers beyond 64 bits and lone surrogates: Python's own encoder knows them
        return _escaped(value)
    return text


def _escaped(value: Json) -> str:
    import json  # noqa: PLC0415 - the rare path

    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_decimal)


def chunk_key(record: RecordKey, number: int) -> str:
    """Primary key of a row: the same for the same chunk of the same record, in every run."""
    # the length in front keeps (stream, id) pairs apart whose concatenations are equal
    return _digest(f"{len(record.stream)}:{record.stream}{number}:{record.record_id}".encode())


def text_hash(text: str, model: str, vector: bytes = b"") -> str:
    """Equal for texts whose vectors are equal: salted with the embedding model, and with a vector that came along."""
    return _digest(model.encode(), text.encode(), vector)


def row_fingerprint(chunk_hash: str, metadata: bytes, row_format: str) -> str:
    """Equal for rows 1 … that need not be written again."""
    return _digest(chunk_hash.encode(), metadata, row_format.encode())


def fingerprint(document: Document, generation: int, row_format: str) -> str:
    """Of one version of a record, in one generation, under one row_format: equal means that nothing is to be done."""
    vector = document.vector.tobytes() if document.vector is not None else b""
    return _digest(
        document.text.encode(),
        document.context.encode(),
        document.metadata_json,
        vector,
        str(generation).encode(),
        row_format.encode(),
    )


def row_format(*parts: Json) -> str:
    """Digest of everything besides the record that decides what its rows look like."""
    return _digest(orjson.dumps(parts, option=_PLAIN))


def _digest(*parts: bytes) -> str:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        # each part's length goes first, so that moving a border between parts changes the digest
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
