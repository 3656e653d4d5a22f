"""`reembed`, put together from its parts, for people."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from destination_milvus import digests
from destination_milvus.backfill.commits import Commits
from destination_milvus.backfill.display import Clock, PlainOutput, duration
from destination_milvus.backfill.reembed import MARK, Reembedding, Rewriting, StoredChunks
from destination_milvus.collection import Collection
from destination_milvus.config.embedding import FromFieldEmbedding
from destination_milvus.config.models import Config
from destination_milvus.documents.partition import Partition
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.errors import ConfigError, option
from destination_milvus.fields import PARTITION
from destination_milvus.flow.commit import Committer
from destination_milvus.milvus.address import described, require_milvus_lite
from destination_milvus.milvus.aliases import point_alias, real_name
from destination_milvus.milvus.columns import ColumnChoice
from destination_milvus.milvus.connection import connect
from destination_milvus.milvus.open import OpenCollection, open_collection, open_stored
from destination_milvus.milvus.scan import ROW_ID, Scan
from destination_milvus.model import Change, Delete, Embedder, Json
from destination_milvus.precautions import require_cloud_safety
from destination_milvus.write import batch_limits, column_choice, tell_summary

if TYPE_CHECKING:
    from destination_milvus.milvus.connection import Client

logger = logging.getLogger("airbyte.backfill")

KEYS_AT_ONCE = 500
"""That are looked for in the old collection."""


def reembed(arguments: Namespace, config: Config, catalog: Mapping[str, Json], output: PlainOutput) -> None:
    """Write the records of a collection into the configured one, with vectors of the configured model.

    Args:
        arguments: of the command line: `source`, the name of the old collection; `alias`, to be moved at the end.
        config: parsed; it names the new model and collection.
        catalog: the configured catalog, for the types of columns; empty for those of the old collection.
        output: where the bar goes.

    Raises:
        DestinationError: it did not complete; what was written stays, and the alias is where it was.
    """
    require_cloud_safety(config)
    require_milvus_lite(config.indexing)
    if isinstance(config.embedding, FromFieldEmbedding):
        raise ConfigError(
            f"{option('embedding.mode')} is from_field, which takes vectors from records: choose a model to embed with."
        )
    with (
        closing(create_embedder(config.embedding, config.advanced)) as embedder,
        closing(connect(config.indexing)) as client,
    ):
        source = _source(client, config, arguments.source)
        partition = _partition(config, source.collection)
        choice = column_choice(config, catalog) if catalog else _columns_of(config, source.collection)
        target = open_collection(client, config, embedder, choice)
        _require_no_syncs(target)
        _Run(config, embedder, source, target, partition).run(output)
        target.load()
        if arguments.alias is not None:
            point_alias(client, config.indexing, arguments.alias)


def _source(client: Client, config: Config, name: str) -> OpenCollection:
    indexing = config.indexing
    if real_name(client, indexing, name) == real_name(client, indexing, indexing.collection):
        raise ConfigError(
            f'--from "{name}" is the collection that the configuration writes to. Vectors of two models cannot be in '
            f"one collection: name a new one in {option('indexing.collection')}."
        )
    as_before = config.model_copy(
        update={"indexing": indexing.model_copy(update={"collection": name}), "omit_raw_text": False}
    )
    source = open_stored(client, as_before)
    if source is None:
        raise ConfigError(f'{described(indexing.host)} has no collection "{name}" (--from).')
    source.load()
    if not source.has_texts():
        raise ConfigError(
            f'No row of the collection "{name}" has a text in its field "{indexing.text_field}", so that there is '
            "nothing to embed anew, and nothing was changed. Where texts were left out (omit_raw_text), let the source "
            "send its records again into a new collection; where it has another name, set "
            f"{option('indexing.text_field')}."
        )
    return source


def _partition(config: Config, source: Collection) -> Partition | None:
    field = config.indexing.partition_field
    if field is not None:
        return Partition.by_field(field, {})
    if config.indexing.partition_key == "namespace" and source.partition_key != PARTITION:
        raise ConfigError(
            f'{option("indexing.partition_key")} is "namespace", and rows of the collection "{source.name}" do '
            "not tell theirs: choose another one, or let the source send its records again."
        )
    return None


def _columns_of(config: Config, source: Collection) -> ColumnChoice:
    """The types that the old collection has."""
    wanted = dict.fromkeys(config.indexing.indexed_metadata_fields)
    typed = {name: source.columns[name] for name in wanted if name in source.columns and source.columns[name].type}
    left = tuple(f'"{name}" (no column of "{source.name}", and no --catalog)' for name in wanted if name not in typed)
    return ColumnChoice(tuple(typed.values()), left)


def _require_no_syncs(target: OpenCollection) -> None:
    if not target.is_new and target.has_synced_records(MARK):
        raise ConfigError(
            f'A sync has written into the collection "{target.collection.name}": its records may be newer than '
            f"those of the old collection, which would come back. Name a new one in {option('indexing.collection')}."
        )


class _Run:
    """One run, between the collections."""

    def __init__(
        self,
        config: Config,
        embedder: MeteredEmbedder,
        source: OpenCollection,
        target: OpenCollection,
        partition: Partition | None,
    ) -> None:
        self._embedder = embedder
        self._source, self._target = source, target
        row_format = _row_format(embedder, target.collection)
        self._rewriting = Rewriting(source.collection, target.collection, row_format, partition)
        committer = Committer(
            store=target.store,
            embedder=embedder,
            chunker=StoredChunks(),
            row_format=row_format,
            skip_bad_records=config.advanced.bad_records == "skip",
        )
        self._commits = Commits(committer, batch_limits(config))
        self._reembedding = Reembedding(self._commits.progress)
        self._clock = Clock()
        self._scan = source.scan()
        self._count = 1

    def run(self, output: PlainOutput) -> None:
        """Write every record, then take out those that the old collection no longer has."""
        progress = self._commits.progress
        progress.beside = self._phrases
        if output.draws:
            progress.seconds_between_lines = float("inf")
        self._count = max(1, self._scan.count())
        logger.info(
            'Writing the records of "%s" to "%s", embedded by %s.',
            self._source.collection.name,
            self._target.collection.name,
            self._embedder.identity,
        )
        with output.bar(self._share, self._words):
            self._commits.commit(self._reembedding.upserts(self._scan.records(), self._rewriting))
            if not self._target.is_new:
                self._commits.commit(self._deletes(self._target.scan()))
        tell_summary("Re-embedding", progress, self._embedder.usage)
        for line in self._left_out():
            logger.warning("%s", line)

    def _deletes(self, scan: Scan) -> Iterator[tuple[Change, int]]:
        store = self._source.store
        for keys in scan.pages_of_keys():
            for start in range(0, len(keys), KEYS_AT_ONCE):
                portion = keys[start : start + KEYS_AT_ONCE]
                rows = {key: key.record_id.removeprefix(ROW_ID) for key in portion if key.record_id.startswith(ROW_ID)}
                heads = store.heads(key for key in portion if key not in rows)
                present = self._source.present(rows.values())
                gone = (key for key in portion if key not in heads and rows.get(key) not in present)
                yield from ((Delete(key), 0) for key in gone)

    def _share(self) -> float:
        progress = self._commits.progress
        return min(1.0, self._scan.seen / self._count * progress.committed / max(1, progress.read))

    def _words(self) -> str:
        committed = self._commits.progress.committed
        rate = committed / max(0.001, self._clock.seconds_spent)
        return "  ".join([f"{committed:,} records", f"{rate:,.0f}/s", *self._costs()])

    def _phrases(self) -> list[str]:
        return [f"{100 * self._share():.0f} % of the collection", *self._costs()]

    def _costs(self) -> list[str]:
        tokens, left = self._embedder.usage.tokens, self._clock.seconds_left(self._share())
        return [
            *([f"{tokens:,} tokens"] if tokens else []),
            *([f"{duration(left)} left"] if left is not None else []),
        ]

    def _left_out(self) -> Iterator[str]:
        if self._reembedding.incomplete:
            yield (
                f"{self._reembedding.incomplete:,} records are not complete in the old collection: a sync was "
                "interrupted, or is under way. Let the next one finish, then run the same command again."
            )
        if self._reembedding.without_text:
            yield f"{self._reembedding.without_text:,} records have no text: they are not in the new collection."


def _row_format(embedder: Embedder, target: Collection) -> str:
    return digests.row_format("reembed", embedder.identity, target.vector_field, target.text_field)
