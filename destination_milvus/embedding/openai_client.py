"""Requests to OpenAI's API through OpenAI's own client, and what its exceptions mean.

The client keeps what it is good at: authentication, addresses, proxies, connections, its exceptions. Its typed
parsing is left out, which costs more than all the rest of a request (150 µs against 42 µs an input): the raw
response is asked for and decoded here. Its retries are switched off: they live in `retries`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import httpx2
import openai

from destination_milvus.embedding import answers, failures
from destination_milvus.embedding.answers import Answer
from destination_milvus.embedding.failures import ErrorAnswer, Service
from destination_milvus.embedding.openai_api import AZURE_API_VERSION, KNOWN_MODELS, Account, Exchange
from destination_milvus.embedding.rates import allowances
from destination_milvus.embedding.redirects import keep_to_origin
from destination_milvus.errors import ConfigError, InternalError, ModelMismatch

if TYPE_CHECKING:
    from destination_milvus.retries import Retries

SENTENCE_LENGTH = 300
"""Characters of an error message that are looked at; a quoted text would come behind."""

BASE64: Mapping[str, str] = {"encoding_format": "base64"}
FLOATS: Mapping[str, str] = {}
MOST_DOUBTS = 2


class OpenAISender:
    """A `Sender`; it finds out whether the service knows base64, which OpenAI's API need not mean.

    Floats are twice the work, here and there, so that a failure which passes must not lead to them. Some services say
    that they know no base64. Of one that fails at it (HTTP 5xx) before it has ever answered in base64, the repetition
    asks for floats; what decides is whether the next request for base64 fails and passes in the same way.
    """

    __slots__ = ("_client", "_doubts", "_encoding", "_exchange", "_proven")

    def __init__(
        self, account: Account, exchange: Exchange, retries: Retries, http_client: httpx2.Client | None = None
    ) -> None:
        self._client = _client(account, _http_client(http_client, retries, account.address, exchange.service))
        self._exchange = exchange
        self._encoding = BASE64
        self._proven = False
        self._doubts = 0
        """How often floats passed where base64 had failed."""

    def __call__(self, texts: Sequence[str]) -> Answer:
        """One request."""
        # other threads may find out at the same time: what counts is what this request asked for, and what was known
        encoding, doubts = self._encoding, self._doubts
        try:
            content = self._ask(texts, encoding)
        except FOREIGN as error:
            if encoding and _about_encoding(error):
                self._encoding, self._doubts = FLOATS, MOST_DOUBTS
                return self(texts)
            if isinstance(error, openai.InternalServerError) and not self._proven and doubts == self._doubts:
                self._encoding = FLOATS
            raise translated(error, self._exchange.service) from error
        self._learn(encoding, doubts)
        return _answer(content, len(texts), self._exchange)

    def _learn(self, passed: Mapping[str, str], doubts: int) -> None:
        if self._proven or doubts != self._doubts or doubts == MOST_DOUBTS:
            return
        if passed:
            self._proven = True
        else:
            self._doubts += 1
        if self._doubts < MOST_DOUBTS:
            self._encoding = BASE64

    def _ask(self, texts: Sequence[str], encoding: Mapping[str, str]) -> bytes:
        request = {**self._exchange.parameters, **encoding, "input": list(texts)}
        response = self._client.post("/embeddings", body=request, cast_to=httpx2.Response)
        return response.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _client(account: Account, http_client: httpx2.Client) -> openai.OpenAI:
    client = (
        openai.AzureOpenAI(
            api_key=account.key,
            azure_endpoint=account.address,
            api_version=AZURE_API_VERSION,
            max_retries=0,
            http_client=http_client,
        )
        if account.is_azure
        else openai.OpenAI(api_key=account.key, base_url=account.address, max_retries=0, http_client=http_client)
    )
    # the environment of the machine must not decide on whose account a configured key is used
    client.organization = client.project = None
    return client


def _http_client(given: httpx2.Client | None, retries: Retries, address: str, service: Service) -> httpx2.Client:
    timeout = httpx2.Timeout(retries.request_timeout, connect=retries.connect_timeout)
    client = given or openai.DefaultHttpxClient(timeout=timeout)
    keep_to_origin(client, address, service)
    return client


def _answer(content: bytes, count: int, exchange: Exchange) -> Answer:
    body = answers.body(content, exchange.service)
    embeddings = answers.in_order(body.get("data"), count, exchange.service)
    _expect_model(body.get("model"), exchange)
    return Answer(
        answers.vectors(embeddings, count, exchange.dimensions, exchange.service),
        answers.token_count(body.get("usage"), "total_tokens"),
    )


def _expect_model(answered: object, exchange: Exchange) -> None:
    """An Azure deployment of another model than the configured one would mix two models without a trace."""
    name = _known_name(str(answered))
    if exchange.model in KNOWN_MODELS and name is not None and name != exchange.model:
        raise ModelMismatch(
            f"{exchange.service.name} answers with the model {name}, but the configuration says "
            f"{exchange.model}: set embedding.model to {name}, or check {exchange.service.model}."
        )


def _known_name(answered: str) -> str | None:
    """OpenAI's name of the model that answered. A version may follow it, and Azure says "ada" for ada-002."""
    if answered == "ada":
        return "text-embedding-ada-002"
    return next((name for name in KNOWN_MODELS if answered.startswith(name)), None)


