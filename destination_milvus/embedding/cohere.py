"""Cohere's embedding models: what is known of them before they are asked, which `cohere_client` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from destination_milvus.embedding.credentials import checked_key
from destination_milvus.embedding.endpoint import EmbeddingModel, EndpointEmbedder, Sender
from destination_milvus.embedding.failures import Service
from destination_milvus.embedding.packing import RequestLimits
from destination_milvus.errors import ConfigError, option

if TYPE_CHECKING:
    import httpx2

    from destination_milvus.config.embedding import CohereEmbedding
    from destination_milvus.config.models import Advanced
    from destination_milvus.retries import Retries

DEFAULT_MODEL = "embed-multilingual-v3.0"

COHERE = Service("Cohere", option("embedding.cohere_key"), option("embedding.model"), "the network and its proxies")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What Cohere documents about a model ("Cohere's Embed models")."""

    dimensions: int
    max_tokens: int


KNOWN_MODELS: Mapping[str, KnownModel] = {
    "embed-v4.0": KnownModel(1536, 128_000),
    "embed-multilingual-v3.0": KnownModel(1024, 512),
    "embed-multilingual-light-v3.0": KnownModel(384, 512),
    "embed-english-v3.0": KnownModel(1024, 512),
    "embed-english-light-v3.0": KnownModel(384, 512),
}

RETIRED_MODELS: Mapping[str, str] = dict.fromkeys(
    ("embed-english-light-v2.0", "embed-english-v2.0", "embed-multilingual-v2.0"), "2026-04-04"
)
"""The day from which Cohere answers no request for them (https://docs.cohere.com/docs/deprecations)."""

LIMITS = RequestLimits(inputs=96, tokens_per_input=None, tokens_per_request=128_000)
"""Texts a request: API reference, "Embed". Longer texts are cut off by the service (`truncate`), which is its
default and what the existing connector gets; `max_tokens` tells where, so that `check` can warn."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose requests they are, and for vectors of which model."""

    key: str
    model: str
    dimensions: int


def cohere_embedder(
    embedding: CohereEmbedding, advanced: Advanced, retries: Retries, http_client: httpx2.Client | None = None
) -> EndpointEmbedder:
    """Embeds with Cohere.

    Raises:
        ConfigError: an unknown model, one that Cohere has retired, or no key.
    """
    name = embedding.model or DEFAULT_MODEL
    if name in RETIRED_MODELS:
        raise ConfigError(
            f"Cohere retired {name} on {RETIRED_MODELS[name]}: nobody can embed with it any more, so that a collection "
            f"with its vectors can be neither added to nor searched. Set {option('embedding.model')} to "
            f"{DEFAULT_MODEL} or another current model, name another collection in {option('indexing.collection')}, "
            "and sync everything into it."
        )
    model = KNOWN_MODELS.get(name)
    if model is None:
        raise ConfigError(
            f'Cohere has no embedding model "{name}" that is known here: use one of {", ".join(KNOWN_MODELS)}.'
        )
    account = Account(checked_key(embedding.cohere_key, COHERE), name, model.dimensions)

    def connect() -> Sender:
        from destination_milvus.embedding.cohere_client import CohereSender  # noqa: PLC0415 - the HTTP client

        return CohereSender(account, retries, http_client)

    return EndpointEmbedder(
        EmbeddingModel(f"cohere:{name}:{model.dimensions}", model.dimensions, model.max_tokens, LIMITS),
        connect,
        advanced,
        retries,
    )
