"""Requests to Cohere's API (version 2, POST /v2/embed), and what its refusals mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import httpx2
import orjson

from destination_milvus.embedding import answers, failures
from destination_milvus.embedding.answers import Answer
from destination_milvus.embedding.cohere import COHERE, Account
from destination_milvus.embedding.failures import ErrorAnswer
from destination_milvus.embedding.redirects import require_origin
from destination_milvus.errors import InternalError

if TYPE_CHECKING:
    from destination_milvus.retries import Retries

ADDRESS = "https://api.cohere.com/v2/embed"

SENTENCE_LENGTH = 300
"""Characters of an error message that are looked at."""


class CohereSender:
    """A `Sender`."""

    def __init__(self, account: Account, retries: Retries, http_client: httpx2.Client | None = None) -> None:
        timeout = httpx2.Timeout(retries.request_timeout, connect=retries.connect_timeout)
        self._client = http_client or httpx2.Client(timeout=timeout)
        self._dimensions = account.dimensions
        self._headers = {
            "authorization": f"Bearer {account.key}",
            "content-type": "application/json",
            "x-client-name": "airbyte-destination-milvus",
        }
        self._request = {
            "model": account.model,
            "input_type": "search_document",
            "embedding_types": ["float"],
            "truncate": "END",
        }

    def __call__(self, texts: Sequence[str]) -> Answer:
        """One request."""
        content = orjson.dumps({**self._request, "texts": list(texts)})
        try:
            response = self._client.post(ADDRESS, content=content, headers=self._headers)
        except FOREIGN as error:
            raise translated(error) from error
        if response.next_request is not None:  # a redirect, which this client does not follow
            require_origin(response.next_request.url, ADDRESS, COHERE)
        if not response.is_success:
            raise failures.failure(_error_answer(response), COHERE)
        return _answer(response.content, len(texts), self._dimensions)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


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
