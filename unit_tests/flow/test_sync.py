from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.paths import FieldPath
from destination_milvus.errors import BadRecord, ConfigError, DestinationError, InternalError, TransientError
from destination_milvus.fields import GENERATION
from destination_milvus.flow.absent import AbsentRecords
from destination_milvus.flow.batch import Batch, BatchLimits
from destination_milvus.flow.commit import Committed, Committer
from destination_milvus.flow.intake import Intake
from destination_milvus.flow.states import Acknowledgement, StateCounts
from destination_milvus.flow.sync import Sync
from destination_milvus.flow.window import Window
from destination_milvus.model import Change, Delete, Document, Head, RecordKey, Upsert, WriteMode
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.inbox import Inbox, blocks_of
from destination_milvus.protocol.messages import Message, State, parse_line
from unit_tests.fakes import COLLECTION, BarChunker, CountingEmbedder, Crash, FakeStore, Fault, texts_of

PATIENCE = 10.0
KEYS = [RecordKey("s", f"s_{number}") for number in range(5)]


def upsert(key: RecordKey, text: str = "a", generation: int = 1) -> Upsert:
    return Upsert(key, generation, Document(text, "", {}, 0))


# --- batches ----------------------------------------------------------------------------------------------------------


def batch(*changes: Change) -> Batch:
    made = Batch(0.0)
    for change in changes:
        made.add(change, 10)
    return made


def test_the_last_change_of_a_record_wins() -> None:
    folded = batch(upsert(KEYS[0], "old"), upsert(KEYS[1]), upsert(KEYS[0], "new"), Delete(KEYS[1]))
    assert folded.changes == {KEYS[0]: upsert(KEYS[0], "new"), KEYS[1]: Delete(KEYS[1])}
    assert folded.records == 4


def test_a_deletion_that_is_taken_back_is_an_upsert() -> None:
    assert batch(Delete(KEYS[0]), upsert(KEYS[0])).changes == {KEYS[0]: upsert(KEYS[0])}


@pytest.mark.parametrize(
    ("limits", "full"),
    [
        (BatchLimits(records=2), True),
        (BatchLimits(records=3), False),
        (BatchLimits(text_characters=6), True),
        (BatchLimits(text_characters=7), False),
        (BatchLimits(message_bytes=34), True),
        (BatchLimits(message_bytes=35), False),
        (BatchLimits(states=1), True),
        (BatchLimits(states=2), False),
    ],
)
def test_a_batch_is_full_by_records_or_text_or_bytes_or_states(limits: BatchLimits, *, full: bool) -> None:
    made = batch(upsert(KEYS[0], "abc"), upsert(KEYS[0], "abc"), Delete(KEYS[1]))
    made.add_state(Acknowledgement(State(b"", b"4444", None), 0, 0))
    assert made.is_full(limits) == full


def test_states_ride_in_a_batch_that_is_under_way_until_they_are_many_or_large() -> None:
    made = batch(upsert(KEYS[0]))
    limits = BatchLimits(states=3, message_bytes=10)
    assert made.takes_states(limits)
    made.add_state(Acknowledgement(State(b"", b"1010101010", None), 0, 0))
    assert not made.takes_states(limits)
    assert made.takes_states(BatchLimits(states=2))
    assert not made.takes_states(BatchLimits(states=1))


def test_a_batch_of_nothing_is_none() -> None:
    assert not Batch(0.0)
    assert batch(Delete(KEYS[0]))
    assert Batch(0.0, states=[Acknowledgement(State(b"", b"", None), 0, 0)])


# --- the window -------------------------------------------------------------------------------------------------------


