"""Refreshes: what each sync mode keeps and sweeps, whole, interrupted, incomplete, and seen by a reader meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from destination_milvus.digests import chunk_key
from destination_milvus.fields import CHUNK, RECORD_ID, STREAM
from destination_milvus.milvus import keyed
from destination_milvus.milvus.filters import literal, records_filter
from destination_milvus.model import RecordKey
from devtools.connector import catalog, record, state, status, stream
from integration_tests.shared import PLACES, Outcome, SharedCollection, places, shared_collection

NAMES = ("append", "append_dedup", "overwrite", "overwrite_keyed")
"""Streams, one a mode: overwrite with and without a primary key."""

YESTERDAY = {1: "one of yesterday\nin two chunks", 2: "two"}
ONE = "one of yesterday in two chunks"
TODAY = {2: "two changed", 3: "three"}

Found = Mapping[str, Sequence[tuple[str, int]]]
"""Stream → text and generation of its records."""


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection on each backend in each layout."""
    yield from shared_collection(request, tmp_path_factory)


def modes(generation: int | None = None, minimum: int | None = None) -> dict[str, Any]:
    """A catalog of one stream a mode, in one generation; as a platform without generations sends it by default."""
    ids = {"generation_id": generation, "minimum_generation_id": minimum}
    keyed = stream("overwrite_keyed", "overwrite", primary_key=[["id"]], **ids)
    return catalog(*(stream(name, name, **ids) for name in NAMES[:3]), keyed)


def records(texts: Mapping[int, str]) -> list[str]:
    """The same records in each stream, and a state that closes their batch."""
    return [*(record({"id": key, "body": text}, name) for name in NAMES for key, text in texts.items()), state(1)]


def statuses(word: str, names: Sequence[str] = NAMES) -> list[str]:
    return [status(word, name) for name in names]


def complete(shared: SharedCollection, configured: Mapping[str, Any], texts: Mapping[int, str]) -> Outcome:
    """A sync that ends well."""
    outcome = shared.sync(configured, [*records(texts), *statuses("COMPLETE")])
    assert outcome.error is None
    return outcome


def found(shared: SharedCollection) -> Found:
    """What is stored, in every stream."""
    texts: dict[str, list[tuple[str, int]]] = {name: [] for name in NAMES}
    for entry in shared.records():
        texts[entry["stream"]].append((" ".join(entry["chunks"]), entry.get("generation", 0)))
    return {name: sorted(entries) for name, entries in texts.items()}


def in_all(*entries: tuple[str, int]) -> Found:
    """The same records in every stream."""
    return {name: sorted(entries) for name in NAMES}


def test_without_generation_ids_only_overwrite_takes_anything_out(shared: SharedCollection) -> None:
    """Append adds, append_dedup replaces by key, overwrite leaves what came last, keys or not."""
    complete(shared, modes(), YESTERDAY)
    complete(shared, modes(), TODAY)
    assert found(shared) == {
        "append": [(ONE, 0), ("three", 0), ("two", 0), ("two changed", 0)],
        "append_dedup": [(ONE, 0), ("three", 0), ("two changed", 0)],
        "overwrite": [("three", -2), ("two changed", -2)],
        "overwrite_keyed": [("three", -2), ("two changed", -2)],
    }


def test_a_platform_that_begins_to_count_generations_takes_out_what_came_before(shared: SharedCollection) -> None:
    """However many overwrites went before: none of their numbers is one that a platform gives."""
    for generation in (1, 2):
        complete(shared, modes(), YESTERDAY)
        complete(shared, modes(generation, generation), TODAY)
        assert found(shared) == in_all(("two changed", generation), ("three", generation))


def test_a_refresh_that_keeps_takes_nothing_out(shared: SharedCollection) -> None:
    """With the minimum 0 records of earlier generations stay in every mode; keys are deduplicated as ever."""
    complete(shared, modes(1, 0), YESTERDAY)
    complete(shared, modes(2, 0), TODAY)
    unkeyed = [(ONE, 1), ("three", 2), ("two", 1), ("two changed", 2)]
    keyed = [(ONE, 1), ("three", 2), ("two changed", 2)]
    assert found(shared) == {
        "append": unkeyed,
        "append_dedup": keyed,
        "overwrite": unkeyed,
        "overwrite_keyed": keyed,
    }


