"""A sync: messages in, batches through the window, states out.

Read `Sync.run` first. The main thread takes messages from the inbox, folds records into a batch and hands full batches
to the window, which commits up to W of them at once; what they did is taken back in the order of submission, and only
then do the states of a batch leave. So a state leaves after everything before it is durable, whatever overlaps.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from destination_milvus.commit import Committed, Committer
from destination_milvus.errors import BadRecord, DestinationError, InternalError, TransientError
from destination_milvus.model import Change, Delete, RecordKey, Upsert, VectorStore, WriteMode
from destination_milvus.progress import Progress
from destination_milvus.protocol import Message, Record, State, acknowledged
from destination_milvus.reading import Inbox
from destination_milvus.records import StreamName, StreamPlan, VectorField, change_of
from destination_milvus.text import DocumentBuilder
from destination_milvus.trial import Trial

logger = logging.getLogger("airbyte.sync")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch closes, and how many are under way."""

    records: int = 256
    text_characters: int = 1_000_000
    """About 250,000 tokens: OpenAI takes 300,000 a request."""
    message_bytes: int = 4 * 1024 * 1024
    """Of records and states as they came: what a batch holds in memory until it is committed is a few times as much."""
    states: int = 10_000
    age_seconds: float = 30.0
    """Far inside the 15 minutes after which Airbyte's platform gives up on a destination without states."""
    batches_in_flight: int = 8


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A state, with the numbers of records since the one before it."""

    state: State
    records: int
    rejected: int


@dataclass
class Batch:
    """Changes and states in the order of their arrival; the last change of a record wins."""

    opened_at: float
    changes: dict[RecordKey, Change] = field(default_factory=dict)
    states: list[Acknowledgement] = field(default_factory=list)
    records: int = 0
    text_characters: int = 0
    message_bytes: int = 0

    def add(self, change: Change, size: int) -> None:
        """Fold a change in; `size` is that of its message in bytes."""
        self.records += 1
        self.changes[change.key] = change
        # of all versions, also of those that a later one replaced: bounds, not accounts
        self.message_bytes += size
        if not isinstance(change, Delete):
            self.text_characters += len(change.document.text)

    def add_state(self, acknowledgement: Acknowledgement) -> None:
        """Let a state ride along."""
        self.states.append(acknowledgement)
        self.message_bytes += acknowledgement.state.size

    def is_full(self, limits: Limits) -> bool:
        """Whether it is to be committed now."""
        return (
            len(self.changes) >= limits.records
            or self.text_characters >= limits.text_characters
            or self.message_bytes >= limits.message_bytes
            or len(self.states) >= limits.states
        )

    def takes_states(self, limits: Limits) -> bool:
        """Whether a state may still ride along, although the batch is under way."""
        return len(self.states) < limits.states and self.message_bytes < 2 * limits.message_bytes

    def __bool__(self) -> bool:
        return bool(self.changes or self.states)


@dataclass(frozen=True, slots=True)
class InFlight:
    """A batch that was handed over, and what will come of it."""

    batch: Batch
    outcome: Future[Committed]


class Window:
    """Commits up to W batches at once, and gives them back in the order of submission.

    A batch that shares a record with an earlier unfinished one waits for it, so that versions never overtake each
    other. No deadlock: workers start batches in order, so what a batch waits for has always started.
    """

    def __init__(self, commit: Callable[[Sequence[Change]], Committed], size: int) -> None:
        self._commit = commit
        self._size = size
        self._in_flight: deque[InFlight] = deque()
        self._workers = ThreadPoolExecutor(size, thread_name_prefix="commit")

    def submit(self, batch: Batch) -> None:
        """Hand a batch over; only while there is room."""
        earlier = [
            flight.outcome for flight in self._in_flight if not flight.batch.changes.keys().isdisjoint(batch.changes)
        ]
        outcome = self._workers.submit(self._run, list(batch.changes.values()), earlier)
        self._in_flight.append(InFlight(batch, outcome))

    def _run(self, changes: Sequence[Change], earlier: Sequence[Future[Committed]]) -> Committed:
        for outcome in earlier:
            outcome.result()  # if it failed, this one must not overtake it: it fails too
        return self._commit(changes) if changes else Committed()

    @property
    def is_full(self) -> bool:
        """Whether a batch has to be taken back before another is submitted."""
        return len(self._in_flight) >= self._size

    @property
    def has_failed(self) -> bool:
        """Whether a batch that is done has failed."""
        return any(flight.outcome.done() and flight.outcome.exception() for flight in self._in_flight)

    def finished(self) -> Iterator[tuple[Batch, Committed]]:
        """The batches at the front that are done, without waiting. Raises what a failed one raised."""
        while self._in_flight and self._in_flight[0].outcome.done():
            yield self._take()

    def wait(self) -> tuple[Batch, Committed]:
        """The batch at the front, waited for. Raises what it raised."""
        self._in_flight[0].outcome.result()
        return self._take()

    def _take(self) -> tuple[Batch, Committed]:
        flight = self._in_flight[0]
        committed = flight.outcome.result()
        self._in_flight.popleft()
        return flight.batch, committed

    @property
    def newest(self) -> Batch | None:
        """The batch that was submitted last, if it was not taken back yet."""
        return self._in_flight[-1].batch if self._in_flight else None

    def __len__(self) -> int:
        return len(self._in_flight)

    def close(self, *, abandon: bool) -> None:
        """Stop the workers; `abandon` leaves what they are at."""
        self._workers.shutdown(wait=not abandon, cancel_futures=abandon)


class Sync:
    """One run of `write`."""

    def __init__(
        self,
        plans: Mapping[StreamName, StreamPlan],
        committer: Committer,
        builders: Mapping[StreamName, DocumentBuilder],
        emit: Callable[[Sequence[bytes]], None],
        *,
        limits: Limits,
        vector_field: VectorField | None = None,
        empty_streams: Iterable[StreamName] = (),
    ) -> None:
        self._plans = plans
        self._names = {plan.identifier: name for name, plan in plans.items()}
        self._store: VectorStore = committer.store
        self._skips_bad_records = committer.skip_bad_records
        self._builders = builders
        self._trial = Trial(emit)
        self._limits = limits
        self._vector_field = vector_field
        self._window = Window(committer.commit, limits.batches_in_flight)
        self._batch = Batch(time.monotonic())
        self._counts = StateCounts()
        self._empty_streams = frozenset(empty_streams)
        self._absent = AbsentRecords(self._empty_streams)
        # seeded by the system once: to ask it for every record lets go of the GIL each time, and waits to get it back
        self._random = random.Random()  # noqa: S311 - identities, no secrets
        self._statuses: dict[StreamName, str] = {}
        self._streams_with_skipped_records: set[StreamName] = set()
        self.progress = Progress()

    def run(self, inbox: Inbox) -> None:
        """Take in everything, commit it, give back every state, sweep the streams that are complete.

        Raises:
            DestinationError: something failed for good, or a stream did not complete. What was durable by then has
                been acknowledged; the next sync continues there.
        """
        deque(self.steps(inbox), maxlen=0)

    def steps(self, inbox: Inbox) -> Iterator[None]:
        """What `run` does, with a pause after every message and batch. Closed early, it waits for those under way."""
        try:
            yield from self._take_in(inbox)
            yield from self._draining()
            self._trial.judge(is_over=True)
        except DestinationError as error:
            if isinstance(error, BadRecord):
                error.stream = self._names[error.identifier]
            self._save_what_is_whole()
            raise
        except GeneratorExit:
            self._window.close(abandon=False)
            raise
        except BaseException:
            self._acknowledge_finished()
            raise
        self._window.close(abandon=False)
        self._sweep()
        self._require_complete()

    def _take_in(self, inbox: Inbox) -> Iterator[None]:
        while (messages := inbox.next_block(self._patience())) is not None:
            for message in messages:
                self._take(message)
                yield
            self._close_if_due()
            self._collect_finished()
            self._trial.judge()
            self.progress.tick()
            yield

    def _patience(self) -> float:
        """Seconds to wait for input; few while batches are under way, so that their states leave once they are done."""
        return 0.1 if len(self._window) else min(1.0, self._limits.age_seconds)

    def _take(self, message: Message) -> None:
        if isinstance(message, Record):
            self._take_record(message)
        elif isinstance(message, State):
            self._batch_before_now().add_state(self._counts.acknowledgement(message))
        else:
            self._statuses[(message.name, message.namespace)] = message.status
        if self._batch.is_full(self._limits):
            self._submit()

    def _batch_before_now(self) -> Batch:
        """The batch that a state rides in: where nothing came since the last one was handed over, that one."""
        newest = self._window.newest
        if newest is None or self._batch or not newest.takes_states(self._limits):
            return self._batch
        return newest

    def _take_record(self, record: Record) -> None:
        stream = (record.name, record.namespace)
        plan = self._plans.get(stream)
        if plan is None:
            raise InternalError(
                f'A record of the stream "{record.name}" came, which is not in the configured catalog. Refresh the '
                "schema of the connection; the source sends what was not selected.",
                stream=stream,
            )
        self.progress.read += 1
        self._trial.read(stream)
        try:
            change = change_of(record, plan, self._builders[stream], self._random_id(), self._vector_field)
        except BadRecord as error:
            if not self._skips_bad_records:
                raise
            self._skip(stream, error)
            self._counts.reject(stream)
            return
        self._counts.accept(stream)
        self._batch.add(self._absent.marked(stream, change), record.size)

    def _random_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _skip(self, stream: StreamName, error: BadRecord) -> None:
        self.progress.skip(error)
        self._trial.skipped(stream)
        if error.key is not None:  # a record without a key has no older version
            self._streams_with_skipped_records.add(stream)

    def _close_if_due(self) -> None:
        idle = not len(self._window) and not self._batch.changes
        if self._batch and (idle or time.monotonic() - self._batch.opened_at >= self._limits.age_seconds):
            self._submit()

    def _submit(self) -> None:
        while self._window.is_full:
            self._collect(*self._window.wait())
        self._window.submit(self._batch)
        self._batch = Batch(time.monotonic())

    def _collect_finished(self) -> None:
        for batch, committed in self._window.finished():
            self._collect(batch, committed)

    def _collect(self, batch: Batch, committed: Committed) -> None:
        self.progress.count(batch.records, committed)
        for error in committed.bad:
            self._skip(self._names[error.identifier], error)
            self._counts.refuse(self._names[error.identifier])
        refused = {(error.identifier, error.key) for error in committed.bad}
        self._trial.stored(self._names[key.stream] for key in batch.changes if tuple(key) not in refused)
        if batch.states:
            settled = map(self._counts.settled, batch.states)
            self._trial.acknowledge(
                [acknowledged(each.state, records=each.records, rejected=each.rejected) for each in settled]
            )

    def _drain(self) -> None:
        deque(self._draining(), maxlen=0)

    def _draining(self) -> Iterator[None]:
        if self._batch:
            self._submit()
        while len(self._window):
            self._collect(*self._window.wait())
            self.progress.tick()
            yield

    def _save_what_is_whole(self) -> None:
        """Commit what came before a failure of the input, so that the next sync need not repeat it.

        Where a commit has failed, nothing more is begun; what was durable before it is acknowledged all the same.
        """
        try:
            if self._window.has_failed:
                self._batch = Batch(time.monotonic())
            self._drain()
        except Exception as error:  # noqa: BLE001 - the user is told what failed first
            logger.debug("Not all that came before the failure could be committed: %s", type(error).__name__)
        finally:
            self._window.close(abandon=True)

    def _acknowledge_finished(self) -> None:
        try:
            self._collect_finished()
        except Exception as error:  # noqa: BLE001 - as above
            logger.debug("Stopped while a batch had failed: %s", type(error).__name__)
        finally:
            self._window.close(abandon=True)

    def _sweep(self) -> None:
        for stream, plan in self._plans.items():
            if plan.generation is None or not plan.minimum_generation or not self._is_complete(stream):
                continue
            if stream in self._empty_streams:
                continue  # all that it has is of today
            if plan.mode is WriteMode.DEDUP and stream in self._streams_with_skipped_records:
                logger.warning(
                    'Stream "%s" is not swept of older records: those that were skipped may be searchable in an older '
                    "version, which would be lost. The next refresh without bad records sweeps it.",
                    plan.identifier,
                )
                continue
            logger.info('Sweeping records of older generations from stream "%s".', plan.identifier)
            self.progress.swept += self._store.sweep(
                plan.identifier, plan.generation, plan.minimum_generation, keyed=plan.mode is WriteMode.DEDUP
            )

    def _is_complete(self, stream: StreamName) -> bool:
        """Without generations (old platforms, hand-made messages), an input without any status ends complete."""
        if not self._statuses and not self._plans[stream].awaits_complete:
            return True
        return self._statuses.get(stream) == "COMPLETE"

    def _require_complete(self) -> None:
        incomplete = [stream for stream in self._plans if not self._is_complete(stream)]
        if incomplete:
            names = ", ".join(f'"{self._plans[stream].identifier}"' for stream in incomplete)
            silent = "" if self._statuses else " No status COMPLETE came, which a catalog with generation_id asks for."
            raise TransientError(
                f"The source did not complete: {names}. Everything that came is stored and acknowledged, and older "
                f"records were left in place; sync again.{silent}",
                stream=incomplete[0],
            )


class AbsentRecords:
    """Knows, of streams that were empty when the sync began, which records were not written since.

    They need no look at what is stored, and that look is a third of the cost of a first sync. One bit stands for a
    record, by its hash: where two records share one, the second is looked up for nothing.
    """

    BITS = 2**26
    """8 MiB, whatever the size of the sync: of a million records 1.5 % share a bit, of ten million 14 %."""

    def __init__(self, empty_streams: Iterable[StreamName]) -> None:
        self._streams = frozenset(empty_streams)
        self._written = bytearray(self.BITS // 8 if self._streams else 0)

    def marked(self, stream: StreamName, change: Change) -> Change:
        """The change, told that its record is not stored where that is known; from now on it may be."""
        if stream not in self._streams:
            return change
        place, bit = divmod(hash(change.key) % self.BITS, 8)
        may_be_written = self._written[place] & (1 << bit)
        self._written[place] |= 1 << bit
        return replace(change, known_absent=True) if not may_be_written and isinstance(change, Upsert) else change


@dataclass
class StateCounts:
    """Records accepted and rejected since the last state, a stream each."""

    accepted: dict[StreamName, int] = field(default_factory=dict)
    rejected: dict[StreamName, int] = field(default_factory=dict)
    refused: dict[StreamName, int] = field(default_factory=dict)
    """Records that were accepted, and skipped when their batch was committed; not yet told in a state."""

    def accept(self, stream: StreamName) -> None:
        """Count a record that will be stored."""
        self.accepted[stream] = self.accepted.get(stream, 0) + 1

    def reject(self, stream: StreamName) -> None:
        """Count a record that was skipped."""
        self.rejected[stream] = self.rejected.get(stream, 0) + 1

    def acknowledgement(self, state: State) -> Acknowledgement:
        """The state with its counts; a state of one stream counts that stream, any other counts all."""
        return Acknowledgement(state, _taken(self.accepted, state.stream), _taken(self.rejected, state.stream))

    def refuse(self, stream: StreamName) -> None:
        """Count an accepted record that the embedding model refused."""
        self.refused[stream] = self.refused.get(stream, 0) + 1

    def settled(self, acknowledgement: Acknowledgement) -> Acknowledgement:
        """The acknowledgement as it leaves: records that were refused since it was counted are rejected ones."""
        records = acknowledgement.records
        stream = acknowledgement.state.stream
        for name in [stream] if stream is not None else list(self.refused):
            late = min(self.refused.get(name, 0), records)
            self.refused[name] = self.refused.get(name, 0) - late
            records -= late
        late = acknowledgement.records - records
        return Acknowledgement(acknowledgement.state, records, acknowledgement.rejected + late)


def _taken(counts: dict[StreamName, int], stream: StreamName | None) -> int:
    if stream is not None:
        return counts.pop(stream, 0)
    total = sum(counts.values())
    counts.clear()
    return total
