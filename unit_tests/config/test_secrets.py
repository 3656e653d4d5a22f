from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.config.secrets import BLOT, MIN_ANYWHERE, redaction, secrets_in
from destination_milvus.destination import DestinationMilvus
from destination_milvus.errors import ConfigError
from destination_milvus.run import LogHandler, Output, _trace

SENTENCE = "Embedded 7 texts: x of tickets, axis x-ray, (x) and x."


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ("x", "Embedded 7 texts: **** of tickets, axis ****-ray, (****) and ****."),
        ("7", "Embedded **** texts: x of tickets, axis x-ray, (x) and x."),
        ("tex", SENTENCE),
        ("text", "Embedded 7 ****s: x of tickets, axis x-ray, (x) and x."),
        ("!", SENTENCE),
    ],
)
def test_a_short_secret_is_left_out_as_a_word_and_a_longer_one_anywhere(secret: str, expected: str) -> None:
    """A key of one letter does not blot out a letter of every word; four characters are a secret anywhere."""
    assert redaction([secret])(SENTENCE) == expected


def test_of_two_secrets_that_begin_alike_no_rest_of_the_longer_stays() -> None:
    """In whatever order they are given."""
    assert redaction(["planted", "planted-key"])("a planted-key, planted") == f"a {BLOT}, {BLOT}"


def test_without_secrets_nothing_is_left_out() -> None:
    """Of services that want no key."""
    assert redaction([])(SENTENCE) == SENTENCE


@given(st.lists(st.text(min_size=1, max_size=12)), st.text(), st.text())
def test_no_secret_that_is_long_enough_is_ever_read(secrets: list[str], before: str, after: str) -> None:
    """Whatever characters it has, whatever stands around it."""
    redact = redaction(secrets)
    for secret in secrets:
        if len(secret) >= MIN_ANYWHERE and secret not in BLOT * 4:
            assert redact(f"{before} {secret} {after}").count(secret) <= f"{before}{after}{BLOT}".count(secret)
        assert redact(secret) == BLOT


def test_what_stands_as_a_secret_in_a_configuration_is_left_out() -> None:
    """The two halves together: what is found there, and what is read."""
    raw = {"embedding": {"mode": "openai_compatible", "api_key": "x"}, "indexing": {"auth": {"token": "tok-planted"}}}
    assert redaction(secrets_in(raw))("x texts for tok-planted") == "**** texts for ****"


def test_log_trace_and_the_answer_of_check_leave_the_same_out() -> None:
    """One mechanism for all that a user reads: words stay whole, secrets go."""
    stream = io.BytesIO()
    output = Output(stream)
    output.redact = redaction(["t", "planted-token"])
    handler = LogHandler(output)
    handler.emit(logging.LogRecord("airbyte", logging.INFO, "", 0, "texts and planted-token", None, None))
    logged = json.loads(stream.getvalue())["log"]["message"]
    traced = _trace(ConfigError("texts and planted-token"), output.redact)["trace"]["error"]["message"]
    assert logged == traced == "texts and ****"
    raw = {"embedding": {"mode": "openai_compatible", "api_key": "t"}, "processing": {}, "indexing": {"host": 7}}
    answer = DestinationMilvus().check(logging.getLogger("airbyte"), raw)
    assert answer.message is not None
    assert BLOT not in answer.message
    assert "chunk_size" in answer.message