def test_a_refresh_that_truncates_leaves_its_own_generation(shared: SharedCollection) -> None:
    """Records that did not come again are gone in every mode; and all are where nothing came."""
    complete(shared, modes(1, 0), YESTERDAY)
    complete(shared, modes(2, 2), TODAY)
    assert found(shared) == in_all(("two changed", 2), ("three", 2))
    complete(shared, modes(3, 3), {})
    assert found(shared) == in_all()


def test_a_minimum_below_the_generation_keeps_what_lies_between(shared: SharedCollection) -> None:
    """Only generations below the minimum go."""
    complete(shared, modes(1, 0), {1: "one"})
    complete(shared, modes(2, 0), {2: "two"})
    complete(shared, modes(3, 2), {3: "three"})
    assert found(shared) == in_all(("two", 2), ("three", 3))


def test_an_interrupted_refresh_is_resumed_by_a_second_run(shared: SharedCollection) -> None:
    """Until it is complete yesterday's records stay; then those of both runs are there, and no others."""
    complete(shared, modes(1, 0), YESTERDAY)
    lines = [*statuses("STARTED"), *records({2: "two changed"})]
    outcome = shared.sync(modes(2, 2), "\n".join([*lines, '{"type": "RECORD", "rec']).encode())
    assert outcome.error is not None
    assert "broke off" in outcome.error.message
    assert [given["id"] for given in outcome.states] == [1]
    unkeyed = [(ONE, 1), ("two", 1), ("two changed", 2)]
    keyed = [(ONE, 1), ("two changed", 2)]
    assert found(shared) == {
        "append": unkeyed,
        "append_dedup": keyed,
        "overwrite": unkeyed,
        "overwrite_keyed": keyed,
    }
    complete(shared, modes(2, 2), {3: "three"})
    assert found(shared) == in_all(("two changed", 2), ("three", 2))


def test_a_refresh_that_ends_incomplete_sweeps_nothing(shared: SharedCollection) -> None:
    """All that came is stored and acknowledged, older records stay, and the sync ends with an error to try again."""
    complete(shared, modes(1, 0), {1: "one"})
    outcome = shared.sync(modes(2, 2), [*records({2: "two"}), *statuses("INCOMPLETE")])
    assert outcome.error is not None
    assert "did not complete" in outcome.error.message
    assert len(outcome.states) == 1
    assert found(shared) == in_all(("one", 1), ("two", 2))


def test_a_failing_source_never_empties_a_collection(shared: SharedCollection) -> None:
    """A platform that counts generations says nothing when the source has failed, before or after its first record."""
    complete(shared, modes(1, 0), YESTERDAY)
    for came in ({}, {2: "two"}):
        outcome = shared.sync(modes(2, 2), records(came))
        assert outcome.error is not None
        assert outcome.error.failure_type == "transient_error"
        assert "did not complete" in outcome.error.message
        assert len(outcome.states) == 1, "what came is stored and acknowledged"
        assert all((ONE, 1) in kept for kept in found(shared).values())
    complete(shared, modes(2, 2), {3: "three"})
    assert found(shared) == in_all(("two", 2), ("three", 2))


def test_an_overwrite_without_generations_that_breaks_off_takes_nothing_out(shared: SharedCollection) -> None:
    """Yesterday's records stay until a run is complete, which then also takes out those of the run that broke off."""
    complete(shared, modes(), {1: "one"})
    outcome = shared.sync(modes(), [*records({2: "two"}), *statuses("INCOMPLETE")])
    assert outcome.error is not None
    unfinished = found(shared)
    assert unfinished["overwrite"] == unfinished["overwrite_keyed"] == [("one", -1), ("two", -2)]
    complete(shared, modes(), {3: "three"})
    finished = found(shared)
    assert finished["overwrite"] == finished["overwrite_keyed"] == [("three", -3)]
    assert finished["append"] == finished["append_dedup"] == [("one", 0), ("three", 0), ("two", 0)]


