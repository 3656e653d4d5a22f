"""Texts to vectors, one module a provider behind `model.Embedder`.

Importing this package costs nothing: a provider's libraries are imported when an embedder of its mode is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from destination_milvus.config.embedding import (
    AzureOpenAIEmbedding,
    CohereEmbedding,
    Embedding,
    FakeEmbedding,
    FromFieldEmbedding,
    LocalEmbedding,
    OpenAIEmbedding,
)
from destination_milvus.config.models import Advanced
from destination_milvus.model import Embedder

if TYPE_CHECKING:
    from destination_milvus.embedding.usage import Usage


class MeteredEmbedder(Embedder, Protocol):
    """An embedder that tells what it has cost."""

    @property
    def usage(self) -> Usage:
        """Requests, texts and tokens since the embedder was made."""

    @property
    def chunk_tokens(self) -> int:
        """How much of a chunk the model reads, about, in the tokens that chunks are counted in (cl100k)."""

    def close(self) -> None:
        """Let go of connections and threads."""


def create_embedder(  # noqa: PLR0911 - one return a mode
    embedding: Embedding, advanced: Advanced, *, deadline: float | None = None
) -> MeteredEmbedder:
    """The embedder of a configuration. Asks nothing of the network; loads the provider's libraries.

    Args:
        embedding: which model, and how to reach it.
        advanced: the ceilings on requests and tokens a minute.
        deadline: seconds for which a failing request is tried again, and most that it waits for an answer; those of a
            sync by default, and `check` wants fewer.

    Raises:
        ConfigError: a library, a key, an address or a dimension is missing or cannot be.
    """
    if isinstance(embedding, FakeEmbedding):
        from destination_milvus.embedding.fake import FakeEmbedder  # noqa: PLC0415 - see above, here and below

        return FakeEmbedder()
    if isinstance(embedding, FromFieldEmbedding):
        from destination_milvus.embedding.from_field import FieldEmbedder  # noqa: PLC0415

        return FieldEmbedder(embedding)
    if isinstance(embedding, LocalEmbedding):
        from destination_milvus.embedding.local import LocalEmbedder  # noqa: PLC0415

        return LocalEmbedder(embedding.model)

    from destination_milvus.retries import Retries  # noqa: PLC0415

    retries = Retries() if deadline is None else Retries.within(deadline)
    if isinstance(embedding, CohereEmbedding):
        from destination_milvus.embedding.cohere import cohere_embedder  # noqa: PLC0415

        return cohere_embedder(embedding, advanced, retries)

    from destination_milvus.embedding import openai_api  # noqa: PLC0415

    if isinstance(embedding, OpenAIEmbedding):
        return openai_api.openai_embedder(embedding, advanced, retries)
    if isinstance(embedding, AzureOpenAIEmbedding):
        return openai_api.azure_embedder(embedding, advanced, retries)
    return openai_api.compatible_embedder(embedding, advanced, retries)
