"""A load on a cluster: parts of the input shared out among tasks, records among workers, on Ray Data.

    parts → read → shuffle by record → newest version → workers, each with a store and an embedder → outcomes

The shuffle is only where streams deduplicate. Whatever dies is begun again by Ray, and finds unchanged what is stored.
Nothing here decides about rows: that is the committer of `write`, in each worker.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from destination_milvus.backfill.forms import FIRST
from destination_milvus.backfill.newest import Version
from destination_milvus.backfill.on_ray.board import Handle, Seen, start_board, watched
from destination_milvus.backfill.on_ray.cluster import (
    Engine,
    cluster,
    living_nodes,
    shared_out,
    wait_for_lost_nodes,
)
from destination_milvus.backfill.on_ray.tasks import Job, KeepNewest, Loaded, Loading, ReadParts
from destination_milvus.backfill.on_ray.workers import Driver, shared_out_among_workers
from destination_milvus.backfill.source import Records, Source
from destination_milvus.config.models import Config
from destination_milvus.embedding import create_embedder
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import BadRecord, ConfigError, option
from destination_milvus.flow.ending import Ending
from destination_milvus.flow.progress import Progress
from destination_milvus.flow.trial import Trial
from destination_milvus.milvus.address import described
from destination_milvus.milvus.connection import connect
from destination_milvus.milvus.open import OpenCollection, open_collection
from destination_milvus.model import Json
from destination_milvus.precautions import warn_of_long_chunks
from destination_milvus.write import column_choice, tell_summary, with_generations

if TYPE_CHECKING:
    from ray.data import Dataset

logger = logging.getLogger("airbyte.backfill")

PARTITION_BYTES = 64 * 1024 * 1024
"""Of records, about, that are looked through at a time for the newest versions: in memory a few times as much."""

MAX_PARTITIONS = 2_000
"""Each reading task hands one object to each partition: their number is what Ray has to keep track of."""

PACKED = 8
"""How many times as large JSON is as its gzip, about."""

PARTITIONS_A_WORKER = 4
"""At least, so that none waits long for the last one."""

BLOCK_BYTES = 32 * 1024 * 1024
"""Of Ray's objects: a reading task holds one or two."""

SHUFFLED_AT_ONCE = 64 * 1024 * 1024
"""Bytes that a task of the shuffle divides; a gigabyte by default."""


def load(
    config: Config,
    catalog: Mapping[str, Json],
    source: Source,
    engine: Engine,
    watch: Callable[[Progress, Callable[[], Usage]], None] = lambda _, __: None,
) -> None:
    """Load what files have, on a cluster.

    Args:
        config: parsed; of a Milvus server.
        catalog: the configured catalog, as protocol JSON; its schemas decide about columns.
        source: files that were looked into; told how far they are read.
        engine: of the command line.
        watch: is given what counts and what tells the costs, before the first record is taken.

    Raises:
        DestinationError: it did not complete; what came before is stored.
    """
    with (
        cluster(engine, config) as workers,
        closing(create_embedder(config.embedding, config.advanced)) as embedder,
        closing(connect(config.indexing)) as client,
    ):
        warn_of_long_chunks(config, embedder)
        share = shared_out(config, workers)
        milvus = open_collection(client, config, embedder, column_choice(config, catalog))
        require_own_keys(milvus)
        plans = with_generations(source.survey.plans, milvus)
        job = Job(share, replace(source.survey, plans=plans))
        names = ", ".join(plan.identifier for plan in plans.values())
        logger.info(
            "Writing %s to %s, by %s.",
            names,
            described(config.indexing.host),
            "1 worker" if workers == 1 else f"{workers} workers",
        )
        driver = _Driver(job, milvus, source, workers)
        watch(driver.progress, lambda: driver.usage)
        driver.run()
        milvus.load()
    tell_summary("Backfill", driver.progress, driver.usage)


def require_own_keys(milvus: OpenCollection) -> None:
    """Refuse a collection whose rows two workers could take from each other.

    Where Milvus makes the keys, a worker finds the rows that it replaces by looking for all others of the record: one
    that is thought dead and one that repeats its batch would each take out what the other has written.

    Raises:
        ConfigError: it is one.
    """
    if milvus.collection.auto_id:
        raise ConfigError(
            f'The collection "{milvus.collection.name}" has primary keys that Milvus makes, and --engine ray writes '
            f"only into collections that this connector has made: name a new one in {option('indexing.collection')}, "
            "or leave --engine ray out."
        )


def tell_unfinished(count: int) -> None:
    """Say why there is a second pass."""
    logger.warning(
        "%d records are not whole, of workers that have died or of a run that was interrupted before: those that the "
        "input has are committed again.",
        count,
    )


