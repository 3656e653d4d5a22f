"""A change of the model on a cluster: shares of the old collection among workers, which rewrite what they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from destination_milvus.backfill.display import PlainOutput
from destination_milvus.backfill.model_change import Pair, View, open_pair, tell_what_was_done
from destination_milvus.backfill.on_ray.board import Handle, Seen, Worked, start_board, watched
from destination_milvus.backfill.on_ray.cluster import Engine, cluster, living_nodes, shared_out, wait_for_lost_nodes
from destination_milvus.backfill.on_ray.load import require_own_keys, tell_unfinished
from destination_milvus.backfill.on_ray.workers import shared_out_among_workers
from destination_milvus.backfill.reembed import Reembedding
from destination_milvus.backfill.rewriter import Rewriter
from destination_milvus.config.models import Config
from destination_milvus.embedding import create_embedder
from destination_milvus.embedding.usage import Usage
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.connection import connect

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS_A_SHARE = 100_000
"""About: what is begun again where a worker dies, and how evenly the end comes."""

SHARES_A_WORKER = 4
"""At least."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker is given."""

    config: Config = field(repr=False)
    """With one worker's share of the limits."""
    source: str
    """Name of the old collection."""
    removes: bool = False
    """Whether shares are of the new collection, and what the old one does not have is taken out."""


@dataclass
class Outcome:
    """What became of a share."""

    progress: Progress = field(default_factory=lambda: Progress(seconds_between_lines=math.inf))
    usage: Usage = field(default_factory=Usage)
    incomplete: int = 0
    without_text: int = 0


class RewritingShares:
    """The work of a worker."""

    def __init__(self, job: Job, closing_later: ExitStack) -> None:
        self._job = job
        config = job.config
        self._embedder = closing_later.enter_context(closing(create_embedder(config.embedding, config.advanced)))
        client = closing_later.enter_context(closing(connect(config.indexing)))
        self._pair = open_pair(client, config, self._embedder, job.source, {})
        self._done = Progress()
        self._now = Progress()

    def worked(self) -> Worked:
        """As `Work.worked`."""
        progress = Progress()
        progress.become([self._done, self._now])
        return Worked(progress, self._embedder.usage)

    def do(self, table: pa.Table) -> Outcome:
        """As `Work.do`, of a table of shares."""
        before = self._embedder.usage
        rewriter = Rewriter(
            self._job.config, self._embedder, self._pair.source, self._pair.target, self._pair.partition
        )
        rewriter.progress.seconds_between_lines = math.inf
        self._now = rewriter.progress
        for share in table["item"].to_pylist():
            if self._job.removes:
                rewriter.remove_what_is_gone(self._pair.target.scan(share))
            else:
                rewriter.rewrite(self._pair.source.scan(share))
        self._done, self._now = self.worked().progress, Progress()
        reembedding = rewriter.reembedding
        return Outcome(
            rewriter.progress, self._embedder.usage - before, reembedding.incomplete, reembedding.without_text
        )


def rewrite(config: Config, pair: Pair, engine: Engine, output: PlainOutput) -> None:
    """Write the records of the old collection into the new one, and take out what the old one does not have.

    Raises:
        DestinationError: it did not complete; what was written stays.
    """
    require_own_keys(pair.target)
    with cluster(engine, config) as workers:
        driver = _Driver(Job(shared_out(config, workers), pair.source.collection.name), pair, workers)
        with driver.view.shown(output):
            driver.run()
    tell_what_was_done(driver.progress, driver.usage, driver.left_out)


class _Driver:
    """What a change of the model is led by."""

    def __init__(self, job: Job, pair: Pair, workers: int) -> None:
        self.progress = Progress()
        """Of the workers' own words while they work, of what they have returned at the end."""
        self.usage = Usage()
        self.left_out = Reembedding(self.progress)
        self._job = job
        self._pair = pair
        self._workers = workers
        self._count = pair.source.scan().count()
        self.view = View(self.progress, lambda: self.progress.read, self._count, lambda: self.usage)

    def run(self) -> None:
        """Rewrite all, look for what was left unfinished, and remove."""
        import ray  # noqa: PLC0415 - there is a cluster

        nodes, board = living_nodes(ray), start_board()
        total = Outcome()
        with watched(board, self._seen):
            for outcome in self._outcomes(self._job, board):
                self._take(outcome, total)
            wait_for_lost_nodes(ray, nodes)
            self.left_out.incomplete, self.left_out.without_text = total.incomplete, total.without_text
            if unfinished := self._pair.target.unfinished():
                tell_unfinished(len(unfinished))
                for outcome in self._outcomes(self._job, board):
                    total.usage += outcome.usage
            for outcome in self._removals(board):
                self._take(outcome, total)
        self.progress.become([total.progress])
        self.usage = total.usage

    def _take(self, outcome: Outcome, total: Outcome) -> None:
        total.progress.become([total.progress, outcome.progress])
        total.usage += outcome.usage
        total.incomplete += outcome.incomplete
        total.without_text += outcome.without_text

    def _outcomes(self, job: Job, board: Handle) -> Iterator[Outcome]:
        from ray import data  # noqa: PLC0415 - there is a cluster

        scan = (self._pair.target if job.removes else self._pair.source).scan()
        shares = scan.shares(max(SHARES_A_WORKER * self._workers, self._count // RECORDS_A_SHARE))
        dataset = data.from_items(shares, override_num_blocks=len(shares))
        yield from shared_out_among_workers(dataset, RewritingShares, job, board, job.config, self._workers)

    def _removals(self, board: Handle) -> Iterator[Outcome]:
        if not self._pair.target.is_new:
            yield from self._outcomes(Job(self._job.config, self._job.source, removes=True), board)

    def _seen(self, seen: Seen) -> None:
        self.progress.become([worker.progress for worker in seen.workers])
        self.usage = sum((worker.usage for worker in seen.workers), Usage())
        self.progress.tick()
