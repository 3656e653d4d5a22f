"""`write` against Milvus Lite and a real server, in this process: what lands, and what a second sync costs."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from destination_milvus.errors import BadRecord, ConfigError, DestinationError, InternalError, ModelMismatch
from devtools.backends import Backend, config, make_auto_id_collection
from devtools.connector import catalog, entities, record, state, status, stream, write

TICKETS = catalog(stream("tickets"))


def texts(backend: Backend, collection: str) -> list[str]:
    return [row["text"] for row in entities(backend, collection)]


def summary(caplog: pytest.LogCaptureFixture) -> str:
    """The line that ends the last sync."""
    return [message for message in caplog.messages if message.startswith("Sync complete")][-1]


def test_records_land_with_text_metadata_and_system_fields(backend: Backend) -> None:
    """The collection is created, each record has its entity, and the states come back with id and count."""
    conf = config(backend, processing={"text_fields": ["subject", "description"]})
    lines = [
        record({"id": 1, "subject": "Printer", "description": "It is on fire.", "status": "new"}),
        state(1),
        record({"id": 2, "subject": "Café “Zoë” 😀", "description": 'She said "no".\n\nTwice.', "n": [1, {"x": None}]}),
        state(2),
    ]
    states = write(conf, TICKETS, lines)
    first, second = entities(backend, conf["indexing"]["collection"])
    assert first["text"] == "subject: Printer\n\ndescription: It is on fire."
    assert (first["_ab_stream"], first["_ab_record_id"]) == ("tickets", "tickets_1")
    assert (first["id"], first["status"], first["_ab_chunk"], first["_ab_chunks"]) == (1, "new", 0, 1)
    assert first["_ab_extracted_at"] == 1_767_312_000_000
    assert len(first["pk"]) == len(first["_ab_fingerprint"]) == 32
    assert len(first["vector"]) == 1536
    assert second["subject"] == "Café “Zoë” 😀"
    assert second["n"] == [1, {"x": None}]
    assert [s["id"] for s in states] == [1, 2]
    assert [s["destinationStats"] for s in states] == [{"recordCount": 1.0}, {"recordCount": 1.0}]


def test_a_second_sync_embeds_only_what_changed(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Identical: nothing. Metadata: nothing. One edited paragraph: its chunk. And no key of the old version stays."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = config(backend, processing={"chunk_size": 40, "text_fields": ["body"], "include_field_names": False})
    paragraphs = [f"Paragraph {n} tells of " + " ".join(f"thing{n}{i}" for i in range(8)) + "." for n in range(6)]
    collection = conf["indexing"]["collection"]

    def sync(**data: Any) -> str:
        write(conf, TICKETS, [record({"id": 1, **data}), state(1)])
        return summary(caplog)

    first = sync(body="\n\n".join(paragraphs), votes=1, label="old")
    chunks = len(entities(backend, collection))
    assert chunks > 3
    assert f"{chunks} texts embedded" in first
    assert "0 texts embedded" in sync(body="\n\n".join(paragraphs), votes=1, label="old")
    assert "0 texts embedded" in sync(body="\n\n".join(paragraphs), votes=2)
    rows = entities(backend, collection)
    assert {row["votes"] for row in rows} == {2}
    assert not any("label" in row for row in rows)
    paragraphs[2] = "Paragraph 2 is quite another one now, with other words in it."
    assert " 1 texts embedded" in sync(body="\n\n".join(paragraphs), votes=2)
    assert "quite another one" in " ".join(texts(backend, collection))
    assert "thing20" not in " ".join(texts(backend, collection))


def test_the_last_change_of_a_key_wins_and_deletes_remove_every_chunk(backend: Backend) -> None:
    """Within a batch and across batches; a deletion of what was never there does no harm."""
    conf = config(backend, processing={"chunk_size": 8, "text_fields": ["text"], "include_field_names": False})
    collection = conf["indexing"]["collection"]
    long = " ".join(f"word{n}" for n in range(30))
    write(
        conf,
        TICKETS,
        [record({"id": 1, "text": "old"}), record({"id": 1, "text": "new"}), record({"id": 2, "text": long})],
    )
    assert texts(backend, collection)[0] == "new"
    assert len(texts(backend, collection)) > 5
    gone = {"_ab_cdc_deleted_at": "2026-01-02T00:00:00Z", "text": None}
    write(conf, TICKETS, [record({"id": 2, **gone}), record({"id": 3, **gone})])
    assert texts(backend, collection) == ["new"]
    write(conf, TICKETS, [record({"id": 1, **gone}), record({"id": 1, "text": "back"})])
    assert texts(backend, collection) == ["back"]


def test_append_adds_and_overwrite_replaces(backend: Backend) -> None:
    """Append keeps every delivery; overwrite leaves what came last, also where nothing came."""
    conf = config(backend, processing={"text_fields": ["text"], "include_field_names": False})
    collection = conf["indexing"]["collection"]
    for _ in range(2):
        write(conf, catalog(stream("tickets", "append")), [record({"id": 1, "text": "same"})])
    assert texts(backend, collection) == ["same", "same"]
    overwrite = catalog(stream("tickets", "overwrite"))
    write(conf, overwrite, [record({"id": 1, "text": "only"}), status("COMPLETE")])
    assert texts(backend, collection) == ["only"]
    write(conf, overwrite, [status("COMPLETE")])
    assert texts(backend, collection) == []


def test_an_existing_auto_id_collection_stays_usable(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Rows are found by record id: updated, unchanged and deleted records behave as in a collection of our own."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = config(backend, processing={"text_fields": ["text"], "include_field_names": False})
    collection = conf["indexing"]["collection"]
    make_auto_id_collection(backend, collection, 1536)
    write(conf, TICKETS, [record({"id": 1, "text": "one", "a": 1}), record({"id": 2, "text": "two"})])
    write(conf, TICKETS, [record({"id": 1, "text": "one", "b": 1}), record({"id": 2, "text": "two"})])
    assert "1 new or changed, 1 unchanged" in summary(caplog)
    assert "0 texts embedded" in summary(caplog)
    rows = entities(backend, collection)
    assert [row["text"] for row in rows] == ["one", "two"]
    assert "a" not in rows[0]
    assert rows[0]["b"] == 1
    write(conf, TICKETS, [record({"id": 1, "_ab_cdc_deleted_at": "2026-01-02T00:00:00Z"})])
    assert texts(backend, collection) == ["two"]


def test_vectors_of_two_models_never_meet(backend: Backend) -> None:
    """Another model, another length, and an unknown model each end the sync before anything is written."""
    conf = config(backend)
    collection = conf["indexing"]["collection"]
    write(conf, TICKETS, [record({"id": 1, "text": "one"})])
    other = {**conf, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 1536}}
    with pytest.raises(ModelMismatch, match="fake:"):
        write(other, TICKETS, [record({"id": 1, "v": [0.5] * 1536})])
    unknown = config(backend)
    make_auto_id_collection(backend, unknown["indexing"]["collection"], 1536)
    write({**unknown, "embedding": {"mode": "fake"}}, TICKETS, [record({"id": 1, "text": "one"})])
    shorter = config(backend)
    make_auto_id_collection(backend, shorter["indexing"]["collection"], 8)
    with pytest.raises(ModelMismatch, match="8 dimensions"):
        write(shorter, TICKETS, [])
    assert len(entities(backend, collection)) == 1


def test_a_sync_in_another_language_names_the_model_that_knows_it(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once, with the option to change; the other model says nothing, and its vectors are never mixed in."""
    german = "Wenn das Telefon mit der App verloren ist, die die Codes erzeugt, hilft die Verwaltung des Kontos."
    lines = [record({"id": number, "text": f"{german} Fall {number}."}) for number in range(12)]
    conf = config(backend, embedding={"mode": "local"})
    other = {**conf, "embedding": {"mode": "local", "model": "universal-sentence-encoder-multilingual"}}
    write(conf, TICKETS, lines)
    [line] = [message for message in caplog.messages if "not in English" in message]
    assert "embedding.model to universal-sentence-encoder-multilingual" in line
    caplog.clear()
    with pytest.raises(ModelMismatch, match="local:all-MiniLM-L6-v2:384"):
        write(other, TICKETS, lines)
    fresh = config(backend, embedding=other["embedding"])
    write(fresh, TICKETS, lines)
    assert not [message for message in caplog.messages if "English" in message or "script" in message]
    rows = entities(backend, fresh["indexing"]["collection"])
    assert {len(row["vector"]) for row in rows} == {512}


