from __future__ import annotations

import json
import math
import subprocess
import sys
from array import array
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from destination_milvus import digests
from destination_milvus.model import Document, RecordKey

COLLIDING = st.text('a_"\\[],01\0\ud800\udfffé ', max_size=5)
"""Names and keys of characters that a careless encoding would let collide."""

NUMBERS = (2**53 + 1, 2**64, 10**25, -(10**25), 1e25, -1.0, 0.5, -0.0, 1e-7, 1e300)
DECIMALS = ("1234567890123456.01", "1234567890123456.02", "1234567890123456.010", f"1{'0' * 25}.0", "1e-400")
PARTS = (
    COLLIDING
    | st.integers(-2, 11)
    | st.integers(-2, 11).map(float)
    | st.sampled_from([*NUMBERS, *map(Decimal, DECIMALS)])
    | st.booleans()
)
KEYS = st.lists(PARTS, min_size=1, max_size=3)


def as_texts(key: list[Any]) -> list[str]:
    """A key but for its types: 7, 7.0 and "7" are one, and so are all ways to write a decimal."""
    return [part if isinstance(part, str) else as_text(part) for part in key]


def as_text(part: float | Decimal) -> str:
    if isinstance(part, bool):
        return json.dumps(part)
    fraction = Fraction(str(part))
    return str(fraction.numerator) if fraction.denominator == 1 else str(fraction)


@given(KEYS, KEYS)
@example(["a_b", "c"], ["a", "b_c"])
@example(['"a"'], ["a"])
@example(["\0"], ["\\u0000"])
@example(['"\\u0000"'], ["\0"])
@example(["\ud800"], ["\\ud800"])
@example([10**25], [1e25])
@example([7], [7.0])
@example([Decimal("1234567890123456.01")], [Decimal("1234567890123456.02")])
@example([Decimal("1234567890123456.01")], [Decimal("1234567890123456.010")])
def test_keys_that_differ_have_record_ids_that_differ(one: list[Any], other: list[Any]) -> None:
    assume(len(one) == len(other))  # a stream has one primary key
    equal = as_texts(one) == as_texts(other)
    assert (digests.record_id("s", one) == digests.record_id("s", other)) == equal


@given(KEYS)
def test_a_record_id_can_be_stored_by_milvus(key: list[Any]) -> None:
    record_id = digests.record_id("s", key)
    assert "\0" not in record_id
    record_id.encode()  # no lone surrogates


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ([7], "tickets_7"),
        (["7"], "tickets_7"),
        (["a_b"], "tickets_a_b"),
        (["ключ 🗝"], "tickets_ключ 🗝"),
        ([True], "tickets_true"),
        ([1.5], "tickets_1.5"),
        ([7.0], "tickets_7"),
        ([-0.0], "tickets_0"),
        ([1e22], "tickets_10000000000000000000000"),
        ([Decimal("1234567890123456.01")], "tickets_1234567890123456.01"),
        ([Decimal("20240101123456.78901220")], "tickets_20240101123456.7890122"),
        ([Decimal("1E+1000")], "tickets_1E+1000"),
        ([{"at": Decimal("1234567890123456.01")}], 'tickets_{"at":"1234567890123456.01"}'),
        ([[Decimal("1234567890123456.0"), 2**64]], 'tickets_["1234567890123456",18446744073709551616]'),
        ([2**63], "tickets_9223372036854775808"),
        ([10**25], "tickets_10000000000000000000000000"),
        ([{"b": 1, "a": 2}], 'tickets_{"a":2,"b":1}'),
        (["a", "b"], 'tickets_["a","b"]'),
        (["a", 1], 'tickets_["a","1"]'),
        (['"'], 'tickets_"\\""'),
        (["\0"], 'tickets_"\\u0000"'),
        (["\udfff", "é"], 'tickets_["\\udfff","\\u00e9"]'),
        ([math.nan], "tickets_nan"),
        ([-math.inf], "tickets_-inf"),
    ],
)
def test_record_ids_stay_as_they_are_in_all_versions(key: list[Any], expected: str) -> None:
    assert digests.record_id("tickets", key) == expected


@pytest.mark.parametrize(
    ("namespace", "expected"), [(None, "tickets"), ("", "tickets"), ("zendesk", "zendesk_tickets")]
)
def test_the_stream_identifier_is_airbytes(namespace: str | None, expected: str) -> None:
    assert digests.stream_identifier("tickets", namespace) == expected


