"""What `docs/migration.md` promises, on collections made and filled as Airbyte's existing connector (0.0.x) does."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from destination_milvus.check import check_configuration
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.errors import ModelMismatch
from devtools import openai_endpoint
from devtools.backends import Backend, config
from devtools.connector import catalog, record, run, status, stream, write

if TYPE_CHECKING:
    from pymilvus import MilvusClient

DIMENSIONS = 1536
TICKETS = catalog(stream("tickets"))
PROCESSING = {"chunk_size": 1000, "text_fields": ["text"], "metadata_fields": ["id", "status", "tags"]}


def make_as_before(client: MilvusClient, name: str, dimensions: int = DIMENSIONS) -> None:
    """A collection as the existing connector makes it: keys by Milvus, IVF_FLAT, L2, all else dynamic."""
    from pymilvus import DataType  # noqa: PLC0415 - 2 s that the collection of tests need not pay

    schema = client.create_schema(auto_id=True, enable_dynamic_field=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 1024})
    client.create_collection(name, schema=schema, index_params=index, timeout=60)


def rows_as_before(
    data: Mapping[str, Any], chunks: Iterable[str], record_id: str | None, name: str = "tickets"
) -> list[dict[str, Any]]:
    """The rows that the existing connector makes of a record: a chunk each, no nulls, what is nested as JSON text.

    Args:
        data: the metadata of the record.
        chunks: texts.
        record_id: None as in Append.
        name: of the stream.
    """
    plain = {field: value for field, value in data.items() if value is not None}
    metadata = {field: json.dumps(value) if isinstance(value, list | dict) else value for field, value in plain.items()}
    identity = {"_ab_stream": name} if record_id is None else {"_ab_stream": name, "_ab_record_id": record_id}
    texts = list(chunks)
    vectors = FakeEmbedder().embed(texts)
    return [
        {**metadata, **identity, "text": text, "vector": vector} for text, vector in zip(texts, vectors, strict=True)
    ]


@pytest.fixture
def before(backend: Backend) -> dict[str, Any]:
    """The configuration of a connection whose collection the existing connector has filled."""
    conf = config(backend, processing=PROCESSING)
    rows = [
        *rows_as_before({"id": 1, "status": "new"}, ["text: one", "of two chunks"], "tickets_1"),
        *rows_as_before({"id": 2, "status": "new", "tags": ["a"]}, ["text: two"], "tickets_2"),
        *rows_as_before({"id": 3, "status": "open"}, ["text: three"], "tickets_3"),
    ]
    with opened(backend, conf) as client:
        make_as_before(client, conf["indexing"]["collection"])
        client.insert(conf["indexing"]["collection"], rows, timeout=60)
    return conf


@contextmanager
def opened(backend: Backend, conf: Mapping[str, Any]) -> Iterator[MilvusClient]:
    """A client of the application's, that uses the collection directly."""
    with backend.client() as client:
        if client.has_collection(conf["indexing"]["collection"], timeout=20):
            client.load_collection(conf["indexing"]["collection"], timeout=60)
        yield client


def stored(backend: Backend, conf: Mapping[str, Any], *fields: str) -> list[tuple[Any, ...]]:
    """Some fields of all rows, sorted."""
    with opened(backend, conf) as client:
        rows = client.query(
            conf["indexing"]["collection"],
            filter='_ab_stream != ""',
            output_fields=list(fields),
            consistency_level="Strong",
            timeout=60,
        )
    return sorted((tuple(row.get(field) for field in fields) for row in rows), key=str)


def described(backend: Backend, conf: Mapping[str, Any]) -> tuple[list[tuple[str, str]], str, str]:
    """Fields with their types, index type and metric of a collection."""
    name = conf["indexing"]["collection"]
    with opened(backend, conf) as client:
        fields = client.describe_collection(name, timeout=20)["fields"]
        index = client.describe_index(name, "vector", timeout=20)
    return [(field["name"], field["type"].name) for field in fields], index["index_type"], index["metric_type"]