class Gates:
    """A commit that waits at a gate, one a record, and remembers its order."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.failing: dict[str, BaseException] = {}

    def commit(self, changes: Sequence[Change]) -> Committed:
        """As `Committer.commit`."""
        name = ",".join(f"{change.key.record_id}" for change in changes)
        self.started.append(name)
        assert self.gates.setdefault(name, threading.Event()).wait(PATIENCE)
        if name in self.failing:
            raise self.failing[name]
        return Committed(written=len(changes))

    def open(self, *keys: RecordKey) -> None:
        """Let the batch of these records pass."""
        self.gates.setdefault(",".join(key.record_id for key in keys), threading.Event()).set()


@contextmanager
def window(size: int, gates: Gates) -> Iterator[Window]:
    made = Window(gates.commit, size)
    try:
        yield made
    finally:
        for gate in gates.gates.values():
            gate.set()
        made.close(abandon=True)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


def test_batches_commit_at_once_and_come_back_in_the_order_of_submission() -> None:
    gates = Gates()
    with window(3, gates) as made:
        batches = [batch(upsert(key)) for key in KEYS[:3]]
        for submitted in batches:
            made.submit(submitted)
        assert made.is_full
        until(lambda: len(gates.started) == 3)
        gates.open(KEYS[2])
        gates.open(KEYS[1])
        until(lambda: sum(flight.outcome.done() for flight in made._in_flight) == 2)
        assert list(made.finished()) == [], "the first is still under way"
        gates.open(KEYS[0])
        assert made.wait()[0] is batches[0]
        assert [taken for taken, _ in made.finished()] == batches[1:]
        assert len(made) == 0
        assert not made.is_full


def test_a_batch_waits_for_every_earlier_one_that_shares_a_record() -> None:
    gates = Gates()
    with window(4, gates) as made:
        made.submit(batch(upsert(KEYS[0])))
        made.submit(batch(upsert(KEYS[1])))
        made.submit(batch(upsert(KEYS[0]), upsert(KEYS[1])))
        made.submit(batch(upsert(KEYS[1]), upsert(KEYS[2])))
        gates.open(KEYS[0])
        until(lambda: len(gates.started) == 2)
        assert sorted(gates.started) == ["s_0", "s_1"]
        gates.open(KEYS[1])
        until(lambda: len(gates.started) == 3)
        assert gates.started[2] == "s_0,s_1", "the last shares a record with it and waits too"
        gates.open(KEYS[0], KEYS[1])
        until(lambda: len(gates.started) == 4)


def test_a_failed_batch_fails_those_that_wait_for_it_and_no_others() -> None:
    gates = Gates()
    gates.failing["s_0"] = TransientError("away")
    with window(3, gates) as made:
        made.submit(batch(upsert(KEYS[0])))
        made.submit(batch(upsert(KEYS[0]), upsert(KEYS[1])))
        made.submit(batch(upsert(KEYS[2])))
        assert not made.has_failed
        gates.open(KEYS[0])
        gates.open(KEYS[2])
        with pytest.raises(TransientError, match="away"):
            made.wait()
        until(lambda: all(flight.outcome.done() for flight in made._in_flight))
        assert made.has_failed
        assert "s_0,s_1" not in gates.started, "a later version must not overtake"
        assert [flight.outcome.exception() is None for flight in made._in_flight] == [False, False, True]
        with pytest.raises(TransientError):
            list(made.finished())
        assert len(made) == 3, "what has failed stays at the front"


def test_states_alone_commit_to_nothing() -> None:
    gates = Gates()
    with window(1, gates) as made:
        made.submit(Batch(0.0))
        assert made.wait()[1] == Committed()
        assert not gates.started


def test_an_abandoned_window_leaves_what_has_not_begun() -> None:
    gates = Gates()
    with window(1, gates) as made:
        made.submit(batch(upsert(KEYS[0])))
        until(lambda: gates.started)
        made.submit(batch(upsert(KEYS[1])))
        made.close(abandon=True)
        with pytest.raises(CancelledError):
            made._in_flight[1].outcome.result(PATIENCE)


# --- counts of states -------------------------------------------------------------------------------------------------

ONE, OTHER = ("one", None), ("other", "n")


def stream_state(stream: tuple[str, str | None]) -> State:
    return State(b"", b"", stream)


def test_the_state_of_a_stream_counts_its_records_and_any_other_counts_all() -> None:
    counts = StateCounts()
    for stream in (ONE, ONE, OTHER):
        counts.accept(stream)
    counts.reject(OTHER)

    def numbers(stream: tuple[str, str | None] | None) -> tuple[int, int]:
        answer = counts.acknowledgement(State(b"", b"", stream))
        return answer.records, answer.rejected

    assert numbers(ONE) == (2, 0)
    assert numbers(ONE) == (0, 0), "each record counts once"
    counts.accept(ONE)
    assert numbers(None) == (2, 1)
    assert numbers(OTHER) == (0, 0)


def test_a_record_refused_at_its_commit_moves_from_the_stored_to_the_rejected() -> None:
    counts = StateCounts()
    for _ in range(3):
        counts.refuse(ONE)
    first = counts.settled(Acknowledgement(stream_state(ONE), records=2, rejected=1))
    assert (first.records, first.rejected) == (0, 3), "no more than there are"
    assert counts.settled(Acknowledgement(stream_state(OTHER), 5, 0)).rejected == 0
    second = counts.settled(Acknowledgement(State(b"", b"", None), 5, 0))
    assert (second.records, second.rejected) == (4, 1)
    assert counts.settled(Acknowledgement(stream_state(ONE), 5, 0)).rejected == 0


# --- the whole sync ---------------------------------------------------------------------------------------------------

BUILDER = DocumentBuilder(text_fields=(FieldPath.parse("text"),), include_names=False, reserved=COLLECTION.reserved)
SMALL = BatchLimits(records=2, batches_in_flight=2)


def plan(name: str, *, mode: WriteMode = WriteMode.DEDUP, generation: int = 2, minimum: int = 0) -> StreamPlan:
    return StreamPlan(name, mode, (("id",),) if mode is WriteMode.DEDUP else (), frozenset(), generation, minimum)


def record(key: int | None, text: str = "a", *, stream: str = "s", namespace: str | None = None) -> dict[str, Any]:
    data = {"id": key, "text": text}
    return {
        "type": "RECORD",
        "record": {"stream": stream, "namespace": namespace, "data": data, "emitted_at": 0},
    }


def state(number: int, *, stream: str | None = None) -> dict[str, Any]:
    if stream is None:
        return {"type": "STATE", "state": {"type": "GLOBAL", "global": {}, "id": number}}
    descriptor = {"stream_descriptor": {"name": stream}, "stream_state": {}}
    return {"type": "STATE", "state": {"type": "STREAM", "stream": descriptor, "id": number}}


def status(word: str, stream: str = "s") -> dict[str, Any]:
    body = {"stream_descriptor": {"name": stream}, "status": word}
    return {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "stream_status": body}}


def protocol_message(message: dict[str, Any]) -> Message:
    parsed = parse_line(json.dumps(message).encode(), 1)
    assert parsed is not None
    return parsed


def as_lines(messages: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


class Run:
    """A sync, and what it emitted."""

    def __init__(
        self,
        store: FakeStore | None = None,
        *,
        plans: Sequence[StreamPlan] = (plan("s"),),
        limits: BatchLimits = SMALL,
        skip: bool = False,
        embedder: CountingEmbedder | None = None,
        empty: Sequence[str] = (),
        namespace: str | None = None,
    ) -> None:
        self.store = store or FakeStore()
        self.lines: list[dict[str, Any]] = []
        self.embedder = embedder or CountingEmbedder()
        committer = Committer(
            self.store,
            self.embedder,
            BarChunker(),  # type: ignore[arg-type]
            "shape",
            skip_bad_records=skip,
        )
        named: dict[StreamName, StreamPlan] = {
            (made.identifier.removeprefix(f"{namespace}_"), namespace): made for made in plans
        }
        empty_streams = [(stream, None) for stream in empty]
        self.sync = Sync(
            named,
            committer,
            Intake(named, dict.fromkeys(named, BUILDER), None),
            self.emit,
            limits=limits,
            empty_streams=empty_streams,
        )

    def emit(self, lines: Sequence[bytes]) -> None:
        """Take lines of standard output."""
        self.lines.extend(map(json.loads, lines))

    def of(self, *messages: dict[str, Any], end: bytes = b"") -> Run:
        """Run it over these messages."""
        self.sync.run(Inbox(blocks_of(io.BytesIO(as_lines(messages) + end))))
        return self

    def fails(self, kind: type[BaseException], words: str | None, *messages: dict[str, Any], end: bytes = b"") -> Run:
        """Run it over these messages to its failure."""
        with pytest.raises(kind, match=words):
            self.of(*messages, end=end)
        return self

    @property
    def states(self) -> list[int]:
        """The ids of the states that left."""
        return [line["state"]["id"] for line in self.lines]

    @property
    def stats(self) -> list[dict[str, float]]:
        """Their counts."""
        return [line["state"]["destinationStats"] for line in self.lines]

    @property
    def stored(self) -> dict[str, list[str]]:
        """Texts by record id."""
        return {key.record_id: list(texts_of(rows)) for key, rows in self.store.records().items()}


def test_records_are_stored_and_states_come_back_in_order_with_their_counts() -> None:
    run = Run().of(record(1), record(2, "b|c"), state(1), record(3), record(1, "new"), state(2), state(3))
    assert run.stored == {"s_1": ["new"], "s_2": ["b", "c"], "s_3": ["a"]}
    assert run.states == [1, 2, 3]
    assert run.stats == [{"recordCount": 2.0}, {"recordCount": 2.0}, {"recordCount": 0.0}]
    assert run.sync.progress.read == run.sync.progress.committed == 4


def test_states_of_streams_count_their_own_records() -> None:
    plans = [plan("s"), plan("t")]
    run = Run(plans=plans, limits=BatchLimits()).of(
        record(1), record(1, stream="t"), record(2), state(1, stream="t"), state(2, stream="s"), record(3), state(3)
    )
    assert [stats["recordCount"] for stats in run.stats] == [1.0, 2.0, 1.0]


def test_an_empty_input_is_a_sync() -> None:
    assert Run().of().lines == []


def test_an_input_of_states_alone_gives_them_all_back_and_calls_nobody() -> None:
    run = Run(limits=BatchLimits(states=3, batches_in_flight=2)).of(*[state(number) for number in range(10)])
    assert run.states == list(range(10))
    assert run.store.calls == 0


def test_every_state_follows_what_came_before_it_however_small_the_batches() -> None:
    messages = [message for number in range(50) for message in (record(number % 7, f"t{number}"), state(number))]
    run = Run(limits=BatchLimits(records=1, batches_in_flight=3)).of(*messages)
    assert run.states == list(range(50))
    assert run.stored == {f"s_{number % 7}": [f"t{number}"] for number in range(43, 50)}


class SlowSource:
    """An input whose blocks come one by one, when the test says so."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.ready = threading.Semaphore(0)

    def send(self, block: bytes) -> None:
        """The next block; none at all ends the input."""
        self.blocks.append(block)
        self.ready.release()

    def read1(self, _size: int, /) -> bytes:
        """As a pipe's."""
        self.ready.acquire()
        return self.blocks.pop(0)


