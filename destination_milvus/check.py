"""`check`: everything that can be wrong before a sync, looked at without changing anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from destination_milvus.config.embedding import FromFieldEmbedding
from destination_milvus.config.models import Config, parse_config
from destination_milvus.config.secrets import redaction, secrets_in
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.errors import ConfigError, DestinationError, option
from destination_milvus.milvus.address import is_new_database, require_milvus_lite
from destination_milvus.milvus.analyzers import require_analyzer, try_analyzer
from destination_milvus.milvus.columns import NO_COLUMNS
from destination_milvus.milvus.connection import connect
from destination_milvus.milvus.existing import warn_of_what_is_missing
from destination_milvus.milvus.open import require_partitions, require_write_permission
from destination_milvus.milvus.reader import find_collection, require_model
from destination_milvus.milvus.schema import full_text_field, new_partition_key, typed_columns
from destination_milvus.milvus.server import embedded_server, find_server
from destination_milvus.model import Json, Refusal
from destination_milvus.precautions import require_cloud_safety, warn_of_long_chunks

if TYPE_CHECKING:
    from destination_milvus.milvus.connection import Client

logger = logging.getLogger("airbyte.destination")

CHECK_DEADLINE = 5.0
"""Seconds that `check` keeps asking the embedding model, and that it waits for Milvus: somebody waits for the answer in
front of a form, and ten seconds are enough."""


def connection_status(raw: Mapping[str, Json]) -> dict[str, str]:
    """The `connectionStatus` of a CONNECTION_STATUS message, as protocol JSON; FAILED says which option is wrong."""
    try:
        check_configuration(raw)
    except DestinationError as error:
        return {"status": "FAILED", "message": redaction(secrets_in(raw))(error.message)}
    return {"status": "SUCCEEDED"}


def check_configuration(raw: Mapping[str, Json]) -> None:
    """Everything that can be wrong before a sync.

    Raises:
        DestinationError: the first thing that is.
    """
    config = parse_config(raw)
    require_cloud_safety(config)
    require_milvus_lite(config.indexing)
    with closing(create_embedder(config.embedding, config.advanced, deadline=CHECK_DEADLINE)) as embedder:
        warn_of_long_chunks(config, embedder)
        _try_embedding(config, embedder)
        if is_new_database(config.indexing):  # connecting would create it
            require_analyzer(config.indexing, embedded_server(config.indexing))
            return
        with closing(connect(config.indexing, timeout=CHECK_DEADLINE)) as client:
            _check_collection(config, client, embedder)


def _check_collection(config: Config, client: Client, embedder: MeteredEmbedder) -> None:
    collection = find_collection(client, config)
    if collection is None:
        server = find_server(client, config.indexing)
        require_analyzer(config.indexing, server)
        for analyzed in try_analyzer(client, config.indexing, server):
            logger.info("Full-text search finds “%s” by the words %s.", analyzed.sentence, " | ".join(analyzed.words))
        full_text_field(config, server)
        typed_columns(config, server, NO_COLUMNS)
        new_partition_key(config, server)
        return
    require_partitions(client, collection, config.indexing)
    warn_of_what_is_missing(config, collection)
    require_model(client, config, collection, embedder)
    require_write_permission(client, collection, config.indexing)


def _try_embedding(config: Config, embedder: MeteredEmbedder) -> None:
    if isinstance(config.embedding, FromFieldEmbedding):
        return
    (answer,) = embedder.embed(["Does the connection to the embedding model work?"])
    if isinstance(answer, Refusal):
        raise ConfigError(f"The embedding model refuses a harmless text: {answer.reason}.")
    if len(answer) != embedder.dimensions:
        raise ConfigError(
            f"The embedding model answers vectors of {len(answer)} dimensions, and {embedder.dimensions} are "
            f"configured: set {option('embedding.dimensions')} to what the model gives."
        )
