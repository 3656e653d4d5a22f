"""Every field of the protocol's messages that reach a destination is decided, and the decision is what happens.

The CDK's classes are enumerated: a field, a type or a mode that it adds fails here until somebody has thought about
it. A field is honoured if another value changes what comes of the message, and ignored if none does.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any

import pytest
from airbyte_cdk import models

from destination_milvus.errors import ConfigError
from destination_milvus.protocol.catalog import plan_streams
from destination_milvus.protocol.messages import Record, State, StreamStatus, acknowledged, parse_line

HONOURED, RETURNED, IGNORED = "honoured", "returned as it came", "ignored"

FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "AirbyteMessage": {
        "type": (HONOURED, "says which of the others is there"),
        "record": (HONOURED, "is stored"),
        "state": (HONOURED, "is given back once everything before it is durable"),
        "trace": (HONOURED, "tells the status of a stream"),
        "log": (IGNORED, "the source's log is the platform's business"),
        "spec": (IGNORED, "is an answer to another command"),
        "connectionStatus": (IGNORED, "is an answer to another command"),
        "catalog": (IGNORED, "comes from discover; the configured one comes as a file"),
        "control": (IGNORED, "asks the platform to change the source's configuration"),
    },
    "AirbyteRecordMessage": {
        "stream": (HONOURED, "with the namespace it names the stream"),
        "namespace": (HONOURED, "with the name it names the stream"),
        "data": (HONOURED, "becomes text and metadata"),
        "emitted_at": (HONOURED, "is stored as _ab_extracted_at"),
        "meta": (HONOURED, "its changes are noted in the entity"),
        "file_reference": (IGNORED, "files are not copied: the metadata of the connector does not offer it"),
    },
    "AirbyteStateMessage": {
        "type": (HONOURED, "says whose records it covers"),
        "stream": (HONOURED, "its descriptor says whose records it covers"),
        "global_": (RETURNED, "covers all streams whatever it holds"),
        "data": (RETURNED, "covers all streams whatever it holds"),
        "sourceStats": (RETURNED, "the platform compares it with ours"),
        "destinationStats": (HONOURED, "is ours to write"),
    },
    "AirbyteStreamState": {
        "stream_descriptor": (HONOURED, "says whose records it covers"),
        "stream_state": (RETURNED, "means something to the source only"),
    },
    "AirbyteGlobalState": {
        "stream_states": (RETURNED, "mean something to the source only"),
        "shared_state": (RETURNED, "means something to the source only"),
    },
    "StreamDescriptor": {
        "name": (HONOURED, "with the namespace it names the stream"),
        "namespace": (HONOURED, "with the name it names the stream"),
    },
    "AirbyteTraceMessage": {
        "type": (HONOURED, "says which of the others is there"),
        "stream_status": (HONOURED, "COMPLETE lets older generations be swept, INCOMPLETE forbids it"),
        "emitted_at": (IGNORED, "the order of arrival counts"),
        "error": (IGNORED, "the platform acts upon the source's errors; its stream is not COMPLETE"),
        "estimate": (IGNORED, "is for the platform's progress bar"),
        "analytics": (IGNORED, "is for the platform"),
    },
    "AirbyteStreamStatusTraceMessage": {
        "stream_descriptor": (HONOURED, "says which stream"),
        "status": (HONOURED, "COMPLETE lets older generations be swept, INCOMPLETE forbids it"),
        "reasons": (IGNORED, "a source that waits for a rate limit is not done"),
    },
    "ConfiguredAirbyteCatalog": {"streams": (HONOURED, "is what is synced")},
    "ConfiguredAirbyteStream": {
        "stream": (HONOURED, "names the stream"),
        "destination_sync_mode": (HONOURED, "says how records meet what is stored"),
        "primary_key": (HONOURED, "identifies a record, and is never cut"),
        "cursor_field": (HONOURED, "is never cut"),
        "generation_id": (HONOURED, "is stored with each record"),
        "minimum_generation_id": (HONOURED, "older records are swept at the end"),
        "sync_mode": (IGNORED, "is about reading"),
        "sync_id": (IGNORED, "generations tell all that storing needs"),
        "include_files": (IGNORED, "files are not copied: the metadata of the connector does not offer it"),
        "destination_object_name": (IGNORED, "is for data activation, as are its sync modes, which are refused"),
    },
    "AirbyteStream": {
        "name": (HONOURED, "with the namespace it names the stream"),
        "namespace": (HONOURED, "with the name it names the stream"),
        "source_defined_primary_key": (HONOURED, "where the connection configures none"),
        "json_schema": (IGNORED, "metadata has the type of its value: a change of schema never breaks a sync"),
        "supported_sync_modes": (IGNORED, "is about reading"),
        "source_defined_cursor": (IGNORED, "the configured cursor counts"),
        "default_cursor_field": (IGNORED, "the configured cursor counts"),
        "is_resumable": (IGNORED, "rows of the running generation are kept in any case"),
        "is_file_based": (IGNORED, "files are not copied: the metadata of the connector does not offer it"),
    },
}

WORDS: dict[str, dict[str, str]] = {
    "Type": {
        "RECORD": HONOURED,
        "STATE": HONOURED,
        "TRACE": HONOURED,
        "LOG": IGNORED,
        "SPEC": IGNORED,
        "CONNECTION_STATUS": IGNORED,
        "CATALOG": IGNORED,
        "CONTROL": IGNORED,
        "DESTINATION_CATALOG": IGNORED,
    },
    "TraceType": {"STREAM_STATUS": HONOURED, "ERROR": IGNORED, "ESTIMATE": IGNORED, "ANALYTICS": IGNORED},
    "AirbyteStateType": {"STREAM": HONOURED, "GLOBAL": HONOURED, "LEGACY": HONOURED},
    "AirbyteStreamStatus": {"STARTED": HONOURED, "RUNNING": HONOURED, "COMPLETE": HONOURED, "INCOMPLETE": HONOURED},
    "DestinationSyncMode": {
        "append": HONOURED,
        "overwrite": HONOURED,
        "append_dedup": HONOURED,
        "update": "refused",
        "soft_delete": "refused",
    },
}

SENT: dict[str, dict[str, str]] = {
    "AirbyteLogMessage": {
        "level": "sent",
        "message": "sent",
        "stack_trace": "never: a stack of a foreign error quotes values",
    },
    "AirbyteErrorTraceMessage": {
        "message": "sent",
        "internal_message": "sent: the kind of error",
        "stack_trace": "sent: places without values",
        "failure_type": "sent",
        "stream_descriptor": "sent where one stream is at fault",
    },
    "AirbyteConnectionStatus": {"status": "sent", "message": "sent where it failed"},
    "AirbyteStateStats": {"recordCount": "sent"},
    "ConnectorSpecification": {
        "connectionSpecification": "sent",
        "documentationUrl": "sent",
        "supportsIncremental": "sent",
        "supported_destination_sync_modes": "sent",
        "changelogUrl": "never: the changelog is part of the documentation",
        "supportsNormalization": "never: nothing to normalize in vectors",
        "supportsDBT": "never: no SQL",
        "authSpecification": "never: no OAuth",
        "advanced_auth": "never: no OAuth",
        "protocol_version": "never: the platform takes the default",
    },
}


def names(kind: str) -> set[str]:
    return {field.name for field in dataclasses.fields(getattr(models, kind))}


@pytest.mark.parametrize("kind", [*FIELDS, *SENT])
def test_every_field_of_a_message_is_decided(kind: str) -> None:
    """One that the CDK adds or drops fails here."""
    assert names(kind) == (FIELDS | SENT)[kind].keys()


@pytest.mark.parametrize("kind", WORDS)
def test_every_word_of_the_protocol_is_decided(kind: str) -> None:
    """One that the CDK adds or drops fails here."""
    words: type[enum.Enum] = getattr(models, kind)
    assert {word.value for word in words} == WORDS[kind].keys()


# --- what happens -----------------------------------------------------------------------------------------------------

DESCRIPTOR = {"name": "tickets", "namespace": "support"}
MESSAGES: dict[str, dict[str, Any]] = {
    "record": {
        "type": "RECORD",
        "record": {
            "stream": "tickets",
            "namespace": "support",
            "data": {"id": 1},
            "emitted_at": 7,
            "meta": {"changes": [{"field": "x"}]},
            "file_reference": {"staging_file_url": "/staging/1"},
        },
    },
    "state": {
        "type": "STATE",
        "state": {
            "type": "STREAM",
            "stream": {"stream_descriptor": DESCRIPTOR, "stream_state": {"cursor": 1}},
            "global": {"shared_state": {"lsn": 1}, "stream_states": [{"stream_descriptor": DESCRIPTOR}]},
            "data": {"cursor": 1},
            "sourceStats": {"recordCount": 1.0},
            "destinationStats": {"recordCount": 99.0},
        },
    },
    "status": {
        "type": "TRACE",
        "trace": {
            "type": "STREAM_STATUS",
            "emitted_at": 1.0,
            "stream_status": {"stream_descriptor": DESCRIPTOR, "status": "COMPLETE", "reasons": []},
            "error": {"message": "x"},
            "estimate": {"name": "x"},
            "analytics": {"type": "x"},
        },
    },
}
CATALOG: dict[str, Any] = {
    "streams": [
        {
            "stream": {
                "name": "tickets",
                "namespace": "support",
                "json_schema": {"type": "object"},
                "supported_sync_modes": ["incremental"],
                "source_defined_cursor": True,
                "default_cursor_field": ["updated_at"],
                "source_defined_primary_key": [["id"]],
                "is_resumable": True,
                "is_file_based": False,
            },
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
            "cursor_field": ["updated_at"],
            "primary_key": [["key"]],
            "generation_id": 5,
            "minimum_generation_id": 3,
            "sync_id": 9,
            "include_files": False,
            "destination_object_name": "x",
        }
    ]
}


def changed(message: Mapping[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at one place."""
    copied: Any = copy.deepcopy(message)
    node = copied
    for step in path[:-1]:
        node = node[step]
    assert node[path[-1]] != value
    node[path[-1]] = value
    return dict(copied)