@contextmanager
def slowly(run: Run) -> Iterator[SlowSource]:
    source = SlowSource()
    thread = threading.Thread(target=run.sync.run, args=(Inbox(blocks_of(source)),))
    thread.start()
    try:
        yield source
    finally:
        source.send(b"")
        thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_slow_source_gets_its_states_by_age() -> None:
    run = Run(limits=BatchLimits(age_seconds=0.05))
    with slowly(run) as source:
        source.send(as_lines([record(1), state(1)]))
        until(lambda: run.states == [1])
        source.send(as_lines([record(2), state(2)]))
        until(lambda: run.states == [1, 2])


def test_a_state_with_nothing_before_it_leaves_at_once() -> None:
    run = Run(limits=BatchLimits(age_seconds=3_600))
    with slowly(run) as source:
        source.send(as_lines([state(1)]))
        until(lambda: run.states == [1])


def test_a_young_batch_waits_for_more() -> None:
    run = Run(limits=BatchLimits(age_seconds=3_600))
    with slowly(run) as source:
        source.send(as_lines([record(1), state(1)]))
        time.sleep(0.1)
        assert run.states == []
    assert run.states == [1]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_an_input_that_breaks_off_commits_and_acknowledges_what_came_before() -> None:
    run = Run(limits=BatchLimits())
    run.fails(TransientError, "middle of line 4", record(1), state(1), record(2), end=b'{"type":"STATE","sta')
    assert run.states == [1]
    assert run.stored.keys() == {"s_1", "s_2"}