def test_the_existing_collection_is_kept_and_its_records_are_replaced(
    backend: Backend, before: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """`check` and the first sync take it as it is: what comes again or is deleted goes, what does not come stays.

    The second sync of the same records embeds nothing.
    """
    caplog.set_level(logging.INFO, "airbyte")
    shape = described(backend, before)
    check_configuration(before)
    deleted = {"id": 3, "_ab_cdc_deleted_at": "2026-01-02T00:00:00Z"}
    lines = [record({"id": 1, "text": "anew", "status": "solved"}), record(deleted), record({"id": 4, "text": "four"})]
    write(before, TICKETS, lines)
    assert "2 texts embedded" in caplog.text
    assert stored(backend, before, "_ab_record_id", "text", "status") == [
        ("tickets_1", "text: anew", "solved"),
        ("tickets_2", "text: two", "new"),
        ("tickets_4", "text: four", None),
    ]
    assert described(backend, before) == shape, "neither fields nor index are touched"
    caplog.clear()
    write(before, TICKETS, lines)
    assert "0 texts embedded" in caplog.text


def test_an_application_searches_the_existing_collection_as_before(backend: Backend, before: dict[str, Any]) -> None:
    """With L2, probes of the IVF index and a filter; rows of either connector are found."""
    write(before, TICKETS, [record({"id": 4, "text": "four", "status": "new"})])
    with opened(backend, before) as client:
        for text, key in (("text: two", 2), ("text: four", 4)):
            (found,) = client.search(
                before["indexing"]["collection"],
                data=[list(rows_as_before({}, [text], None)[0]["vector"])],
                anns_field="vector",
                limit=1,
                filter='_ab_stream == "tickets" and status == "new"',
                search_params={"metric_type": "L2", "params": {"nprobe": 1024}},
                output_fields=["id", "text"],
                consistency_level="Strong",
                timeout=60,
            )
            assert (found[0]["entity"]["id"], found[0]["entity"]["text"]) == (key, text)
            assert found[0]["distance"] == pytest.approx(0, abs=1e-5)


def test_records_with_a_composite_key_stay_twice_until_a_refresh(backend: Backend) -> None:
    """The record id of several columns has another form: an old row is not found by it; a refresh takes it out."""
    conf = config(backend, processing=PROCESSING)
    with opened(backend, conf) as client:
        make_as_before(client, conf["indexing"]["collection"])
        rows = rows_as_before({"id": 1}, ["text: old"], "tickets_1_en")
        client.insert(conf["indexing"]["collection"], rows, timeout=60)
    key: dict[str, Any] = {"primary_key": [["id"], ["locale"]]}
    line = record({"id": 1, "locale": "en", "text": "new"})
    write(conf, catalog(stream("tickets", **key)), [line])
    assert stored(backend, conf, "_ab_record_id", "text") == [
        ("tickets_1_en", "text: old"),
        ('tickets_["1","en"]', "text: new"),
    ]
    refresh = catalog(stream("tickets", **key, generation_id=1, minimum_generation_id=1))
    write(conf, refresh, [line, status("COMPLETE")])
    assert stored(backend, conf, "text") == [("text: new",)]


def test_rows_of_append_have_no_record_id_and_go_with_a_refresh(backend: Backend, before: dict[str, Any]) -> None:
    """Until then they stay beside what comes."""
    with opened(backend, before) as client:
        rows = rows_as_before({"id": 1}, ["text: appended"], None)
        client.insert(before["indexing"]["collection"], rows, timeout=60)
    append = stream("tickets", "append")
    write(before, catalog(append), [record({"id": 1, "text": "one"})])
    assert len(stored(backend, before, "text")) == 6
    write(before, catalog(stream("tickets", "overwrite")), [record({"id": 1, "text": "one"})])
    assert stored(backend, before, "text") == [("text: one",)]


def test_lists_and_objects_are_no_longer_json_in_a_text(backend: Backend, before: dict[str, Any]) -> None:
    """What was the text `["a"]` becomes a list when its record comes again."""
    assert (2, '["a"]') in stored(backend, before, "id", "tags")
    write(before, TICKETS, [record({"id": 2, "text": "two", "status": "new", "tags": ["a"]})])
    assert (2, ["a"]) in stored(backend, before, "id", "tags")
    with opened(backend, before) as client:
        condition = 'json_contains(tags, "a")'
        found = client.query(
            before["indexing"]["collection"], filter=condition, output_fields=["id"], consistency_level="Strong"
        )
    assert [row["id"] for row in found] == [2]


def test_a_record_without_text_no_longer_ends_the_sync(backend: Backend, before: dict[str, Any]) -> None:
    """It has nothing to search, so nothing is stored of it, and an older version of it goes."""
    write(before, TICKETS, [record({"id": 1, "status": "new"}), record({"id": 5, "status": "new"})])
    assert stored(backend, before, "id") == [(2,), (3,)]


def test_the_model_of_an_existing_collection_has_to_be_named(before: dict[str, Any]) -> None:
    """Nothing says what made its vectors: with a model named once, it is noted and any other is refused."""
    openai = {"mode": "openai", "openai_key": "sk-none"}
    unnamed = {**before, "embedding": openai}
    with pytest.raises(ModelMismatch, match=r"Set embedding[.]model to the model that filled it .*ada-002"):
        write(unnamed, TICKETS, [])
    write({**before, "embedding": {**openai, "model": "text-embedding-ada-002"}}, TICKETS, [])
    with pytest.raises(ModelMismatch, match=r"holds vectors of the model openai:text-embedding-ada-002"):
        write(unnamed, TICKETS, [])


def test_check_asks_for_the_model_of_an_existing_collection(backend: Backend) -> None:
    """While one may still be chosen, and before anything is written."""
    conf = config(backend)
    with opened(backend, conf) as client:
        make_as_before(client, conf["indexing"]["collection"], openai_endpoint.DIMENSIONS)
        row = {"_ab_stream": "tickets", "text": "old", "vector": [0.5] * openai_endpoint.DIMENSIONS}
        client.insert(conf["indexing"]["collection"], [row], timeout=60)
    with openai_endpoint.serving() as endpoint:
        openai = {"mode": "openai", "openai_key": "sk-none", "base_url": endpoint.base_url}
        unnamed = {**openai, "dimensions": openai_endpoint.DIMENSIONS}
        with pytest.raises(ModelMismatch, match=r"Set embedding[.]model to the model that filled it"):
            check_configuration({**conf, "embedding": unnamed})
        check_configuration({**conf, "embedding": {**unnamed, "model": "text-embedding-3-small"}})


def test_a_new_collection_is_filled_beside_the_old_one(backend: Backend, before: dict[str, Any]) -> None:
    """Another name and a refresh make one in this connector's layout; the old one stays as it is for its readers."""
    old = stored(backend, before, "_ab_record_id", "text")
    collection = backend.make_collection_name()
    after = {**before, "indexing": {**before["indexing"], "collection": collection}}
    write(after, TICKETS, [record({"id": key, "text": f"{key}", "status": "new"}) for key in (1, 2, 3)])
    assert stored(backend, after, "_ab_record_id") == [("tickets_1",), ("tickets_2",), ("tickets_3",)]
    fields, _, metric = described(backend, after)
    assert ("pk", "VARCHAR") in fields
    assert metric == "COSINE"
    assert stored(backend, before, "_ab_record_id", "text") == old


def test_the_program_takes_the_existing_configuration_and_collection(backend: Backend, tmp_path: Path) -> None:
    """`check` and `write` as processes, with the configuration as it was."""
    conf = config(backend, processing={**PROCESSING, "chunk_overlap": 0, "field_name_mappings": []})
    with opened(backend, conf) as client:
        make_as_before(client, conf["indexing"]["collection"])
    assert run(tmp_path, "check", conf).check == {"status": "SUCCEEDED"}
    assert run(tmp_path, "write", conf, TICKETS, [record({"id": 1, "text": "one"})]).exit_code == 0
