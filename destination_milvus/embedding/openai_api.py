"""OpenAI, Azure OpenAI, and the many services that speak OpenAI's API: what is known of them before they are asked.

The client is `openai_client`: it takes half a second to import, and a sync that embeds nothing needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from destination_milvus.embedding.credentials import checked_address, checked_key
from destination_milvus.embedding.endpoint import EmbeddingModel, EndpointEmbedder, Sender
from destination_milvus.embedding.failures import Service
from destination_milvus.embedding.packing import RequestLimits
from destination_milvus.errors import ConfigError, option

if TYPE_CHECKING:
    import httpx2

    from destination_milvus.config.embedding import AzureOpenAIEmbedding, OpenAICompatibleEmbedding, OpenAIEmbedding
    from destination_milvus.config.models import Advanced
    from destination_milvus.retries import Retries

DEFAULT_MODEL = "text-embedding-3-small"

MAX_TOKENS = 8192
"""Tokens of one input; this and the limits below: OpenAI's API reference, "Create embeddings"."""

LIMITS = RequestLimits(inputs=2048, tokens_per_input=MAX_TOKENS, tokens_per_request=300_000)

OPENAI_ADDRESS = "https://api.openai.com/v1"
"""Said outright: the client would take another one from the environment."""

AZURE_API_VERSION = "2024-10-21"
"""The newest of Azure's dated versions that is no preview."""

NO_KEY = "none"
"""The client insists on a key; services without authentication ignore it."""

OPENAI = Service("OpenAI", option("embedding.openai_key"), option("embedding.model"), option("embedding.base_url"))
AZURE = Service(
    "Azure OpenAI", option("embedding.openai_key"), option("embedding.deployment"), option("embedding.api_base")
)
COMPATIBLE = Service(
    "The embedding service", option("embedding.api_key"), option("embedding.model_name"), option("embedding.base_url")
)


@dataclass(frozen=True, slots=True)
class KnownModel:
    """What OpenAI documents about a model."""

    dimensions: int
    can_shorten: bool


KNOWN_MODELS: Mapping[str, KnownModel] = {
    "text-embedding-3-small": KnownModel(1536, can_shorten=True),
    "text-embedding-3-large": KnownModel(3072, can_shorten=True),
    "text-embedding-ada-002": KnownModel(1536, can_shorten=False),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Where requests go, and on whose account."""

    key: str
    address: str
    is_azure: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the requests to one model, and their answers, have in common."""

    service: Service
    parameters: Mapping[str, object]
    dimensions: int
    model: str | None
    """The model that has to answer; None where the service's names mean nothing to us."""


def openai_embedder(
    embedding: OpenAIEmbedding, advanced: Advanced, retries: Retries, http_client: httpx2.Client | None = None
) -> EndpointEmbedder:
    """Embeds with OpenAI, or a gateway to it.

    Raises:
        ConfigError: a model whose dimension is not known, a dimension that it cannot have, no key, no address.
    """
    address = checked_address(embedding.base_url or OPENAI_ADDRESS, OPENAI)
    account = Account(checked_key(embedding.openai_key, OPENAI), address)
    model = embedding.model or DEFAULT_MODEL
    dimensions, parameters = _shape(model, embedding.dimensions)
    exchange = Exchange(OPENAI, {"model": model, **parameters}, dimensions, model)
    return _embedder(f"openai:{model}:{dimensions}", account, exchange, advanced, retries, http_client)


def azure_embedder(
    embedding: AzureOpenAIEmbedding, advanced: Advanced, retries: Retries, http_client: httpx2.Client | None = None
) -> EndpointEmbedder:
    """Embeds with a deployment on Azure. Its identity is that of OpenAI's model: the vectors are the same.

    Raises:
        ConfigError: as for OpenAI.
    """
    address = checked_address(embedding.api_base, AZURE)
    account = Account(checked_key(embedding.openai_key, AZURE), address, is_azure=True)
    model = embedding.model or DEFAULT_MODEL
    dimensions, parameters = _shape(model, embedding.dimensions)
    # Azure knows its deployments by name; the client makes the path of the request out of it
    exchange = Exchange(AZURE, {"model": embedding.deployment, **parameters}, dimensions, model)
    return _embedder(f"openai:{model}:{dimensions}", account, exchange, advanced, retries, http_client)


def compatible_embedder(
    embedding: OpenAICompatibleEmbedding, advanced: Advanced, retries: Retries, http_client: httpx2.Client | None = None
) -> EndpointEmbedder:
    """Embeds with any service that speaks OpenAI's API. The configured dimension is checked, never sent.

    Raises:
        ConfigError: no usable key or address.
    """
    has_key = bool(embedding.api_key.get_secret_value().strip())
    address = checked_address(embedding.base_url, COMPATIBLE)
    account = Account(checked_key(embedding.api_key, COMPATIBLE) if has_key else NO_KEY, address)
    service = replace(COMPATIBLE, name=f"{COMPATIBLE.name} at {urlsplit(address).hostname}")
    name, dimensions = embedding.model_name, embedding.dimensions
    exchange = Exchange(service, {"model": name}, dimensions, model=None)
    return _embedder(f"openai_compatible:{name}:{dimensions}", account, exchange, advanced, retries, http_client)


def _embedder(
    identity: str,
    account: Account,
    exchange: Exchange,
    advanced: Advanced,
    retries: Retries,
    http_client: httpx2.Client | None,
) -> EndpointEmbedder:
    def connect() -> Sender:
        from destination_milvus.embedding.openai_client import OpenAISender  # noqa: PLC0415 - half a second

        return OpenAISender(account, exchange, retries, http_client)

    return EndpointEmbedder(
        EmbeddingModel(identity, exchange.dimensions, MAX_TOKENS, LIMITS), connect, advanced, retries
    )


def _shape(model: str, dimensions: int | None) -> tuple[int, dict[str, int]]:
    """Dimension of the vectors, and the parameters that ask for it.

    The dimension of an unknown model is believed and checked against its answers, but not asked for: a model that
    cannot shorten would refuse every request.
    """
    known = KNOWN_MODELS.get(model)
    if known is None:
        if dimensions is None:
            raise ConfigError(
                f'The length of the vectors of the embedding model "{model}" is not known: '
                f"set {option('embedding.dimensions')} to it."
            )
        return dimensions, {}
    if dimensions is None or dimensions == known.dimensions:
        return known.dimensions, {}
    if not known.can_shorten:
        raise ConfigError(
            f"{model} always returns {known.dimensions} dimensions: remove {option('embedding.dimensions')}, "
            "or choose a text-embedding-3 model, which can shorten."
        )
    if dimensions > known.dimensions:
        raise ConfigError(
            f"{model} returns at most {known.dimensions} dimensions: lower {option('embedding.dimensions')}."
        )
    return dimensions, {"dimensions": dimensions}
