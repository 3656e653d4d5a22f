"""Collections that are there already: what does not fit is named before anything is written, and what fits is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from destination_milvus.check import check_configuration
from destination_milvus.config.models import parse_config
from destination_milvus.errors import BadRecord, ConfigError, TransientError
from destination_milvus.milvus import calls, connection, reader
from destination_milvus.milvus.open import OpenCollection
from destination_milvus.model import RecordKey
from devtools.backends import Backend, config
from devtools.connector import catalog, record, state, stream, write
from devtools.milvus_server import MilvusServer, port_of_another
from integration_tests.milvus_calls import Call, Failed, intercept

TICKETS = catalog(stream("tickets"))
PROCESSING = {"text_fields": ["text"], "include_field_names": False}


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """A Milvus Lite of its own."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def make(
    backend: Backend,
    name: str,
    *columns: tuple[str, str, Mapping[str, Any]],
    auto_id: bool = False,
    key: str = "VARCHAR",
    **options: Any,
) -> None:
    """A collection made by hand: key, vector, these columns (name, type, options), all else dynamic."""
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415 - as in the product

    schema = MilvusClient.create_schema(auto_id=auto_id, enable_dynamic_field=True)
    schema.add_field("pk", DataType[key], is_primary=True, **({"max_length": 64} if key == "VARCHAR" else {}))
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=1536)
    for column, kind, given in columns:
        schema.add_field(column, DataType[kind], **given)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    with backend.client() as client:
        client.create_collection(name, schema=schema, index_params=index, **options)


