"""What is looked at before anything leaves: where data would go, and whether the model reads it whole."""

from __future__ import annotations

import logging
import os

from destination_milvus.config.indexing import Auth, PasswordAuth, TokenAuth
from destination_milvus.config.models import Config
from destination_milvus.embedding import MeteredEmbedder
from destination_milvus.errors import ConfigError, option
from destination_milvus.milvus.address import is_embedded

logger = logging.getLogger("airbyte.destination")


def require_cloud_safety(config: Config) -> None:
    """On Airbyte Cloud data leaves by https and to authenticated servers only.

    Raises:
        ConfigError: it would not.
    """
    if os.environ.get("DEPLOYMENT_MODE", "").lower() != "cloud":
        return
    indexing = config.indexing
    if is_embedded(indexing.host):
        raise ConfigError(
            f"{option('indexing.host')} is a Milvus Lite database, which would be lost with the machine: on Airbyte "
            "Cloud it must be a server, and begin with https://."
        )
    if not _is_encrypted(indexing.host):
        raise ConfigError(f"{option('indexing.host')} must begin with https:// on Airbyte Cloud.")
    if not _has_credentials(indexing.auth):
        raise ConfigError(f"{option('indexing.auth')} must be a token, or username and password, on Airbyte Cloud.")
    for name, address in config.embedding.addresses.items():
        if not _is_encrypted(address):
            raise ConfigError(f"{option(f'embedding.{name}')} must begin with https:// on Airbyte Cloud.")


def _is_encrypted(address: str) -> bool:
    return address.strip().lower().startswith("https://")


def _has_credentials(auth: Auth) -> bool:
    if isinstance(auth, TokenAuth):
        return bool(auth.token.get_secret_value().strip())
    return isinstance(auth, PasswordAuth) and bool(auth.username and auth.password.get_secret_value())


def warn_of_long_chunks(config: Config, embedder: MeteredEmbedder) -> None:
    """Say where the model does not read chunks to their end."""
    if config.processing.chunk_size > embedder.chunk_tokens:
        logger.warning(
            "processing.chunk_size is %d, but the embedding model reads about %d tokens of a chunk: what follows them "
            "is stored, and only full-text search (indexing.full_text_search) finds it.",
            config.processing.chunk_size,
            embedder.chunk_tokens,
        )