def test_only_complete_streams_are_swept(shared: SharedCollection) -> None:
    """One that ends INCOMPLETE and one without a status keep what they had, and the error names them."""
    complete(shared, modes(1, 0), {1: "one"})
    ends = [*statuses("COMPLETE", NAMES[2:]), status("INCOMPLETE", "append")]
    outcome = shared.sync(modes(2, 2), [*statuses("STARTED", NAMES[2:]), *records({2: "two"}), *ends])
    assert outcome.error is not None
    assert '"append", "append_dedup".' in outcome.error.message
    kept, swept = [("one", 1), ("two", 2)], [("two", 2)]
    assert found(shared) == {"append": kept, "append_dedup": kept, "overwrite": swept, "overwrite_keyed": swept}


@pytest.mark.parametrize("place", places("own"), indirect=True)
def test_a_sweep_takes_every_row_that_no_head_of_today_vouches_for(
    shared: SharedCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left by a commit that was killed before its heads, when its stream had no key; among rows that are vouched for.

    Three rows a page: what stays is found by every query, and the sweep has to get past it.
    """
    monkeypatch.setattr(keyed, "ROWS_PAGE", 3)
    monkeypatch.setattr(keyed, "EMBEDDED_ROWS_PAGE", 3)
    long = {number: "\n".join(f"{number} chunk {chunk}" for chunk in range(4)) for number in range(10)}

    def refresh(generation: int, *, keyed: bool, texts: Mapping[int, str]) -> list[dict[str, Any]]:
        ids = {"generation_id": generation, "minimum_generation_id": generation}
        configured = stream("tickets", "overwrite", **ids, **({"primary_key": [["id"]]} if keyed else {}))
        lines = [record({"id": key, "body": text}) for key, text in texts.items()]
        assert shared.sync(catalog(configured), [*lines, status("COMPLETE")]).error is None
        return shared.rows()

    left = refresh(1, keyed=False, texts=long)
    shared.client.delete(shared.name, filter=f"{CHUNK} == 0", timeout=60)
    assert len(shared.rows()) == len(left) - 10 == 30
    assert len(refresh(2, keyed=True, texts=long)) == 40
    after = refresh(3, keyed=True, texts=long)
    assert [row[RECORD_ID] for row in after] == [f"tickets_{number}" for number in range(10) for _ in range(4)]
    assert refresh(4, keyed=True, texts={}) == []


@pytest.mark.parametrize("place", places("own"), indirect=True)
def test_a_head_under_a_foreign_key_is_swept_without_the_rows_of_its_original(shared: SharedCollection) -> None:
    """Somebody copied rows: the copy goes, the sweep comes to its end, and the record stays whole."""
    complete(shared, modes(1, 0), YESTERDAY)
    heads = shared.client.query(
        shared.name, filter=f"{CHUNK} == 0", output_fields=["*"], consistency_level="Strong", timeout=60
    )
    copies = [{**row, "pk": f"copy of {row['pk']}"[:32]} for row in heads]
    shared.client.insert(shared.name, copies, timeout=60)
    complete(shared, modes(2, 2), YESTERDAY)
    assert found(shared) == in_all((ONE, 2), ("two", 2))


@pytest.mark.parametrize("place", places("auto_id"), indirect=True)
def test_rows_of_airbytes_own_connector_are_older_than_any_generation(shared: SharedCollection) -> None:
    """Having no generation, they stay where nothing is swept, and go where something is."""
    for name in NAMES:
        shared.insert_as_airbytes_connector(name, {9: ["old", "rows"]})
    complete(shared, modes(), TODAY)
    assert {row[STREAM] for row in shared.rows() if row["text"] in {"old", "rows"}} == {"append", "append_dedup"}
    complete(shared, modes(3, 3), TODAY)
    assert found(shared) == in_all(("two changed", 3), ("three", 3))


def test_unchanged_records_cost_no_embedding_in_a_refresh(
    shared: SharedCollection, caplog: pytest.LogCaptureFixture
) -> None:
    """They are of the new generation afterwards, with the vectors that they had; one changed chunk costs one text."""
    caplog.set_level(logging.INFO, "airbyte")
    long = [f"chunk {number} of nine" for number in range(1, 10)]

    def refresh(generation: int, name: str, texts: Mapping[int, str]) -> str:
        mode = name.removesuffix("_keyed")
        ids = {"generation_id": generation, "minimum_generation_id": generation, "primary_key": [["id"]]}
        lines = [record({"id": key, "body": text}, name) for key, text in texts.items()]
        assert shared.sync(catalog(stream(name, mode, **ids)), [*lines, status("COMPLETE", name)]).error is None
        return [message for message in caplog.messages if message.startswith("Sync complete")][-1]

    for name in ("append_dedup", "overwrite_keyed"):
        assert " 10 texts embedded" in refresh(1, name, {1: "\n".join(long), 2: "two"})
        assert " 0 texts embedded" in refresh(2, name, {1: "\n".join(long), 2: "two"})
        assert found(shared)[name] == [(" ".join(long), 2), ("two", 2)]
        changed = [*long[:4], "quite another one", *long[5:]]
        assert " 1 texts embedded" in refresh(3, name, {1: "\n".join(changed)})
        assert found(shared)[name] == [(" ".join(changed), 3)]


@dataclass
class Readers:
    """Applications that look up the same records without a pause, strongly."""

    shared: SharedCollection
    keys: Sequence[RecordKey]
    readings: int = 0
    vanished: list[frozenset[str]] = field(default_factory=list)
    """What was missing, of each reading in which anything was."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def reading(self, count: int) -> Iterator[None]:
        """Let so many of them read."""
        with ThreadPoolExecutor(count) as threads:
            readers = [threads.submit(self._read) for _ in range(count)]
            try:
                yield
            finally:
                self._stop.set()
            for reader in readers:
                reader.result()

    def _read(self) -> None:
        wanted = {key.record_id for key in self.keys}
        while not self._stop.is_set():
            missing = wanted - {row[RECORD_ID] for row in self._rows()}
            self.readings += 1
            if missing:
                self.vanished.append(frozenset(missing))

    def _rows(self) -> Sequence[Mapping[str, Any]]:
        if self.shared.layout == "own":
            query = f"pk in [{', '.join(literal(chunk_key(key, 0)) for key in self.keys)}]"
        else:
            query = records_filter(self.keys[0].stream, [key.record_id for key in self.keys])
        answer: Sequence[Mapping[str, Any]] = self.shared.client.query(
            self.shared.name, filter=query, output_fields=[RECORD_ID], consistency_level="Strong", timeout=60
        )
        return answer


def test_a_reader_never_sees_a_record_vanish(shared: SharedCollection) -> None:
    """Through truncating refreshes that change every record, growing and shrinking, each has its head row all the time.

    Where Milvus makes the keys, a record has a row all the time.
    """
    keys = [RecordKey("tickets", f"tickets_{number}") for number in range(12)]

    def refresh(generation: int) -> None:
        lines = []
        for number in range(12):
            chunks = [f"generation {generation} chunk {chunk}" for chunk in range(1 + (number + generation) % 3)]
            lines.append(record({"id": number, "body": "\n".join(chunks), "status": generation}))
            if number % 4 == 3:
                lines.append(state(number))
        ids = {"generation_id": generation, "minimum_generation_id": generation}
        assert shared.sync(catalog(stream("tickets", **ids)), [*lines, status("COMPLETE")]).error is None

    refresh(1)
    readers = Readers(shared, keys)
    with readers.reading(3):
        for generation in range(2, 6):
            refresh(generation)
    assert readers.readings > 10
    assert readers.vanished == []
    assert {entry["generation"] for entry in shared.records()} == {5}
