from __future__ import annotations

import base64
import struct
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.answers import NOT_FINITE, ZERO, body, in_order, token_count, vectors
from destination_milvus.embedding.failures import Service, Unavailable
from destination_milvus.errors import ConfigError

SERVICE = Service("Acme", "embedding.key", "embedding.model", "embedding.base_url")
NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False).filter(bool), min_size=1, max_size=9)


def base64_of(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@given(NUMBERS)
def test_base64_and_floats_give_the_same_vector(numbers: list[float]) -> None:
    decoded = vectors([base64_of(numbers), numbers], 2, len(numbers), SERVICE)
    assert decoded == [array("f", numbers)] * 2


@given(st.permutations(range(6)))
def test_items_are_put_into_the_order_of_the_texts(order: list[int]) -> None:
    data = [{"index": index, "embedding": index} for index in order]
    assert in_order(data, 6, SERVICE) == list(range(6))


def test_items_without_an_index_keep_their_order() -> None:
    assert in_order([{"embedding": "a"}, {"embedding": "b"}], 2, SERVICE) == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        "text",
        [],
        [1, 2],
        [{"index": 0}],
        [{"index": 0}, {"index": 0}],
        [{"index": 0}, {"index": 2}],
        [{"index": 0}, {}],
        [{"index": "0"}, {"index": "1"}],
        [{"index": 0}, {"index": 1}, {"index": 2}],
    ],
)
def test_items_that_do_not_match_the_texts_are_a_broken_answer(data: Any) -> None:
    with pytest.raises(Unavailable):
        in_order(data, 2, SERVICE)


@pytest.mark.parametrize("embedding", [None, 3, {}, "AAA", "AAAA", ["a"], [[1.0]], "ü"])
def test_what_cannot_be_decoded_is_a_broken_answer(embedding: Any) -> None:
    with pytest.raises(Unavailable):
        vectors([embedding], 1, 1, SERVICE)


@pytest.mark.parametrize("embeddings", [None, 1, [], ["AACAPw=="] * 2])
def test_another_number_of_vectors_is_a_broken_answer(embeddings: Any) -> None:
    with pytest.raises(Unavailable):
        vectors(embeddings, 1, 1, SERVICE)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), None, 1e300])
def test_one_vector_that_is_not_finite_refuses_one_text(number: float | None) -> None:
    assert vectors([[1.0, 2.0], [1.0, number]], 2, 2, SERVICE) == [array("f", [1, 2]), NOT_FINITE]


def test_infinities_of_both_signs_do_not_hide_each_other() -> None:
    assert vectors([[float("inf"), float("-inf")]], 1, 2, SERVICE) == [NOT_FINITE]


def test_the_largest_finite_numbers_are_finite() -> None:
    largest = [3.4028234663852886e38] * 4
    assert vectors([largest], 1, 4, SERVICE) == [array("f", largest)]


def test_a_vector_of_zeros_is_refused() -> None:
    assert vectors([[0.0, -0.0]], 1, 2, SERVICE) == [ZERO]


def test_a_vector_of_another_length_names_both_lengths() -> None:
    with pytest.raises(ConfigError, match=r"3 dimensions .* 4"):
        vectors([[1.0, 2.0, 3.0]], 1, 4, SERVICE)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"data": [', b"[1]", b"null", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_a_broken_answer(content: bytes) -> None:
    with pytest.raises(Unavailable):
        body(content, SERVICE)


def test_nan_in_a_body_does_not_spoil_the_other_vectors() -> None:
    """Python's json writes NaN, which is no JSON."""
    data = body(b'{"data": [{"embedding": [1.0]}, {"embedding": [NaN]}]}', SERVICE)["data"]
    assert vectors(in_order(data, 2, SERVICE), 2, 1, SERVICE) == [array("f", [1]), NOT_FINITE]


@pytest.mark.parametrize("usage", [None, 3, {}, {"a": None}, {"a": {"b": "7"}}, {"a": {"b": float("nan")}}])
def test_missing_usage_counts_nothing(usage: Any) -> None:
    assert token_count(usage, "a", "b") == 0


def test_usage_is_found_at_its_path() -> None:
    assert token_count({"a": {"b": 7.0}}, "a", "b") == 7
