"""`write`, put together from its parts: everything is made here, once, and handed on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from destination_milvus import digests
from destination_milvus.collection import Collection
from destination_milvus.config.embedding import FromFieldEmbedding
from destination_milvus.config.models import Config
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.chunking import CHUNKER_VERSION, Chunker
from destination_milvus.documents.partition import Partition
from destination_milvus.documents.paths import FieldPath
from destination_milvus.embedding import create_embedder
from destination_milvus.embedding.languages import watched
from destination_milvus.embedding.usage import Usage
from destination_milvus.fields import MAX_VARCHAR_BYTES, PARTITION
from destination_milvus.flow.batch import BatchLimits
from destination_milvus.flow.change import VectorField
from destination_milvus.flow.commit import Committer
from destination_milvus.flow.intake import Intake
from destination_milvus.flow.progress import Progress
from destination_milvus.flow.sync import Sync
from destination_milvus.milvus.address import described, require_milvus_lite
from destination_milvus.milvus.columns import ColumnChoice, choose_columns, kinds_of
from destination_milvus.milvus.connection import connect, held
from destination_milvus.milvus.open import OpenCollection, open_collection
from destination_milvus.model import Embedder, Json
from destination_milvus.precautions import require_cloud_safety, warn_of_long_chunks
from destination_milvus.protocol.catalog import StreamName, StreamPlan, plan_streams, with_own_generation
from destination_milvus.protocol.inbox import ByteStream, Inbox, blocks_of

logger = logging.getLogger("airbyte.destination")

CHUNKS_A_BATCH = 1_000
"""About as many, at four characters a token: 6 MB of vectors of 1,536 dimensions, eight times in flight."""


def write_stream(
    config: Config,
    catalog: Mapping[str, Json],
    stream: ByteStream,
    emit: Callable[[Sequence[bytes]], None],
    *,
    limits: BatchLimits | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """A sync from a byte stream of protocol lines; `emit` takes states as soon as they are durable, as lines.

    Args:
        config: parsed.
        catalog: the configured catalog, as protocol JSON.
        stream: the input.
        emit: called on this thread.
        limits: of the batches; those of production by default.
        ready: called once everything is set up, before the first record.

    Raises:
        DestinationError: it did not complete; what was durable was emitted.
    """
    # exhausted in C, so that a signal meets the steps, which know what to do, and not a loop around them
    deque(_steps(config, catalog, stream, emit, limits, ready), maxlen=0)


def write_steps(
    config: Config, catalog: Mapping[str, Json], stream: ByteStream, emit: Callable[[Sequence[bytes]], None]
) -> Generator[None, None, None]:
    """What `write_stream` does, with a pause after every message and batch, for a caller that lives on.

    All of it is on the caller's thread. Closed early, it waits for the batches under way; in any case it lets go of
    Milvus Lite at the end.
    """
    with held(config.indexing):
        yield from _steps(config, catalog, stream, emit)


def _steps(
    config: Config,
    catalog: Mapping[str, Json],
    stream: ByteStream,
    emit: Callable[[Sequence[bytes]], None],
    limits: BatchLimits | None = None,
    ready: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    require_cloud_safety(config)
    require_milvus_lite(config.indexing)
    plans = plan_streams(catalog)
    with closing(Inbox(blocks_of(stream))) as inbox:  # reading begins while the rest is set up
        yield from sync_steps(config, catalog, plans, inbox, emit, limits=limits, watch=lambda _, __: ready())


def sync_steps(  # noqa: PLR0913 - two of them are for callers that show more
    config: Config,
    catalog: Mapping[str, Json],
    plans: Mapping[StreamName, StreamPlan],
    inbox: Inbox,
    emit: Callable[[Sequence[bytes]], None],
    *,
    limits: BatchLimits | None = None,
    watch: Callable[[Progress, Callable[[], Usage]], None] = lambda _, __: None,
    what: str = "Sync",
) -> Iterator[None]:
    """A sync of what an inbox holds, with a pause after every message and batch.

    Args:
        config: parsed, and looked at for what must not leave.
        catalog: the configured catalog, as protocol JSON; its schemas decide about columns.
        plans: of the streams that are synced.
        inbox: their messages.
        emit: takes states as soon as they are durable, as lines.
        limits: of the batches; those of production by default.
        watch: is given what counts and what tells the costs, before the first record is taken.
        what: the word for it in the summary.

    Raises:
        DestinationError: it did not complete; what was durable was emitted.
    """
    with closing(create_embedder(config.embedding, config.advanced)) as embedder:
        warn_of_long_chunks(config, embedder)
        with closing(connect(config.indexing)) as client:
            milvus = open_collection(client, config, embedder, column_choice(config, catalog))
            sync = _sync(config, plans, milvus, embedder, emit, limits)
            watch(sync.progress, lambda: embedder.usage)
            names = ", ".join(plan.identifier for plan in plans.values())
            logger.info("Writing %s to %s.", names, described(config.indexing.host))
            yield from sync.steps(inbox)
            milvus.load()  # a sync whose rows cannot be searched has not succeeded
        usage = embedder.usage
    tell_summary(what, sync.progress, usage)


def tell_summary(what: str, progress: Progress, usage: Usage) -> None:
    """What was done, in two lines."""
    logger.info("%s complete: %s.", what, progress.sentence())
    requests = f" in {usage.requests:,} requests" if usage.requests else ""
    logger.info("Embedded %s texts of %s tokens%s.", f"{usage.texts:,}", f"{usage.tokens:,}", requests)


def _sync(
    config: Config,
    plans: Mapping[StreamName, StreamPlan],
    milvus: OpenCollection,
    embedder: Embedder,
    emit: Callable[[Sequence[bytes]], None],
    limits: BatchLimits | None,
) -> Sync:
    plans = with_generations(plans, milvus)
    return Sync(
        plans,
        committer(config, milvus, embedder),
        intake(config, plans, milvus.collection),
        emit,
        limits=limits or batch_limits(config),
        empty_streams=[
            name for name, plan in plans.items() if plan.finds_again and not milvus.has_rows(plan.identifier)
        ],
    )


def with_generations(plans: Mapping[StreamName, StreamPlan], milvus: OpenCollection) -> dict[StreamName, StreamPlan]:
    """The plans, those that are to take a generation of their own with the one that is free in a collection."""
    return {
        name: plan
        if plan.generation is not None
        else with_own_generation(plan, milvus.lowest_generation(plan.identifier))
        for name, plan in plans.items()
    }


def intake(config: Config, plans: Mapping[StreamName, StreamPlan], collection: Collection) -> Intake:
    """What makes changes of the records of a configuration's streams, for a collection."""
    builders = {name: document_builder(config, name, plan, collection) for name, plan in plans.items()}
    return Intake(plans, builders, vector_field(config))


