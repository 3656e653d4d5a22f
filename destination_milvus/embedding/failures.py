"""What an error answer of an embedding service means, told once for all providers.

    Unavailable     the same request may succeed: limits, overload, lost connections, broken bodies
    RequestRefused  something inside the request is at fault: a part of it may pass
    ConfigError     no request of this configuration can pass: key, model, quota, address

The service's own words are searched, never repeated: they may quote a record or a key. Its status code and its
machine-readable code are told.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from destination_milvus.embedding.rates import UNTOLD, Allowances
from destination_milvus.errors import ConfigError
from destination_milvus.retries import RetryLater

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Service:
    """A service as messages name it, and the options that its failures point to."""

    name: str
    """Begins a sentence."""
    key: str
    model: str
    address: str


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """What a service sent instead of vectors."""

    status: int
    code: str = ""
    """The machine-readable code or type, if it sent one."""
    parameter: str = ""
    """The request's parameter that it complains about, if it names one."""
    message: str = ""
    """Its words, for matching only: the sentence alone, as bodies like to quote the whole request."""
    wait: float | None = None
    """Seconds after which it wants to be asked again."""
    allowances: Allowances = UNTOLD
    """What it tells of its limits."""


class Unavailable(RetryLater):
    """The same request may succeed if it is sent again."""

    def __init__(
        self, message: str, *, wait: float | None = None, attempts: int | None = None, allowances: Allowances = UNTOLD
    ) -> None:
        super().__init__(message, wait=wait, attempts=attempts)
        self.allowances = allowances
        """What the service tells of its limits, if one of them is why it refused."""


class RequestRefused(Exception):
    """The service rejects this request for what is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        """One clause, without the text."""


BROKEN_ANSWER_ATTEMPTS = 5
"""A body cut short is worth a retry; an address that answers every request with a web page is not worth many."""

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
# Cohere's trial keys answer 429 until the next month, without a code. Words like "quota" and "billing" tell
# nothing: rate limits that pass in seconds use them too.
_QUOTA_WORDS = re.compile(r"calls? ?/ ?month", re.IGNORECASE)
# One request above the account's tokens per minute: OpenAI answers 429 however long one waits.
_LARGER_THAN_ANY_LIMIT = re.compile(r"request too large", re.IGNORECASE)
_GLOBAL_CODES = frozenset(
    {
        "model_not_found",
        "invalid_model",
        "unsupported_model",
        "unknown_parameter",
        "unsupported_parameter",
        "invalid_api_key",
        "DeploymentNotFound",
        "OperationNotSupported",
        "unsupported_api_version",
    }
)
_GLOBAL_PARAMETERS = frozenset({"model", "dimensions", "encoding_format", "input_type", "output_dimension"})
_GLOBAL_WORDS = re.compile(
    r"\bmodel\b.{0,80}\b(not found|not exist|unknown|not supported|unsupported|not available)\b"
    r"|\b(unknown|unsupported|invalid|no such|not a valid) (embedding )?model\b"
    r"|\bspecifying dimensions\b|\bdimensions\b.{0,40}\bnot supported\b",
    re.IGNORECASE | re.DOTALL,
)
_RETRIED = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_COHERE_BLOCKED = 498
_UNIX_TIMES = 1e9  # 2001; some gateways send the time at which to ask again where the time until then belongs
_ABOUT_THE_REQUEST = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        _COHERE_BLOCKED,
    }
)
# Codes are words or numbers. Keys are mixtures of both: one that comes back as a "code" is not repeated.
_SAYABLE_CODE = re.compile(r"[A-Za-z_.]{1,48}|\d{1,5}")


def failure(answer: ErrorAnswer, service: Service) -> Exception:
    """The exception to raise for an error answer: Unavailable, RequestRefused or ConfigError."""
    label = _label(answer)
    if _about_quota(answer):
        return ConfigError(
            f"{service.name} reports that the account's quota is used up ({label}): "
            "add credit or raise the spending limit in its billing settings, then run the sync again."
        )
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS and _LARGER_THAN_ANY_LIMIT.search(answer.message):
        return RequestRefused(f"it is larger than the account's limit of tokens a minute ({label})")
    if answer.status in _RETRIED or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        told = answer.allowances if limited else UNTOLD
        return Unavailable(_temporary(answer, service, label), wait=answer.wait, allowances=told)
    if answer.status in _ABOUT_THE_REQUEST and not _is_global(answer):
        return RequestRefused(_refusal(answer, label))
    return ConfigError(_mistake(answer, service, label))


def no_connection(service: Service) -> Unavailable:
    """The service was not reached, or hung up."""
    return Unavailable(
        f"{service.name} cannot be reached, or the connection broke off: "
        f"check {service.address}, the network and its proxies."
    )


def no_answer(service: Service) -> Unavailable:
    """The service did not answer within the timeout."""
    return Unavailable(f"{service.name} did not answer in time.")


def broken_answer(service: Service, what: str) -> Unavailable:
    """The service said yes, and sent something that is no answer; `what` says so without quoting it."""
    return Unavailable(
        f"{service.name} sent {what} instead of embeddings: if this goes on, check {service.address}.",
        attempts=BROKEN_ANSWER_ATTEMPTS,
    )


def seconds_to_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """What `retry-after-ms` or `Retry-After` (seconds or a date, RFC 9110 §10.2.3) asks for; None without either."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # the only zone that HTTP knows is GMT, which "-0000" leaves unsaid
    date = date if date.tzinfo else date.replace(tzinfo=now.tzinfo)
    return max(0.0, (date - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) and number < _UNIX_TIMES else None


def _label(answer: ErrorAnswer) -> str:
    code = answer.code if _SAYABLE_CODE.fullmatch(answer.code) else ""
    return f"HTTP {answer.status}, {code}" if code and code != str(answer.status) else f"HTTP {answer.status}"


def _about_quota(answer: ErrorAnswer) -> bool:
    if answer.code in _QUOTA_CODES or answer.status == HTTPStatus.PAYMENT_REQUIRED:
        return True
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS and bool(_QUOTA_WORDS.search(answer.message))


def _is_global(answer: ErrorAnswer) -> bool:
    return (
        answer.code in _GLOBAL_CODES
        or answer.parameter in _GLOBAL_PARAMETERS
        or bool(_GLOBAL_WORDS.search(answer.message))
    )


def _temporary(answer: ErrorAnswer, service: Service, label: str) -> str:
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return (
            f"{service.name} limits the rate of requests ({label}): "
            "lower advanced.concurrency, or set advanced.requests_per_minute and advanced.tokens_per_minute."
        )
    return f"{service.name} failed ({label})."


def _refusal(answer: ErrorAnswer, label: str) -> str:
    if answer.code == "content_filter" or answer.status == _COHERE_BLOCKED:
        return f"the embedding service's content filter rejects the text ({label})"
    return f"the embedding service rejects the text ({label})"


def _mistake(answer: ErrorAnswer, service: Service, label: str) -> str:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return f"{service.name} does not accept the API key ({label}): check {service.key}."
    if answer.status == HTTPStatus.FORBIDDEN:
        return (
            f"{service.name} denies access ({label}): check that {service.key} may use the embedding model, "
            "and that the service allows requests from this network."
        )
    if answer.status == HTTPStatus.NOT_FOUND or answer.status in _ABOUT_THE_REQUEST:
        return (
            f"{service.name} does not know the model, or not these settings for it ({label}): "
            f"check {service.model}, its dimensions and {service.address}."
        )
    return f"{service.name} does not take embedding requests at this address ({label}): check {service.address}."
