"""`indexing.indexed_metadata_fields` and `indexing.partition_key`: columns and partitions for what filters name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.check import check_configuration
from destination_milvus.errors import BadRecord, ConfigError
from devtools.backends import Backend, config
from devtools.connector import catalog, entities, record, stream, write
from devtools.milvus_server import MilvusServer

PROCESSING = {"text_fields": ["text"], "include_field_names": False}
NULLABLE = {"type": ["null", "integer"]}
SCHEMA = {
    "id": {"type": "integer"},
    "organization_id": NULLABLE,
    "score": {"type": ["null", "number"]},
    "open": {"type": ["null", "boolean"]},
    "status": {"type": ["null", "string"]},
    "tags": {"type": ["null", "array"], "items": {"type": "string"}},
    "mixed": {"type": ["string", "integer"]},
}
FIELDS = ["organization_id", "score", "open", "status", "tags", "mixed", "unknown"]


def typed(name: str = "tickets", schema: Mapping[str, Any] = SCHEMA, **extra: Any) -> dict[str, Any]:
    """A stream with a JSON schema."""
    configured = stream(name, **extra)
    configured["stream"]["json_schema"] = {"type": "object", "properties": dict(schema)}
    return configured


def about(caplog: pytest.LogCaptureFixture, option: str) -> list[str]:
    """Lines of the log that name an option."""
    return [message for message in caplog.messages if f"indexing.{option}" in message]


def ids(backend: Backend, collection: str, condition: str) -> list[int]:
    """Ids of the rows that a filter finds."""
    with backend.client() as client:
        client.load_collection(collection, timeout=60)
        found = client.query(
            collection, filter=condition, output_fields=["id"], consistency_level="Strong", limit=100, timeout=60
        )
    return sorted(row["id"] for row in found)


def described(backend: Backend, collection: str) -> dict[str, tuple[str, bool]]:
    """Type of each field, and whether it has an index."""
    with backend.client() as client:
        fields = client.describe_collection(collection)["fields"]
        indexed = {client.describe_index(collection, name)["field_name"] for name in client.list_indexes(collection)}
    return {field["name"]: (field["type"].name, field["name"] in indexed) for field in fields}


def test_filtered_fields_are_columns_where_milvus_can(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Milvus Lite makes a column and an index for each field of one type; server 2.3 none. Filters find the same."""
    conf = config(backend, processing=PROCESSING, indexing={"indexed_metadata_fields": FIELDS})
    collection = conf["indexing"]["collection"]
    rows = [
        {"id": 1, "organization_id": 7, "score": 2, "open": True, "status": "new", "tags": ["a", "b"], "mixed": 1},
        {"id": 2, "organization_id": 2**60 + 1, "score": 2.5, "open": False, "status": "é" * 20_000, "mixed": "x"},
        {"id": 3, "organization_id": None},
    ]
    write(conf, catalog(typed()), [record({"text": f"words {row['id']}", **row}) for row in rows])
    [line] = about(caplog, "indexed_metadata_fields")
    columns = {name: made for name, made in described(backend, collection).items() if name in SCHEMA}
    if backend.name == "lite":
        assert columns == {
            "organization_id": ("INT64", True),
            "score": ("DOUBLE", True),
            "open": ("BOOL", True),
            "status": ("VARCHAR", True),
        }
        assert all(f'"{name}" (' in line for name in ("tags", "mixed", "unknown"))
    else:
        assert columns == {}
        assert "2.3.5" in line
    finds = {
        "organization_id == 7": [1],
        f"organization_id == {2**60 + 1}": [2],
        "organization_id < 100": [1],
        "organization_id == 0": [],
        "score >= 2.5": [2],
        "score == 2": [1],
        "score < 1": [],
        "open == false": [2],
        'status == "new"': [1],
        'status == ""': [],
        f'status == "{"é" * 20_000}"': [2],
        'json_contains(tags, "a")': [1],
        'mixed == "x"': [2],
    }
    assert {condition: ids(backend, collection, condition) for condition in finds} == finds


