"""Which columns a catalog gives rise to, and what a column takes of a value."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.collection import Column
from destination_milvus.documents.columns import NOTHING, Fitted, fitted
from destination_milvus.milvus.columns import ColumnChoice, choose_columns


def column(kind: Any, **more: Any) -> Column:
    """A column of a type."""
    return Column("f", kind, **more)


def chosen(*schemas: Any, **sources: list[str]) -> ColumnChoice:
    """The column of the field `f`, which each stream has with one of these schemas."""
    return choose_columns(["f"], sources, [{"properties": {"f": schema}} for schema in schemas])


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("BOOL", True, True),
        ("INT64", 7, 7),
        ("INT64", 7.0, 7),
        ("INT64", -(2**63), -(2**63)),
        ("INT8", 127, 127),
        ("DOUBLE", 2.5, 2.5),
        ("DOUBLE", 3, 3.0),
        ("FLOAT", 0.5, 0.5),
        ("VARCHAR", "text", "text"),
        ("VARCHAR", 7, "7"),
        ("VARCHAR", 1.5, "1.5"),
        ("VARCHAR", False, "false"),
        (None, {"any": [1, None]}, {"any": [1, None]}),
    ],
)
def test_a_value_that_fits_is_kept(kind: Any, value: Any, kept: Any) -> None:
    """In the column's own type: 7.0 is an integer, and a text takes every scalar as JSON has it."""
    assert fitted(value, column(kind)) == Fitted(kept)
    assert type(fitted(value, column(kind)).value) is type(kept)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("BOOL", 1),
        ("BOOL", "true"),
        ("INT64", 7.5),
        ("INT64", 2**63),
        ("INT64", 1e300),
        ("INT64", "7"),
        ("INT64", True),
        ("INT64", [7]),
        ("INT8", 128),
        ("DOUBLE", "2.5"),
        ("DOUBLE", False),
        ("DOUBLE", 2**53 + 1),
        ("FLOAT", 1e39),
        ("VARCHAR", {"a": 1}),
        ("VARCHAR", ["a"]),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_never_another_value(kind: Any, value: Any) -> None:
    """A filter must not find what the record does not say."""
    assert fitted(value, column(kind)) == NOTHING


def test_a_text_is_cut_at_the_bytes_of_its_column_and_between_characters() -> None:
    """The server counts bytes."""
    assert fitted("aé", column("VARCHAR", max_bytes=3)) == Fitted("aé")
    assert fitted("aéé", column("VARCHAR", max_bytes=4)) == Fitted("aé", "TRUNCATED")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (["a", "b"], ["a", "b"]),
        ([], []),
        (["a", 1], ["a", "1"]),
        (["a", None], None),
        (["a", ["b"]], None),
        (["a", "b", "c"], None),
        (["long"], None),
        ("a", None),
    ],
)
def test_a_list_fits_as_a_whole_or_not_at_all(value: Any, kept: Any) -> None:
    """One with some of its elements would be found by the wrong filters."""
    array = column("ARRAY", element="VARCHAR", capacity=2, max_bytes=3)
    assert fitted(value, array) == (NOTHING if kept is None else Fitted(kept))


def test_an_array_of_an_unknown_type_takes_nothing() -> None:
    assert fitted(["a"], column("ARRAY")) == NOTHING


@given(
    st.sampled_from(["BOOL", "INT8", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR"]),
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
    | st.text(st.characters(codec="utf-8"), max_size=9),
)
def test_what_is_kept_can_be_packed(kind: Any, value: Any) -> None:
    """Nothing that a column takes is beyond its type."""
    kept = fitted(value, column(kind, max_bytes=8)).value
    packing = {"BOOL": "?", "INT8": "b", "INT32": "i", "INT64": "q", "FLOAT": "f", "DOUBLE": "d"}
    if kept is not None and kind in packing:
        struct.pack(packing[kind], kept)
        assert kept == value
    elif kept is not None:
        assert len(kept.encode()) <= 8


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RowID", "Timestamp", "_seq", "in", "NULL", "Text_Match"])
def test_a_name_that_milvus_keeps_for_itself_stays_dynamic(name: str) -> None:
    """A server refuses the whole collection for it; other names are told apart by their case."""
    schema = {"properties": {name: {"type": "string"}, "timestamp": {"type": "string"}}}
    made = choose_columns([name, "timestamp"], {}, [schema])
    assert [column.name for column in made.columns] == ["timestamp"]
    assert made.left_dynamic == (f'"{name}" (a name that Milvus keeps for itself)',)


@pytest.mark.parametrize(
    ("schemas", "kind"),
    [
        ([{"type": "integer"}], "INT64"),
        ([{"type": ["null", "integer"]}], "INT64"),
        ([{"type": "number"}], "DOUBLE"),
        ([{"type": "number", "airbyte_type": "integer"}], "INT64"),
        ([{"type": "integer"}, {"type": ["number", "null"]}], "DOUBLE"),
        ([{"type": "boolean"}], "BOOL"),
        ([{"type": "string", "format": "date-time"}], "VARCHAR"),
        ([{"oneOf": [{"type": "string"}, {"type": "null"}]}], "VARCHAR"),
        ([{"anyOf": [{"type": "integer"}, {"type": "number"}]}], "DOUBLE"),
    ],
)
def test_the_type_of_a_field_is_that_of_its_streams(schemas: list[Any], kind: Any) -> None:
    """Nulls aside; an integer is a number where other streams have numbers."""
    assert chosen(*schemas) == ColumnChoice((Column("f", kind),), ())


@pytest.mark.parametrize(
    ("schemas", "told"),
    [
        ([], "in no stream of the catalog"),
        ([{"type": "integer"}, {"type": "string"}], "INT64, VARCHAR"),
        ([{"type": ["string", "boolean"]}], "BOOL, VARCHAR"),
        ([{"type": "object"}], "objects"),
        ([{}], "values of any type"),
        ([True], "values of any type"),
        ([{"type": "blob"}], "values of any type"),
        ([{"type": "array"}], "lists of several types"),
        ([{"type": "array", "items": {"type": ["string", "integer"]}}], "lists of several types"),
        ([{"type": "array", "items": {"type": "null"}}], "lists of several types"),
        ([{"type": "array", "items": {"type": "object"}}], "lists of several types"),
    ],
)
def test_a_field_without_one_type_stays_dynamic_and_is_named(schemas: list[Any], told: str) -> None:
    assert chosen(*schemas) == ColumnChoice((), (f'"f" ({told})',))


def test_a_list_of_one_type_is_an_array() -> None:
    schema = {"type": ["null", "array"], "items": {"type": ["null", "string"]}}
    assert chosen(schema) == ColumnChoice((Column("f", "ARRAY", "VARCHAR"),), ())


def test_the_type_is_looked_up_where_the_value_comes_from() -> None:
    """Under the names of the source: renamed fields, nested ones, and fields with a dot in their name."""
    schema = {
        "properties": {
            "user": {"properties": {"age": {"type": "integer"}, "name": {"type": "string"}}},
            "user.name": {"type": "boolean"},
            "f": {"type": "string"},
        }
    }
    names = ["age", "name", "deep", "f", "f"]
    sources = {"age": ["user.age"], "name": ["user.name"], "deep": ["user.age.deep"]}
    assert choose_columns(names, sources, [schema, {}, {"properties": None}]) == ColumnChoice(
        (Column("age", "INT64"), Column("name", "BOOL"), Column("f", "VARCHAR")),
        ('"deep" (in no stream of the catalog)',),
    )
