"""The real model: these vectors are what the demo searches with."""

from __future__ import annotations

import gzip
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from destination_milvus.embedding.local import LocalEmbedder, load_session, load_tokenizer
from destination_milvus.embedding.packing import UNENCODABLE
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import InternalError
from destination_milvus.model import Refusal, Vector

TICKET = "I cannot log in to my account since yesterday, the password is rejected."
PARAPHRASE = "My password stopped working and I am locked out of my profile."
UNRELATED = "The invoice of March shows the wrong shipping address."


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder()


def embed(embedder: LocalEmbedder, text: str) -> Vector:
    (vector,) = embedder.embed([text])
    assert not isinstance(vector, Refusal)
    return vector


def similarity(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_it_says_what_it_is(local: LocalEmbedder) -> None:
    assert (local.identity, local.dimensions, local.max_tokens) == ("local:all-MiniLM-L6-v2:384", 384, 256)


def test_no_texts_make_no_vectors(local: LocalEmbedder) -> None:
    assert local.embed([]) == []


@pytest.mark.parametrize("text", [TICKET, "x", " ", "語", "<|endoftext|>", "[CLS] [SEP]", "word " * 3000, "\x00"])
def test_every_vector_has_384_dimensions_and_length_one(local: LocalEmbedder, text: str) -> None:
    vector = embed(local, text)
    assert len(vector) == 384
    assert math.sqrt(similarity(vector, vector)) == pytest.approx(1, abs=1e-5)


def test_a_paraphrase_is_nearer_than_another_topic(local: LocalEmbedder) -> None:
    ticket, paraphrase, unrelated = (embed(local, text) for text in (TICKET, PARAPHRASE, UNRELATED))
    assert similarity(ticket, paraphrase) > similarity(ticket, unrelated) + 0.3


def test_similarities_are_those_of_the_published_model(local: LocalEmbedder) -> None:
    """From the model card of sentence-transformers/all-MiniLM-L6-v2: weather 0.6660, stadium 0.1046."""
    weather, sunny, stadium = (
        embed(local, text)
        for text in ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    )
    assert similarity(weather, sunny) == pytest.approx(0.666, abs=0.02)
    assert similarity(weather, stadium) == pytest.approx(0.1046, abs=0.02)


def test_a_vector_does_not_depend_on_its_batch_mates(local: LocalEmbedder) -> None:
    alone = embed(local, TICKET)
    among = local.embed([UNRELATED, "word " * 500, TICKET, "x"])
    assert among[2] == alone
    assert local.embed([TICKET] * 5) == [alone] * 5


def test_order_is_kept_when_several_threads_embed(local: LocalEmbedder) -> None:
    texts = [f"ticket number {number}" for number in range(24)]
    expected = [embed(local, text) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        batches = [texts[start : start + 6] for start in range(0, 24, 6)]
        assert [vector for batch in threads.map(local.embed, batches) for vector in batch] == expected


def test_what_is_beyond_256_wordpieces_does_not_count(local: LocalEmbedder) -> None:
    assert embed(local, "word " * 254) == embed(local, "word " * 254 + "password invoice")
    assert embed(local, "word " * 253) != embed(local, "word " * 253 + "password invoice")


def test_a_text_that_is_no_unicode_is_refused_and_its_neighbour_is_not(local: LocalEmbedder) -> None:
    assert local.embed(["half \ud83d", TICKET]) == [UNENCODABLE, embed(local, TICKET)]


def test_usage_counts_texts_and_wordpieces() -> None:
    embedder = LocalEmbedder()
    embedder.embed(["hello world", "hello"])
    assert embedder.usage == Usage(requests=0, texts=2, tokens=7)


@pytest.mark.parametrize("packed", [b"", b"no gzip", gzip.compress(b"{}", mtime=0), gzip.compress(b"{}", mtime=0)[:-9]])
def test_a_damaged_tokenizer_is_not_used(packed: bytes) -> None:
    with pytest.raises(InternalError, match="reinstall"):
        load_tokenizer(packed)


def test_damaged_weights_are_not_used() -> None:
    """Onnxruntime would load some of them, and make other vectors."""
    with pytest.raises(InternalError, match="reinstall"):
        load_session(b"no model")
