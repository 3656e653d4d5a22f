"""What Airbyte's platform asks of a destination in `write`: rules, and a judge that fails on the first breach.

The judge hears everything that passes between the platform and the destination, in order:

    sent(line)                  the platform has written a line to the destination's standard input
    received(line, stored)      the destination has written a line; `stored` is what Milvus holds at that moment
    ended(exit_code, stderr)    the destination has ended

What a source says is judged line by line, by `require_source_line`.

No IO: what is stored is read by somebody else, from outside. It shares no code with the connector, so that it cannot be
wrong in the same way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airbyte_cdk.models import AirbyteMessageSerializer

Message: TypeAlias = Mapping[str, Any]
StreamName: TypeAlias = tuple[str, str | None]
"""(name, namespace)."""

VERSION = "updated_at"
"""Field of a record that tells its versions apart."""

DELETED = None
"""In the place of a version: the record is gone."""


class Breach(AssertionError):
    """The destination has broken a rule."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as Milvus holds it."""

    stream: str
    """As `_ab_stream` says: `name`, or `namespace_name`."""
    record_id: str
    version: str | None
    whole: bool
    """Whether all its chunks are there and its head says so."""


@dataclass(frozen=True, slots=True)
class SentRecord:
    """A record that the platform sent."""

    stream: StreamName
    record_id: str | None
    """None in streams without a key."""
    version: str | None


@dataclass(frozen=True, slots=True)
class SentState:
    """A state that is to come back."""

    message: Message
    records: int
    """Records that it covers and no state before it does."""
    position: int
    """Number of records sent before it."""


@dataclass
class Conversation:
    """All that matters of what has passed so far."""

    catalog: Message
    records: list[SentRecord] = field(default_factory=list)
    unanswered: list[SentState] = field(default_factory=list)
    statuses: dict[StreamName, str] = field(default_factory=dict)
    error: Message | None = None
    stored: Sequence[StoredRecord] | None = None
    """What Milvus holds now; None where nobody has looked."""

    @property
    def streams(self) -> Mapping[StreamName, Message]:
        """The configured streams by name."""
        return {_descriptor(configured["stream"]): configured for configured in self.catalog["streams"]}

    @property
    def is_incomplete(self) -> bool:
        """Whether a stream did not complete: none was said to, where any status came or generations are counted."""
        return any(
            self.statuses.get(name) != "COMPLETE" and (self.statuses or configured.get("generation_id") is not None)
            for name, configured in self.streams.items()
        )


LineRule: TypeAlias = Callable[[Conversation, Message], str | None]
EndRule: TypeAlias = Callable[[Conversation, int, str], str | None]
"""Each gives what is wrong, or None. The first line of its docstring is the rule."""


# --- rules of a line --------------------------------------------------------------------------------------------------


def says_what_a_destination_says(_: Conversation, message: Message) -> str | None:
    """A destination that writes says LOG, TRACE and STATE, in the shape of the protocol's own models."""
    if message.get("type") not in {"LOG", "TRACE", "STATE"}:
        return f"its type is {message.get('type')!r}"
    try:
        AirbyteMessageSerializer.load(message)
    except Exception as error:  # noqa: BLE001 - whatever the models refuse
        return f"the models refuse it: {error}"
    return None


def ends_with_its_error(conversation: Conversation, message: Message) -> str | None:
    """Nothing follows the error that ends a sync."""
    return None if conversation.error is None else f"a {message['type']} follows it"


def gives_back_what_was_sent(conversation: Conversation, message: Message) -> str | None:
    """Each state that comes was sent, and comes once."""
    if message["type"] == "STATE" and not conversation.unanswered:
        return "nobody waits for a state"
    return None


def keeps_the_id(conversation: Conversation, message: Message) -> str | None:
    """The platform's integer `id` comes back with its state, and states come in the order in which they were sent."""
    if message["type"] != "STATE":
        return None
    expected = conversation.unanswered[0].message["state"]["id"]
    found = message["state"].get("id")
    return None if type(found) is int and found == expected else f"{expected} is next, and {found!r} came"


def leaves_the_state_alone(conversation: Conversation, message: Message) -> str | None:
    """A state comes back as it was sent, but for `destinationStats`."""
    if message["type"] != "STATE":
        return None
    sent = conversation.unanswered[0].message
    body = {name: value for name, value in message["state"].items() if name != "destinationStats"}
    return None if _as_text({**message, "state": body}) == _as_text(sent) else f"sent was {_as_text(sent)}"


def counts_in_doubles(_: Conversation, message: Message) -> str | None:
    """`destinationStats` counts records in doubles."""
    if message["type"] != "STATE":
        return None
    stats = message["state"].get("destinationStats")
    counts = list(stats.values()) if isinstance(stats, dict) else []
    doubles = all(type(count) is float and count >= 0 for count in counts)
    return None if doubles and "recordCount" in (stats or {}) else f"it says {stats}"


