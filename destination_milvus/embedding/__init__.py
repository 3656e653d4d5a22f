"""Texts to vectors, one module a provider behind `model.Embedder`.

Importing this package costs nothing: a provider's libraries are imported when an embedder of its mode is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from destination_milvus import config
from destination_milvus.model import Embedder

if TYPE_CHECKING:
    from destination_milvus.embedding.usage import Usage

DEADLINE = 900.0
"""Seconds for which one request is tried again before the sync fails; long enough for most outages."""


class MeteredEmbedder(Embedder, Protocol):
    """An embedder that tells what it has cost."""

    @property
    def usage(self) -> Usage:
        """Requests, texts and tokens since the embedder was made."""

    def close(self) -> None:
        """Let go of connections and threads."""


def create_embedder(  # noqa: PLR0911 - one return a mode
    embedding: config.Embedding, advanced: config.Advanced, *, deadline: float = DEADLINE
) -> MeteredEmbedder:
    """The embedder of a configuration. Asks nothing of the network; loads the provider's libraries.

    Args:
        embedding: which model, and how to reach it.
        advanced: the ceilings on requests and tokens a minute.
        deadline: seconds for which a failing request is tried again, and most that it waits for an answer; `check`
            wants fewer than a sync.

    Raises:
        ConfigError: a library, a key, an address or a dimension is missing or cannot be.
    """
    if isinstance(embedding, config.FakeEmbedding):
        from destination_milvus.embedding.fake import FakeEmbedder  # noqa: PLC0415 - see above, here and below

        return FakeEmbedder()
    if isinstance(embedding, config.FromFieldEmbedding):
        from destination_milvus.embedding.from_field import FieldEmbedder  # noqa: PLC0415

        return FieldEmbedder(embedding)
    if isinstance(embedding, config.LocalEmbedding):
        from destination_milvus.embedding.local import LocalEmbedder  # noqa: PLC0415

        return LocalEmbedder()

    from destination_milvus.embedding.retries import Retries  # noqa: PLC0415

    retries = Retries.within(deadline)
    if isinstance(embedding, config.CohereEmbedding):
        from destination_milvus.embedding.cohere import cohere_embedder  # noqa: PLC0415

        return cohere_embedder(embedding, advanced, retries)

    from destination_milvus.embedding import openai_api  # noqa: PLC0415

    if isinstance(embedding, config.OpenAIEmbedding):
        return openai_api.openai_embedder(embedding, advanced, retries)
    if isinstance(embedding, config.AzureOpenAIEmbedding):
        return openai_api.azure_embedder(embedding, advanced, retries)
    return openai_api.compatible_embedder(embedding, advanced, retries)
