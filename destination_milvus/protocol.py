"""Lines of the Airbyte protocol → messages, and back.

The CDK's own parser is not used for input: it drops the `id` that the platform puts on a STATE and wants back, it ends
the sync on message types that it does not know, skips and logs in full what is not strict JSON, and turns integers
beyond 64 bits into floats (docs/adr/0003). What a destination does not need to know is passed over here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from destination_milvus.errors import InternalError
from destination_milvus.model import Json

_ZERO_FOR_ALL_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MAY_EXCEED_64_BITS = b"0" * 19
"""After translation. That takes a sixth of the time of a regular expression, which would be most of the parsing."""
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Record:
    """One RECORD."""

    name: str
    namespace: str | None
    data: Mapping[str, Json]
    emitted_at: int
    """Milliseconds since the epoch."""
    changes: tuple[Mapping[str, Json], ...] = ()
    """What source and platform nulled or cut on the way (`meta.changes`)."""
    size: int = field(default=0, compare=False)
    """Bytes of its line."""


@dataclass(frozen=True, slots=True)
class State:
    """One STATE, as received: it is echoed, not understood."""

    message: Mapping[str, Json]
    stream: tuple[str, str | None] | None
    """(name, namespace) of a STREAM state; None for states that cover all streams."""
    size: int = field(default=0, compare=False)
    """Bytes of its line."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One TRACE with the status of a stream."""

    name: str
    namespace: str | None
    status: str
    """STARTED, RUNNING, COMPLETE or INCOMPLETE."""


Message: TypeAlias = Record | State | StreamStatus


def parse(line: bytes, number: int) -> Message | None:
    """The message of a line; None for those that do not concern a destination.

    Raises:
        InternalError: the line is no JSON object, or a message without its parts. The error names the line's number
            and not its content, which may be anybody's data.
    """
    if not line.strip():
        return None
    message = _loads(line, number)
    try:
        return _message(message, len(line))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise InternalError(
            f"Line {number} of the input is not a valid Airbyte message: a required part is missing or of another "
            "type. The source or the platform sent it so; nothing after it was read."
        ) from None


def _loads(line: bytes, number: int) -> Mapping[str, Json]:
    try:
        # orjson rounds integers beyond 64 bits to floats; Python's parser keeps their digits
        has_long_number = _MAY_EXCEED_64_BITS in line.translate(_ZERO_FOR_ALL_DIGITS)
        loaded = json.loads(line) if has_long_number else orjson.loads(line)
    except (ValueError, RecursionError):
        loaded = _loads_leniently(line)
    if not isinstance(loaded, dict):
        raise InternalError(
            f"Line {number} of the input is not valid JSON. The source or the platform sent it damaged or cut off; "
            "nothing after it was read."
        )
    return loaded


def _loads_leniently(line: bytes) -> Json:
    """NaN, Infinity and lone surrogates are no standard JSON, but sources send them."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None


def _message(message: Mapping[str, Json], size: int) -> Message | None:
    kind = message["type"]
    if kind == "RECORD":
        return _record(message["record"], size)
    if kind == "STATE":
        return State(message, _state_stream(message["state"]), size)
    if kind == "TRACE":
        return _stream_status(message["trace"])
    return None


def _record(record: Mapping[str, Json], size: int) -> Record:
    data = record["data"]
    if not isinstance(data, dict):
        raise TypeError
    meta = record.get("meta") or {}
    name, namespace = _stream(record, "stream")
    emitted_at = int(record["emitted_at"])
    if emitted_at not in _INT64:
        raise ValueError
    return Record(
        name=name,
        namespace=namespace,
        data=data,
        emitted_at=emitted_at,
        changes=tuple(change for change in meta.get("changes") or () if isinstance(change, dict)),
        size=size,
    )


def _stream(descriptor: Mapping[str, Json], name: str) -> tuple[str, str | None]:
    found, namespace = descriptor[name], descriptor.get("namespace")
    if not isinstance(found, str) or not isinstance(namespace, str | None):
        raise TypeError
    return found, namespace or None


def _state_stream(state: Mapping[str, Json]) -> tuple[str, str | None] | None:
    if state.get("type") != "STREAM":
        return None
    return _stream(state["stream"]["stream_descriptor"], "name")


def _stream_status(trace: Mapping[str, Json]) -> StreamStatus | None:
    if trace.get("type") != "STREAM_STATUS":
        return None
    status = trace["stream_status"]
    return StreamStatus(*_stream(status["stream_descriptor"], "name"), status["status"])


def acknowledged(state: State, *, records: int, rejected: int = 0) -> bytes:
    """The line that gives a STATE back, with the numbers of records stored and skipped since the one before it.

    The protocol wants the counts as doubles. `rejectedRecordCount` exists from protocol 0.18 on and is left out at 0.
    """
    stats: dict[str, float] = {"recordCount": float(records)}
    if rejected:
        stats["rejectedRecordCount"] = float(rejected)
    body = {**state.message["state"], "destinationStats": stats}
    # not orjson: it refuses integers beyond 64 bits and lone surrogates, and makes null of NaN
    return json.dumps({**state.message, "state": body}, separators=(",", ":")).encode()
