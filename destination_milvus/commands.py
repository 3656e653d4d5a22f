"""check and write, put together from their parts: everything is made here, once, and handed on."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from destination_milvus import identity, milvus_errors, store
from destination_milvus.chunking import CHUNKER_VERSION, MAX_TEXT_BYTES, Chunker
from destination_milvus.columns import NO_COLUMNS, Choice, choose, kinds_of
from destination_milvus.commit import Committer
from destination_milvus.config import Auth, Config, FromFieldEmbedding, PasswordAuth, TokenAuth, parse
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import ConfigError
from destination_milvus.model import Embedder, Json, Refusal, WriteMode
from destination_milvus.reading import ByteStream, Inbox
from destination_milvus.records import StreamName, StreamPlan, VectorField, plan_streams, resolved
from destination_milvus.rows import PARTITION
from destination_milvus.schema import Found, full_text_field, new_partition_key, typed_columns, warn_of_what_is_missing
from destination_milvus.sync import Limits, Sync
from destination_milvus.text import DocumentBuilder, FieldPath, Partition

logger = logging.getLogger("airbyte.destination")

CHECK_DEADLINE = 5.0
"""Seconds that `check` keeps asking the embedding model, and that it waits for Milvus: somebody waits for the answer in
front of a form, and ten seconds are enough."""

CHUNKS_A_BATCH = 1_000
"""About as many, at four characters a token: 6 MB of vectors of 1,536 dimensions, eight times in flight."""

LOCAL_CHUNK_SIZE = 200
"""cl100k tokens that fit the 256 word pieces which MiniLM was trained to read."""


def check_configuration(raw: Mapping[str, Json]) -> None:
    """Everything that can be wrong before a sync.

    Raises:
        DestinationError: the first thing that is.
    """
    config = parse(raw)
    _require_cloud_safety(config)
    with closing(create_embedder(config.embedding, config.advanced, deadline=CHECK_DEADLINE)) as embedder:
        _warn_of_long_chunks(config, embedder)
        _try_embedding(config, embedder)
        if store.is_new_database(config.indexing):
            return  # connecting would create it
        with closing(store.connect(config.indexing, timeout=CHECK_DEADLINE)) as client:
            _check_collection(config, client, embedder)


def _check_collection(config: Config, client: store.Client, embedder: Embedder) -> None:
    collection = store.find_collection(client, config)
    if collection is None:
        server = store.find_server(client, config.indexing)
        full_text_field(config, server)
        typed_columns(config, server, NO_COLUMNS)
        new_partition_key(config, server)
        return
    store.require_partitions(client, collection, config.indexing)
    warn_of_what_is_missing(config, collection.name, collection.found)
    store.require_model(
        collection,
        identity=embedder.identity,
        dimensions=embedder.dimensions,
        named=_names_its_model(config),
        is_empty=lambda: store.is_empty(client, collection.name, config.indexing),
    )
    store.require_write_permission(client, collection, config.indexing)


def _try_embedding(config: Config, embedder: Embedder) -> None:
    if isinstance(config.embedding, FromFieldEmbedding):
        return
    (answer,) = embedder.embed(["Does the connection to the embedding model work?"])
    if isinstance(answer, Refusal):
        raise ConfigError(f"The embedding model refuses a harmless text: {answer.reason}.")
    if len(answer) != embedder.dimensions:
        raise ConfigError(
            f"The embedding model answers vectors of {len(answer)} dimensions, and {embedder.dimensions} are "
            "configured: set embedding.dimensions to what the model gives."
        )


def _require_cloud_safety(config: Config) -> None:
    """On Airbyte Cloud data leaves by https and to authenticated servers only."""
    if os.environ.get("DEPLOYMENT_MODE", "").lower() != "cloud":
        return
    indexing = config.indexing
    if store.is_embedded(indexing.host):
        raise ConfigError(
            "indexing.host is a Milvus Lite database, which would be lost with the machine: on Airbyte Cloud it must "
            "be a server, and begin with https://."
        )
    if not indexing.host.lower().startswith("https://"):
        raise ConfigError("indexing.host must begin with https:// on Airbyte Cloud.")
    if not _has_credentials(indexing.auth):
        raise ConfigError("indexing.auth must be a token, or username and password, on Airbyte Cloud.")
    for option in ("base_url", "api_base"):
        address = getattr(config.embedding, option, None)
        if address and not address.strip().lower().startswith("https://"):
            raise ConfigError(f"embedding.{option} must begin with https:// on Airbyte Cloud.")


def _has_credentials(auth: Auth) -> bool:
    if isinstance(auth, TokenAuth):
        return bool(auth.token.get_secret_value().strip())
    return isinstance(auth, PasswordAuth) and bool(auth.username and auth.password.get_secret_value())


def _warn_of_long_chunks(config: Config, embedder: Embedder) -> None:
    most = LOCAL_CHUNK_SIZE if config.embedding.mode == "local" else embedder.max_tokens
    if config.processing.chunk_size > most:
        logger.warning(
            "processing.chunk_size is %d, but the embedding model reads about %d tokens of a chunk: what follows them "
            "is stored, and only full-text search (indexing.full_text_search) finds it.",
            config.processing.chunk_size,
            most,
        )


def _names_its_model(config: Config) -> bool:
    """Whether the configuration says which model it means, rather than leaving it to a default that has changed."""
    return getattr(config.embedding, "model", "not optional") is not None


def write_stream(
    config: Config,
    catalog: Mapping[str, Json],
    stream: ByteStream,
    emit: Callable[[Sequence[bytes]], None],
    *,
    limits: Limits | None = None,
) -> None:
    """A sync from a byte stream of protocol lines; `emit` takes states as soon as they are durable, as lines.

    Args:
        config: parsed.
        catalog: the configured catalog, as protocol JSON.
        stream: the input.
        emit: called on this thread.
        limits: of the batches; those of production by default.

    Raises:
        DestinationError: it did not complete; what was durable was emitted.
    """
    # exhausted in C, so that a signal meets the steps, which know what to do, and not a loop around them
    deque(_steps(config, catalog, stream, emit, limits), maxlen=0)


def write_steps(
    config: Config, catalog: Mapping[str, Json], stream: ByteStream, emit: Callable[[Sequence[bytes]], None]
) -> Generator[None, None, None]:
    """What `write_stream` does, with a pause after every message and batch, for a caller that lives on.

    All of it is on the caller's thread. Closed early, it waits for the batches under way; in any case it lets go of
    Milvus Lite at the end.
    """
    with store.held(config.indexing):
        yield from _steps(config, catalog, stream, emit, None)


def _steps(
    config: Config,
    catalog: Mapping[str, Json],
    stream: ByteStream,
    emit: Callable[[Sequence[bytes]], None],
    limits: Limits | None,
) -> Iterator[None]:
    _require_cloud_safety(config)
    plans = plan_streams(catalog)
    with (
        closing(Inbox(stream)) as inbox,  # reading begins while the rest is set up
        closing(create_embedder(config.embedding, config.advanced)) as embedder,
    ):
        _warn_of_long_chunks(config, embedder)
        with closing(store.connect(config.indexing)) as client:
            milvus = store.open_store(
                client,
                config,
                model=embedder.identity,
                dimensions=embedder.dimensions,
                named=_names_its_model(config),
                choice=_choice(config, catalog),
            )
            sync = _sync(config, plans, milvus, embedder, emit, limits)
            names = ", ".join(plan.identifier for plan in plans.values())
            logger.info("Writing %s to %s.", names, milvus_errors.described(config.indexing.host))
            yield from sync.steps(inbox)
            milvus.load()  # rows that nobody can search are no success
        usage = embedder.usage
    logger.info("Sync complete: %s.", sync.progress.sentence())
    requests = f" in {usage.requests:,} requests" if usage.requests else ""
    logger.info("Embedded %s texts of %s tokens%s.", f"{usage.texts:,}", f"{usage.tokens:,}", requests)


def _sync(
    config: Config,
    plans: Mapping[StreamName, StreamPlan],
    milvus: store.MilvusStore,
    embedder: Embedder,
    emit: Callable[[Sequence[bytes]], None],
    limits: Limits | None,
) -> Sync:
    plans = _with_generations(plans, milvus)
    committer = Committer(
        store=milvus,
        embedder=embedder,
        chunker=Chunker.configured(config.processing, milvus.found.text_bytes),
        shape=_shape(config, embedder, milvus),
        skip_bad_records=config.advanced.bad_records == "skip",
    )
    return Sync(
        plans,
        committer,
        {name: _builder(config, name, plan, milvus) for name, plan in plans.items()},
        emit,
        limits=limits or _limits(config),
        vector_field=_vector_field(config),
        empty_streams=[
            name
            for name, plan in plans.items()
            if plan.mode is WriteMode.DEDUP and (milvus.is_new or not milvus.has_rows(plan.identifier))
        ],
    )


def _limits(config: Config) -> Limits:
    """Those of production; where chunks are small, a batch holds fewer texts: their vectors would fill the memory."""
    return Limits(
        text_characters=min(Limits().text_characters, CHUNKS_A_BATCH * 4 * config.processing.chunk_size),
        batches_in_flight=config.advanced.concurrency,
    )


def _with_generations(
    plans: Mapping[StreamName, StreamPlan], milvus: store.MilvusStore
) -> dict[StreamName, StreamPlan]:
    lowest = (lambda _: 0) if milvus.is_new else milvus.lowest_generation
    return {
        name: plan if plan.generation is not None else resolved(plan, lowest(plan.identifier))
        for name, plan in plans.items()
    }


def _shape(config: Config, embedder: Embedder, milvus: store.MilvusStore) -> str:
    """All that decides what rows look like: when it changes, every record is written anew, and embedded if it must."""
    processing = config.processing.model_dump(mode="json")
    parts = [embedder.identity, CHUNKER_VERSION, processing, milvus.layout.vector_field, milvus.layout.text_field]
    if milvus.found.text_bytes < MAX_TEXT_BYTES:
        parts.append(milvus.found.text_bytes)
    return identity.shape(*parts)


def _choice(config: Config, catalog: Mapping[str, Json]) -> Choice:
    """Typed columns for a new collection, from the schemas of the catalog's streams."""
    schemas = [configured["stream"].get("json_schema") for configured in catalog.get("streams") or []]
    partition = config.indexing.partition_field
    if partition is not None and not kinds_of(partition, config.processing.sources, schemas):
        logger.warning(
            'indexing.partition_key is "%s", which no stream of the catalog has: all of their records go into one '
            "partition.",
            partition,
        )
    return choose(config.indexing.indexed_metadata_fields, config.processing.sources, schemas)


def _builder(config: Config, name: StreamName, plan: StreamPlan, milvus: store.MilvusStore) -> DocumentBuilder:
    vector_field = _vector_field(config)
    builder = DocumentBuilder.configured(
        config.processing,
        reserved=milvus.layout.reserved,
        protected=plan.protected,
        omitted=() if vector_field is None else (vector_field.path.path,),
        columns=milvus.found.columns,
        partition=_partition(config, name, milvus.found),
    )
    return replace(builder, layout=milvus.layout)


def _partition(config: Config, name: StreamName, found: Found) -> Partition | None:
    if found.partition_key != PARTITION:
        return None
    field = config.indexing.partition_field
    if field is not None:
        return Partition.by_field(field, config.processing.sources)
    return Partition((name[1] or "") if config.indexing.partition_key == "namespace" else "")


def _vector_field(config: Config) -> VectorField | None:
    if not isinstance(config.embedding, FromFieldEmbedding):
        return None
    return VectorField(FieldPath.parse(config.embedding.field_name), config.embedding.dimensions)
