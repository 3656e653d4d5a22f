from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from destination_milvus.embedding.failures import (
    ErrorAnswer,
    RequestRefused,
    Service,
    Unavailable,
    failure,
    seconds_to_wait,
)
from destination_milvus.errors import ConfigError

SERVICE = Service("Acme", "embedding.key", "embedding.model", "embedding.base_url")
NOW = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_trouble_that_passes_is_tried_again(status: int) -> None:
    assert isinstance(failure(ErrorAnswer(status), SERVICE), Unavailable)


@pytest.mark.parametrize("status", [400, 413, 422, 498])
def test_complaints_about_a_request_concern_that_request(status: int) -> None:
    assert isinstance(failure(ErrorAnswer(status), SERVICE), RequestRefused)


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        (ErrorAnswer(401, "invalid_api_key"), "embedding.key"),
        (ErrorAnswer(403), "embedding.key"),
        (ErrorAnswer(404, "model_not_found"), "embedding.model"),
        (ErrorAnswer(405), "embedding.base_url"),
        (ErrorAnswer(301), "embedding.base_url"),
        (ErrorAnswer(400, "unknown_parameter"), "embedding.model"),
        (ErrorAnswer(400, parameter="dimensions"), "embedding.model"),
        (ErrorAnswer(400, message="This model does not support specifying dimensions."), "embedding.model"),
        (ErrorAnswer(400, message="invalid request: model 'x' is not supported by the embed API"), "embedding.model"),
        (ErrorAnswer(422, message="The model `x` does not exist."), "embedding.model"),
    ],
)
def test_a_mistake_in_the_configuration_names_the_option_to_check(answer: ErrorAnswer, option: str) -> None:
    error = failure(answer, SERVICE)
    assert isinstance(error, ConfigError)
    assert option in error.message
    assert f"HTTP {answer.status}" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        ErrorAnswer(429, "insufficient_quota"),
        ErrorAnswer(400, "billing_hard_limit_reached"),
        ErrorAnswer(402),
        ErrorAnswer(429, message="You are using a Trial key, which is limited to 1000 API calls / month."),
    ],
)
def test_a_quota_that_is_used_up_is_not_waited_for(answer: ErrorAnswer) -> None:
    error = failure(answer, SERVICE)
    assert isinstance(error, ConfigError)
    assert "billing" in error.message


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached. You can increase it at https://platform.openai.com/account/billing.",
        "You exceeded your current quota, please check your plan and billing details. Please retry in 32s.",
        "Requests have exceeded call rate limit of your current pricing tier. Please retry after 7 seconds.",
    ],
)
def test_a_rate_limit_that_mentions_billing_is_still_a_rate_limit(message: str) -> None:
    """OpenAI, Gemini and Azure word theirs like this."""
    assert isinstance(failure(ErrorAnswer(429, "rate_limit_exceeded", message=message), SERVICE), Unavailable)


def test_a_request_above_the_limit_of_a_whole_minute_is_divided_instead_of_waited_for() -> None:
    message = "Request too large for text-embedding-3-small on tokens per min (TPM): Limit 40000, Requested 60000."
    assert isinstance(failure(ErrorAnswer(429, message=message), SERVICE), RequestRefused)


def test_a_text_that_is_too_long_is_no_mistake_of_the_model() -> None:
    message = "This model's maximum context length is 8192 tokens, however you requested 9000 tokens."
    assert isinstance(failure(ErrorAnswer(400, message=message), SERVICE), RequestRefused)


def test_the_content_filter_is_named() -> None:
    error = failure(ErrorAnswer(400, "content_filter"), SERVICE)
    assert isinstance(error, RequestRefused)
    assert "content filter" in error.reason


@pytest.mark.parametrize("code", ["sk-abc123", "a b", "x" * 99, "naïve"])
def test_a_code_that_is_none_is_not_repeated(code: str) -> None:
    assert code not in str(failure(ErrorAnswer(401, code), SERVICE))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1795824000"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, 0.0),
    ],
)
def test_both_headers_and_both_forms_of_a_pause_are_understood(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers, NOW) == seconds