def counts_every_record(conversation: Conversation, message: Message) -> str | None:
    """Stored and rejected records of a state are those that were sent since the state before it."""
    if message["type"] != "STATE":
        return None
    stats = message["state"]["destinationStats"]
    counted = stats["recordCount"] + stats.get("rejectedRecordCount", 0.0)
    expected = conversation.unanswered[0].records
    return None if counted == expected else f"{expected} were sent, {counted:g} are counted"


def is_durable(conversation: Conversation, message: Message) -> str | None:
    """When a state comes, every record before it is in Milvus, whole and in its newest version."""
    if message["type"] != "STATE" or conversation.stored is None:
        return None
    return next(_missing(conversation, conversation.unanswered[0].position), None)


def explains_its_error(conversation: Conversation, message: Message) -> str | None:
    """An error has a sentence, a failure type, and a stream that the platform knows."""
    if message["type"] != "TRACE" or message["trace"].get("type") != "ERROR":
        return None
    error = message["trace"]["error"]
    if not error.get("message", "").strip() or "Traceback" in error["message"]:
        return f"its message is {error.get('message')!r}"
    if error.get("failure_type") not in {"config_error", "transient_error", "system_error"}:
        return f"its failure type is {error.get('failure_type')!r}"
    known = {*conversation.streams, *(record.stream for record in conversation.records)}
    descriptor = error.get("stream_descriptor")
    if descriptor is not None and _descriptor(descriptor) not in known:
        return f"its stream is {descriptor}"
    return None


LINE_RULES: Sequence[LineRule] = (
    says_what_a_destination_says,
    ends_with_its_error,
    gives_back_what_was_sent,
    keeps_the_id,
    leaves_the_state_alone,
    counts_in_doubles,
    counts_every_record,
    is_durable,
    explains_its_error,
)
"""In this order: later ones rely on what earlier ones have seen to."""


# --- rules of the end -------------------------------------------------------------------------------------------------


def exits_as_the_platform_reads_it(_: Conversation, exit_code: int, __: str) -> str | None:
    """0 is a success, 1 a failure, 143 an end by SIGTERM."""
    return None if exit_code in {0, 1, 143} else f"it was {exit_code}"


def keeps_standard_error_empty(_: Conversation, __: int, stderr: str) -> str | None:
    """What a user should see is a message; nothing is said on standard error."""
    return f"it said {stderr[:200]!r}" if stderr else None


def tells_why_it_failed(conversation: Conversation, exit_code: int, _: str) -> str | None:
    """A failure has an error trace, and a success has none."""
    if (conversation.error is None) == (exit_code == 0):
        return None
    return f"it ended with {exit_code} and {'no' if conversation.error is None else 'an'} error"


def answers_every_state(conversation: Conversation, exit_code: int, _: str) -> str | None:
    """A sync that succeeds has given back every state; so has one whose source did not complete."""
    if exit_code == 143 or not conversation.unanswered or (exit_code == 1 and not conversation.is_incomplete):
        return None
    return f"{len(conversation.unanswered)} are missing"


def does_not_call_incomplete_complete(conversation: Conversation, exit_code: int, _: str) -> str | None:
    """A stream that the source did not complete makes a failure that the platform tries again."""
    if not conversation.is_incomplete or exit_code != 0:
        return None
    return f"it ended with 0 after {conversation.statuses}"


END_RULES: Sequence[EndRule] = (
    exits_as_the_platform_reads_it,
    keeps_standard_error_empty,
    tells_why_it_failed,
    answers_every_state,
    does_not_call_incomplete_complete,
)


# --- the judge --------------------------------------------------------------------------------------------------------


class Judge:
    """Hears a sync and fails on the first breach."""

    def __init__(self, catalog: Message) -> None:
        self.conversation = Conversation(catalog)
        self._uncounted: Counter[StreamName] = Counter()

    def sent(self, line: str) -> None:
        """The platform has written a line; one that is no message of interest may be anything."""
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            return
        if kind == "RECORD":
            self._sent_record(message["record"])
        elif kind == "STATE":
            self._sent_state(message)
        elif kind == "TRACE" and message["trace"].get("type") == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            self.conversation.statuses[_descriptor(status["stream_descriptor"])] = status["status"]

    def _sent_record(self, record: Message) -> None:
        stream = record["stream"], record.get("namespace") or None
        data = record["data"]
        key = _key(self.conversation.streams.get(stream), data)
        deleted = key is not None and data.get("_ab_cdc_deleted_at")
        version = DELETED if deleted else str(data.get(VERSION))
        record_id = None if key is None else f"{identifier(stream)}_{key}"
        self.conversation.records.append(SentRecord(stream, record_id, version))
        self._uncounted[stream] += 1

    def _sent_state(self, message: Message) -> None:
        state = message["state"]
        if state.get("type") == "STREAM":
            covered = self._uncounted.pop(_descriptor(state["stream"]["stream_descriptor"]), 0)
        else:
            covered = sum(self._uncounted.values())
            self._uncounted.clear()
        self.conversation.unanswered.append(SentState(message, covered, len(self.conversation.records)))

    def received(self, line: bytes, stored: Sequence[StoredRecord] | None = None) -> Message:
        """The destination has written a line.

        Args:
            line: as it came.
            stored: what Milvus holds now, where somebody has looked.

        Raises:
            Breach: of the first rule that it breaks.
        """
        message = _parsed(line)
        self.conversation.stored = stored
        for rule in LINE_RULES:
            _require(rule, rule(self.conversation, message), line)
        if message["type"] == "STATE":
            self.conversation.unanswered.pop(0)
        elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
            self.conversation.error = message["trace"]["error"]
        return message

    def ended(self, exit_code: int, stderr: str) -> None:
        """The destination has ended.

        Raises:
            Breach: of the first rule that its end breaks.
        """
        for rule in END_RULES:
            _require(rule, rule(self.conversation, exit_code, stderr), str(self.conversation.error).encode())