def test_a_value_of_another_type_becomes_null_where_there_is_a_column(backend: Backend) -> None:
    """Nothing of it ends a sync; what was lost is told. A dynamic field, on server 2.3, keeps it."""
    conf = config(backend, processing=PROCESSING, indexing={"indexed_metadata_fields": ["organization_id", "status"]})
    collection = conf["indexing"]["collection"]
    odd = [
        {"id": 1, "organization_id": "seven", "status": ["new"]},
        {"id": 2, "organization_id": 7.5, "status": 5},
        {"id": 3, "organization_id": 2**65, "status": True},
        {"id": 4, "organization_id": 7.0, "status": "x"},
    ]
    write(conf, catalog(typed()), [record({"text": f"words {row['id']}", **row}) for row in odd])
    first, second, third, fourth = entities(backend, collection)
    assert fourth["organization_id"] == 7
    if backend.name == "lite":
        assert not {"organization_id", "status"} & first.keys()
        assert [change["field"] for change in first["_ab_meta_changes"]] == ["organization_id", "status"]
        assert first["_ab_meta_changes"][0]["change"] == "NULLED"
        assert (second["status"], third["status"]) == ("5", "true")
        assert ids(backend, collection, "organization_id in [0, 7]") == [4]
    else:
        assert (first["organization_id"], second["status"]) == ("seven", 5)


def test_streams_may_have_a_field_or_not(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Integers in one and numbers in another are numbers; a stream without the field has nulls, which nothing finds."""
    indexing = {"indexed_metadata_fields": ["size"]}
    conf = config(backend, processing={**PROCESSING, "metadata_fields": ["id", "height"]}, indexing=indexing)
    conf["processing"]["field_name_mappings"] = [{"from_field": "height", "to_field": "size"}]
    collection = conf["indexing"]["collection"]
    streams = catalog(
        typed("a", {"height": {"type": "integer"}}), typed("b", {"height": {"type": "number"}}), typed("c", {})
    )
    lines = [
        record({"id": 1, "text": "x", "height": 3}, name="a"),
        record({"id": 2, "text": "y", "height": 3.5}, name="b"),
        record({"id": 3, "text": "z"}, name="c"),
    ]
    write(conf, streams, lines)
    assert ids(backend, collection, "size > 0") == [1, 2]
    assert ids(backend, collection, "size <= 0") == []
    if backend.name == "lite":
        assert described(backend, collection)["size"] == ("DOUBLE", True)
        assert not about(caplog, "indexed_metadata_fields")


def test_values_that_go_away_are_null_again(backend: Backend) -> None:
    """Rows are announced, taken over and written again with their columns, on either backend."""
    conf = config(backend, processing={**PROCESSING, "chunk_size": 8}, indexing={"indexed_metadata_fields": FIELDS})
    collection = conf["indexing"]["collection"]
    long = " ".join(f"word{number}" for number in range(30))

    def sync(**data: Any) -> list[dict[str, Any]]:
        write(conf, catalog(typed()), [record({"id": 1, "text": long, **data})])
        return entities(backend, collection)

    rows = sync(organization_id=7, status="new", extra=1)
    assert len(rows) > 3
    assert {row["status"] for row in rows} == {"new"}
    rows = sync(organization_id=7, text=long.replace("word29", "another"))
    assert {row["organization_id"] for row in rows} == {7}
    assert not any({"status", "extra"} & row.keys() for row in rows)
    assert sync(organization_id=None, text="short")[0].get("organization_id") is None
    assert ids(backend, collection, "organization_id == 7") == []


def test_a_collection_keeps_the_columns_that_it_has(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A collection of one's own, with columns that take no null: values are fitted, and bad records are named."""
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415 - as in the product

    conf = config(backend, processing=PROCESSING, indexing={"indexed_metadata_fields": ["status", "score"]})
    collection = conf["indexing"]["collection"]
    schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1536)
    schema.add_field("status", DataType.VARCHAR, max_length=10)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=3, max_length=10)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    with backend.client() as client:
        client.create_collection(collection, schema=schema, index_params=index)
    write(conf, catalog(typed()), [record({"id": 1, "text": "x", "status": "a long status", "tags": ["a"]})])
    [line] = about(caplog, "indexed_metadata_fields")
    assert "no columns for score of" in line
    [row] = entities(backend, collection)
    assert (row["status"], list(row["tags"])) == ("a long sta", ["a"])
    assert row["_ab_meta_changes"][0]["change"] == "TRUNCATED"
    with pytest.raises(BadRecord, match=r'record "tickets_2".*column status, tags, which takes no null'):
        write(conf, catalog(typed()), [record({"id": 2, "text": "x", "tags": ["1", "2", "3", "4"]})])