def outcome(message: Mapping[str, Any]) -> Record | StreamStatus | tuple[Any, ...] | None:
    """What comes of a message; of a state whose it is."""
    parsed = parse_line(json.dumps(message).encode(), 1)
    return (State, parsed.stream) if isinstance(parsed, State) else parsed


STREAM: tuple[str | int, ...] = ("streams", 0, "stream")
IN_THE_CATALOG: list[tuple[str, tuple[str | int, ...], Any]] = [
    ("ConfiguredAirbyteCatalog", ("streams",), []),
    ("ConfiguredAirbyteStream", STREAM, {"name": "articles"}),
    ("ConfiguredAirbyteStream", ("streams", 0, "sync_mode"), "full_refresh"),
    ("ConfiguredAirbyteStream", ("streams", 0, "destination_sync_mode"), "append"),
    ("ConfiguredAirbyteStream", ("streams", 0, "cursor_field"), ["created_at"]),
    ("ConfiguredAirbyteStream", ("streams", 0, "primary_key"), [["other"]]),
    ("ConfiguredAirbyteStream", ("streams", 0, "generation_id"), 6),
    ("ConfiguredAirbyteStream", ("streams", 0, "minimum_generation_id"), 5),
    ("ConfiguredAirbyteStream", ("streams", 0, "sync_id"), 10),
    ("ConfiguredAirbyteStream", ("streams", 0, "include_files"), True),
    ("ConfiguredAirbyteStream", ("streams", 0, "destination_object_name"), "y"),
    ("AirbyteStream", (*STREAM, "name"), "articles"),
    ("AirbyteStream", (*STREAM, "namespace"), None),
    ("AirbyteStream", (*STREAM, "json_schema"), {}),
    ("AirbyteStream", (*STREAM, "supported_sync_modes"), []),
    ("AirbyteStream", (*STREAM, "source_defined_cursor"), False),
    ("AirbyteStream", (*STREAM, "default_cursor_field"), []),
    ("AirbyteStream", (*STREAM, "source_defined_primary_key"), [["other"]]),
    ("AirbyteStream", (*STREAM, "is_resumable"), False),
    ("AirbyteStream", (*STREAM, "is_file_based"), True),
]