class _Driver(Driver):
    """What a load is led by."""

    def __init__(self, job: Job, milvus: OpenCollection, source: Source, workers: int) -> None:
        super().__init__()
        self._job = job
        self._milvus = milvus
        self._source = source
        self._workers = workers
        self._names = {plan.identifier: name for name, plan in job.survey.plans.items()}
        self._trial = Trial(lambda _: None)
        self._ending = Ending(job.survey.plans)

    def run(self) -> None:
        """Load, look for what was left unfinished, and sweep.

        Raises:
            DestinationError: it did not complete.
        """
        import ray  # noqa: PLC0415 - there is a cluster

        nodes, board = living_nodes(ray), start_board()
        total = Loaded()
        with watched(board, self._seen):
            for outcome in self._outcomes(self._job, board):
                self._take(outcome, total)
            wait_for_lost_nodes(ray, nodes)
        self._trial.judge(is_over=True)
        self._complete_unfinished(board, total)
        self.settle(total)
        said = {name: status for _, each in sorted(total.statuses.items()) for name, status in each.items()}
        self._ending.statuses |= {name: said.get(name, "COMPLETE") for name in self._job.survey.plans}
        self.progress.swept = self._ending.sweep(self._milvus.store)
        self._ending.require_complete()

    def _take(self, outcome: Loaded, total: Loaded) -> None:
        total.add(outcome)
        total.statuses |= outcome.statuses
        for stream, count in outcome.read.items():
            self._trial.read(stream, count)
        for error in outcome.bad:
            stream = self._names[error.identifier]
            self.progress.skip(error)
            self._trial.skipped(stream)
            if error.key is not None:
                self._ending.streams_with_skipped_records.add(stream)
        self._trial.judge()

    def _complete_unfinished(self, board: Handle, total: Loaded) -> None:
        """Commit again what no head vouches for: a worker that was thought dead may have gone on beside another."""
        plans = self._job.survey.plans.values()
        wanted = {plan.identifier for plan in plans if plan.finds_again}
        unfinished = {key for key in self._milvus.unfinished() if key.stream in wanted}
        if not unfinished:
            return
        tell_unfinished(len(unfinished))
        only = frozenset(Version(key.stream, key.record_id, FIRST, 0, 0).record for key in unfinished)
        for outcome in self._outcomes(replace(self._job, only=only), board):
            total.progress.chunks += outcome.progress.chunks
            total.progress.embedded += outcome.progress.embedded
            total.usage += outcome.usage

    def _outcomes(self, job: Job, board: Handle) -> Iterator[Loaded]:
        if not job.survey.parts:
            return  # all files are empty
        try:
            yield from shared_out_among_workers(
                self._dataset(job, board), Loading, job, board, job.config, self._workers
            )
        except BadRecord as error:
            error.stream = self._names[error.identifier]
            raise

    def _dataset(self, job: Job, board: Handle) -> Dataset:
        """Tables of records, of each the newest version, from the numbers of the parts."""
        from ray import data  # noqa: PLC0415 - there is a cluster

        context = data.DataContext.get_current()
        context.target_max_block_size = BLOCK_BYTES
        context.shuffle_input_batch_bytes = SHUFFLED_AT_ONCE
        survey = job.survey
        deduplicated = Records(survey).deduplicated
        shuffled = [
            number
            for number, part in enumerate(survey.parts)
            if (deduplicated if part.stream is None else part.stream in deduplicated)
        ]
        straight = sorted(set(range(len(survey.parts))).difference(shuffled))

        def records(parts: list[int]) -> Dataset:
            numbers = data.from_items(parts, override_num_blocks=len(parts))
            return numbers.map_batches(ReadParts(job, board), batch_size=1, batch_format="pyarrow", num_cpus=0.5)

        datasets = [records(straight)] if straight else []
        if shuffled:
            versions = records(shuffled).repartition(self._partitions(shuffled), keys=["record"])
            # of a partition, whole: as Ray's own groups are made
            datasets.append(versions.map_batches(KeepNewest(board), batch_size=None, batch_format="pyarrow"))
        return datasets[0] if len(datasets) == 1 else datasets[0].union(*datasets[1:])

    def _partitions(self, parts: list[int]) -> int:
        files = [self._job.survey.parts[number].file for number in parts]
        size: int = sum(file.size * (1 if file.path.endswith((".jsonl", ".json")) else PACKED) for file in files)
        wanted = max(PARTITIONS_A_WORKER * self._workers, math.ceil(size / PARTITION_BYTES))
        return min(MAX_PARTITIONS, wanted)

    def _seen(self, seen: Seen) -> None:
        reading, read = self._source.reading, seen.reading
        reading.bytes, reading.older = read.bytes, seen.older
        reading.superseded, reading.passed_over = read.superseded, read.passed_over
        # as far as they were looked through: all of them, once the last worker begins
        older = read.records * seen.older // seen.looked_through if seen.looked_through else 0
        reading.records = read.records - older
        self.see_workers(seen)
        self.progress.read = max(self.progress.read, reading.records)
        self.progress.tick()