# --- errors -----------------------------------------------------------------------------------------------------------


FOREIGN = (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError)
"""All that the client raises: its own exceptions, and what it lets through while it builds a request."""


def _status(error: Exception, service: Service) -> Exception:
    if not isinstance(error, openai.APIStatusError):
        return _unexpected(error, service)
    answer = ErrorAnswer(
        status=error.status_code,
        code=str(error.code or error.type or ""),
        parameter=str(error.param or ""),
        message=_sentence(error.body),
        wait=failures.seconds_to_wait(error.response.headers, datetime.now(timezone.utc)),
        allowances=allowances(error.response.headers),
    )
    return failures.failure(answer, service)


def _sentence(body: object) -> str:
    """What the service says, in OpenAI's or in FastAPI's form; without the request that the latter quotes."""
    if isinstance(body, Mapping):
        body = body.get("message") or body.get("detail")
    return body[:SENTENCE_LENGTH] if isinstance(body, str) else ""


def _about_encoding(error: Exception) -> bool:
    """Whether the service wants no base64. Looks at all it says: to be wrong costs one request."""
    refused = isinstance(error, openai.BadRequestError | openai.UnprocessableEntityError)
    return refused and ("encoding_format" in str(error) or "base64" in str(error))


def _no_answer(_: Exception, service: Service) -> Exception:
    return failures.no_answer(service)


def _no_connection(_: Exception, service: Service) -> Exception:
    return failures.no_connection(service)


def _broken(_: Exception, service: Service) -> Exception:
    return failures.broken_answer(service, "an answer of another shape")


def _unusable_address(_: Exception, service: Service) -> Exception:
    return ConfigError(f"{service.name} has no usable address: check {service.address}.")


def _unexpected(error: Exception, service: Service) -> Exception:
    return InternalError(f"{service.name} could not be asked: {type(error).__name__}.")


Translation = Callable[[Exception, Service], Exception]

TRANSLATIONS: Mapping[type[Exception], Translation] = {
    # most specific first: the first class that fits decides
    openai.APITimeoutError: _no_answer,
    openai.APIConnectionError: _no_connection,
    openai.APIResponseValidationError: _broken,
    openai.OAuthError: _status,
    openai.AuthenticationError: _status,
    openai.PermissionDeniedError: _status,
    openai.NotFoundError: _status,
    openai.BadRequestError: _status,
    openai.UnprocessableEntityError: _status,
    openai.ConflictError: _status,
    openai.RateLimitError: _status,
    openai.InternalServerError: _status,
    openai.APIStatusError: _status,
    openai.APIError: _unexpected,
    openai.OpenAIError: _unexpected,
    httpx2.UnsupportedProtocol: _unusable_address,
    httpx2.InvalidURL: _unusable_address,
    httpx2.TimeoutException: _no_answer,
    httpx2.HTTPError: _no_connection,
    httpx2.StreamError: _unexpected,
    UnicodeError: _unexpected,
}


def translated(error: Exception, service: Service) -> Exception:
    """The project's own exception for one of the client's."""
    translate = next(row for foreign, row in TRANSLATIONS.items() if isinstance(error, foreign))
    return translate(error, service)