@pytest.mark.parametrize(("kind", "path", "value"), IN_THE_CATALOG, ids=lambda part: str(part)[:60])
def test_a_field_of_the_catalog_has_the_effect_that_was_decided(
    kind: str, path: tuple[str | int, ...], value: Any
) -> None:
    """Another value changes the plan of the stream, or changes nothing."""
    base = CATALOG
    if path[-1] == "source_defined_primary_key":
        base = changed(CATALOG, ("streams", 0, "primary_key"), None)
    decision, _ = FIELDS[kind][str(path[-1])]
    assert (plan_streams(changed(base, path, value)) != plan_streams(base)) == (decision == HONOURED)


def test_every_field_of_the_catalog_is_tried() -> None:
    """So that no row of the table is mere opinion."""
    for kind in ("ConfiguredAirbyteCatalog", "ConfiguredAirbyteStream", "AirbyteStream"):
        assert {path[-1] for tried, path, _ in IN_THE_CATALOG if tried == kind} == names(kind)


IN_MESSAGES: list[tuple[str, str, tuple[str | int, ...], Any]] = [
    ("AirbyteMessage", "record", ("type",), "LOG"),
    ("AirbyteMessage", "record", ("record",), {"stream": "articles", "data": {}, "emitted_at": 1}),
    ("AirbyteMessage", "status", ("trace",), {"type": "ERROR", "error": {}}),
    ("AirbyteMessage", "state", ("state",), {"type": "LEGACY", "data": {}}),
    ("AirbyteRecordMessage", "record", ("record", "stream"), "articles"),
    ("AirbyteRecordMessage", "record", ("record", "namespace"), "sales"),
    ("AirbyteRecordMessage", "record", ("record", "data"), {"id": 2}),
    ("AirbyteRecordMessage", "record", ("record", "emitted_at"), 8),
    ("AirbyteRecordMessage", "record", ("record", "meta"), {"changes": [{"field": "y"}]}),
    ("AirbyteRecordMessage", "record", ("record", "file_reference"), None),
    ("AirbyteStateMessage", "state", ("state", "type"), "GLOBAL"),
    ("AirbyteStateMessage", "state", ("state", "stream"), {"stream_descriptor": {"name": "articles"}}),
    ("AirbyteStateMessage", "state", ("state", "global"), None),
    ("AirbyteStateMessage", "state", ("state", "data"), {"cursor": 2}),
    ("AirbyteStateMessage", "state", ("state", "sourceStats"), {"recordCount": 2.0}),
    ("AirbyteStreamState", "state", ("state", "stream", "stream_descriptor"), {"name": "articles"}),
    ("AirbyteStreamState", "state", ("state", "stream", "stream_state"), {"cursor": 2}),
    ("AirbyteGlobalState", "state", ("state", "global", "shared_state"), None),
    ("AirbyteGlobalState", "state", ("state", "global", "stream_states"), []),
    ("StreamDescriptor", "state", ("state", "stream", "stream_descriptor", "name"), "articles"),
    ("StreamDescriptor", "state", ("state", "stream", "stream_descriptor", "namespace"), "sales"),
    ("AirbyteTraceMessage", "status", ("trace", "type"), "ERROR"),
    ("AirbyteTraceMessage", "status", ("trace", "emitted_at"), 2.0),
    ("AirbyteTraceMessage", "status", ("trace", "error"), {"message": "y"}),
    ("AirbyteTraceMessage", "status", ("trace", "estimate"), None),
    ("AirbyteTraceMessage", "status", ("trace", "analytics"), None),
    (
        "AirbyteTraceMessage",
        "status",
        ("trace", "stream_status"),
        {"stream_descriptor": DESCRIPTOR, "status": "INCOMPLETE"},
    ),
    (
        "AirbyteStreamStatusTraceMessage",
        "status",
        ("trace", "stream_status", "stream_descriptor"),
        {"name": "articles"},
    ),
    ("AirbyteStreamStatusTraceMessage", "status", ("trace", "stream_status", "status"), "INCOMPLETE"),
    (
        "AirbyteStreamStatusTraceMessage",
        "status",
        ("trace", "stream_status", "reasons"),
        [{"type": "RATE_LIMITED"}],
    ),
]


