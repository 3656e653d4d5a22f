"""A collection opened by `milvus.reader`, as the connector, the support form and applications open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from destination_milvus.config.models import Config, parse_config
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.errors import CollectionMissing, ConfigError, InternalError, ModelMismatch
from destination_milvus.fields import FINGERPRINT, STREAM
from destination_milvus.milvus.errors import own_words
from destination_milvus.milvus.filters import equals, is_in
from destination_milvus.milvus.reader import Fusion, open_reader
from destination_milvus.milvus.survey import StreamContents, sample, stream_contents, streams
from devtools.backends import SHORT_CHUNKS, Backend, config, make_auto_id_collection
from devtools.connector import catalog, record, state, status, stream, write

TICKETS = catalog(stream("tickets", "append_dedup", primary_key=[["id"]]))
HOSTILE = 'x" or 1 == 1 or "'


@pytest.fixture
def filled(backend: Backend) -> Iterator[tuple[Config, MeteredEmbedder]]:
    """A collection of three tickets, and the model that it was filled with."""
    raw: dict[str, Any] = config(backend)
    tickets = [{"id": 1, "subject": "Printer"}, {"id": 2, "subject": "Phone"}, {"id": 3, "subject": HOSTILE}]
    write(raw, TICKETS, [*map(record, tickets), state(1)])
    backend.release()
    parsed = parse_config(raw)
    with closing(create_embedder(parsed.embedding, parsed.advanced)) as embedder:
        yield parsed, embedder


def test_rows_are_found_by_vector_and_by_filter(filled: tuple[Config, MeteredEmbedder]) -> None:
    """The nearest first, with the fields that were asked for; a value with quotes is one value."""
    parsed, embedder = filled
    [vector] = embedder.embed(["id: 2\n\nsubject: Phone"])
    with open_reader(parsed, embedder) as reader:
        assert reader.collection.embedding_model == embedder.identity
        first, *_ = reader.search(vector, filter=equals(STREAM, "tickets"), fields=["subject"], limit=3)
        assert (first.entity["subject"], round(first.score, 3)) == ("Phone", 1)
        assert reader.search(vector, filter=equals("id", 7)) == []
        found = reader.query(is_in("subject", [HOSTILE, "no such subject"]), ["id"])
        assert [row["id"] for row in found] == [3]
        assert len(reader.query(equals(STREAM, "tickets"), ["id"], limit=2)) == 2


def test_the_database_is_free_afterwards(filled: tuple[Config, MeteredEmbedder], backend: Backend) -> None:
    """Milvus Lite serves one process at a time: who has read lets go of it, and a sync can begin."""
    parsed, embedder = filled
    with open_reader(parsed, embedder):
        pass
    raw = {**config(backend), "indexing": parsed.indexing.model_dump(mode="json", exclude_none=True)}
    write(raw, TICKETS, [record({"id": 4, "subject": "Screen"}), state(1)])


def test_words_need_a_collection_with_full_text_search(filled: tuple[Config, MeteredEmbedder]) -> None:
    """The sentence names the option, alone and in a hybrid search."""
    parsed, embedder = filled
    [vector] = embedder.embed(["Phone"])
    with open_reader(parsed, embedder) as reader:
        with pytest.raises(ConfigError, match=r"indexing\.full_text_search"):
            reader.search_words("Phone")
        with pytest.raises(ConfigError, match=r"indexing\.full_text_search"):
            reader.search_both(vector, "Phone", fusion=Fusion(vector_weight=3))


def test_a_filter_that_is_none_is_an_error_in_a_sentence(filled: tuple[Config, MeteredEmbedder]) -> None:
    """Milvus' own words are not repeated: they quote the filter."""
    parsed, embedder = filled
    with open_reader(parsed, embedder) as reader, pytest.raises(InternalError, match="refused a request") as error:
        reader.query("subject === PLANTED", ["id"])
    assert "PLANTED" not in error.value.message
    assert own_words(error.value)


