"""A sync: messages in, batches through the window, states out.

Read `Sync.run` first. The main thread takes messages from the inbox, folds records into a batch and hands full batches
to the window, which commits up to W of them at once; what they did is taken back in the order of submission, and only
then do the states of a batch leave. So a state leaves after everything before it is durable, whatever overlaps.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from destination_milvus.errors import BadRecord, DestinationError
from destination_milvus.flow.absent import AbsentRecords
from destination_milvus.flow.batch import Batch, BatchLimits
from destination_milvus.flow.commit import Committed, Committer
from destination_milvus.flow.ending import Ending
from destination_milvus.flow.intake import Intake
from destination_milvus.flow.progress import Progress
from destination_milvus.flow.states import StateCounts
from destination_milvus.flow.trial import Trial
from destination_milvus.flow.window import Window
from destination_milvus.model import VectorStore
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.inbox import Inbox
from destination_milvus.protocol.messages import Message, Record, State, acknowledged

logger = logging.getLogger("airbyte.sync")


class Sync:
    """One run of `write`."""

    def __init__(
        self,
        plans: Mapping[StreamName, StreamPlan],
        committer: Committer,
        intake: Intake,
        emit: Callable[[Sequence[bytes]], None],
        *,
        limits: BatchLimits,
        empty_streams: Iterable[StreamName] = (),
    ) -> None:
        self._names = {plan.identifier: name for name, plan in plans.items()}
        self._store: VectorStore = committer.store
        self._skips_bad_records = committer.skip_bad_records
        self._intake = intake
        self._trial = Trial(emit)
        self._limits = limits
        self._window = Window(committer.commit, limits.batches_in_flight)
        self._batch = Batch(time.monotonic())
        self._counts = StateCounts()
        self._ending = Ending(plans, frozenset(empty_streams))
        self._absent = AbsentRecords(self._ending.empty_streams)
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
        self.progress.swept += self._ending.sweep(self._store)
        self._ending.require_complete()

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
            self._ending.statuses[(message.name, message.namespace)] = message.status
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
        self.progress.read += 1
        self._trial.read(stream)
        try:
            change = self._intake.change(record)
        except BadRecord as error:
            placed = error.at(record.place)
            if not self._skips_bad_records:
                raise placed from error
            self._skip(stream, placed)
            self._counts.reject(stream)
            return
        self._counts.accept(stream)
        self._batch.add(self._absent.marked(stream, change), record.size)

    def _skip(self, stream: StreamName, error: BadRecord) -> None:
        self.progress.skip(error)
        self._trial.skipped(stream)
        if error.key is not None:  # a record without a key has no older version
            self._ending.streams_with_skipped_records.add(stream)

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
