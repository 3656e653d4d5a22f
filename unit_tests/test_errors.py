from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus import errors
from destination_milvus.errors import (
    BadRecord,
    ConfigError,
    DestinationError,
    InternalError,
    ModelMismatch,
    TransientError,
    option,
    shorten,
    unexpected,
)


@pytest.mark.parametrize(
    ("kind", "parent", "failure_type"),
    [
        (ConfigError, DestinationError, "config_error"),
        (ModelMismatch, ConfigError, "config_error"),
        (TransientError, DestinationError, "transient_error"),
        (InternalError, DestinationError, "system_error"),
        (BadRecord, DestinationError, "config_error"),
        (DestinationError, Exception, "system_error"),
    ],
)
def test_the_tree_is_as_drawn_and_each_kind_has_airbytes_word(
    kind: type[DestinationError], parent: type[Exception], failure_type: str
) -> None:
    assert kind.__base__ is parent
    assert kind.failure_type == failure_type


def test_every_error_of_the_module_is_drawn_in_its_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(kind.__name__ in str(errors.__doc__) for kind in kinds)


def test_an_error_carries_its_sentence_and_its_stream() -> None:
    error = TransientError("Sync again.", stream=("tickets", "sales"))
    assert (str(error), error.message, error.stream) == ("Sync again.", "Sync again.", ("tickets", "sales"))
    assert ConfigError("Wrong.").stream is None


def test_a_bad_record_is_named_by_stream_and_key() -> None:
    error = BadRecord("its vector is too short", stream="tickets", key="tickets_7")
    assert error.message == 'Stream "tickets", record "tickets_7": its vector is too short.'
    assert (error.reason, error.key, error.identifier) == ("its vector is too short", "tickets_7", "tickets")


def test_a_bad_record_without_a_key_is_named_by_its_stream() -> None:
    error = BadRecord("it has none", stream="tickets")
    assert error.message == 'Stream "tickets", a record without a key: it has none.'


def test_a_bad_record_is_named_by_its_place_where_that_is_known() -> None:
    error = BadRecord("it has none", stream="tickets", key="tickets_7")
    placed = error.at("a.jsonl, line 3")
    assert placed.message == f"a.jsonl, line 3: {error.message}"
    assert (placed.reason, placed.key, placed.identifier) == (error.reason, error.key, error.identifier)
    assert error.at("").message == error.message


@given(st.text(st.characters() | st.sampled_from("\n\r\0\x1b\x7f\x85\u2028\u202e\ud800"), max_size=300))
def test_a_value_in_a_message_is_one_short_line_of_plain_characters(value: str) -> None:
    """No line break, no control character, no half of one, and nothing that turns the direction of the text."""
    text = shorten(value)
    assert len(text) <= 82
    assert text[0] == text[-1] == '"'
    assert all(" " <= character <= "~" for character in text[1:-1].removesuffix("…"))


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [("plain", 80, '"plain"'), ("a\nb", 80, '"a\\nb"'), ("abcdef", 6, '"abcdef"'), ("abcdefg", 6, '"abcde…"')],
)
def test_values_are_shortened_with_an_ellipsis(value: str, limit: int, expected: str) -> None:
    assert shorten(value, limit) == expected


@pytest.mark.parametrize(
    "error",
    [
        ConfigError(f"Set {option('indexing.host')}.", stream=("tickets", "zendesk")),
        TransientError("Try again."),
        BadRecord("it has none", stream="tickets", key="tickets_7", place="a.jsonl, line 3"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_from_another_process_as_it_was(error: DestinationError) -> None:
    """With its sentence, the names of its options, and all that it is about."""
    came = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(came) is type(error)
    assert vars(came) == vars(error)
    assert str(came) == str(error)
    assert came.named({"indexing.host": "MILVUS_URI"}) == error.named({"indexing.host": "MILVUS_URI"})


def test_an_error_that_nobody_has_foreseen_is_told_by_its_place() -> None:
    """And never by its values."""
    try:
        int("PLANTED-TEXT")
    except ValueError as error:
        told = unexpected(error)
    assert "ValueError in test_errors.py, line " in told.message
    assert "PLANTED-TEXT" not in told.message
