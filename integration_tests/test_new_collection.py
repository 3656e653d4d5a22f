"""A collection that a sync has just created can be written before it is loaded, and read once it is."""

from __future__ import annotations

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import ConfigError
from destination_milvus.milvus import connection
from destination_milvus.milvus.columns import NO_COLUMNS
from destination_milvus.milvus.open import create_collection
from devtools.backends import Backend, config
from devtools.connector import catalog, entities, record, state, stream, write

TICKETS = catalog(stream("tickets"))


def test_it_can_be_searched_when_its_first_sync_is_over(backend: Backend) -> None:
    """Also where that sync itself had nothing to read."""
    conf = config(backend)
    name = conf["indexing"]["collection"]
    write(conf, TICKETS, [record({"id": 1, "subject": "Printer"}), state(1)])
    with backend.client() as client:
        if backend.name == "server":  # Milvus Lite forgets with its process
            assert client.get_load_state(name)["state"].name == "Loaded"
            assert set(client.list_indexes(name)) == {"vector", "_ab_stream", "_ab_record_id"}


def test_a_record_that_comes_again_in_a_first_sync_is_looked_up(backend: Backend) -> None:
    """The second batch reads what the first has stored, and replaces it."""
    conf = config(backend)
    many = [record({"id": number, "subject": f"Subject {number}"}) for number in range(300)]
    write(conf, TICKETS, [*many, record({"id": 0, "subject": "Another"}), state(1)])
    rows = entities(backend, conf["indexing"]["collection"])
    assert len(rows) == 300
    assert [row["text"] for row in rows if row["id"] == 0] == ["id: 0\n\nsubject: Another"]


def test_a_creation_that_was_interrupted_is_completed(backend: Backend) -> None:
    """The process died between the collection and its indexes."""
    conf = config(backend)
    parsed = parse_config(conf)
    model = create_embedder(parsed.embedding, parsed.advanced)
    client = connection.connect(parsed.indexing)
    create_collection(client, parsed, model, NO_COLUMNS)
    client.close()
    backend.release()
    write(conf, TICKETS, [record({"id": 1, "subject": "Printer"}), state(1)])
    assert [row["subject"] for row in entities(backend, conf["indexing"]["collection"])] == ["Printer"]


def test_an_index_that_milvus_refuses_stops_the_sync_before_anything_is_written(backend: Backend) -> None:
    if backend.name == "lite":
        pytest.skip("Milvus Lite takes any name of an index and builds none")
    conf = config(backend, indexing={"index_type": "NO_SUCH_INDEX"})
    with pytest.raises(ConfigError):
        write(conf, TICKETS, [record({"id": 1, "subject": "Printer"}), state(1)])
    right = config(backend, indexing={"collection": conf["indexing"]["collection"]})
    write(right, TICKETS, [record({"id": 1, "subject": "Printer"}), state(1)])
    assert len(entities(backend, conf["indexing"]["collection"])) == 1
