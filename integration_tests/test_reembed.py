"""`reembed`: a collection's records, with another model, in another collection."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from destination_milvus.backfill import model_change
from destination_milvus.backfill.display import PlainOutput
from destination_milvus.backfill.reembed import MARK, Reembedding
from destination_milvus.config.models import parse_config
from destination_milvus.errors import ConfigError, TransientError
from destination_milvus.fields import CHUNK, FINGERPRINT
from destination_milvus.milvus import scan
from devtools.backends import SHORT_CHUNKS, Backend, config, make_auto_id_collection
from devtools.connector import catalog, entities, record, state, status, stream, write
from devtools.openai_endpoint import DIMENSIONS, OpenAIEndpoint, serving
from integration_tests.test_migration import make_as_before, rows_as_before

TICKETS = catalog(stream("tickets"))
BODIES = {1: "one line here\nand another one", 2: "a single line", 3: "three of\nthe lines are\nin this text", 4: "x"}
LINES = [record({"id": key, "body": body, "status": "new"}) for key, body in BODIES.items()]


@pytest.fixture
def endpoint() -> Iterator[OpenAIEndpoint]:
    """The new model."""
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def old(backend: Backend) -> dict[str, Any]:
    """The configuration of a connection that has synced."""
    conf = config(backend, processing=SHORT_CHUNKS)
    write(conf, TICKETS, LINES)
    return conf


def anew(backend: Backend, old: Mapping[str, Any], endpoint: OpenAIEndpoint, **indexing: Any) -> dict[str, Any]:
    """The configuration with the new model and a new collection."""
    conf = config(backend, processing=old["processing"], embedding=endpoint.embedding(), indexing=indexing)
    return {**conf, **{key: old[key] for key in ("advanced",) if key in old}}


def run(conf: Mapping[str, Any], source: str, *, alias: str | None = None, **options: Any) -> None:
    """The command, in this process."""
    arguments = Namespace(source=source, alias=alias, engine="local", ray_address=None, workers=None)
    model_change.reembed(arguments, parse_config({**conf, **options}), {}, PlainOutput())


def name(conf: Mapping[str, Any]) -> str:
    """Of its collection."""
    return str(conf["indexing"]["collection"])


def rows(backend: Backend, conf: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All rows, with vectors as lists."""
    return [{**row, "vector": list(row["vector"])} for row in entities(backend, name(conf))]


@pytest.mark.parametrize("is_auto_id", [False, True], ids=["own", "auto_id"])
def test_a_sync_after_it_leaves_the_rows_of_the_new_model_and_embeds_nothing(
    backend: Backend, old: dict[str, Any], endpoint: OpenAIEndpoint, is_auto_id: bool
) -> None:
    """As `write` with the new model into an empty collection; the old collection stays as it is."""
    if is_auto_id:
        old = config(backend, processing=SHORT_CHUNKS)
        make_auto_id_collection(backend, name(old), 1536)
        write(old, TICKETS, LINES)
    before = rows(backend, old)
    expected_conf = anew(backend, old, endpoint)
    write(expected_conf, TICKETS, LINES)
    expected, texts = rows(backend, expected_conf), sorted(endpoint.texts)
    endpoint.texts.clear()
    conf = anew(backend, old, endpoint)
    run(conf, name(old))
    assert sorted(endpoint.texts) == texts
    assert rows(backend, old) == before
    made = rows(backend, conf)
    assert all(row[FINGERPRINT].startswith(MARK) for row in made if row[CHUNK] == 0)
    assert without_marks(made) == without_marks(expected)
    endpoint.texts.clear()
    write(conf, TICKETS, LINES)
    assert rows(backend, conf) == expected
    assert endpoint.texts == []


