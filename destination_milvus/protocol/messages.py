"""Lines of the Airbyte protocol → messages, and back.

The CDK's own parser is not used for input: it drops the `id` that the platform puts on a STATE and wants back, it ends
the sync on message types that it does not know, skips and logs in full what is not strict JSON, and rounds numbers
(docs/adr/0003). What a destination does not need to know is passed over here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from destination_milvus.errors import InternalError
from destination_milvus.fields import INT64
from destination_milvus.model import Json
from destination_milvus.protocol.exact_json import read


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
    raw_id: str | None = None
    """The id that Airbyte gave it when another destination wrote it to a file; messages have none."""
    place: str = ""
    """Where it stands, for an error about it: a file and a line; empty for messages of a source."""


@dataclass(frozen=True, slots=True)
class State:
    """One STATE, as received: it is echoed byte for byte, not understood."""

    before: bytes
    """Its line up to the value of `destinationStats`."""
    after: bytes
    stream: tuple[str, str | None] | None
    """(name, namespace) of a STREAM state; None for states that cover all streams."""

    @property
    def size(self) -> int:
        """Bytes of its line, about."""
        return len(self.before) + len(self.after)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One TRACE with the status of a stream."""

    name: str
    namespace: str | None
    status: str
    """STARTED, RUNNING, COMPLETE or INCOMPLETE."""


Message: TypeAlias = Record | State | StreamStatus


def parse_line(line: bytes, number: int) -> Message | None:
    """The message of a line; None for those that do not concern a destination.

    Raises:
        InternalError: the line is no JSON object, or a message without its parts. The error names the line's number
            and not its content, which may be anybody's data.
    """
    return message_of(_loads(line, number), line, number) if line.strip() else None


def message_of(loaded: Mapping[str, Json], line: bytes, number: int) -> Message | None:
    """The message of an object, which stands in this line. Raises as `parse_line`."""
    try:
        return _message(loaded, line)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        raise InternalError(
            f"Line {number} of the input is not a valid Airbyte message: a required part is missing or of another "
            "type. The source or the platform sent it so; nothing after it was read."
        ) from None


def _loads(line: bytes, number: int) -> Mapping[str, Json]:
    loaded = read(line)
    if not isinstance(loaded, dict):
        raise InternalError(
            f"Line {number} of the input is not valid JSON. The source or the platform sent it damaged or cut off; "
            "nothing after it was read."
        )
    return loaded


def _message(message: Mapping[str, Json], line: bytes) -> Message | None:
    kind = message["type"]
    if kind == "RECORD":
        return _record(message["record"], len(line))
    if kind == "STATE":
        stream = _state_stream(message["state"])
        return State(*_around_destination_stats(line), stream)
    if kind == "TRACE":
        return _stream_status(message["trace"])
    return None


def _record(record: Mapping[str, Json], size: int) -> Record:
    data = record["data"]
    if not isinstance(data, dict):
        raise TypeError
    meta = record.get("meta") or {}
    name, namespace = _stream(record, "stream")
    emitted_at = record["emitted_at"]
    if isinstance(emitted_at, Decimal) or (emitted_at := int(emitted_at)) not in INT64:
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


_VALUES = json.JSONDecoder(parse_float=str, parse_int=str)
_BLANKS = re.compile(r"[ \t\r\n]*")


def _around_destination_stats(line: bytes) -> tuple[bytes, bytes]:
    """The line of a STATE before and after the value of its `destinationStats`, whose name is put in where it lacks."""
    text = line.decode("utf-8", "surrogatepass").strip()
    _, begin, _ = next(member for member in reversed(_members(text, 0)) if member[0] == "state")
    members = _members(text, begin)
    for name, start, end in reversed(members):
        if name == "destinationStats":
            return _encoded(text[:start]), _encoded(text[end:])
    end = members[-1][2] if members else begin + 1
    comma = "," if members else ""
    return _encoded(f'{text[:end]}{comma}"destinationStats":'), _encoded(text[end:])


def _members(text: str, begin: int) -> list[tuple[str, int, int]]:
    """Name, start and end of each value of the object that begins at a place of a valid JSON text."""
    members = []
    at = _after_blanks(text, begin + 1)
    while text[at] != "}":
        name, at = _VALUES.raw_decode(text, at)
        start = _after_blanks(text, _after_blanks(text, at) + 1)
        _, end = _VALUES.raw_decode(text, start)
        members.append((name, start, end))
        at = _after_blanks(text, end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)
    return members


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    assert blanks is not None  # noqa: S101 - it matches nothing, too
    return blanks.end()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")  # of half a character that makes JSON's own escape


def acknowledged(state: State, *, records: int, rejected: int = 0) -> bytes:
    """The line that gives a STATE back, with the numbers of records stored and skipped since the one before it.

    The protocol wants the counts as doubles. `rejectedRecordCount` exists from protocol 0.18 on and is left out at 0.
    """
    stats: dict[str, float] = {"recordCount": float(records)}
    if rejected:
        stats["rejectedRecordCount"] = float(rejected)
    return state.before + json.dumps(stats, separators=(",", ":")).encode() + state.after
