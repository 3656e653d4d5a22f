"""Actors that embed and write: made once each, given tables of work, replaced by Ray where they die."""

from __future__ import annotations

import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from destination_milvus.backfill.on_ray.board import (
    Handle,
    Seen,
    Worked,
    failures_told,
    forward_warnings,
    tell_if_replaced,
    work_told,
)
from destination_milvus.backfill.on_ray.cluster import cpus_of_a_worker, failed
from destination_milvus.config.models import Config
from destination_milvus.embedding import create_embedder
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import BadRecord
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.connection import connect

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

Job = TypeVar("Job")


@dataclass
class Outcome:
    """What became of a table of work; each kind of work adds what else decides how its run ends."""

    progress: Progress = field(default_factory=lambda: Progress(seconds_between_lines=math.inf))
    usage: Usage = field(default_factory=Usage)
    bad: list[BadRecord] = field(default_factory=list)
    """Records that were skipped; the driver names them."""

    def add(self, other: Outcome) -> None:
        """Count another one in, but for bad records."""
        self.progress.become([self.progress, other.progress])
        self.usage += other.usage


class Work(ABC):
    """What a worker does: one connection, one embedder, several batches under way."""

    def __init__(self, config: Config, closing_later: ExitStack) -> None:
        self.embedder = closing_later.enter_context(closing(create_embedder(config.embedding, config.advanced)))
        self.client = closing_later.enter_context(closing(connect(config.indexing)))
        self._done, self._now = Progress(), Progress()

    @abstractmethod
    def do(self, table: pa.Table) -> Outcome:
        """Do what a table holds; all of it is durable at the end. What comes back goes to the driver.

        Raises:
            DestinationError: it cannot be done.
        """

    def worked(self) -> Worked:
        """How much since it began, the table that is under way included."""
        progress = Progress()
        progress.become([self._done, self._now])
        return Worked(progress, self.embedder.usage)

    @contextmanager
    def counted(self, outcome: Outcome) -> Iterator[None]:
        """Count the table that is worked on meanwhile."""
        before, self._now = self.embedder.usage, outcome.progress
        yield
        outcome.usage = self.embedder.usage - before
        self._done, self._now = self.worked().progress, Progress()


class Worker(Generic[Job]):
    """The actor's class."""

    def __init__(self, work: Callable[[Job, ExitStack], Work], job: Job, board: Handle) -> None:
        self._begin, self._job, self._board = work, job, board
        self._closing = ExitStack()
        self._work: Work | None = None

    def __call__(self, table: pa.Table) -> Mapping[str, Any]:
        """Do what a table holds."""
        with failures_told(self._board):
            if self._work is None:  # not where Ray makes the actor: it would make it again and again
                self._work = self._begin(self._job, self._closing)
                forward_warnings(self._board)
                tell_if_replaced()
            with work_told(self._board, self._work.worked):
                outcome = self._work.do(table)
        return {"outcome": [pickle.dumps(outcome)]}


def shared_out_among_workers(
    dataset: Dataset, work: Callable[[Job, ExitStack], Work], job: Job, board: Handle, config: Config, count: int
) -> Iterator[Any]:
    """Let workers do what the tables of a dataset hold, and give back what each returns, as it comes.

    Args:
        dataset: is carried out by this.
        work: made by each worker, of the job, with what it closes at the end.
        job: given to each.
        board: where they tell how far they are.
        config: decides what a worker claims of the cluster.
        count: of workers.

    Raises:
        DestinationError: the first that a worker, or a task before it, has met; or the cluster has failed.
    """
    import ray  # noqa: PLC0415 - there is a cluster
    from ray.data import ActorPoolStrategy  # noqa: PLC0415 - as above

    outcomes = dataset.map_batches(
        Worker,
        fn_constructor_args=(work, job, board),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=cpus_of_a_worker(config),
        compute=ActorPoolStrategy(size=count),
    )
    try:
        for table in outcomes.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from map(pickle.loads, table["outcome"].to_pylist())
    except Exception as error:
        try:
            failure = ray.get(board.failure.remote())
        except ray.exceptions.RayError:  # the cluster is gone, and the board with it
            failure = None
        raise failure or failed(error) from error


class Driver:
    """What a run is led by, as people see it."""

    def __init__(self) -> None:
        self.progress = Progress()
        """Of the workers' own words while they work, of what they have returned at the end."""
        self.usage = Usage()

    def see_workers(self, seen: Seen) -> None:
        """Count what workers say of themselves."""
        self.progress.become([worker.progress for worker in seen.workers])
        self.usage = sum((worker.usage for worker in seen.workers), Usage())

    def settle(self, total: Outcome) -> None:
        """Count what workers have returned, in the place of that."""
        self.progress.become([total.progress])
        self.usage = total.usage
