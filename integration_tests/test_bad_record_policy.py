"""What becomes of records that cannot be stored as they are: refused, skipped and counted, or cut to fit a row."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from destination_milvus.errors import BadRecord, DestinationError
from destination_milvus.fields import MAX_DYNAMIC_BYTES, META_CHANGES, SYSTEM_FIELDS
from devtools.backends import Backend, config
from devtools.connector import catalog, entities, record, run, state, stream, write
from devtools.openai_endpoint import OpenAIEndpoint, serving
from integration_tests.shared import PLACES, SharedCollection, shared_collection

TICKETS = catalog(stream("tickets"))
SKIP = {"bad_records": "skip"}
TEXT = "PLANTED-TEXT"
"""Stands in records, and in no message."""


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    """Milvus Lite in a folder of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    yield backend
    backend.release()


@pytest.fixture
def endpoint() -> Iterator[OpenAIEndpoint]:
    """An embedding endpoint of the test's own."""
    with serving() as endpoint:
        yield endpoint


# --- fail, or skip ----------------------------------------------------------------------------------------------------

BAD = {
    "no key": ({"text": TEXT}, "a record without a key: it has no value in its primary key (id)"),
    "a null as key": ({"id": None, "text": TEXT}, "a record without a key: it has no value in its primary key (id)"),
    "an endless key": ({"id": "k" * 70_000, "text": TEXT}, "its primary key is longer than the 65,535 bytes"),
    "no vector": ({"id": 1, "text": TEXT}, 'record "tickets_1": its field "v" holds no vector'),
    "a text as vector": ({"id": 1, "v": TEXT}, 'record "tickets_1": its field "v" holds no vector'),
    "a short vector": ({"id": 1, "v": [1]}, 'record "tickets_1": the vector in its field "v" has 1 numbers and not 2'),
    "texts in a vector": ({"id": 1, "v": [TEXT, TEXT]}, "holds something that is not a finite 32-bit number"),
    "a number too large": ({"id": 1, "v": [1e300, 1]}, "holds something that is not a finite 32-bit number"),
    "a hostile key": ({"id": f'"\n{"x" * 200}', "v": [1]}, 'record "tickets_'),
}
VECTORS = {"mode": "from_field", "field_name": "v", "dimensions": 2}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A configuration whose records bring their vectors."""
    backend = Backend("lite", str(tmp_path_factory.mktemp("vectors") / "milvus.db"))
    yield config(backend, embedding=VECTORS)
    backend.release()


@pytest.mark.parametrize(("data", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_record_fails_the_sync_by_name_or_is_skipped(
    vectors: dict[str, Any], caplog: pytest.LogCaptureFixture, data: Mapping[str, Any], sentence: str
) -> None:
    """`fail`, the default, names stream and key and keeps what came before; `skip` goes on, names and counts it."""
    caplog.set_level(logging.INFO, "airbyte")
    good = {"id": 7, "v": [1, 2], "text": TEXT}
    lines = [record(good), state(1), record(data), record({**good, "id": 8}), state(2)]
    states: list[dict[str, Any]] = []
    with pytest.raises(BadRecord) as caught:
        write(vectors, TICKETS, lines, states)
    assert caught.value.message.startswith('Stream "tickets", ')
    assert sentence in caught.value.message
    assert [s["id"] for s in states] == [1]
    states = write({**vectors, "advanced": SKIP}, TICKETS, lines)
    assert [s["destinationStats"] for s in states] == [
        {"recordCount": 1.0},
        {"recordCount": 1.0, "rejectedRecordCount": 1.0},
    ]
    assert [message for message in caplog.messages if sentence in message and message.startswith("Skipped a record")]
    assert "1 bad records skipped" in caplog.messages[-2]
    assert TEXT not in caplog.text + caught.value.message
    assert all(len(message) < 400 and "\n" not in message for message in [*caplog.messages, caught.value.message])


def test_the_first_skipped_records_are_named_and_the_sync_goes_on(lite: Backend, tmp_path: Path) -> None:
    """As a process, with the default of one sync in between: which of them were skipped is in the log and the stats."""
    conf = config(lite, embedding=VECTORS, advanced=SKIP)
    lines = []
    for number in range(60):
        lines.append(record({"id": number, "v": [1, 2] if number % 3 else [1], "text": TEXT}))
        if number % 20 == 19:
            lines.append(state(number + 1))
    finished = run(tmp_path, "write", conf, TICKETS, lines)
    assert finished.exit_code == 0, finished
    named = [line for line in finished.logs if line.startswith("Skipped a record")]
    assert [f'record "tickets_{number}"' in named[number // 3] for number in range(0, 30, 3)] == [True] * 10
    assert len(named) == 10
    assert "Further skipped records are counted and not named." in finished.logs
    assert any(line.startswith("Sync complete") and "20 bad records skipped" in line for line in finished.logs)
    stats = [s["destinationStats"] for s in finished.states]
    assert sum(stat["recordCount"] for stat in stats) == 40
    assert sum(stat["rejectedRecordCount"] for stat in stats) == 20
    assert [sum(stat.values()) for stat in stats] == [20, 20, 20]
    assert TEXT not in "".join(finished.logs)
    again = run(tmp_path, "write", {**conf, "advanced": {}}, TICKETS, lines)
    assert again.exit_code == 1
    assert 'record "tickets_0"' in again.error["message"]
    assert again.error["failure_type"] == "config_error"
    assert again.error["stream_descriptor"] == {"name": "tickets"}


@pytest.mark.parametrize("bad", [50, 51])
def test_a_sync_in_which_most_records_are_bad_is_stopped(vectors: dict[str, Any], bad: int) -> None:
    """Half of a hundred may be bad and not one more; no state leaves behind those that were skipped."""
    conf = {**vectors, "advanced": SKIP}
    lines = [record({"id": number, "v": [1] if number < bad else [1, 2]}) for number in range(100)]
    lines = [record({"id": 100, "v": [1, 2]}), state(0), *lines[:99], state(1), lines[99], state(2)]
    states: list[dict[str, Any]] = []
    if bad == 50:
        write(conf, TICKETS, lines, states)
        stats = [{"recordCount": 1.0}, {"recordCount": 49.0, "rejectedRecordCount": 50.0}, {"recordCount": 1.0}]
        assert [s["destinationStats"] for s in states] == stats
    else:
        with pytest.raises(DestinationError, match="51 of 101 records cannot be stored, so the sync was stopped"):
            write(conf, TICKETS, lines, states)
        assert states == []


# --- refused by the embedding model -----------------------------------------------------------------------------------


def test_records_that_the_model_refuses_are_rejected_in_the_state_that_covers_them(
    lite: Backend, endpoint: OpenAIEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """They were counted as accepted before anybody knew: each state's counts add up to its records all the same."""
    caplog.set_level(logging.INFO, "airbyte")
    processing = {"text_fields": ["t"], "metadata_fields": ["id"], "include_field_names": False}
    conf = config(lite, embedding=endpoint.embedding(), processing=processing)
    two = catalog(stream("tickets"), stream("articles"))
    write(conf, two, [record({"id": 3, "t": "the old version"})])
    endpoint.faults = ["NaN"]
    lines = [
        record({"id": 1, "t": TEXT}),
        record({"id": 2, "t": TEXT}),
        record({"t": "no key"}, name="articles"),
        state(1),
        record({"id": 3, "t": TEXT}),
        state(2),
        state(3, name="articles"),
    ]
    states = write({**conf, "advanced": SKIP}, two, lines)
    assert [s["destinationStats"] for s in states] == [
        {"recordCount": 0.0, "rejectedRecordCount": 2.0},
        {"recordCount": 0.0, "rejectedRecordCount": 1.0},
        {"recordCount": 0.0, "rejectedRecordCount": 1.0},
    ]
    kept = entities(lite, conf["indexing"]["collection"])
    assert [row["text"] for row in kept] == ["the old version"]
    assert 'record "tickets_1": the embedding model returned' in caplog.text
    assert "4 bad records skipped" in caplog.messages[-2]
    assert TEXT not in caplog.text