def test_records_may_bring_their_own_vectors(backend: Backend) -> None:
    """One entity a record, with its vector and without the vector among the metadata; also where there is no text."""
    conf = config(backend, embedding={"mode": "from_field", "field_name": "v", "dimensions": 4})
    write(
        conf, TICKETS, [record({"id": 1, "v": [1, 2, 3, 4.5], "subject": "hi"}), record({"id": 2, "v": [0, 0, 0, 1]})]
    )
    first, second = entities(backend, conf["indexing"]["collection"])
    assert list(first["vector"]) == [1, 2, 3, 4.5]
    assert "v" not in first
    assert second["id"] == 2
    for wrong in ([1, 2, 3], "text", None, [1, 2, 3, "x"], [1, 2, 3, 1e300]):
        with pytest.raises(BadRecord, match='record "tickets_3"'):
            write(conf, TICKETS, [record({"id": 3, "v": wrong})])


def test_what_stands_beside_a_vector_is_stored(backend: Backend) -> None:
    """Of an object that holds the vector of its record, all but the vector is text and metadata."""
    conf = config(backend, embedding={"mode": "from_field", "field_name": "properties.embedding", "dimensions": 2})
    write(conf, TICKETS, [record({"id": 1, "properties": {"embedding": [1, 2], "title": "Printer on fire"}})])
    (row,) = entities(backend, conf["indexing"]["collection"])
    assert list(row["vector"]) == [1, 2]
    assert row["properties"] == {"title": "Printer on fire"}
    assert "Printer on fire" in row["text"]
    assert "embedding" not in row["text"]