def test_what_is_there_is_counted_paged_and_described(backend: Backend) -> None:
    """Streams, records, chunks, generations, an interrupted record; pages without gaps; samples; indexes."""
    raw = config(backend, processing=SHORT_CHUNKS)
    numbers = range(23)
    lines = [record({"id": number, "body": "one two three\nfour five six"}) for number in numbers]
    lines += [record({"id": number, "body": "one"}, "articles") for number in range(5)]
    numbered = {"generation_id": 7, "minimum_generation_id": 0}
    deduped = {"primary_key": [["id"]]}
    tickets_and_articles = catalog(
        stream("tickets", "append_dedup", **deduped, **numbered), stream("articles", "append_dedup", **deduped)
    )
    done = [status("COMPLETE", "tickets"), status("COMPLETE", "articles")]
    write(raw, tickets_and_articles, [*lines, state(1), *done])
    with backend.client() as client:
        name = raw["indexing"]["collection"]
        client.load_collection(name, timeout=60)
        [head] = client.query(
            name, filter='_ab_record_id == "articles_3"', output_fields=["*"], consistency_level="Strong"
        )
        client.upsert(name, [{**head, FINGERPRINT: ""}])  # as a sync leaves it that was killed
    with open_reader(parse_config(raw), None) as reader:
        assert streams(reader) == ["articles", "tickets"]
        assert stream_contents(reader, "articles") == StreamContents("articles", 5, 5, 1, [0])
        assert stream_contents(reader, "tickets") == StreamContents("tickets", 46, 23, 0, [7])
        assert stream_contents(reader, "none") == StreamContents("none", 0, 0, 0, [])
        assert reader.count() == 51
        tickets = equals(STREAM, "tickets")
        pages = [reader.query(tickets, ["pk"], limit=20, offset=offset) for offset in (0, 20, 40, 60)]
        assert [len(page) for page in pages] == [20, 20, 6, 0]
        assert len({row["pk"] for page in pages for row in page}) == 46
        assert reader.distinct("id", filter=tickets, limit=9) == sorted(reader.distinct("id", filter=tickets, limit=9))
        assert len(reader.distinct("id", filter=tickets, limit=9)) == 9
        assert reader.distinct("id", filter=tickets) == list(numbers)
        assert reader.distinct("no_such_field") == []
        some = sample(reader, ["pk", "vector"], 12, filter=tickets)
        assert 6 <= len(some) <= 12
        assert len(some[0]["vector"]) == reader.collection.dimensions
        assert [row["pk"] for row in some] == [row["pk"] for row in sample(reader, ["pk"], 12, filter=tickets)]
        assert len(sample(reader, ["pk"], 1000)) == 51
        [index] = [index for index in reader.indexes() if index.field == "vector"]
        assert index.metric == "COSINE"
        assert index.type


def test_rows_of_another_program_have_no_numbers(backend: Backend, collection: str) -> None:
    """A collection that Airbyte's connector filled is read; how many records there are, nothing in it tells."""
    make_auto_id_collection(backend, collection, FakeEmbedder().dimensions)
    texts = ["one", "two", "three"]
    rows = [
        {STREAM: "tickets", "_ab_record_id": f"tickets_{number}", "text": text, "vector": vector}
        for number, (text, vector) in enumerate(zip(texts, FakeEmbedder().embed(texts), strict=True))
    ]
    with backend.client() as client:
        client.insert(collection, rows, timeout=60)
    with open_reader(parse_config(config(backend, indexing={"collection": collection})), None) as reader:
        assert streams(reader) == ["tickets"]
        assert stream_contents(reader, "tickets") == StreamContents("tickets", 3, None, 0, [])
        assert len(sample(reader, ["text"], 2)) == 2


def test_a_collection_that_is_missing_or_of_another_model_is_not_opened(
    filled: tuple[Config, MeteredEmbedder],
) -> None:
    """Each has an error of its own, so that an application can tell them apart."""
    parsed, embedder = filled
    indexing = parsed.indexing.model_copy(update={"collection": "other"})
    missing = parsed.model_copy(update={"indexing": indexing})
    with pytest.raises(CollectionMissing, match='has no collection "other"'), open_reader(missing, embedder):
        pass
    other = create_embedder(parse_config(OTHER_MODEL).embedding, parsed.advanced)
    with pytest.raises(ModelMismatch, match="holds vectors of the model"), open_reader(parsed, other):
        pass


OTHER_MODEL = {
    "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 1536},
    "processing": {"chunk_size": 1000},
    "indexing": {"host": "h", "collection": "c", "auth": {"mode": "no_auth"}},
}