def require_source_line(catalog: Message, line: str) -> None:
    """A source that reads says LOG, TRACE, RECORD and STATE, of the streams that were asked for.

    Raises:
        Breach: the line is none of these.
    """
    message = _parsed(line.encode())
    if message.get("type") not in {"LOG", "TRACE", "RECORD", "STATE"}:
        raise Breach(f"A source that reads says LOG, TRACE, RECORD and STATE: {line[:500]}")
    try:
        AirbyteMessageSerializer.load(message)
    except Exception as error:
        raise Breach(f"A source keeps to the models of the protocol ({error}): {line[:500]}") from error
    asked = {configured["stream"]["name"] for configured in catalog["streams"]}
    if named := set(_streams_of(message)) - asked:
        raise Breach(f"A source speaks of the streams of its catalog, and not of {named}: {line[:500]}")


def _streams_of(message: Message) -> Iterator[str]:
    if message["type"] == "RECORD":
        yield message["record"]["stream"]
    if message["type"] == "STATE" and message["state"].get("type") == "STREAM":
        yield message["state"]["stream"]["stream_descriptor"]["name"]
    if message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
        yield message["trace"]["stream_status"]["stream_descriptor"]["name"]


def _parsed(line: bytes) -> Message:
    """A line as strict JSON: NaN and Infinity are none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        message = json.loads(line, parse_constant=refuse)
    except ValueError as error:
        raise Breach(f"Every line is a JSON object: {line[:500]!r} is none ({error}).") from None
    if not isinstance(message, dict):
        raise Breach(f"Every line is a JSON object: {line[:500]!r} is none.")
    return message


def _require(rule: LineRule | EndRule, complaint: str | None, context: bytes) -> None:
    if complaint is not None:
        sentence = (rule.__doc__ or "").splitlines()[0]
        raise Breach(f"{sentence} Here {complaint}: {context[:500].decode(errors='replace')}")


def identifier(stream: StreamName) -> str:
    """What `_ab_stream` holds."""
    name, namespace = stream
    return f"{namespace}_{name}" if namespace else name


def _descriptor(named: Message) -> StreamName:
    return named["name"], named.get("namespace") or None


def _key(configured: Message | None, data: Message) -> Any:
    """The value of a key of one column; None where the stream has no key or is not in the catalog."""
    if configured is None or configured.get("destination_sync_mode") == "append" or not configured.get("primary_key"):
        return None
    ((column,),) = configured["primary_key"]
    return data.get(column)


def _as_text(message: Message) -> str:
    """In JSON 1, 1.0 and true differ."""
    return json.dumps(message, sort_keys=True)


def _missing(conversation: Conversation, position: int) -> Iterator[str]:
    """What is not stored of the first `position` records.

    A newer version that was sent meanwhile may be there already, or on its way.
    """
    stored = conversation.stored or ()
    sent, meanwhile = conversation.records[:position], conversation.records[position:]
    newest = {(record.stream, record.record_id): record for record in sent if record.record_id is not None}
    changing = {(record.stream, record.record_id) for record in meanwhile}
    found = {(record.stream, record.record_id): record for record in stored}
    for key, record in newest.items():
        there = found.get((identifier(record.stream), str(record.record_id)))
        if key in changing or (there is None and record.version is DELETED):
            continue
        if there is None:
            yield f"{record.record_id} is not in Milvus"
        elif not there.whole:
            yield f"{record.record_id} is not whole in Milvus"
        elif there.version != record.version:
            yield f"{record.record_id} is in Milvus as of {there.version}, and was sent as of {record.version}"
    yield from _missing_without_a_key(sent, stored)


def _missing_without_a_key(sent: Sequence[SentRecord], stored: Sequence[StoredRecord]) -> Iterator[str]:
    wanted = Counter((identifier(record.stream), record.version) for record in sent if record.record_id is None)
    found = Counter((record.stream, record.version) for record in stored if record.whole)
    for (stream, version), count in (wanted - found).items():
        yield f"{count} of {stream} of {version} are not in Milvus"