def test_a_line_that_is_no_message_commits_what_came_before_and_nothing_after() -> None:
    run = Run(limits=BatchLimits())
    run.fails(InternalError, "Line 3", record(1), state(1), end=b"garbage\n" + as_lines([record(2), state(2)]))
    assert run.states == [1]
    assert run.stored.keys() == {"s_1"}


def test_a_record_of_no_known_stream_is_named() -> None:
    run = Run().fails(
        InternalError, 'stream "other" came, which is not in', record(1), state(1), record(1, stream="other")
    )
    assert run.states == [1]


@pytest.mark.parametrize("error", [TransientError("away"), ValueError("a bug"), Crash()])
@pytest.mark.parametrize("call", range(2, 14))
def test_no_state_leaves_after_a_failed_batch(error: BaseException, call: int) -> None:
    """Whatever the failure is and wherever it strikes; what left before it was durable."""
    store = FakeStore(faults=[Fault(call, 0, error)])
    run = Run(store, limits=BatchLimits(records=1, batches_in_flight=3))
    messages = [message for number in range(5) for message in (record(number, "a|b"), state(number))]
    run.fails(type(error), None, *messages)
    assert run.states == list(range(len(run.states)))
    assert len(run.states) < 5
    for number in run.states:
        assert run.stored[f"s_{number}"] == ["a", "b"]


