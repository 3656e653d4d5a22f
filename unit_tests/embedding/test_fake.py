from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.embedding.usage import Usage
from destination_milvus.model import Refusal

TEXTS = st.text(alphabet=st.one_of(st.sampled_from('a _"\\'), st.characters()), min_size=1)


@given(TEXTS)
def test_equal_texts_have_equal_vectors_of_length_one(text: str) -> None:
    (vector,) = FakeEmbedder().embed([text])
    assert FakeEmbedder().embed(["something else", text])[1] == vector
    assert not isinstance(vector, Refusal)
    assert len(vector) == FakeEmbedder().dimensions == 1536
    assert math.hypot(*vector) == 1.0


@given(TEXTS, TEXTS)
def test_different_texts_have_different_vectors(one: str, other: str) -> None:
    first, second = FakeEmbedder().embed([one, other])
    assert (first == second) == (one == other)


def test_changing_one_vector_changes_no_other() -> None:
    embedder = FakeEmbedder()
    (spoiled,) = embedder.embed(["a"])
    assert not isinstance(spoiled, Refusal)
    spoiled[0] = 99.0
    assert embedder.embed(["a"]) != [spoiled]


def test_usage_counts_every_call_as_a_request() -> None:
    embedder = FakeEmbedder()
    embedder.embed(["a", "b"])
    embedder.embed([])
    assert embedder.usage == Usage(requests=1, texts=2)
