"""Cohere's embedding models, through its API (version 2, POST /v2/embed)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import httpx2
import orjson

from destination_milvus.embedding import answers, failures
from destination_milvus.embedding.answers import Answer
from destination_milvus.embedding.credentials import checked_key
from destination_milvus.embedding.endpoint import EmbeddingModel, EndpointEmbedder, Send
from destination_milvus.embedding.failures import ErrorAnswer, Service
from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.packing import RequestLimits
from destination_milvus.embedding.redirects import require_origin
from destination_milvus.errors import ConfigError, InternalError, option

if TYPE_CHECKING:
    from destination_milvus.config.embedding import CohereEmbedding
    from destination_milvus.config.models import Advanced
    from destination_milvus.retries import Retries

DEFAULT_MODEL = "embed-multilingual-v3.0"

ADDRESS = "https://api.cohere.com/v2/embed"

SENTENCE_LENGTH = 300
"""Characters of an error message that are looked at."""

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


def cohere_embedder(
    embedding: CohereEmbedding,
    advanced: Advanced,
    retries: Retries,
    http_client: httpx2.Client | None = None,
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
    key = checked_key(embedding.cohere_key, COHERE)
    timeout = httpx2.Timeout(retries.request_timeout, connect=retries.connect_timeout)
    client = http_client or httpx2.Client(timeout=timeout)
    return EndpointEmbedder(
        EmbeddingModel(f"cohere:{name}:{model.dimensions}", model.dimensions, model.max_tokens, LIMITS),
        _sender(client, key, name, model.dimensions),
        Pace(advanced.requests_per_minute, advanced.tokens_per_minute),
        advanced.tokens_per_minute,
        retries,
        client.close,
    )


def _sender(client: httpx2.Client, key: str, model: str, dimensions: int) -> Send:
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-client-name": "airbyte-destination-milvus",
    }
    request = {
        "model": model,
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "END",
    }

    def send(texts: Sequence[str]) -> Answer:
        content = orjson.dumps({**request, "texts": list(texts)})
        try:
            response = client.post(ADDRESS, content=content, headers=headers)
        except FOREIGN as error:
            raise translated(error) from error
        if response.next_request is not None:  # a redirect, which this client does not follow
            require_origin(response.next_request.url, ADDRESS, COHERE)
        if not response.is_success:
            raise failures.failure(_error_answer(response), COHERE)
        return _answer(response.content, len(texts), dimensions)

    return send


def _answer(content: bytes, count: int, dimensions: int) -> Answer:
    body = answers.body(content, COHERE)
    embeddings = body.get("embeddings")
    floats = embeddings.get("float") if isinstance(embeddings, Mapping) else None
    return Answer(
        answers.vectors(floats, count, dimensions, COHERE),
        answers.token_count(body.get("meta"), "billed_units", "input_tokens"),
    )


def _error_answer(response: httpx2.Response) -> ErrorAnswer:
    """Cohere's errors are an object with a `message`, and carry no code."""
    return ErrorAnswer(
        status=response.status_code,
        message=response.text[:SENTENCE_LENGTH],
        wait=failures.seconds_to_wait(response.headers, datetime.now(timezone.utc)),
    )


FOREIGN = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
"""All that the HTTP client raises."""


def _no_answer() -> Exception:
    return failures.no_answer(COHERE)


def _no_connection() -> Exception:
    return failures.no_connection(COHERE)


def _unexpected() -> Exception:
    return InternalError("Cohere could not be asked: the HTTP client was not used as it wants to be.")


TRANSLATIONS: Mapping[type[Exception], Callable[[], Exception]] = {
    # most specific first: the first class that fits decides
    httpx2.TimeoutException: _no_answer,
    httpx2.HTTPStatusError: _unexpected,
    httpx2.UnsupportedProtocol: _unexpected,
    httpx2.LocalProtocolError: _unexpected,
    httpx2.RequestError: _no_connection,
    httpx2.HTTPError: _no_connection,
    httpx2.InvalidURL: _unexpected,
    httpx2.StreamError: _unexpected,
}


def translated(error: Exception) -> Exception:
    """The project's own exception for one of the HTTP client's."""
    return next(row for foreign, row in TRANSLATIONS.items() if isinstance(error, foreign))()