def committer(config: Config, milvus: OpenCollection, embedder: Embedder) -> Committer:
    """What commits the batches of a configuration to an open collection."""
    return Committer(
        store=milvus.store,
        embedder=watched(config.embedding, embedder),
        chunker=Chunker.configured(config.processing, milvus.collection.text_bytes),
        row_format=row_format(config, embedder, milvus.collection),
        skip_bad_records=config.advanced.bad_records == "skip",
    )


def batch_limits(config: Config) -> BatchLimits:
    """Those of production; where chunks are small, a batch holds fewer texts: their vectors would fill the memory."""
    return BatchLimits(
        text_characters=min(BatchLimits().text_characters, CHUNKS_A_BATCH * 4 * config.processing.chunk_size),
        batches_in_flight=config.advanced.concurrency,
    )


def row_format(config: Config, embedder: Embedder, collection: Collection) -> str:
    """All that decides what rows look like: when it changes, every record is written anew, and embedded if it must."""
    processing = config.processing.model_dump(mode="json")
    parts = [embedder.identity, CHUNKER_VERSION, processing, collection.vector_field, collection.text_field]
    if collection.text_bytes < MAX_VARCHAR_BYTES:
        parts.append(collection.text_bytes)
    return digests.row_format(*parts)


def column_choice(config: Config, catalog: Mapping[str, Json]) -> ColumnChoice:
    """Typed columns for a new collection, from the schemas of the catalog's streams."""
    schemas = [configured["stream"].get("json_schema") for configured in catalog.get("streams") or []]
    partition = config.indexing.partition_field
    if partition is not None and not kinds_of(partition, config.processing.sources, schemas):
        logger.warning(
            'indexing.partition_key is "%s", which no stream of the catalog has: all of their records go into one '
            "partition.",
            partition,
        )
    return choose_columns(config.indexing.indexed_metadata_fields, config.processing.sources, schemas)


def document_builder(config: Config, name: StreamName, plan: StreamPlan, collection: Collection) -> DocumentBuilder:
    """What makes the documents of a stream, for a collection."""
    brought = vector_field(config)
    builder = DocumentBuilder.configured(
        config.processing,
        reserved=collection.reserved,
        protected=plan.protected,
        omitted=() if brought is None else (brought.path.path,),
        columns=collection.columns,
        partition=_partition(config, name, collection),
    )
    return replace(builder, collection=collection)


def _partition(config: Config, name: StreamName, collection: Collection) -> Partition | None:
    if collection.partition_key != PARTITION:
        return None
    field = config.indexing.partition_field
    if field is not None:
        return Partition.by_field(field, config.processing.sources)
    return Partition((name[1] or "") if config.indexing.partition_key == "namespace" else "")


def vector_field(config: Config) -> VectorField | None:
    """Where records carry their own vectors, if they do."""
    if not isinstance(config.embedding, FromFieldEmbedding):
        return None
    return VectorField(FieldPath.parse(config.embedding.field_name), config.embedding.dimensions)
