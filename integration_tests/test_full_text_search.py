"""`indexing.full_text_search`: words beside vectors where Milvus can, and one line in the log where it cannot."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.check import check_configuration
from destination_milvus.config.models import parse_config
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.flow.batch import BatchLimits
from destination_milvus.write import write_stream
from devtools.backends import Backend, config, make_auto_id_collection
from devtools.connector import catalog, entities, record, state, stream, write

TICKETS = catalog(stream("tickets"))
TEXTS = {
    1: "The printer is on fire",
    2: "Password forgotten, error E-4711",
    3: "The invoice has another address",
    4: "Fire alarm in the kitchen",
}
PROCESSING = {"text_fields": ["text"], "include_field_names": False, "metadata_fields": ["id", "sparse"]}


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """A Milvus Lite of its own."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def off(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that say that full-text search is not there."""
    return [message for message in caplog.messages if "full_text_search" in message]


def by_words(backend: Backend, collection: str, words: str) -> list[int]:
    """Ids of the tickets that have one of these words, the best first."""
    with backend.client() as client:
        client.load_collection(collection)
        [found] = client.search(
            collection, data=[words], anns_field="sparse", limit=10, output_fields=["id"], consistency_level="Strong"
        )
    return [hit["entity"]["id"] for hit in found]


def test_vectors_and_words_are_searched_together(lite: Backend) -> None:
    """Hybrid search by reciprocal rank fusion finds what either half finds, and puts first what both do."""
    from pymilvus import AnnSearchRequest, RRFRanker  # noqa: PLC0415 - as in the product

    conf = config(lite, processing=PROCESSING, indexing={"full_text_search": True})
    collection = conf["indexing"]["collection"]
    write(conf, TICKETS, [*(record({"id": key, "text": text}) for key, text in TEXTS.items()), state(1)])
    assert by_words(lite, collection, "e 4711") == [2]
    assert by_words(lite, collection, "FIRE printer") == [1, 4]
    assert by_words(lite, collection, "unheard") == []

    [vector] = FakeEmbedder().embed([TEXTS[4]])
    requests = [
        AnnSearchRequest([list(vector)], "vector", {}, limit=2),
        AnnSearchRequest(["kitchen printer fire"], "sparse", {}, limit=2),
    ]
    with lite.client() as client:
        client.load_collection(collection)
        [found] = client.hybrid_search(
            collection, requests, RRFRanker(), limit=3, output_fields=["id"], consistency_level="Strong"
        )
    assert found[0]["entity"]["id"] == 4
    assert 1 in [hit["entity"]["id"] for hit in found]


def test_rows_that_are_written_again_keep_their_words(lite: Backend) -> None:
    """Vectors taken over, heads announced, records removed: Milvus makes the words anew, nobody writes them."""
    processing = {**PROCESSING, "chunk_size": 8}
    conf = config(lite, processing=processing, indexing={"full_text_search": True})
    collection = conf["indexing"]["collection"]
    long = " ".join(f"word{number}" for number in range(30))
    one_by_one = BatchLimits(states=1)

    def sync(*data: dict[str, Any]) -> None:
        lines = "".join(line + "\n" for row in data for line in (record(row), state(1)))
        write_stream(parse_config(conf), TICKETS, io.BytesIO(lines.encode()), lambda _: None, limits=one_by_one)

    sync({"id": 1, "text": long, "sparse": "mine"}, {"id": 2, "text": long + " gone"})
    assert sorted(by_words(lite, collection, "word29")) == [1, 2]
    sync({"id": 1, "text": long, "sparse": "else"})  # metadata only: every row again, no text embedded
    sync({"id": 1, "text": long.replace("word29", "changed")}, {"id": 2, "_ab_cdc_deleted_at": "2026-01-02"})
    assert by_words(lite, collection, "word29 gone") == []
    assert by_words(lite, collection, "changed") == [1]
    assert by_words(lite, collection, "word0") == [1]


def test_a_metadata_field_of_the_same_name_steps_aside(lite: Backend) -> None:
    """The field of the words belongs to Milvus: a record's own gets an underscore, as with all system fields."""
    conf = config(lite, processing=PROCESSING, indexing={"full_text_search": True})
    write(conf, TICKETS, [record({"id": 1, "text": "words", "sparse": "mine"})])
    [row] = entities(lite, conf["indexing"]["collection"])
    assert row["sparse_"] == "mine"
    assert isinstance(row["sparse"], dict)


def test_records_without_text_are_stored_all_the_same(lite: Backend) -> None:
    """A record that brings its vector may have no words at all."""
    embedding = {"mode": "from_field", "field_name": "v", "dimensions": 2}
    conf = config(lite, embedding=embedding, processing=PROCESSING, indexing={"full_text_search": True})
    write(conf, TICKETS, [record({"id": 1, "v": [1, 0]}), record({"id": 2, "v": [0, 1], "text": "words"})])
    assert [row["id"] for row in entities(lite, conf["indexing"]["collection"])] == [1, 2]
    assert by_words(lite, conf["indexing"]["collection"], "words") == [2]


@pytest.mark.server
def test_a_server_that_cannot_says_so_once(milvus_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Version 2.3: check passes, the sync runs, and each says in one line that search is by vectors alone, and why."""
    backend = Backend("server", milvus_server.uri)
    conf = config(backend, processing=PROCESSING, indexing={"full_text_search": True})
    check_configuration(conf)
    assert len(off(caplog)) == 1
    caplog.clear()
    write(conf, TICKETS, [record({"id": 1, "text": "words"})])
    [line] = off(caplog)
    assert "2.3.5" in line
    assert "2.5" in line
    assert [row["text"] for row in entities(backend, conf["indexing"]["collection"])] == ["words"]
    backend.drop()


def test_a_collection_that_was_made_without_it_says_so_once(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Milvus cannot add it: check and write go on and say what to do. Where nobody asks for it, nothing is said."""
    conf = config(backend, processing=PROCESSING)
    make_auto_id_collection(backend, conf["indexing"]["collection"], 1536)
    lines = [record({"id": 1, "text": "words"})]
    write(conf, TICKETS, lines)
    check_configuration(conf)
    assert not off(caplog)
    conf["indexing"]["full_text_search"] = True
    caplog.set_level(logging.INFO)
    for command in (lambda: write(conf, TICKETS, lines), lambda: check_configuration(conf)):
        caplog.clear()
        command()
        [line] = off(caplog)
        assert "new collection" in line