class Waiting(CountingEmbedder):
    """Lets some texts wait, or fail."""

    def __init__(self) -> None:
        super().__init__(before=self.meet)
        self.released = threading.Event()
        self.failed = threading.Event()

    def meet(self, texts: Sequence[str]) -> None:
        """What happens to a request."""
        if "slow" in texts:
            assert self.released.wait(PATIENCE)
        if "fails" in texts:
            self.failed.set()
            raise TransientError("The endpoint is away.")


def test_what_was_durable_before_a_failed_batch_is_acknowledged_although_the_input_broke_first() -> None:
    embedder = Waiting()
    run = Run(embedder=embedder, limits=BatchLimits(records=2, batches_in_flight=4))

    def source() -> bytes:
        assert embedder.failed.wait(PATIENCE)
        time.sleep(0.01)
        threading.Timer(0.2, embedder.released.set).start()
        return b"garbage\n"

    class Input:
        def __init__(self) -> None:
            slow, fails = [record(1, "slow"), state(1), record(2)], [record(3, "fails"), state(2), record(4)]
            first = as_lines([*slow, *fails, record(5), state(3)])
            self.blocks = iter([lambda: first, source, lambda: b""])

        def read1(self, _size: int, /) -> bytes:
            return next(self.blocks)()

    with pytest.raises(InternalError, match="Line 9"):
        run.sync.run(Inbox(blocks_of(Input())))
    assert run.states == [1]
    assert run.stored.keys() == {"s_1", "s_2"}


def test_the_batch_at_hand_is_not_begun_once_a_commit_has_failed() -> None:
    embedder = Waiting()
    run = Run(embedder=embedder, limits=BatchLimits(records=1, batches_in_flight=1))
    run.fails(TransientError, "away", record(1, "fails"), record(2), record(3), state(1))
    assert run.stored == {}
    assert run.states == []


def test_a_failing_output_ends_the_sync() -> None:
    run = Run()

    def broken(_: Sequence[bytes]) -> None:
        raise BrokenPipeError

    run.sync._trial._give_back = broken
    run.fails(BrokenPipeError, None, record(1), state(1))


# --- bad records ------------------------------------------------------------------------------------------------------


def test_a_bad_record_ends_the_sync_and_what_came_before_it_is_saved() -> None:
    run = Run(limits=BatchLimits())
    run.fails(BadRecord, 'Stream "s", a record without a key: it has no', record(1), state(1), record(None), record(2))
    assert run.stored.keys() == {"s_1"}
    assert run.states == [1]


