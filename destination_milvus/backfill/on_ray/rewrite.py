"""A change of the model on a cluster: shares of the old collection among workers, which rewrite what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from destination_milvus.backfill.display import PlainOutput
from destination_milvus.backfill.model_change import View, open_pair, tell_what_was_done
from destination_milvus.backfill.on_ray.board import Handle, Seen, start_board, watched
from destination_milvus.backfill.on_ray.cluster import Engine, cluster, living_nodes, shared_out, wait_for_lost_nodes
from destination_milvus.backfill.on_ray.load import require_own_keys, tell_unfinished
from destination_milvus.backfill.on_ray.workers import Driver, Outcome, Work, shared_out_among_workers
from destination_milvus.backfill.rewriter import Pair, Rewriter
from destination_milvus.config.models import Config

if TYPE_CHECKING:
    from contextlib import ExitStack

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
class Rewritten(Outcome):
    """What became of shares."""

    incomplete: int = 0
    without_text: int = 0


class RewritingShares(Work):
    """The work of a worker."""

    def __init__(self, job: Job, closing_later: ExitStack) -> None:
        super().__init__(job.config, closing_later)
        self._job = job
        self._pair = open_pair(self.client, job.config, self.embedder, job.source, {})

    def do(self, table: pa.Table) -> Rewritten:
        """As `Work.do`, of a table of shares."""
        rewritten, pair = Rewritten(), self._pair
        rewriter = Rewriter(self._job.config, self.embedder, pair, rewritten.progress, rewritten.bad.append)
        with self.counted(rewritten):
            for share in table["item"].to_pylist():
                if self._job.removes:
                    rewriter.remove_what_is_gone(pair.target.scan(share))
                else:
                    rewriter.rewrite(pair.source.scan(share))
        rewritten.incomplete = rewriter.reembedding.incomplete
        rewritten.without_text = rewriter.reembedding.without_text
        return rewritten


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
    tell_what_was_done(
        driver.progress, driver.usage, incomplete=driver.total.incomplete, without_text=driver.total.without_text
    )


class _Driver(Driver):
    """What a change of the model is led by."""

    def __init__(self, job: Job, pair: Pair, workers: int) -> None:
        super().__init__()
        self.total = Rewritten()
        self._job = job
        self._pair = pair
        self._workers = workers
        self._count = pair.source.scan().count()
        self.view = View(self.progress, lambda: self.progress.read, self._count, lambda: self.usage)

    def run(self) -> None:
        """Rewrite all, look for what was left unfinished, and remove."""
        import ray  # noqa: PLC0415 - there is a cluster

        nodes, board = living_nodes(ray), start_board()
        with watched(board, self._seen):
            for outcome in self._outcomes(self._job, board):
                self._take(outcome)
            wait_for_lost_nodes(ray, nodes)
            if unfinished := self._pair.target.unfinished():
                tell_unfinished(len(unfinished))
                for outcome in self._outcomes(self._job, board):
                    self.total.usage += outcome.usage
            for outcome in self._removals(board):
                self._take(outcome)
        self.settle(self.total)

    def _take(self, outcome: Rewritten) -> None:
        self.total.add(outcome)
        self.total.incomplete += outcome.incomplete
        self.total.without_text += outcome.without_text
        for error in outcome.bad:
            self.progress.skip(error)

    def _outcomes(self, job: Job, board: Handle) -> Iterator[Rewritten]:
        from ray import data  # noqa: PLC0415 - there is a cluster

        scan = (self._pair.target if job.removes else self._pair.source).scan()
        shares = scan.shares(max(SHARES_A_WORKER * self._workers, self._count // RECORDS_A_SHARE))
        dataset = data.from_items(shares, override_num_blocks=len(shares))
        yield from shared_out_among_workers(dataset, RewritingShares, job, board, job.config, self._workers)

    def _removals(self, board: Handle) -> Iterator[Rewritten]:
        if not self._pair.target.is_new:
            yield from self._outcomes(Job(self._job.config, self._job.source, removes=True), board)

    def _seen(self, seen: Seen) -> None:
        self.see_workers(seen)
        self.progress.tick()