def rows(backend: Backend, name: str, fields: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
    """All rows, by record and chunk, without nulls."""
    with backend.client() as client:
        client.load_collection(name, timeout=60)
        found = client.query(
            name, filter='_ab_stream != ""', output_fields=list(fields), consistency_level="Strong", timeout=60
        )
        plain = [{field: value for field, value in row.items() if value is not None} for row in found]
    return sorted(plain, key=lambda row: (row["_ab_record_id"], row["_ab_chunk"]))


def refused(conf: Mapping[str, Any]) -> str:
    """The sentence with which both `check` and `write` refuse a configuration."""
    with pytest.raises(ConfigError) as checked:
        check_configuration(conf)
    with pytest.raises(ConfigError) as written:
        write(conf, TICKETS, [record({"id": 1, "text": "x"}), state(1)])
    assert checked.value.message == written.value.message
    return checked.value.message


def test_options_that_a_collection_cannot_follow_are_refused_by_name(backend: Backend) -> None:
    """A text that is left out from now on, or goes into another field: rows would lack what the collection demands."""
    conf = config(backend, processing=PROCESSING)
    write(conf, TICKETS, [record({"id": 1, "text": "x"})])
    assert 'its field "text" takes no null, and omit_raw_text leaves the text out' in refused(
        {**conf, "omit_raw_text": True}
    )
    renamed = {**conf, "indexing": {**conf["indexing"], "text_field": "body"}}
    assert 'its field "text" takes no null, and rows would leave it empty: if it holds the texts' in refused(renamed)


def test_a_text_column_too_narrow_for_chunks_is_refused(backend: Backend) -> None:
    """Before Milvus refuses a whole batch for one long text."""
    conf = config(backend, processing=PROCESSING)
    make(backend, conf["indexing"]["collection"], ("text", "VARCHAR", {"max_length": 100}))
    assert 'its field "text" (indexing.text_field) holds 100 bytes, too few for chunks' in refused(conf)


@pytest.mark.parametrize("auto_id", [False, True], ids=["own keys", "auto_id"])
def test_chunks_fit_the_text_column_that_there_is(
    backend: Backend, auto_id: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of a text is lost, one line says that chunks are smaller, and a second sync writes nothing."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = config(backend, processing=PROCESSING)
    name = conf["indexing"]["collection"]
    columns = [("text", "VARCHAR", {"max_length": 300}), ("_ab_record_id", "VARCHAR", {"max_length": 256})]
    make(backend, name, *columns, auto_id=auto_id, key="INT64" if auto_id else "VARCHAR")
    check_configuration(conf)
    text = " ".join(f"größe{number}" for number in range(200))
    lines = [record({"id": 1, "text": text}), record({"id": 2, "text": "字" * 400})]
    write(conf, TICKETS, lines)
    warnings = [line for line in caplog.messages if "processing.chunk_size is 1000, about 4,000 bytes" in line]
    assert len(warnings) == 2, "in check and in write"
    stored = rows(backend, name)
    assert all(len(row["text"].encode()) <= 300 for row in stored)
    assert " ".join(row["text"] for row in stored if row["id"] == 1) == text
    assert "".join(row["text"] for row in stored if row["id"] == 2) == "字" * 400
    caplog.clear()
    write(conf, TICKETS, lines)
    assert "2 unchanged" in caplog.text
    assert "0 chunks written, 0 texts embedded" in caplog.text
    long = record({"id": "k" * 300, "text": "x"})
    states = write({**conf, "advanced": {"bad_records": "skip"}}, TICKETS, [*lines, long, state(1)])
    assert states[0]["destinationStats"] == {"recordCount": 2.0, "rejectedRecordCount": 1.0}
    assert "its primary key is longer than the 256 bytes" in caplog.text


@pytest.mark.parametrize("column", [False, True], ids=["dynamic text", "nullable column"])
def test_a_text_that_is_left_out_from_now_on_is_gone_from_every_record_that_comes(lite: Backend, column: bool) -> None:
    """Milvus Lite merges an upsert into the row before it: the old text would stay beside the new vector."""
    conf = config(lite, processing={**PROCESSING, "chunk_size": 8, "metadata_fields": ["id"]})
    name = conf["indexing"]["collection"]
    make(lite, name, *([("text", "VARCHAR", {"max_length": 65_535, "nullable": True})] if column else []))
    lines = [record({"id": key, "text": " ".join(f"word{number}" for number in range(30))}) for key in (1, 2)]
    write(conf, TICKETS, lines)
    assert len([row for row in rows(lite, name) if row["text"]]) > 4
    write({**conf, "omit_raw_text": True}, TICKETS, lines)
    assert not [row for row in rows(lite, name) if "text" in row]


@pytest.mark.parametrize("auto_id", [False, True], ids=["own keys", "auto_id"])
@pytest.mark.parametrize("omitted", [False, True], ids=["text", "no text"])
def test_rows_of_a_collection_without_columns_stay_within_the_limit_of_dynamic_fields(
    backend: Backend, auto_id: bool, omitted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Metadata, text and the connector's own fields share it: text and metadata are cut, and a key never.

    What cannot be stored is a bad record, and `skip` goes on without it.
    """
    caplog.set_level(logging.INFO, "airbyte")
    processing = {**PROCESSING, "chunk_size": 8191, "metadata_fields": ["id", "note"]}
    conf = config(backend, processing=processing, omit_raw_text=omitted)
    name = conf["indexing"]["collection"]
    make(backend, name, auto_id=auto_id, key="INT64" if auto_id else "VARCHAR")
    text = "x" * 30_000
    lines = [
        record({"id": 1, "text": text, "note": "n" * 70_000}),
        record({"id": "k" * 25_000, "text": text, "note": "n" * 70_000}),
        record({"id": '"' * 25_000, "text": text}),
        record({"id": 2, "text": text}),
        state(1),
    ]
    states = write({**conf, "advanced": {"bad_records": "skip"}}, TICKETS, lines)
    assert states[0]["destinationStats"] == {"recordCount": 3.0, "rejectedRecordCount": 1.0}
    assert "primary key and cursor, which are never cut" in caplog.text
    stored = {row["id"]: row for row in rows(backend, name)}
    assert stored.keys() == {1, 2, "k" * 25_000}
    assert all("text" in row and text.startswith(row["text"]) for row in stored.values()) != omitted
    assert len(stored[1]["note"]) > 59_000
    assert 5_000 < len(stored["k" * 25_000]["note"]) < 15_000
    with pytest.raises(BadRecord, match="primary key and cursor, which are never cut"):
        write(conf, TICKETS, lines)


@pytest.mark.parametrize("key", ["INT64", "VARCHAR"])
def test_keys_that_milvus_makes_are_of_either_type(backend: Backend, key: str) -> None:
    """`check` asks for the right to delete with a key of the right type, and syncs replace and delete."""
    if key == "VARCHAR" and backend.name == "lite":
        pytest.skip("Milvus Lite makes keys of integers only")
    conf = config(backend, processing=PROCESSING)
    make(backend, conf["indexing"]["collection"], auto_id=True, key=key)
    check_configuration(conf)
    write(conf, TICKETS, [record({"id": number, "text": "old"}) for number in (1, 2)])
    gone = record({"id": 2, "_ab_cdc_deleted_at": "2026-01-02"})
    write(conf, TICKETS, [record({"id": 1, "text": "new"}), gone])
    assert [(row["id"], row["text_"]) for row in rows(backend, conf["indexing"]["collection"])] == [(1, "new")]


@pytest.mark.parametrize("auto_id", [False, True], ids=["own keys", "auto_id"])
def test_no_more_rows_are_read_than_were_asked_for(backend: Backend, auto_id: bool) -> None:
    """Of a record that is to be removed, the first: memory does not follow what is stored."""
    conf = config(backend, processing={**PROCESSING, "chunk_size": 8})
    make(backend, conf["indexing"]["collection"], auto_id=auto_id, key="INT64" if auto_id else "VARCHAR")
    text = " ".join(f"word{number}" for number in range(20))
    write(conf, TICKETS, [record({"id": key, "text": text}) for key in (1, 2, 3)])
    parsed = parse_config(conf)
    with closing(connection.connect(parsed.indexing)) as client:
        found = reader.find_collection(client, parsed)
        assert found is not None
        milvus = OpenCollection(calls.Calls(client, parsed.indexing, found), is_new=False).store
        keys = [RecordKey("tickets", f"tickets_{key}") for key in (1, 2, 3)]
        chunks = milvus.heads(keys)[keys[0]].chunks
        assert chunks > 4
        stored = milvus.read_rows({keys[0]: 1, keys[1]: chunks, keys[2]: 1})
        assert {key: sorted(rows_) for key, rows_ in stored.items()} == {
            keys[0]: [0],
            keys[1]: list(range(chunks)),
            keys[2]: [0],
        }
        assert [list(rows_) for rows_ in milvus.read_rows({keys[0]: 1}).values()] == [[0]]
    backend.release()


def test_rows_that_milvus_removes_by_their_age_are_told(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Their owner may want it; a head that is written anew does not make the other rows of its record any younger."""
    conf = config(backend, processing=PROCESSING)
    make(backend, conf["indexing"]["collection"], properties={"collection.ttl.seconds": 86_400})
    check_configuration(conf)
    write(conf, TICKETS, [record({"id": 1, "text": "x"})])
    told = [line for line in caplog.messages if "86,400 seconds after they were written" in line]
    assert len(told) == 2


def test_a_user_who_may_not_note_the_model_writes_all_the_same(
    backend: Backend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Altering a collection takes the right to create some: one line says so, and how to make up for it."""
    conf = config(backend, processing=PROCESSING)
    name = conf["indexing"]["collection"]
    make(backend, name)

    def refuse(_real: Call, _request: Any, _options: dict[str, Any]) -> Any:
        raise Failed(grpc.StatusCode.PERMISSION_DENIED)

    with monkeypatch.context() as patch:
        intercept(patch, "AlterCollection", refuse)
        write(conf, TICKETS, [record({"id": 1, "text": "x"})])
        [line] = [line for line in caplog.messages if "may not note" in line]
        assert f'alter_collection_properties("{name}", {{"destination_milvus.embedding_model": "fake' in line
    assert len(rows(backend, name)) == 1
    caplog.clear()
    write(conf, TICKETS, [record({"id": 1, "text": "x"})])
    assert "may not note" not in caplog.text
    with pytest.raises(ConfigError, match="holds vectors of the model fake"):
        write({**conf, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 1536}}, TICKETS, [])


@pytest.fixture
def slow_loading(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What Milvus says next of how far it is with loading, in percent; nothing once it is done."""
    from pymilvus.grpc_gen import common_pb2  # noqa: PLC0415 - as in the product

    percents: list[int] = []

    def progress(real: Call, request: Any, options: dict[str, Any]) -> Any:
        answer = real(request, **options)
        if percents:
            answer.progress = percents[0]
        return answer

    def load_state(real: Call, request: Any, options: dict[str, Any]) -> Any:
        answer = real(request, **options)
        if percents:
            answer.state = common_pb2.LoadStateLoading
            if len(percents) > 1 or percents[0] > 1:  # one that stays at 1 % does so for ever
                percents.pop(0)
        return answer

    intercept(monkeypatch, "GetLoadingProgress", progress)
    intercept(monkeypatch, "GetLoadState", load_state)
    monkeypatch.setattr(calls, "LOADING_TIMEOUT", 0.5)
    return percents


def test_a_collection_is_waited_for_as_long_as_its_loading_gets_on(
    backend: Backend, slow_loading: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that is; one that does not get on is named as what it is."""
    conf = config(backend, processing=PROCESSING)
    write(conf, TICKETS, [record({"id": 1, "text": "x"})])
    slow_loading[:] = [10, 20, 30, 40, 50]
    write(conf, TICKETS, [record({"id": 1, "text": "y"})])
    assert not slow_loading
    slow_loading[:] = [1]
    monkeypatch.setattr(calls, "RETRIES", replace(calls.RETRIES, deadline=1.0))
    with pytest.raises(TransientError, match="is still being loaded into"):
        write(conf, TICKETS, [record({"id": 1, "text": "z"})])


@pytest.mark.server
def test_what_the_server_finds_too_large_to_answer_is_read_in_parts(tmp_path: Path) -> None:
    """Its operator may allow less than a message could hold (`maxOutputSize`): a sync reads what it needs."""
    server = MilvusServer(tmp_path, port=port_of_another(2), settings={"QUOTAANDLIMITS_LIMITS_MAXOUTPUTSIZE": "200000"})
    server.start()
    try:
        conf = config(Backend("server", server.uri), processing=PROCESSING)
        write(conf, TICKETS, [record({"id": key, "text": "x" * 1000}) for key in range(200)])
        states = write(conf, TICKETS, [*(record({"id": key, "text": "y" * 1000}) for key in range(200)), state(1)])
        assert states[0]["destinationStats"] == {"recordCount": 200.0}
    finally:
        server.kill()