def test_where_bad_records_are_skipped_they_are_counted_in_the_states_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    embedder = CountingEmbedder(refused=frozenset({"no"}))
    with caplog.at_level(logging.WARNING):
        run = Run(skip=True, embedder=embedder).of(
            record(1), record(None), record(2, "no"), state(1), record(3), state(2)
        )
    assert run.stored.keys() == {"s_1", "s_3"}
    assert run.stats == [{"recordCount": 1.0, "rejectedRecordCount": 2.0}, {"recordCount": 1.0}]
    assert (run.sync.progress.bad, run.sync.progress.read) == (2, 4)
    assert len(caplog.messages) == 2


def test_a_sync_of_mostly_bad_records_is_stopped() -> None:
    messages = [record(None if number % 3 else number) for number in range(200)]
    run = Run(skip=True, plans=[plan("s", minimum=2)], limits=BatchLimits())
    run.store.sweep = pytest.fail  # type: ignore[method-assign,assignment]
    run.fails(ConfigError, "133 of 200 records cannot be stored", *messages, state(1))
    assert len(run.stored) == 67, "what is good is stored"


def test_no_state_leaves_behind_a_skipped_record_of_a_sync_that_is_stopped() -> None:
    """Once the configuration is mended those records come again. Refused by the model, after they were accepted."""
    embedder = CountingEmbedder(refused=frozenset({"no"}))
    run = Run(skip=True, embedder=embedder, limits=BatchLimits(records=10, batches_in_flight=4))
    messages = [*map(record, range(10)), state(0)]
    for number in range(1, 14):
        messages += [*(record(number * 10 + unit, "no") for unit in range(10)), state(number)]
    run.fails(ConfigError, "cannot be stored", *messages)
    assert run.states == [0]


def test_skipped_records_are_rejected_in_the_states_that_waited_for_the_verdict() -> None:
    embedder = CountingEmbedder(refused=frozenset({"no"}))
    run = Run(skip=True, embedder=embedder, limits=BatchLimits(records=50, batches_in_flight=4))
    messages = [record(number, "yes" if number % 3 else "no") for number in range(150)]
    run.of(*messages[:75], state(1), *messages[75:], state(2), record(1000))
    assert run.states == [1, 2]
    assert [sum(stats.values()) for stats in run.stats] == [75, 75]
    assert sum(stats["rejectedRecordCount"] for stats in run.stats) == 50


# --- the end of a stream ----------------------------------------------------------------------------------------------


def filled(*streams: str) -> FakeStore:
    """A collection with a record of generation 1 in each stream."""
    store = FakeStore()
    Run(store, plans=[plan(stream, generation=1) for stream in streams]).of(
        *[record(0, "old", stream=stream) for stream in streams]
    )
    return store


REFRESH = [plan("s", minimum=2), plan("t", minimum=2)]
COMPLETE = [status("STARTED"), status("RUNNING"), record(1), status("COMPLETE")]


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "not counted"])
@pytest.mark.parametrize(
    ("statuses", "swept", "incomplete"),
    [
        ([status("COMPLETE"), status("COMPLETE", "t")], {"s", "t"}, []),
        ([status("COMPLETE"), status("INCOMPLETE", "t")], {"s"}, ["t"]),
        ([status("COMPLETE")], {"s"}, ["t"]),
        ([status("STARTED"), status("RUNNING", "t")], set(), ["s", "t"]),
        ([status("COMPLETE"), status("INCOMPLETE"), status("COMPLETE", "t")], {"t"}, ["s"]),
        ([status("INCOMPLETE"), status("COMPLETE"), status("COMPLETE", "t")], {"s", "t"}, []),
    ],
    ids=["both complete", "one incomplete", "one silent", "none complete", "taken back", "retried"],
)
def test_older_generations_are_swept_from_complete_streams_only(
    statuses: list[dict[str, Any]], swept: set[str], incomplete: list[str], *, counted: bool
) -> None:
    """Whether or not the catalog counts generations: where statuses come, they decide."""
    run = Run(filled("s", "t"), plans=[replace(each, awaits_complete=counted) for each in REFRESH])
    messages = [record(1), record(1, stream="t"), *statuses, state(1)]
    if incomplete:
        names = ", ".join(f'"{name}"' for name in incomplete)
        run.fails(TransientError, f"The source did not complete: {names}[.] Everything that came is stored", *messages)
    else:
        run.of(*messages)
    assert run.stored.keys() == {"s_1", "t_1"} | ({"s_0", "t_0"} - {f"{stream}_0" for stream in swept})
    assert run.states == [1], "states leave in any case"
    assert run.sync.progress.swept == len(swept)