# --- too large for a row ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection for these tests, on each backend in each layout."""
    yield from shared_collection(request, tmp_path_factory)


LARGE: Mapping[str, Mapping[str, Any]] = {
    "letters": {"large": "x" * 100_000, "small": "keep", "medium": "m" * 20_000},
    "umlauts": {"large": "é" * 50_000, "small": "keep"},
    "characters of three bytes": {"large": "字" * 30_000, "small": "keep"},
    "quotes, which JSON doubles": {"large": '"' * 50_000, "small": "keep"},
    "control characters, of which JSON makes six": {"large": "\x01" * 30_000, "small": "keep"},
    "emoji": {"large": "😀" * 20_000, "small": "keep"},
    "a large object": {"large": {f"key {number}": "x" * 50 for number in range(1_000)}, "small": "keep"},
    "a list of numbers": {"large": list(range(15_000)), "small": "keep"},
    "thousands of fields": {f"field {number}": "x" * 90 for number in range(3_000)},
    "long names of fields": {f"{number}{'n' * 5_000}": 1 for number in range(30)},
    "all just below": {"large": "字" * 19_900, "small": "keep"},
    "numbers": {f"n{number}": 10**15 + number + 0.5 for number in range(4_000)},
}
TEXTS = {"short": "a text", "as large as a column": "字" * 21_000, "quotes": '"' * 60_000}


