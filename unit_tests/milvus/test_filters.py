"""Filters that an application writes: a value never becomes a part of the language."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.milvus.filters import (
    all_of,
    between,
    contains_any,
    equals,
    heads_filter,
    is_in,
    not_in,
    synced_heads_filter,
    unfinished_filter,
    unfinished_heads_filter,
)

NASTY = st.text(st.sampled_from(['"', "\\", "'", "\n", " ", "o", "r", "1", "=", "é", "]", ","]), max_size=12)


@given(NASTY)
def test_a_value_is_one_literal(value: str) -> None:
    """Whatever it holds: what follows the operator is its JSON."""
    field, _, literal = equals("status", value).partition(" == ")
    assert (field, json.loads(literal, strict=False)) == ("status", value)


@given(st.lists(NASTY | st.integers(-(2**63) + 1, 2**63 - 1), max_size=4))
def test_values_are_a_list_of_literals(values: list[str | int]) -> None:
    """Texts in quotes, numbers as they are."""
    field, _, literals = is_in("tenant", values).partition(" in ")
    assert (field, json.loads(literals, strict=False)) == ("tenant", values)


@given(st.lists(NASTY | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=4))
def test_values_of_a_list_are_literals_too(values: list[str | int]) -> None:
    """A group whose name looks like a filter is a name."""
    call, _, rest = contains_any("groups", values).partition("(groups, ")
    assert (call, json.loads(rest.removesuffix(")"), strict=False)) == ("json_contains_any", values)


def test_nothing_contains_any_of_no_values() -> None:
    """Servers refuse an empty list there; this they take, and no row has such a number."""
    assert contains_any("groups", []) == "_ab_chunk < 0"


def test_filters_are_combined_whole() -> None:
    """An `or` inside one of them stays inside it."""
    assert all_of(equals("a", 1), "b == 2 or c == 3") == "(a == 1) and (b == 2 or c == 3)"
    assert all_of("", not_in("a", [1, "x"])) == '(a not in [1, "x"])'


def test_heads_are_first_chunks_and_the_unfinished_ones_have_no_fingerprint() -> None:
    """One row a record, and of those the records that a sync has begun and not completed."""
    assert heads_filter('a"b') == '_ab_stream == "a\\"b" and _ab_chunk == 0'
    assert unfinished_filter("t") == '(_ab_stream == "t" and _ab_chunk == 0) and (_ab_fingerprint == "")'


@pytest.mark.parametrize("field", ["", "a b", "a == 1 or b", "1a", 'a"'])
def test_a_field_is_a_name(field: str) -> None:
    """What is none is refused, not written into the filter."""
    for make in (lambda: equals(field, 1), lambda: contains_any(field, ["a"]), lambda: contains_any(field, [])):
        with pytest.raises(ValueError, match="no name of a field"):
            make()


def test_a_range_of_keys_has_the_borders_that_are_given() -> None:
    """From the lower one on, and before the upper one; whole numbers and texts."""
    assert between("pk", None, None) == []
    assert between("pk", 7, None) == ["pk >= 7"]
    assert between("pk", "a", 'b"') == ['pk >= "a"', 'pk < "b\\""']


def test_heads_of_a_sync_are_told_by_their_fingerprints() -> None:
    """Not those that are pending, nor those that begin with a mark."""
    assert unfinished_heads_filter() == '_ab_chunk == 0 and _ab_fingerprint == ""'
    assert synced_heads_filter("~") == '_ab_chunk == 0 and _ab_fingerprint > "" and _ab_fingerprint < "~"'