@pytest.mark.parametrize("came", [[], [record(1), state(1)]], ids=["nothing came", "a record came"])
def test_a_failing_source_never_empties_a_collection(came: list[dict[str, Any]]) -> None:
    """A platform that counts generations closes the input without a word when the source has failed."""
    run = Run(filled("s"), plans=[replace(REFRESH[0], awaits_complete=True)])
    run.fails(TransientError, 'The source did not complete: "s"', *came)
    assert "s_0" in run.stored
    assert run.states == [1] * (len(came) // 2), "what came is stored and acknowledged"


def test_without_generations_an_input_without_any_status_ends_complete() -> None:
    """Old platforms and hand-made messages know no statuses."""
    run = Run(filled("s", "t"), plans=REFRESH).of(record(1), record(1, stream="t"), state(1))
    assert run.stored.keys() == {"s_1", "t_1"}
    assert run.sync.progress.swept == 2


def test_a_stream_that_was_empty_is_looked_up_only_where_this_sync_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """New records of a first sync cost no read of heads; repeated and deleted ones are looked up all the same."""
    gone = record(7)
    gone["record"]["data"]["_ab_cdc_deleted_at"] = "now"
    run = Run(plans=[plan("s"), plan("t")], empty=["s"])
    looked_up: list[str] = []
    heads = run.store.heads

    def recording(keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        wanted = list(keys)
        looked_up.extend(key.record_id for key in wanted)
        return heads(wanted)

    monkeypatch.setattr(run.store, "heads", recording)
    run.of(record(1), record(2, "b|c"), state(1), record(2, "d"), gone, record(1, stream="t"), state(2))
    assert sorted(looked_up) == ["s_2", "s_7", "t_1"]
    assert run.stored == {"s_1": ["a"], "s_2": ["d"], "t_1": ["a"]}


def test_a_stream_that_was_empty_has_nothing_to_be_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Milvus Lite each look for what is stale goes through all rows."""
    run = Run(filled("t"), plans=REFRESH, empty=["s"])
    swept: list[str] = []
    monkeypatch.setattr(run.store, "sweep", lambda stream, *_, keyed: swept.append(stream) or int(keyed))
    run.of(record(1), record(1, stream="t"), status("COMPLETE"), status("COMPLETE", "t"))
    assert swept == ["t"]


def test_records_that_share_a_bit_are_looked_up_and_never_taken_for_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of a first sync is bounded: with eight bits, most of a hundred records meet another's."""
    monkeypatch.setattr(AbsentRecords, "BITS", 8)
    absent, keys = AbsentRecords([("s", None)]), [RecordKey("s", f"s_{number}") for number in range(100)]

    def known_absent(key: RecordKey) -> bool:
        change = absent.marked(("s", None), upsert(key))
        return isinstance(change, Upsert) and change.known_absent

    assert 1 <= sum(map(known_absent, keys)) <= 8
    assert not any(map(known_absent, keys)), "all of them were written"


def test_a_stream_with_skipped_records_is_not_swept(caplog: pytest.LogCaptureFixture) -> None:
    """The older version of a skipped record is the only searchable one: sweeping it would make a hole.

    A record without a key has no older version.
    """
    embedder = CountingEmbedder(refused=frozenset({"no"}))
    run = Run(filled("s", "t"), plans=REFRESH, skip=True, embedder=embedder).of(
        record(1), record(2, "no"), record(1, stream="t"), record(None, stream="t"), status("COMPLETE"),
        status("COMPLETE", "t"), state(1),
    )  # fmt: skip
    assert run.stored.keys() == {"s_0", "s_1", "t_1"}
    assert 'Stream "s" is not swept' in caplog.text
    assert 'Stream "t" is not swept' not in caplog.text


def test_a_state_rides_with_the_last_batch_when_nothing_came_since() -> None:
    """It would otherwise wait for the next records, and for their batch."""
    gate = threading.Event()
    run = Run(limits=BatchLimits(records=1, batches_in_flight=2, age_seconds=1000))
    commit = run.sync._window._commit
    run.sync._window._commit = lambda changes: (gate.wait(30), commit(changes))[1]  # type: ignore[func-returns-value]
    handed_over = run.sync._batch
    run.sync._take(protocol_message(record(1)))
    run.sync._take(protocol_message(state(1)))
    assert len(handed_over.states) == 1
    assert not run.sync._batch
    gate.set()
    run.sync._drain()
    assert run.states == [1]


def test_a_stream_that_is_complete_and_empty_is_emptied() -> None:
    assert Run(filled("s"), plans=REFRESH[:1]).of(status("COMPLETE")).stored == {}


def test_without_a_minimum_nothing_is_swept() -> None:
    assert Run(filled("s")).of(*COMPLETE).stored.keys() == {"s_0", "s_1"}


def test_a_stream_without_a_generation_is_not_swept() -> None:
    unresolved = StreamPlan("s", WriteMode.DEDUP, (("id",),), frozenset(), None, 2)
    assert Run(filled("s"), plans=[unresolved]).of(status("COMPLETE")).stored.keys() == {"s_0"}


def test_appended_rows_are_swept_by_their_generation() -> None:
    store = FakeStore()
    Run(store, plans=[plan("s", mode=WriteMode.APPEND, generation=1)]).of(record(1), record(1))
    assert len(store.records()) == 2, "every record is a row of its own"
    Run(store, plans=[plan("s", mode=WriteMode.APPEND, minimum=2)]).of(*COMPLETE)
    assert [row[GENERATION] for row in store.entities.values()] == [2]


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([record(None, namespace="sales")], BadRecord),
        ([record(1, "refused", namespace="sales")], BadRecord),
        ([record(1, namespace="sales"), status("RUNNING")], TransientError),
    ],
    ids=["a record without a key", "a record that is refused in its batch", "a stream that did not complete"],
)
def test_the_stream_at_fault_has_the_name_that_the_platform_knows(
    messages: list[dict[str, Any]], kind: type[DestinationError]
) -> None:
    """Name and namespace, and not the identifier that the collection holds."""
    embedder = CountingEmbedder(refused=frozenset({"refused"}))
    run = Run(plans=[plan("sales_s")], namespace="sales", embedder=embedder)
    with pytest.raises(kind) as caught:
        run.of(*messages)
    assert caught.value.stream == ("s", "sales")
    assert '"sales_s"' in caught.value.message


def test_a_stream_outside_the_catalog_is_told_with_its_namespace() -> None:
    with pytest.raises(InternalError) as caught:
        Run().of(record(1, namespace="sales"))
    assert caught.value.stream == ("s", "sales")


@pytest.mark.parametrize("error", [TransientError("away"), BadRecord("x", stream="s")])
def test_nothing_is_swept_after_a_failure(error: DestinationError) -> None:
    store = filled("s")
    store._faults = {store.calls: Fault(store.calls, 0, error)}
    run = Run(store, plans=REFRESH[:1])
    run.fails(type(error), None, *COMPLETE)
    assert "s_0" in run.stored


def test_a_refresh_never_makes_a_record_unsearchable_and_pays_for_nothing_twice() -> None:
    store, embedder = filled("s"), CountingEmbedder()
    store._watch = lambda seen: None if RecordKey("s", "s_0") in seen.records() else pytest.fail("a hole")
    run = Run(store, plans=REFRESH[:1], embedder=embedder).of(record(0, "old"), status("COMPLETE"))
    assert run.stored == {"s_0": ["old"]}
    assert embedder.texts == []
