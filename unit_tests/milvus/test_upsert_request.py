"""The request that is put together by columns is, byte by byte, the one that pymilvus makes by rows."""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymilvus import DataType, MilvusClient
from pymilvus.client.prepare import Prepare
from pymilvus.exceptions import MilvusException

from destination_milvus.milvus.upsert_request import NotPackable, fill, pack_by_columns

TYPES = {"flag": DataType.BOOL, "number": DataType.INT64, "ratio": DataType.DOUBLE, "name": DataType.VARCHAR}
COLUMNS = [
    {"name": "pk", "type": DataType.VARCHAR, "is_primary": True, "params": {"max_length": 32}},
    {"name": "vector", "type": DataType.FLOAT_VECTOR, "params": {"dim": 3}},
    *({"name": name, "type": kind, "params": {"max_length": 100}} for name, kind in TYPES.items()),
    *(
        {"name": f"{name}_or_null", "type": kind, "nullable": True, "params": {"max_length": 100}}
        for name, kind in TYPES.items()
    ),
]
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FLOAT32 = st.floats(width=32, allow_nan=False)
METADATA = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXT, values, max_size=3),
    max_leaves=6,
)
REQUIRED: dict[str, st.SearchStrategy[Any]] = {
    "pk": TEXT,
    "vector": st.lists(FLOAT32, min_size=3, max_size=3).map(lambda numbers: array("f", numbers)),
    "flag": st.booleans(),
    "number": INT64,
    "ratio": st.floats(allow_nan=False),
    "name": TEXT,
}
OPTIONAL = {
    **{f"{name}_or_null": st.none() | REQUIRED[name] for name in TYPES},
    **dict.fromkeys(("status", "tags", "$", "é"), METADATA),
}
ROWS = st.lists(st.fixed_dictionaries(REQUIRED, optional=OPTIONAL), min_size=1, max_size=5)
ROW: dict[str, Any] = {
    "pk": "a",
    "vector": array("f", [1, 2, 3]),
    "flag": True,
    "number": 1,
    "ratio": 0.5,
    "name": "n",
}


def by_rows(rows: list[dict[str, Any]], columns: list[dict[str, Any]] = COLUMNS) -> Any:
    return Prepare.row_upsert_param("c", rows, "", columns, enable_dynamic=True, schema_timestamp=7)


def by_columns(rows: list[dict[str, Any]], columns: list[dict[str, Any]] = COLUMNS) -> Any:
    request = by_rows(rows[:1], columns)
    fill(request, rows)
    return request


@given(ROWS)
def test_a_request_by_columns_equals_the_request_by_rows(rows: list[dict[str, Any]]) -> None:
    theirs, ours = by_rows(rows), by_columns(rows)
    assert ours == theirs
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"name": None},
        {"number": "7"},
        {"number": 2**63},
        {"ratio": "much"},
        {"vector": [1.0, 2.0, 3.0]},
        {"vector": array("d", [1, 2, 3])},
        {"vector": array("f", [1, 2])},
        {"status": 2**64},
        {"status": {1: "a name that is a number"}},
    ],
    ids=str,
)
def test_a_value_that_is_not_packed_here_is_left_to_pymilvus(change: dict[str, Any]) -> None:
    with pytest.raises(NotPackable):
        by_columns([ROW, {**ROW, **change}])


def test_a_missing_value_is_left_to_pymilvus() -> None:
    with pytest.raises(NotPackable):
        by_columns([ROW, {name: value for name, value in ROW.items() if name != "vector"}])


def test_a_column_of_another_type_is_left_to_pymilvus() -> None:
    columns = [*COLUMNS, {"name": "small", "type": DataType.INT8, "params": {}}]
    with pytest.raises(NotPackable):
        by_columns([{**ROW, "small": 1}], columns)


class Connection:
    """What pymilvus' connection looks like to the one who hooks in: a method that makes requests."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def _prepare_row_upsert_request(self, collection: str, rows: list[dict[str, Any]], *_: Any, **__: Any) -> Any:
        self.made.append(len(rows))
        return Prepare.row_upsert_param(collection, rows, "", COLUMNS, enable_dynamic=True)


class Client:
    """A client that has a connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def _get_connection(self) -> Any:
        return self._connection


def test_pymilvus_packs_one_row_of_a_request_or_all_where_they_are_not_packed_here() -> None:
    connection = Connection()
    pack_by_columns(Client(connection))  # type: ignore[arg-type]
    assert connection._prepare_row_upsert_request("c", [ROW, ROW, ROW]).num_rows == 3
    assert connection.made == [1]
    with_list = {**ROW, "vector": [1.0, 2.0, 3.0]}
    assert connection._prepare_row_upsert_request("c", [ROW, with_list]).num_rows == 2
    assert connection.made == [1, 1, 2]
    with pytest.raises(MilvusException):
        connection._prepare_row_upsert_request("c", [ROW, {**ROW, "name": 7}])


def test_the_installed_pymilvus_makes_its_requests_where_we_hook_in(tmp_path: Any) -> None:
    client = MilvusClient(str(tmp_path / "milvus.db"))
    try:
        assert callable(client._get_connection()._prepare_row_upsert_request)
        pack_by_columns(client)
        schema = MilvusClient.create_schema(enable_dynamic_field=True)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=32)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=3)
        client.create_collection("c", schema=schema)
        counted = client.upsert("c", [{"pk": key, "vector": array("f", [1, 2, 3]), "n": 7} for key in "ab"])
        assert counted["upsert_count"] == 2
    finally:
        client.close()


def test_a_pymilvus_that_makes_its_requests_elsewhere_is_left_alone() -> None:
    connection = object()
    pack_by_columns(Client(connection))  # type: ignore[arg-type]