ROWS = st.tuples(st.text("a1:_", max_size=4), st.text("a1:_", max_size=4), st.integers(0, 12))


@given(ROWS, ROWS)
@example(("a", "1:a", 1), ("a", "a", 11))
@example(("a1", "a", 1), ("a", "a", 11))
def test_chunks_that_differ_have_primary_keys_that_differ(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    keys = [digests.chunk_key(RecordKey(stream, record_id), number) for stream, record_id, number in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@given(*[st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3), st.binary(max_size=3))] * 2)
def test_text_hashes_differ_with_text_model_and_vector(
    one: tuple[str, str, bytes], other: tuple[str, str, bytes]
) -> None:
    """Also where only the border between the parts has moved."""
    assert (digests.text_hash(*one) == digests.text_hash(*other)) == (one == other)


DOCUMENT = Document("text", "context", {"b": 1, "a": [None, {"x": "é"}]}, 1, None)


@pytest.mark.parametrize(
    "other",
    [
        digests.fingerprint(Document("text!", "context", DOCUMENT.metadata, 1), 1, "shape"),
        digests.fingerprint(Document("textcontext", "", DOCUMENT.metadata, 1), 1, "shape"),
        digests.fingerprint(Document("text", "context", {**DOCUMENT.metadata, "c": 1}, 1), 1, "shape"),
        digests.fingerprint(Document("text", "context", DOCUMENT.metadata, 1, array("f", [1])), 1, "shape"),
        digests.fingerprint(DOCUMENT, 2, "shape"),
        digests.fingerprint(DOCUMENT, 1, "another shape"),
    ],
    ids=["text", "border of text and context", "metadata", "vector", "generation", "shape"],
)
def test_the_fingerprint_changes_with(other: str) -> None:
    assert digests.fingerprint(DOCUMENT, 1, "shape") != other


def test_the_fingerprint_ignores_the_order_of_metadata_and_the_time_of_emission() -> None:
    other = Document("text", "context", {"a": [None, {"x": "é"}], "b": 1}, 2)
    assert digests.fingerprint(other, 1, "shape") == digests.fingerprint(DOCUMENT, 1, "shape")


def test_row_fingerprints_change_with_text_metadata_and_shape() -> None:
    made = [("h", b"{}", "s"), ("i", b"{}", "s"), ("h", b"{1}", "s"), ("h", b"{}", "t"), ("h{", b"}", "s")]
    assert len({digests.row_fingerprint(*parts) for parts in made}) == len(made)


def test_shapes_are_equal_for_equal_parts_in_any_order_of_their_keys() -> None:
    assert digests.row_format("m", {"a": 1, "b": 2}) == digests.row_format("m", {"b": 2, "a": 1})
    assert digests.row_format("m", {"a": 1}) != digests.row_format("m", {"a": 2})


PROGRAM = """
from destination_milvus import digests
from destination_milvus.model import Document, RecordKey
document = Document("text", "context", {"b": 1, "a": [None, {"x": "é"}]}, 1, None)
print(digests.chunk_key(RecordKey("tickets", "tickets_7"), 3))
print(digests.text_hash("text", "openai/text-embedding-3-small/1536"))
print(digests.row_fingerprint("hash", b"{}", "shape"))
print(digests.fingerprint(document, 1, "shape"))
print(digests.row_format("model", 1, {"a": None}))
"""

GOLDEN = [
    "cfe30937845d6bf228c4089dbac13e98",
    "84fe90bc7ea0673d7d1461759207936b",
    "98af78bd537d35357e5694a15e8a095c",
    "e381ec737a4aa1b92f5a55934826fbe9",
    "13853bace52968e998be3e006ea2fb00",
]
"""What is stored in collections already: a change here embeds and writes every record of every user again."""


def test_digests_are_the_same_in_every_process_and_release() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert answer.stdout.split() == GOLDEN


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": [1, 2.5, None], "a": "é"}, '{"a":"é","b":[1,2.5,null]}'),
        ({"n": 10**25}, '{"n":10000000000000000000000000}'),
        ("\0", '"\\u0000"'),
        (["\ud800"], '["\\ud800"]'),
    ],
)
def test_canonical_json_sorts_keys_and_keeps_digits(value: object, expected: str) -> None:
    assert digests.canonical_json(value) == expected