@pytest.mark.parametrize(("kind", "base", "path", "value"), IN_MESSAGES, ids=lambda part: str(part)[:60])
def test_a_field_of_a_message_has_the_effect_that_was_decided(
    kind: str, base: str, path: tuple[str | int, ...], value: Any
) -> None:
    """Another value changes what comes of it, or changes nothing; a state comes back with it in either case."""
    name = {"global": "global_"}.get(str(path[-1]), str(path[-1]))
    decision, _ = FIELDS[kind][name]
    other = changed(MESSAGES[base], path, value)
    assert (outcome(other) != outcome(MESSAGES[base])) == (decision == HONOURED)
    parsed = parse_line(json.dumps(other).encode(), 1)
    if isinstance(parsed, State):
        returned = json.loads(acknowledged(parsed, records=1))
        assert returned["state"].pop("destinationStats") == {"recordCount": 1.0}
        other["state"].pop("destinationStats", None)
        assert returned == other


def test_every_field_of_a_message_is_tried() -> None:
    """So that no row of the table is mere opinion; messages of other types are tried as a whole, below."""
    elsewhere = {"log", "spec", "connectionStatus", "catalog", "control", "destinationStats"}
    kinds = FIELDS.keys() - {kind for kind, _, _ in IN_THE_CATALOG}
    for kind in kinds:
        tried = {{"global": "global_"}.get(str(path[-1]), path[-1]) for name, _, path, _ in IN_MESSAGES if name == kind}
        assert tried == names(kind) - elsewhere, kind