def test_check_says_once_what_the_server_cannot(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Before the first sync too, and it succeeds; without a catalog nothing is said of single fields."""
    conf = config(backend, indexing={"indexed_metadata_fields": ["status"], "collection": "not_there_yet"})
    with backend.client() as client:
        client.list_collections()  # a Milvus Lite database exists from now on
    check_configuration(conf)
    assert len(about(caplog, "indexed_metadata_fields")) == (0 if backend.name == "lite" else 1)


# --- partitions -------------------------------------------------------------------------------------------------------


def partitioned(backend: Backend, by: str) -> dict[str, Any]:
    """A configuration whose collection is partitioned."""
    return config(backend, processing={**PROCESSING, "chunk_size": 8}, indexing={"partition_key": by})


def values(backend: Backend, collection: str) -> list[tuple[str, str]]:
    """Record and partition of each row."""
    return [(row["_ab_record_id"], row["_ab_partition"]) for row in entities(backend, collection)]


def partition_key(backend: Backend, collection: str) -> list[str]:
    """Names of the fields that a collection is partitioned by."""
    with backend.client() as client:
        fields: Sequence[Mapping[str, Any]] = client.describe_collection(collection)["fields"]
    return [field["name"] for field in fields if field.get("is_partition_key")]


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """A Milvus Lite of its own: the test server has no partitions that hold."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def test_a_collection_is_partitioned_by_stream_or_namespace(lite: Backend) -> None:
    """By the field that filters name anyway, or by one that holds the namespace, empty where there is none."""
    conf = partitioned(lite, "stream")
    lines = [record({"id": 1, "text": "x"}), record({"id": 1, "text": "y"}, name="articles")]
    write(conf, catalog(stream("tickets"), stream("articles")), lines)
    write(conf, catalog(stream("tickets"), stream("articles")), lines)
    assert partition_key(lite, conf["indexing"]["collection"]) == ["_ab_stream"]
    assert len(entities(lite, conf["indexing"]["collection"])) == 2

    conf = partitioned(lite, "namespace")
    lines = [record({"id": 1, "text": "x"}, namespace="shop"), record({"id": 1, "text": "x"})]
    write(conf, catalog(stream("tickets", namespace="shop"), stream("tickets")), lines)
    assert partition_key(lite, conf["indexing"]["collection"]) == ["_ab_partition"]
    assert values(lite, conf["indexing"]["collection"]) == [("shop_tickets_1", "shop"), ("tickets_1", "")]


def test_a_record_that_changes_its_partition_is_there_once(lite: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A field that changes moves all rows of the record: none stays in the old partition, on disk or in memory."""
    conf = partitioned(lite, "organization_id")
    collection = conf["indexing"]["collection"]
    long = " ".join(f"word{number}" for number in range(30))

    def sync(text: str, organizations: Mapping[int, Any]) -> None:
        rows = ({"id": key, "text": text, "organization_id": value} for key, value in organizations.items())
        write(conf, catalog(typed()), [record(row) for row in rows])

    sync(long, dict.fromkeys(range(9), 1))
    chunks = len(entities(lite, collection)) // 9
    assert chunks > 3
    with lite.client() as client:
        client.flush(collection, timeout=120)  # what is in a segment on disk is deleted by another path
    moved: dict[int, Any] = {key: key or None for key in range(9)}
    sync(long, moved)
    assert values(lite, collection) == [
        (f"tickets_{key}", str(value or "")) for key, value in moved.items() for _ in range(chunks)
    ]
    sync("short", {key: 40 + key for key in range(9)})
    sync("short", {key: 50 + key for key in range(9)})
    assert values(lite, collection) == [(f"tickets_{key}", str(50 + key)) for key in range(9)]
    assert ids(lite, collection, '_ab_partition == "55" and organization_id == 55') == [5]
    assert ids(lite, collection, '_ab_partition in ["1", "5", "45"]') == []
    gone = [record({"id": key, "_ab_cdc_deleted_at": "2026-01-02"}) for key in range(9)]
    write(conf, catalog(typed()), gone)
    assert entities(lite, collection) == []
    assert not about(caplog, "partition_key")


def test_a_value_inside_an_object_decides_about_the_partition(lite: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A path is one wherever fields are named: it needs no metadata of its own, and a second sync changes nothing."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = partitioned(lite, "org.id")
    collection = conf["indexing"]["collection"]
    schema = {"id": {"type": "integer"}, "org": {"type": "object", "properties": {"id": {"type": "integer"}}}}

    def sync(organization: int) -> None:
        rows = [{"id": 1, "text": "x", "org": {"id": organization}}, {"id": 2, "text": "y"}]
        write(conf, catalog(typed(schema=schema)), map(record, rows))

    sync(7)
    sync(7)
    assert "(0 new or changed, 2 unchanged" in caplog.text
    assert values(lite, collection) == [("tickets_1", "7"), ("tickets_2", "")]
    assert ids(lite, collection, '_ab_partition == "7" and org["id"] == 7') == [1]
    sync(8)
    assert values(lite, collection) == [("tickets_1", "8"), ("tickets_2", "")]


@pytest.mark.server
def test_a_server_that_hides_updated_rows_gets_no_partitions(
    milvus_server: MilvusServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Version 2.3 puts an upserted row where a filter by its partition key does not look: not by our hand."""
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415 - as in the product

    backend = Backend("server", milvus_server.uri)
    conf = partitioned(backend, "stream")
    collection = conf["indexing"]["collection"]
    check_configuration(conf)
    assert len(about(caplog, "partition_key")) == 1
    caplog.clear()
    write(conf, catalog(typed()), [record({"id": 1, "text": "x"})])
    [line] = about(caplog, "partition_key")
    assert "2.3.5" in line
    assert partition_key(backend, collection) == []
    assert ids(backend, collection, '_ab_stream == "tickets"') == [1]

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=32)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1536)
    schema.add_field("tenant", DataType.VARCHAR, max_length=32, is_partition_key=True)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    theirs = partitioned(backend, "none")
    with backend.client() as client:
        name = theirs["indexing"]["collection"]
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
        client.upsert(name, [{"pk": "1", "vector": [1.0] * 1536, "tenant": "a"}])
        found = client.query(name, filter='tenant == "a"', output_fields=["pk"], consistency_level="Strong")
    assert list(found) == [], "if this server finds its rows, partitions can be had of it"
    with pytest.raises(ConfigError, match='partition key "tenant"'):
        write(theirs, catalog(typed()), [record({"id": 1, "text": "x", "tenant": "a"})])
    with pytest.raises(ConfigError, match="Name a collection without a partition key"):
        check_configuration(theirs)
    backend.drop()


def test_a_partition_key_that_cannot_be_is_said_once(lite: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A collection that exists without it, or with another one, stays as it is; a field of no stream is named."""
    conf = partitioned(lite, "no_such_field")
    collection = conf["indexing"]["collection"]
    write(conf, catalog(typed()), [record({"id": 1, "text": "x"})])
    [line] = about(caplog, "partition_key")
    assert "no stream of the catalog" in line
    caplog.clear()
    caplog.set_level(logging.INFO)
    conf["indexing"]["partition_key"] = "none"
    write(conf, catalog(typed()), [record({"id": 2, "text": "x"})])
    assert values(lite, collection) == [("tickets_1", ""), ("tickets_2", "")]
    assert not about(caplog, "partition_key")
    conf["indexing"]["partition_key"] = "stream"
    write(conf, catalog(typed()), [record({"id": 2, "text": "y"})])
    [line] = about(caplog, "partition_key")
    assert 'with the partition key "_ab_partition"' in line