def test_whatever_is_too_large_is_cut_to_fit_and_the_entity_says_so(place: SharedCollection) -> None:
    """The largest first, small values stay; in a row with a text of any size, in either layout, on either Milvus."""
    place.wipe()
    processing = {"chunk_size": 8191, "text_fields": ["body"], "include_field_names": False}
    records = {
        f"{size}, {kind}": {"body": text, **data} for kind, data in LARGE.items() for size, text in TEXTS.items()
    }
    lines = [record({"id": name, **data}) for name, data in records.items()]
    outcome = place.sync(TICKETS, [*lines, state(1)], processing)
    assert outcome.error is None, outcome.error
    assert outcome.states[0]["destinationStats"] == {"recordCount": float(len(records))}
    rows = place.rows()
    heads = {row["id"]: row for row in rows if row["_ab_chunk"] == 0}
    assert heads.keys() == records.keys()
    for row in rows:
        _assert_cut_fairly(row, records[row["id"]])


def _assert_cut_fairly(row: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    metadata = {name: value for name, value in row.items() if name not in {*SYSTEM_FIELDS, "vector", "pk", "text"}}
    assert len(orjson.dumps(metadata)) <= MAX_DYNAMIC_BYTES
    whole = {name for name, value in metadata.items() if name == "id" or value == data[name]}
    cut = metadata.keys() - whole
    assert all(data[name].startswith(metadata[name]) for name in cut), "a beginning, or nothing"
    lost = data.keys() - {"body"} - whole
    noted = {change["field"] for change in row.get(META_CHANGES, [])}
    assert bool(lost - {"body"}) <= bool(noted)
    assert "small" not in lost
    if len(lost) < 5:
        assert lost <= noted


def test_what_is_dropped_goes_by_its_size_and_the_key_never(lite: Backend) -> None:
    """Of several large fields the largest goes first; primary key and cursor stay whole."""
    conf = config(lite, processing={"text_fields": ["t"], "include_field_names": False})
    configured = catalog(stream("tickets", cursor_field=["updated_at"]))
    data = {"id": "k" * 9_000, "updated_at": "u" * 9_000, "a": "a" * 30_000, "b": ["b"] * 12_000, "c": "c" * 20_000}
    write(conf, configured, [record({**data, "t": "text"})])
    (row,) = entities(lite, conf["indexing"]["collection"])
    assert {name: row[name] for name in ("id", "updated_at")} == {name: data[name] for name in ("id", "updated_at")}
    assert "b" not in row, "the largest"
    assert row["a"] == data["a"][: len(row["a"])]
    changes = {change["field"]: change["change"] for change in row[META_CHANGES]}
    assert changes["b"] == "NULLED"
    assert "id" not in changes
    assert {change["reason"] for change in row[META_CHANGES]} == {"DESTINATION_RECORD_SIZE_LIMITATION"}


@pytest.mark.parametrize("size", [30_000, 40_000])
def test_a_key_that_leaves_no_room_is_a_bad_record(place: SharedCollection, size: int) -> None:
    """Keys are never cut: one that a row cannot hold is named before Milvus refuses its whole batch."""
    place.wipe()
    outcome = place.sync(TICKETS, [record({"id": "key " + '"' * size, "body": "text"}), state(1)])
    if size == 30_000 and place.layout == "own":
        assert outcome.error is None
        assert len(place.rows()) == 1
    else:
        assert isinstance(outcome.error, BadRecord), outcome.error
        assert "primary key and cursor, which are never cut" in outcome.error.message