def test_odd_values_are_stored_or_noted(backend: Backend) -> None:
    """Nothing of this ends a sync; what could not be kept is said in the entity."""
    conf = config(backend, processing={"text_fields": ["t"], "include_field_names": False})
    odd = [
        record({"id": 1, "t": "before <|endoftext|> after"}),
        record({"id": 2, "t": "nul \u0000 and \ud800 half", "m": "a\u0000b"}),
        record({"id": 3, "t": None}),
        record({"id": 4, "t": ""}),
        record({"id": 5, "t": "a" * 500_000}),
        record({"id": 6, "t": "x", "big": "m" * 100_000, "small": "keep"}),
        record({"id": 7, "t": "y", "a b": 1, "$meta": 2, "": 3, "pk": "p", "vector": [1], "text": "mine", "é": 1}),
        '{"type":"RECORD","record":{"stream":"tickets","data":{"id":8,"t":"z","n":NaN,"i":Infinity},"emitted_at":1.5}}',
        record({"id": 2**70, "t": "w", "big": 2**65, "fits": 2**63 - 1}),
        state(1),
    ]
    states = write(conf, TICKETS, odd)
    rows = entities(backend, conf["indexing"]["collection"])
    by_id = {row["_ab_record_id"].removeprefix("tickets_"): row for row in rows if row["_ab_chunk"] == 0}
    assert set(by_id) == {"1", "2", "5", "6", "7", "8", str(2**70)}
    assert by_id["1"]["text"] == "before <|endoftext|> after"
    assert by_id["2"]["m"] == "ab"
    assert sum(len(row["text"]) for row in rows if row["_ab_record_id"] == "tickets_5") == 500_000
    assert by_id["6"]["small"] == "keep"
    assert by_id["6"]["_ab_meta_changes"][0]["field"] == "big"
    assert by_id["7"]["a b"] == 1
    assert by_id["7"]["text"] == "y"
    assert "mine" in by_id["7"].values()
    assert "n" not in by_id["8"]
    assert {change["field"] for change in by_id["8"]["_ab_meta_changes"]} == {"n", "i"}
    assert by_id[str(2**70)]["big"] == str(2**65)
    assert by_id[str(2**70)]["fits"] == 2**63 - 1
    assert states[0]["destinationStats"]["recordCount"] == 9.0


def test_an_error_in_the_input_keeps_what_came_before(backend: Backend) -> None:
    """The records before it are stored and their state is given back; the sentence holds no content."""
    conf = config(backend, processing={"text_fields": ["t"]})
    states: list[dict[str, Any]] = []
    for broken, expected in (
        ('{"type": "RECORD", SECRET', "Line 3"),
        (record({"id": 9, "t": "SECRET"}, name="other"), '"other"'),
        (record({"t": "SECRET"}), "primary key"),
    ):
        with pytest.raises(DestinationError, match=expected) as caught:
            states += write(conf, TICKETS, [record({"id": 1, "t": "kept"}), state(1), broken])
        assert "SECRET" not in caught.value.message
        assert isinstance(caught.value, (InternalError, BadRecord))
    assert len(entities(backend, conf["indexing"]["collection"])) == 1


def test_bad_records_may_be_skipped(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """They are named in the log and counted in the state."""
    caplog.set_level(logging.INFO, "airbyte")
    conf = config(backend, processing={"text_fields": ["t"]}, advanced={"bad_records": "skip"})
    states = write(conf, TICKETS, [record({"t": "SECRET"}), record({"id": 1, "t": "good"}), state(1)])
    assert states[0]["destinationStats"] == {"recordCount": 1.0, "rejectedRecordCount": 1.0}
    assert any("Skipped a record" in message for message in caplog.messages)
    assert "SECRET" not in caplog.text
    assert len(entities(backend, conf["indexing"]["collection"])) == 1


def test_streams_that_would_collide_are_refused(backend: Backend) -> None:
    """`a` in namespace `b_c` and `c_a` in namespace `b` have one identifier."""
    both = catalog(stream("a", namespace="b_c"), stream("c_a", namespace="b"))
    with pytest.raises(ConfigError, match="b_c_a"):
        write(config(backend), both, [])
