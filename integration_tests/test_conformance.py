"""Streams of Airbyte messages, one behaviour a folder of `streams/`, each with the collection that it must make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import SHORT_CHUNKS
from devtools.connector import catalog, record, stream
from integration_tests.shared import PLACES, SharedCollection, places, shared_collection

BEHAVIOURS = sorted(path.parent for path in Path(__file__).with_name("streams").glob("*/catalog.json"))


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection on each backend in each layout."""
    yield from shared_collection(request, tmp_path_factory)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_messages_make_the_expected_collection(shared: SharedCollection, behaviour: Path) -> None:
    """After every sync the records are those of its expected file, and so are the states and the error."""
    configured = json.loads((behaviour / "catalog.json").read_text())
    for messages in sorted(behaviour.glob("*.jsonl")):
        if (changed := messages.with_suffix(".catalog.json")).exists():
            configured = json.loads(changed.read_text())
        expected = json.loads(messages.with_suffix(".expected.json").read_text())
        outcome = shared.sync(configured, messages.read_bytes(), _processing(behaviour))
        assert outcome.states == expected["states"], messages.name
        assert _as_json(shared.records()) == _as_json(expected["records"]), messages.name
        if "error" in expected:
            assert outcome.error is not None, messages.name
            assert expected["error"] in outcome.error.message
        else:
            assert outcome.error is None, messages.name


def _as_json(records: Sequence[Any]) -> list[str]:
    """In JSON 1, 1.0 and true differ."""
    return [json.dumps(entry, sort_keys=True, ensure_ascii=False) for entry in records]


def _processing(behaviour: Path) -> dict[str, Any]:
    path = behaviour / "processing.json"
    return {**SHORT_CHUNKS, **(json.loads(path.read_text()) if path.exists() else {})}


@pytest.mark.parametrize("place", places("auto_id"), indirect=True)
def test_records_of_airbytes_own_connector_are_taken_over(shared: SharedCollection) -> None:
    """All rows of a record go when it comes again or is deleted; those of other records stay as they were."""
    shared.insert_as_airbytes_connector("tickets", {1: ["one", "of", "three"], 2: ["two", "rows"], 3: ["to", "stay"]})
    shared.insert_as_airbytes_connector("articles", {1: ["another stream"]})
    deleted = {"id": 2, "_ab_cdc_deleted_at": "2026-01-02T00:00:00Z"}
    lines = [record({"id": 1, "body": "updated"}), record(deleted), record({"id": 4, "body": "new"})]
    assert shared.sync(catalog(stream("tickets")), lines).error is None
    texts = [(row["_ab_record_id"], row["text"]) for row in shared.rows()]
    assert sorted(texts) == [
        ("articles_1", "another stream"),
        ("tickets_1", "updated"),
        ("tickets_3", "stay"),
        ("tickets_3", "to"),
        ("tickets_4", "new"),
    ]


def test_every_behaviour_says_what_it_promises() -> None:
    """Each folder has its sentence, at least one sync, and an expected file for every sync."""
    assert len(BEHAVIOURS) > 30
    for behaviour in BEHAVIOURS:
        (promise,) = (behaviour / "README.md").read_text().splitlines()
        assert promise.endswith("."), behaviour.name
        syncs = {path.stem for path in behaviour.glob("*.jsonl")}
        assert syncs == {path.name.removesuffix(".expected.json") for path in behaviour.glob("*.expected.json")}
        assert "1" in syncs, behaviour.name