@pytest.mark.parametrize("word", WORDS["Type"])
def test_a_type_of_message_has_the_effect_that_was_decided(word: str) -> None:
    """All but three are passed over, whatever they hold."""
    message = {**MESSAGES["record"], **MESSAGES["state"], **MESSAGES["status"], "type": word}
    assert (outcome(message) is not None) == (WORDS["Type"][word] == HONOURED)


@pytest.mark.parametrize("word", WORDS["TraceType"])
def test_a_type_of_trace_has_the_effect_that_was_decided(word: str) -> None:
    """All but one are passed over, whatever they hold."""
    found = outcome({**MESSAGES["status"], "trace": {**MESSAGES["status"]["trace"], "type": word}})
    assert (found is not None) == (WORDS["TraceType"][word] == HONOURED)


@pytest.mark.parametrize("word", WORDS["DestinationSyncMode"])
def test_a_sync_mode_has_the_effect_that_was_decided(word: str) -> None:
    """Those of data activation are refused with a sentence."""
    asked = copy.deepcopy(CATALOG)
    asked["streams"][0]["destination_sync_mode"] = word
    if WORDS["DestinationSyncMode"][word] == HONOURED:
        assert plan_streams(asked)
    else:
        with pytest.raises(ConfigError, match=word):
            plan_streams(asked)
