"""The delivery promises under crashes: whatever call is cut, whatever part of it took effect, a replay heals it.

Real are the commit (`Committer`, `reconcile`, `phases`, `rows`), and in the last part the whole sync with its threads;
only Milvus and the embedding model are stood in for. Hypothesis makes up the histories of several records; those of a
single one are enumerated.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from destination_milvus import digests
from destination_milvus.collection import Collection
from destination_milvus.digests import chunk_key
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.paths import FieldPath
from destination_milvus.errors import DestinationError, TransientError
from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, GENERATION, META_CHANGES, SYSTEM_FIELDS
from destination_milvus.flow.batch import Batch, BatchLimits
from destination_milvus.flow.commit import Committer
from destination_milvus.flow.intake import Intake
from destination_milvus.flow.sync import Sync
from destination_milvus.model import PENDING, Change, Delete, Document, RecordKey, Upsert, WriteMode
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.inbox import Inbox, blocks_of
from unit_tests.fakes import (
    COLLECTION,
    LITE_COLLECTION,
    BarChunker,
    CountingEmbedder,
    Crash,
    Entity,
    FakeStore,
    Fault,
    texts_of,
    vector_of,
)

SHAPE = "shape"
STREAMS = ("A", "B")
KEYS = tuple(RecordKey(stream, f"{stream}_{key}") for stream in STREAMS for key in ("k0", "k1"))

TEXTS = ("a", "a|b", "a|b|c", "b|a", "a|a", "", "c", "x|a|b|c", "c|b|a", "a|a|b|a")
METADATA = (
    {"status": "new"},
    {"status": "solved", "vip": True},
    {META_CHANGES: [{"field": "status", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}]},
)


@dataclass(frozen=True)
class Version:
    """What a record said at one time."""

    text: str
    metadata: int = 0

    @property
    def chunks(self) -> list[str]:
        """One a row."""
        return [piece for piece in self.text.split("|") if piece]

    def document(self) -> Document:
        """As a builder makes it."""
        return Document(self.text, "", METADATA[self.metadata], 0)


Log = list[tuple[RecordKey, Version | None]]
"""Changes in the order of a source; None deletes."""


def change_of(key: RecordKey, version: Version | None, generation: int) -> Change:
    return Delete(key) if version is None else Upsert(key, generation, version.document())


def fold(changes: Iterable[tuple[RecordKey, Version | None]]) -> dict[RecordKey, Version | None]:
    return dict(changes)


# --- what a reader finds ----------------------------------------------------------------------------------------------


def is_version(rows: dict[int, Entity], version: Version | None, generation: int) -> bool:
    """Whether the rows of a record are those of a version, all of them and no others."""
    texts = [] if version is None else version.chunks
    if version is None or not texts or set(rows) != set(range(len(texts))):
        return not texts and not rows
    head = rows[0]
    return (
        list(texts_of(rows)) == texts
        and all(row["vector"] == vector_of(row["text"]) for row in rows.values())
        and all(metadata_of(row) == METADATA[version.metadata] for row in rows.values())
        and head[FINGERPRINT] == digests.fingerprint(version.document(), generation, SHAPE)
        and head[CHUNKS] == len(texts)
        and head[GENERATION] == generation
    )


def metadata_of(row: Entity) -> dict[str, object]:
    fixed = (SYSTEM_FIELDS - {META_CHANGES}) | {"pk", "vector", "text"}
    return {name: value for name, value in row.items() if name not in fixed and value is not None}


@dataclass
class Reader:
    """Looks at the collection after every call that changed it."""

    fingerprints: dict[str, tuple[Version, int]] = field(default_factory=dict)
    searchable: set[RecordKey] = field(default_factory=set)
    """Records that were committed and that nothing in progress takes out."""
    swept_below: int = 0
    """Heads of older generations vouch for nothing: their numbers do not come again, and a sweep may be under way."""
    looks: int = 0

    def knows(self, changes: Iterable[Change]) -> None:
        """Note which fingerprint stands for which version."""
        for change in changes:
            if isinstance(change, Upsert):
                document = change.document
                version = Version(document.text, METADATA.index(dict(document.metadata)))
                fingerprint = digests.fingerprint(document, change.generation, SHAPE)
                self.fingerprints[fingerprint] = (version, change.generation)

    def __call__(self, store: FakeStore) -> None:
        """Every promise that holds at any moment."""
        self.looks += 1
        records = store.records()
        for key, rows in records.items():
            assert 0 in rows, f"{key} has rows without a head"
            head = rows[0]
            assert max(rows) < head[CHUNKS], f"{key} has rows that its head does not know of"
            assert all(row["vector"] == vector_of(row["text"]) for row in rows.values())
            if head[FINGERPRINT] != PENDING and head[GENERATION] >= self.swept_below:
                version, generation = self.fingerprints[head[FINGERPRINT]]
                assert is_version(rows, version, generation), f"the head of {key} vouches for what is not there"
        assert self.searchable <= records.keys(), "a record that was committed became a hole"


# --- one thread: every interleaving is in the schedule ----------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """Where an attempt ends, and what the source and the platform do before the next."""

    call: int
    applied: int
    error: type[BaseException] | None
    """Crash: the process; TransientError: the call; None: nothing ends, the call is sent twice."""
    forgets: int
    """States that reached the platform and got lost there."""
    edits: tuple[tuple[int, Version | None], ...]
    """Versions that came up at the source in the meantime, in place of those not yet acknowledged."""


@dataclass(frozen=True)
class Plan:
    """One sync as the user wants it."""

    changes: tuple[tuple[RecordKey, Version | None], ...]
    states: frozenset[int]
    """Positions behind which the source sends a state; it always sends one at the end."""
    batch_size: int
    refresh: bool
    cuts: tuple[Cut, ...]


class History:
    """A collection and its syncs."""

    def __init__(self, collection: Collection, rows_a_call: int = 1_000) -> None:
        self.collection = collection
        self.rows_a_call = rows_a_call
        self.entities: dict[str, Entity] = {}
        self.reader = Reader()
        self.embedder = CountingEmbedder()
        self.expected: dict[RecordKey, tuple[Version | None, int]] = {}
        self.generation = 1
        self.cut_calls = 0

    def store(self, cut: Cut | None) -> FakeStore:
        """The collection as a new process sees it, with what is going to happen to it."""
        faults = []
        if cut is not None:
            error = None if cut.error is None else cut.error("cut")
            faults.append(Fault(cut.call, cut.applied, error))
        return FakeStore(
            self.entities,
            collection=self.collection,
            faults=faults,
            rows_a_call=self.rows_a_call,
            watch=self.reader,
            pause=self.pause,
        )

    def pause(self) -> None:
        """How long a call takes."""

    def run(self, plan: Plan) -> None:
        """A sync with its cuts, and then the collection as it has to be."""
        if plan.refresh:
            self.generation += 1
        log, position = list(plan.changes), 0
        for cut in (*plan.cuts, None):
            sync = SingleThreadedSync(self, self.store(cut), plan, log)
            try:
                sync.run(position)
            except (Crash, TransientError):
                self.cut_calls += 1
                assert cut is not None
                position = sync.emitted[max(0, len(sync.emitted) - 1 - cut.forgets)] if sync.emitted else position
                log = edited(log, position, sync.acknowledged, cut.edits)
                continue
            break
        if plan.refresh:
            self.expected = {}
        self.expected.update({key: (version, self.generation) for key, version in log})
        self.check_end()

    def check_end(self) -> None:
        """Every record is there in its last version, nothing else is, and none of it is paid for again."""
        records = FakeStore(self.entities).records()
        for key in KEYS:
            version, generation = self.expected.get(key, (None, 0))
            rows = records.get(key, {})
            assert is_version(rows, version, generation), f"{key}: want {version} of {generation}, have {rows}"
        self.check_identical_sync_costs_nothing()

    def check_identical_sync_costs_nothing(self) -> None:
        """No embedding and no write where nothing has changed."""
        paid, store = len(self.embedder.texts), self.store(None)
        changes = [change_of(key, version, generation) for key, (version, generation) in self.expected.items()]
        committed = committer(store, self.embedder).commit(changes)
        assert (len(self.embedder.texts), store.writes, committed.written) == (paid, 0, 0)


def committer(store: FakeStore, embedder: CountingEmbedder) -> Committer:
    return Committer(store, embedder, BarChunker(), SHAPE, skip_bad_records=False)  # type: ignore[arg-type]


def edited(log: Log, position: int, acknowledged: int, edits: Sequence[tuple[int, Version | None]]) -> Log:
    """The log as the source delivers it next: what nobody has acknowledged may have changed, and more may follow."""
    known, coming = log[:position], log[position:]
    for place, version in edits:
        if place < len(coming) and position + place >= acknowledged:
            coming[place] = (coming[place][0], version)
        elif place >= len(coming):
            coming.append((KEYS[place % len(KEYS)], version))
    return known + coming


class SingleThreadedSync:
    """The order of `Sync`, without its threads: fold, commit, emit, sweep."""

    def __init__(self, history: History, store: FakeStore, plan: Plan, log: Log) -> None:
        self.history, self.store, self.plan, self.log = history, store, plan, log
        self.committer = committer(store, history.embedder)
        self.emitted: list[int] = []
        self.acknowledged = 0

    def run(self, start: int) -> None:
        """From a position in the log to its end."""
        self.emitted.append(start)
        self.acknowledged = start
        batch, states = Batch(0.0), list[int]()
        for position, (key, version) in enumerate(self.log[start:], start + 1):
            batch.add(change_of(key, version, self.history.generation), 0)
            if position in self.plan.states or position == len(self.log):
                states.append(position)
            if len(batch.changes) >= self.plan.batch_size or position == len(self.log):
                self.commit(batch, states, start, position)
                batch, states = Batch(0.0), []
        if self.plan.refresh:
            self.sweep()

    def commit(self, batch: Batch, states: list[int], start: int, position: int) -> None:
        """A batch, and then its states."""
        reader, changes = self.history.reader, list(batch.changes.values())
        reader.knows(changes)
        stays = {change.key for change in changes if isinstance(change, Upsert) and change.document.text}
        reader.searchable -= batch.changes.keys() - stays
        self.committer.commit(changes)
        reader.searchable |= stays
        self.check_durable(start, position)
        self.emitted.extend(states)
        self.acknowledged = max([self.acknowledged, *states])

    def check_durable(self, start: int, position: int) -> None:
        """Everything before a state is stored when it leaves."""
        records = self.store.records()
        for key, version in fold(self.log[start:position]).items():
            assert is_version(records.get(key, {}), version, self.history.generation), "acknowledged, but not stored"

    def sweep(self) -> None:
        """Take out what is not of this generation."""
        reader, generation = self.history.reader, self.history.generation
        reader.swept_below = generation
        reader.searchable &= {key for key, _ in self.log}
        for stream in STREAMS:
            self.store.sweep(stream, generation, generation, keyed=True)


class Choices:
    """Small numbers out of bytes: one draw for Hypothesis instead of hundreds, and smaller bytes are simpler."""

    def __init__(self, source: bytes) -> None:
        self._source = iter(source)

    def __call__(self, number: int) -> int:
        """One of 0 … number-1; 0 once the bytes are used up."""
        return next(self._source, 0) % number

    def version(self) -> Version | None:
        """A version, or a deletion."""
        return None if self(6) == 5 else Version(TEXTS[self(len(TEXTS))], self(len(METADATA)))

    def cut(self) -> Cut:
        """An attempt that does not come to its end."""
        return Cut(
            call=self(24),
            applied=(0, -1, self(64))[self(3)],
            error=(Crash, TransientError, None)[self(3)],
            forgets=max(0, self(5) - 2),
            edits=tuple((self(7), self.version()) for _ in range(self(4))),
        )

    def plan(self) -> Plan:
        """A sync."""
        return Plan(
            changes=tuple((KEYS[self(len(KEYS))], self.version()) for _ in range(1 + self(7))),
            states=frozenset(1 + self(7) for _ in range(self(4))),
            batch_size=1 + self(4),
            refresh=self(3) == 2,
            cuts=tuple(self.cut() for _ in range(self(4))),
        )


SCALE = int(os.environ.get("CRASH_REPLAY_SCALE", "1"))
"""So many times the histories of an ordinary run: for campaigns of hours (and then with `-o timeout=0`)."""

histories = st.tuples(
    st.binary(min_size=200, max_size=200),
    st.sampled_from([COLLECTION, LITE_COLLECTION]),
    st.sampled_from([1, 2, 1_000]),
)


def lives_through(history: History, choices: Choices) -> None:
    """Up to four syncs."""
    for _ in range(1 + choices(4)):
        plan = choices.plan()
        note(str(plan))
        history.run(plan)
    event(f"{history.cut_calls} cut syncs")


@settings(max_examples=700 * SCALE, deadline=None)
@given(histories)
def test_after_any_crashes_the_collection_is_that_of_an_undisturbed_sync(drawn: tuple[bytes, Collection, int]) -> None:
    source, collection, rows_a_call = drawn
    lives_through(History(collection, rows_a_call), Choices(source))


# --- one record: all of it --------------------------------------------------------------------------------------------

ONE = KEYS[0]
FIRST = [None, *map(Version, ("a", "a|b", "a|b|c", "b|a", "c|a|b|a"))]
FEW = [*FIRST, Version("a|b", 1), Version("a|b|c|x", 2)]


def interrupted(before: Version | None, wanted: Version | None) -> Iterator[dict[str, Entity]]:
    """Every collection that a crash can leave on the way from one version to another."""
    left: set[str] = set()
    for call, applied in itertools.product(range(12), range(8)):
        history = prepared({}, before, wanted)
        committer(history.store(None), history.embedder).commit([change_of(ONE, before, 1)])
        history.reader.searchable = {ONE} if before and wanted else set()
        try:
            committer(history.store(Cut(call, applied, Crash, 0, ())), history.embedder).commit(
                [change_of(ONE, wanted, 1)]
            )
        except Crash:
            if (seen := repr(sorted(history.entities.items()))) not in left:
                left.add(seen)
                yield history.entities
        else:
            return


def prepared(entities: dict[str, Entity], *versions: Version | None) -> History:
    """A collection whose reader knows these versions."""
    history = History(LITE_COLLECTION)
    history.entities = entities
    history.reader.knows(change_of(ONE, version, 1) for version in versions)
    return history


def test_a_single_record_survives_a_crash_at_every_call_with_every_part_of_it_applied() -> None:
    """All versions before, interrupted and after; every call of the commit; every subset of the rows of the call."""
    explored = 0
    for before, wanted in itertools.product(FIRST, FEW):
        for entities, after in itertools.product(interrupted(before, wanted), FEW):
            history = prepared(dict(entities), before, wanted, after)
            history.reader.searchable = {ONE} if before and wanted and after else set()
            stored = {row["text"] for row in entities.values()}
            store = history.store(None)
            committer(store, history.embedder).commit([change_of(ONE, after, 1)])
            assert not stored & set(history.embedder.texts), "text was embedded whose vector is stored"
            assert is_version(store.records().get(ONE, {}), after, 1)
            explored += 1
    assert explored > 2_000


def test_an_interrupted_version_that_never_comes_again_is_swept_by_the_next_refresh() -> None:
    """The record vanished from its source while the sync was down: nothing of it may outlive the refresh."""
    for before, wanted in itertools.product(FIRST, FEW):
        for entities in interrupted(before, wanted):
            history = prepared(entities, before, wanted)
            history.reader.swept_below = 2
            history.store(None).sweep(ONE.stream, 2, 2, keyed=True)
            assert not entities


def test_the_unfinished_versions_are_swept_even_where_their_generation_is_kept() -> None:
    *_, announced = (entities for entities in interrupted(None, Version("a|b|c")) if len(entities) == 1)
    history = prepared(announced, Version("a|b|c"))
    assert history.store(None).sweep(ONE.stream, 2, 1, keyed=True) == 1
    assert not announced


# --- the whole sync, with its threads ---------------------------------------------------------------------------------

BUILDER = DocumentBuilder(
    text_fields=(FieldPath.parse("text"),),
    metadata_fields=(FieldPath.parse("status"), FieldPath.parse("vip")),
    include_names=False,
    reserved=COLLECTION.reserved,
)


def plan_of(stream: str, generation: int, *, refresh: bool) -> StreamPlan:
    return StreamPlan(
        stream, WriteMode.DEDUP, (("id",),), frozenset(), generation, minimum_generation=generation if refresh else 0
    )


def record_line(key: RecordKey, version: Version | None) -> dict[str, object]:
    data: dict[str, object] = {"id": key.record_id.removeprefix(f"{key.stream}_")}
    if version is None:
        data["_ab_cdc_deleted_at"] = "2026-01-01T00:00:00Z"
    else:
        metadata = METADATA[version.metadata]
        data |= {"text": version.text, **{name: metadata[name] for name in ("status", "vip") if name in metadata}}
    meta = {"changes": METADATA[version.metadata].get(META_CHANGES, [])} if version is not None else {}
    record = {"stream": key.stream, "data": data, "emitted_at": 0, "meta": meta}
    return {"type": "RECORD", "record": record}


def state_line(position: int) -> dict[str, object]:
    return {"type": "STATE", "state": {"type": "GLOBAL", "global": {"position": position}}}


def as_input(log: Log, start: int, states: frozenset[int]) -> io.BytesIO:
    messages = []
    for position, change in enumerate(log[start:], start + 1):
        messages.append(record_line(*change))
        if position in states or position == len(log):
            messages.append(state_line(position))
    return io.BytesIO(b"".join(json.dumps(message).encode() + b"\n" for message in messages))


class ThreadedHistory(History):
    """As `History`, through `Inbox`, `Sync` and its window of batches."""

    def pause(self) -> None:
        """Now and then a call takes longer, so that another thread overtakes it."""
        if random.random() < 0.2:  # noqa: S311 - nobody guesses it
            time.sleep(0.001)

    def run(self, plan: Plan) -> None:
        """A sync with its cuts, and then the collection as it has to be."""
        if plan.refresh:
            self.generation += 1
            self.reader.swept_below = self.generation
        log, position = list(plan.changes), 0
        stay = {key for key in KEYS if all(version and version.text for other, version in log if other == key)}
        for cut in (*plan.cuts, None):
            edits = () if cut is None else cut.edits
            stay -= {key for key in KEYS if any(version is None or not version.text for _, version in edits)}
            self.reader.searchable = {
                key for key in stay if self.expected.get(key, (None, 0))[0] and not plan.refresh
            } & FakeStore(self.entities).records().keys()
            store = self.store(cut)
            emitted = self.attempt(plan, store, log, position)
            if store.dead:
                self.cut_calls += 1
                assert cut is not None
                position = emitted[max(0, len(emitted) - 1 - cut.forgets)] if emitted else position
                log = edited(log, position, max(emitted, default=position), edits)
                continue
            break
        if plan.refresh:
            self.expected = {}
        self.expected.update({key: (version, self.generation) for key, version in log})
        self.check_end()

    def attempt(self, plan: Plan, store: FakeStore, log: Log, start: int) -> list[int]:
        """One process; returns the positions of the states that it emitted, and leaves the store dead if it failed."""
        emitted: list[int] = []

        def emit(lines: Sequence[bytes]) -> None:
            for line in lines:
                if store.dead:
                    return
                position = json.loads(line)["state"]["global"]["position"]
                self.check_durable(store, log, start, position)
                emitted.append(position)

        self.reader.knows(change_of(key, version, self.generation) for key, version in log)
        names: dict[StreamName, StreamPlan] = {
            (stream, None): plan_of(stream, self.generation, refresh=plan.refresh) for stream in STREAMS
        }
        sync = Sync(
            names,
            committer(store, self.embedder),
            Intake(names, dict.fromkeys(names, BUILDER), None),
            emit,
            limits=BatchLimits(records=plan.batch_size, batches_in_flight=3),
            empty_streams=[name for name in names if not any(key.stream == name[0] for key in store.records())],
        )
        try:
            sync.run(Inbox(blocks_of(as_input(log, start, plan.states))))
        except (Crash, DestinationError):
            store.kill()
        return emitted

    def check_durable(self, store: FakeStore, log: Log, start: int, position: int) -> None:
        """Everything before a state is stored when it leaves, or replaced by what came after."""
        records, later = store.records(), {key for key, _ in log[position:]}
        for key, version in fold(log[start:position]).items():
            if key not in later:  # a later version may be on its way in
                assert is_version(records.get(key, {}), version, self.generation), "acknowledged, but not stored"


@settings(max_examples=150 * SCALE, deadline=None)
@given(histories)
def test_the_whole_sync_with_batches_in_flight_survives_any_crashes(drawn: tuple[bytes, Collection, int]) -> None:
    source, collection, rows_a_call = drawn
    lives_through(ThreadedHistory(collection, rows_a_call), Choices(source))


@dataclass(frozen=True)
class Era:
    """A sync of a stream whose mode, key or generation are others than before."""

    key: str | None
    """Field that it is deduplicated by; None for none."""
    needs_key: bool
    truncates: bool
    records: tuple[tuple[str | None, str, str], ...]
    """Two fields that a key may be made of, and the text."""
    fails: bool
    """Whether the source fails at the end."""
    cuts: tuple[Cut, ...]

    @classmethod
    def chosen(cls, choose: Choices) -> Era:
        """One of all."""
        key, needs_key = (("id", True), ("id", False), ("other", True), (None, False))[choose(4)]
        ids = ("k0", "k1", "k2", None) if key == "id" and not needs_key else ("k0", "k1", "k2")
        records = tuple(
            (ids[choose(len(ids))], f"o{choose(3)}", FULL_TEXTS[choose(len(FULL_TEXTS))]) for _ in range(choose(6))
        )
        cuts = tuple(choose.cut() for _ in range(choose(3)))
        return cls(key, needs_key, choose(3) > 0, records, choose(4) == 3, cuts)

    def key_of(self, record: tuple[str | None, str, str]) -> str | None:
        """The value of a record's key; None where it has none."""
        return None if self.key is None else record[("id", "other").index(self.key)]

    def plan(self, generation: int) -> StreamPlan:
        """As a platform that counts generations asks for it."""
        return StreamPlan(
            "A",
            WriteMode.APPEND if self.key is None else WriteMode.DEDUP,
            () if self.key is None else ((self.key,),),
            frozenset(),
            generation,
            generation if self.truncates else 0,
            needs_key=self.needs_key,
            awaits_complete=True,
        )

    def input(self) -> io.BytesIO:
        """What the platform sends: nothing behind the records where the source fails."""
        lines: list[dict[str, object]] = [
            {"type": "RECORD", "record": {"stream": "A", "data": {"id": a, "other": b, "text": text}, "emitted_at": 0}}
            for a, b, text in self.records
        ]
        if not self.fails:
            status = {"stream_descriptor": {"name": "A"}, "status": "COMPLETE"}
            lines.append({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": status}})
        return io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


FULL_TEXTS = tuple(text for text in TEXTS if text)


class ChangingHistory:
    """A stream through syncs of every mode, by keys and without, whole, cut off and with a source that fails."""

    def __init__(self, collection: Collection, rows_a_call: int) -> None:
        self.collection, self.rows_a_call = collection, rows_a_call
        self.entities: dict[str, Entity] = {}
        self.generation = 0

    def run(self, era: Era) -> None:
        """An era with its cuts."""
        self.generation += era.truncates
        before = self.searchable()
        ended_well = any(self.ends_well(era, self.store(cut)) for cut in (*era.cuts, None))
        assert ended_well != era.fails, "a source that failed is an error, and nothing else is"
        if era.truncates and not era.fails:
            self.check_nothing_is_stale(era)
        else:
            assert before <= self.searchable(), "a record is gone"

    def ends_well(self, era: Era, store: FakeStore) -> bool:
        """One process, to its end or to where it is cut."""
        try:
            self.sync(era, store)
        except (Crash, TransientError):
            store.kill()
            return False
        return True

    def store(self, cut: Cut | None) -> FakeStore:
        """The collection as a new process sees it."""
        error = None if cut is None or cut.error is None else cut.error("cut")
        faults = [] if cut is None else [Fault(cut.call, cut.applied, error)]
        return FakeStore(self.entities, collection=self.collection, faults=faults, rows_a_call=self.rows_a_call)

    def sync(self, era: Era, store: FakeStore) -> None:
        """One process."""
        name: StreamName = ("A", None)
        plans = {name: era.plan(self.generation)}
        sync = Sync(
            plans,
            committer(store, CountingEmbedder()),
            Intake(plans, {name: BUILDER}, None),
            lambda _: None,
            limits=BatchLimits(records=2, batches_in_flight=2),
        )
        sync.run(Inbox(blocks_of(era.input())))

    def complete_records(self) -> dict[RecordKey, list[str]]:
        """Texts of the records whose head vouches for them."""
        return {
            key: list(texts_of(rows))
            for key, rows in FakeStore(self.entities).records().items()
            if 0 in rows and rows[0][FINGERPRINT] != PENDING and sorted(rows) == list(range(rows[0][CHUNKS]))
        }

    def searchable(self) -> set[RecordKey]:
        """Records that have a head, also in the middle of being replaced."""
        return {key for key, rows in FakeStore(self.entities).records().items() if 0 in rows}

    def check_nothing_is_stale(self, era: Era) -> None:
        """Only what this generation brought is there, whole; of records without a key at least once."""
        found = self.complete_records()
        keyed = {era.key_of(record): record[2] for record in era.records if era.key_of(record)}
        expected = {RecordKey("A", f"A_{key}"): text.split("|") for key, text in keyed.items()}
        assert {key: texts for key, texts in found.items() if key.record_id.startswith("A_")} == expected
        others = [record[2].split("|") for record in era.records if not era.key_of(record)]
        left = [texts for key, texts in found.items() if not key.record_id.startswith("A_")]
        for texts in others:
            assert texts in left, "a record without a key is lost"
            left.remove(texts)
        assert all(texts in others for texts in left), "a record of another generation is searchable"
        for key, rows in FakeStore(self.entities).records().items():
            if key not in found:  # a killed attempt at this generation, whose record has no key to find it by
                assert not key.record_id.startswith("A_")
                assert {row[GENERATION] for row in rows.values()} == {self.generation}


@settings(max_examples=300 * SCALE, deadline=None)
@given(histories)
def test_nothing_is_stale_or_lost_where_mode_key_and_generation_change(drawn: tuple[bytes, Collection, int]) -> None:
    """And where sources fail in between: only a sync that is complete takes anything out."""
    source, collection, rows_a_call = drawn
    history, choices = ChangingHistory(collection, rows_a_call), Choices(source)
    for _ in range(1 + choices(6)):
        era = Era.chosen(choices)
        note(str(era))
        history.run(era)


def test_a_cut_sync_and_its_replay_leave_the_very_rows_of_an_undisturbed_one() -> None:
    """Row by row, not only in what a reader is promised."""
    log = tuple(zip(KEYS, map(Version, ("a|b|c", "b|a", "x|a|b|c", "a|a")), strict=True))
    plan = Plan(log, frozenset({1, 2}), batch_size=1, refresh=False, cuts=())
    undisturbed = ThreadedHistory(COLLECTION)
    undisturbed.run(plan)
    for call, applied in itertools.product(range(20), (0, 1, 2, -1)):
        history = ThreadedHistory(COLLECTION)
        history.run(replace(plan, cuts=(Cut(call, applied, Crash, 0, ()),)))
        assert history.entities == undisturbed.entities


def test_the_reader_would_notice_each_broken_promise() -> None:
    """The watch itself, on collections that no commit leaves."""
    history = History(COLLECTION)
    change = change_of(ONE, Version("a|b|c"), 1)
    history.reader.knows([change])
    committer(history.store(None), history.embedder).commit([change])
    whole = dict(history.entities)
    head, tail = chunk_key(ONE, 0), chunk_key(ONE, 2)

    def notices(entities: dict[str, Entity], words: str) -> None:
        with pytest.raises(AssertionError, match=words):
            history.reader(FakeStore(entities))

    notices({key: row for key, row in whole.items() if key != head}, "without a head")
    notices({key: row for key, row in whole.items() if key != tail}, "vouches")
    notices({**whole, tail: {**whole[tail], "text": "b", "vector": vector_of("b")}}, "vouches")
    notices({**whole, "pk": {**whole[tail], CHUNK: 3}}, "does not know of")
    history.reader.searchable = {KEYS[1]}
    notices(whole, "a hole")
