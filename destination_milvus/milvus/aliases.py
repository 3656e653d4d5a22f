"""The name by which applications search, moved from one collection to another."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from destination_milvus.config.indexing import Indexing
from destination_milvus.errors import ConfigError
from destination_milvus.milvus.calls import CALL_TIMEOUT
from destination_milvus.milvus.errors import is_collection_missing, translated

if TYPE_CHECKING:
    from pymilvus import MilvusClient

logger = logging.getLogger("airbyte.milvus")


def real_name(client: MilvusClient, indexing: Indexing, name: str) -> str:
    """The name of the collection that a name or an alias stands for; the name itself where there is none."""
    try:
        description = client.describe_collection(name, timeout=CALL_TIMEOUT)
    except Exception as error:
        if is_collection_missing(error):
            return name
        raise translated(error, indexing) from error
    return str(description["collection_name"])


def point_alias(client: MilvusClient, indexing: Indexing, alias: str) -> None:
    """Let an alias name the configured collection, in one call: who searches by it never finds nothing.

    Raises:
        ConfigError: it is the name of a collection, or the user may not.
    """
    if alias in client.list_collections(timeout=CALL_TIMEOUT):
        raise ConfigError(
            f'"{alias}" is a collection and not an alias, and Milvus cannot give its name to another one. Let the '
            "application search by another name, which is an alias, from now on."
        )
    try:
        client.alter_alias(indexing.collection, alias, timeout=CALL_TIMEOUT)
    except Exception:  # noqa: BLE001 - each version of Milvus says in other words that it is not there yet
        try:
            client.create_alias(indexing.collection, alias, timeout=CALL_TIMEOUT)
        except Exception as error:
            raise translated(error, indexing) from error
    logger.info('The alias "%s" is the collection "%s" from now on.', alias, indexing.collection)
