"""`reembed`, put together from its parts, for people."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from destination_milvus.backfill.display import Clock, PlainOutput, duration
from destination_milvus.backfill.on_ray.cluster import chosen_engine
from destination_milvus.backfill.reembed import MARK
from destination_milvus.backfill.rewriter import Pair, Rewriter
from destination_milvus.collection import Collection
from destination_milvus.config.embedding import FromFieldEmbedding
from destination_milvus.config.models import Config
from destination_milvus.documents.partition import Partition
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import ConfigError, option
from destination_milvus.fields import PARTITION
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.address import described, require_milvus_lite
from destination_milvus.milvus.aliases import point_alias, real_name
from destination_milvus.milvus.columns import ColumnChoice
from destination_milvus.milvus.connection import connect
from destination_milvus.milvus.open import OpenCollection, open_collection, open_stored
from destination_milvus.model import Embedder, Json
from destination_milvus.precautions import require_cloud_safety
from destination_milvus.write import column_choice, tell_summary

if TYPE_CHECKING:
    from destination_milvus.milvus.connection import Client

logger = logging.getLogger("airbyte.backfill")


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
    engine = chosen_engine(arguments, config)
    require_milvus_lite(config.indexing)
    if isinstance(config.embedding, FromFieldEmbedding):
        raise ConfigError(
            f"{option('embedding.mode')} is from_field, which takes vectors from records: choose a model to embed with."
        )
    with (
        closing(create_embedder(config.embedding, config.advanced)) as embedder,
        closing(connect(config.indexing)) as client,
    ):
        pair = open_pair(client, config, embedder, arguments.source, catalog)
        _require_no_syncs(pair.target)
        logger.info(
            'Writing the records of "%s" to "%s", embedded by %s.',
            pair.source.collection.name,
            pair.target.collection.name,
            embedder.identity,
        )
        if engine is None:
            _rewrite(config, embedder, pair, output)
        else:
            from destination_milvus.backfill.on_ray.rewrite import rewrite  # noqa: PLC0415 - and Ray with it

            rewrite(config, pair, engine, output)
        pair.target.load()
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


def open_pair(client: Client, config: Config, embedder: Embedder, name: str, catalog: Mapping[str, Json]) -> Pair:
    """The old collection and the one that the configuration names, which is created if it is missing.

    Raises:
        ConfigError: one of them cannot be used.
    """
    source = _source(client, config, name)
    partition = _partition(config, source.collection)
    choice = column_choice(config, catalog) if catalog else _columns_of(config, source.collection)
    return Pair(source, open_collection(client, config, embedder, choice), partition)


class View:
    """What people see of a run."""

    def __init__(self, progress: Progress, seen: Callable[[], int], count: int, usage: Callable[[], Usage]) -> None:
        self._progress = progress
        self._seen, self._count = seen, max(1, count)
        self._usage = usage
        self._clock = Clock()

    @contextmanager
    def shown(self, output: PlainOutput) -> Iterator[None]:
        """Show it meanwhile."""
        self._progress.beside = self._phrases
        if output.draws:
            self._progress.seconds_between_lines = float("inf")
        with output.bar(self._share, self._words):
            yield

    def _share(self) -> float:
        return min(1.0, self._seen() / self._count * self._progress.committed / max(1, self._progress.read))

    def _words(self) -> str:
        committed = self._progress.committed
        rate = committed / max(0.001, self._clock.seconds_spent)
        return "  ".join([f"{committed:,} records", f"{rate:,.0f}/s", *self._costs()])

    def _phrases(self) -> list[str]:
        return [f"{100 * self._share():.0f} % of the collection", *self._costs()]

    def _costs(self) -> list[str]:
        tokens, left = self._usage().tokens, self._clock.seconds_left(self._share())
        return [
            *([f"{tokens:,} tokens"] if tokens else []),
            *([f"{duration(left)} left"] if left is not None else []),
        ]


def _rewrite(config: Config, embedder: MeteredEmbedder, pair: Pair, output: PlainOutput) -> None:
    """The engine of one machine."""
    progress, scan = Progress(), pair.source.scan()
    rewriter = Rewriter(config, embedder, pair, progress)
    view = View(progress, lambda: scan.seen, scan.count(), lambda: embedder.usage)
    with view.shown(output):
        rewriter.rewrite(scan)
        if not pair.target.is_new:
            rewriter.remove_what_is_gone(pair.target.scan())
    met = rewriter.reembedding
    tell_what_was_done(progress, embedder.usage, incomplete=met.incomplete, without_text=met.without_text)


def tell_what_was_done(progress: Progress, usage: Usage, *, incomplete: int, without_text: int) -> None:
    """The summary, and what was left out."""
    tell_summary("Re-embedding", progress, usage)
    if incomplete:
        logger.warning(
            "%s records are not complete in the old collection: a sync was interrupted, or is under way. Let the next "
            "one finish, then run the same command again.",
            f"{incomplete:,}",
        )
    if without_text:
        logger.warning("%s records have no text: they are not in the new collection.", f"{without_text:,}")