def without_marks(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without their fingerprints."""
    return [{key: value for key, value in row.items() if key != FINGERPRINT} for row in found]


def test_a_second_run_embeds_what_a_sync_has_changed_and_moves_the_alias(
    backend: Backend, old: dict[str, Any], endpoint: OpenAIEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A line, a status, a deletion, a new record; applications that search by the alias then find the new one."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = anew(backend, old, endpoint)
    alias = backend.make_collection_name()
    with backend.client() as client:
        client.create_alias(name(old), alias)
    run(conf, alias)
    endpoint.texts.clear()
    run(conf, name(old))
    assert "0 new or changed, 4 unchanged, 0 removed" in caplog.text
    assert endpoint.texts == []
    changes = [
        record({"id": 1, "body": "one line here\nand a third one", "status": "new"}),
        record({"id": 2, "body": BODIES[2], "status": "solved"}),
        record({"id": 3, "_ab_cdc_deleted_at": "2026-01-02"}),
        record({"id": 5, "body": "quite new"}),
    ]
    write(old, TICKETS, changes)
    run(conf, name(old), alias=alias)
    assert sorted(endpoint.texts) == ["and a third one", "quite new"]
    assert "3 new or changed, 1 unchanged, 1 removed" in caplog.text
    told = [(row["id"], row["text"], row.get("status")) for row in rows(backend, conf)]
    assert told == [
        (1, "one line here", "new"),
        (1, "and a third one", "new"),
        (2, "a single line", "solved"),
        (4, "x", "new"),
        (5, "quite new", None),
    ]
    with backend.client() as client:
        assert client.describe_collection(alias)["collection_name"] == name(conf)
        client.drop_alias(alias)
    run(conf, name(old), alias=alias)
    with backend.client() as client:
        assert client.describe_collection(alias)["collection_name"] == name(conf)
        client.drop_alias(alias)


def test_collections_of_airbytes_own_connector_come_out_in_the_layout_of_this_one(
    backend: Backend, endpoint: OpenAIEndpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records whole, in the order of their chunks; rows of Append, which have no id, one by one, and once.

    Also where the rows of a record lie in two pages.
    """
    caplog.set_level(logging.INFO, "airbyte")
    monkeypatch.setattr(scan, "ROWS_PAGE", 3)
    monkeypatch.setattr(scan, "EMBEDDED_ROWS_PAGE", 3)
    monkeypatch.setattr(scan, "READ_PAGE", 1)
    old = config(backend, processing=SHORT_CHUNKS)
    made = [
        *rows_as_before({"id": 1, "status": "new", "tags": ["a"]}, ["of two", "chunks"], "tickets_1"),
        *rows_as_before({"id": 2}, ["one"], "tickets_2"),
        *rows_as_before({"level": 3}, ["an event"], None, "events"),
        *rows_as_before({"level": 4}, ["an event"], None, "events"),
    ]
    with backend.client() as client:
        make_as_before(client, name(old))
        client.insert(name(old), made, timeout=60)
    conf = anew(backend, old, endpoint)
    for _ in range(2):
        endpoint.texts.clear()
        run(conf, name(old))
        found = rows(backend, conf)
        assert sorted((row["_ab_stream"], row["_ab_chunk"], row["text"]) for row in found) == [
            ("events", 0, "an event"),
            ("events", 0, "an event"),
            ("tickets", 0, "of two"),
            ("tickets", 0, "one"),
            ("tickets", 1, "chunks"),
        ]
        assert {row["tags"] for row in found if row["text"] == "chunks"} == {'["a"]'}
        assert "4 records read" in [line for line in caplog.messages if " complete: " in line][-1]
    assert endpoint.texts == []
    with backend.client() as client:
        client.load_collection(name(old), timeout=60)
        client.delete(name(old), filter='_ab_record_id == "tickets_2" or level == 4', timeout=60)
    run(conf, name(old))
    assert sorted(row["text"] for row in rows(backend, conf)) == ["an event", "chunks", "of two"]


def test_a_run_that_breaks_off_goes_on(
    backend: Backend, endpoint: OpenAIEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored is not embedded again, whatever page it was in."""
    monkeypatch.setattr(scan, "ROWS_PAGE", 7)
    monkeypatch.setattr(scan, "EMBEDDED_ROWS_PAGE", 7)
    monkeypatch.setattr(scan, "READ_PAGE", 3)
    old = config(backend, processing=SHORT_CHUNKS)
    bodies = {key: "\n".join(f"line {part} of {key}" for part in range(key % 4)) for key in range(60)}
    write(old, TICKETS, [record({"id": key, "body": body}) for key, body in bodies.items()])
    conf = anew(backend, old, endpoint)
    texts = [row["text"] for row in entities(backend, name(old))]
    endpoint.faults.append(None)
    endpoint.faults.append("quota")

    real = Reembedding.upserts

    def in_small_batches(self: Reembedding, *arguments: Any) -> Iterator[Any]:
        return ((change, 4 * 1024 * 1024 // 10) for change, _ in real(self, *arguments))

    monkeypatch.setattr(Reembedding, "upserts", in_small_batches)
    with pytest.raises(ConfigError, match="quota"):
        run(conf, name(old), advanced={"concurrency": 1})
    embedded = list(endpoint.texts)
    assert 0 < len(embedded) < len(texts)
    run(conf, name(old))
    assert sorted(endpoint.texts) == sorted(texts)
    assert sorted(row["text"] for row in rows(backend, conf)) == sorted(texts)


@pytest.fixture
def lite(tmp_path: Any) -> Iterator[Backend]:
    """Milvus Lite in a folder of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    yield backend
    backend.release()


def test_what_cannot_be_is_said_and_changes_nothing(lite: Backend, endpoint: OpenAIEndpoint) -> None:
    """No text, no collection, the same one, one that syncs go into, vectors of records, an alias that is none."""
    old = config(lite, processing=SHORT_CHUNKS)
    write({**old, "omit_raw_text": True}, TICKETS, LINES)
    conf = anew(lite, old, endpoint)
    with pytest.raises(
        ConfigError, match=r'No row of the collection ".*" has a text in its field "text".*omit_raw_text'
    ):
        run(conf, name(old))
    with pytest.raises(ConfigError, match=r'has no collection "nothing" \(--from\)'):
        run(conf, "nothing")
    with lite.client() as client:
        assert not client.has_collection(name(conf))
    kept = config(lite, processing=SHORT_CHUNKS)
    write(kept, TICKETS, LINES)
    with pytest.raises(ConfigError, match="is the collection that the configuration writes to"):
        run(kept, name(kept))
    with pytest.raises(ConfigError, match="takes vectors from records"):
        run(conf, name(kept), embedding={"mode": "from_field", "field_name": "v", "dimensions": 8})
    with pytest.raises(ConfigError, match="do not tell theirs"):
        run({**conf, "indexing": {**conf["indexing"], "partition_key": "namespace"}}, name(kept))
    with pytest.raises(ConfigError, match=f'"{name(kept)}" is a collection and not an alias'):
        run(conf, name(kept), alias=name(kept))
    write(conf, TICKETS, LINES)
    with pytest.raises(ConfigError, match="A sync has written into the collection"):
        run(conf, name(kept))


def test_records_that_are_half_written_are_left_for_the_next_run(
    lite: Backend, endpoint: OpenAIEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """And told: the sync that completes them comes first."""
    old = config(lite, processing=SHORT_CHUNKS)
    write(old, TICKETS, LINES)
    with lite.client() as client:
        client.load_collection(name(old))
        (head,) = client.query(name(old), filter="id == 1 and _ab_chunk == 0", output_fields=["*"])
        client.upsert(name(old), [{**head, "_ab_fingerprint": ""}])
    conf = anew(lite, old, endpoint)
    run(conf, name(old))
    assert "1 records are not complete in the old collection" in caplog.text
    assert {row["id"] for row in rows(lite, conf)} == {2, 3, 4}
    write(old, TICKETS, LINES)
    run(conf, name(old))
    assert {row["id"] for row in rows(lite, conf)} == {1, 2, 3, 4}


def test_typed_columns_are_those_of_the_old_collection(lite: Backend, endpoint: OpenAIEndpoint) -> None:
    """And partitions by a metadata field are made of it."""
    schema = {"properties": {"id": {"type": "integer"}, "status": {"type": "string"}}}
    configured = catalog({**stream("tickets"), "stream": {"name": "tickets", "json_schema": schema}})
    old = config(lite, processing=SHORT_CHUNKS, indexing={"indexed_metadata_fields": ["id", "status"]})
    write(old, configured, LINES)
    indexing = {"indexed_metadata_fields": ["id", "status"], "partition_key": "status"}
    conf = anew(lite, old, endpoint, **indexing)
    run(conf, name(old))
    with lite.client() as client:
        fields = {field["name"]: field["type"].name for field in client.describe_collection(name(conf))["fields"]}
    assert (fields["id"], fields["status"]) == ("INT64", "VARCHAR")
    endpoint.texts.clear()
    write(conf, configured, LINES)
    assert endpoint.texts == []


def test_an_endpoint_that_fails_moves_no_alias(lite: Backend, endpoint: OpenAIEndpoint) -> None:
    """Applications go on with the old collection."""
    old = config(lite, processing=SHORT_CHUNKS)
    write(old, TICKETS, [*LINES, state(1), status("COMPLETE")])
    alias = "help"
    with lite.client() as client:
        client.create_alias(name(old), alias)
    conf = anew(lite, old, endpoint)
    endpoint.always = "quota"
    with pytest.raises((ConfigError, TransientError)):
        run(conf, alias, alias=alias)
    with lite.client() as client:
        assert client.describe_collection(alias)["collection_name"] == name(old)


def test_the_endpoint_has_the_dimensions_that_are_configured() -> None:
    """What these tests rest on: the new model's vectors are shorter than those of the old one."""
    assert DIMENSIONS < 1536
