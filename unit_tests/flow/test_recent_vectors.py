from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from destination_milvus.errors import TransientError
from destination_milvus.flow.recent_vectors import RecentVectors
from destination_milvus.model import Refusal
from unit_tests.fakes import CountingEmbedder, vector_of

A_VECTOR = len(vector_of("a")) * vector_of("a").itemsize


def named(*texts: str) -> dict[str, str]:
    return {f"hash of {text}": text for text in texts}


def test_a_text_that_comes_again_is_not_embedded_again() -> None:
    recent, embedder = RecentVectors(), CountingEmbedder()
    assert recent.embed(named("a", "b"), embedder)[1] == 2
    answers, asked_for = recent.embed(named("c", "b"), embedder)
    assert answers == {f"hash of {text}": vector_of(text) for text in "bc"}
    assert asked_for == 1
    assert embedder.texts == ["a", "b", "c"]


def test_a_refusal_is_remembered_too() -> None:
    recent, embedder = RecentVectors(), CountingEmbedder(refused=frozenset({"no"}))
    for _ in range(2):
        answers, _ = recent.embed(named("no"), embedder)
        assert isinstance(answers["hash of no"], Refusal)
    assert embedder.texts == ["no"]


def test_only_the_vectors_that_were_used_last_are_kept() -> None:
    """Room for two: what was asked for again outlives what was not."""
    recent, embedder = RecentVectors(2 * A_VECTOR), CountingEmbedder()
    for text in ("a", "b", "a", "c", "a", "b"):
        recent.embed(named(text), embedder)
    assert embedder.texts == ["a", "b", "c", "b"]


def test_a_text_that_another_batch_is_embedding_is_waited_for() -> None:
    """The second batch asks for what is its own, and takes the rest from the first."""
    started, go_on = threading.Event(), threading.Event()

    def hold(texts: Sequence[str]) -> None:
        if "a" in texts:
            started.set()
            assert go_on.wait(10)

    recent, embedder = RecentVectors(), CountingEmbedder(before=hold)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(recent.embed, named("a", "b"), embedder)
        assert started.wait(10)
        second = threads.submit(recent.embed, named("b", "c"), embedder)
        while "c" not in embedder.texts:
            assert not second.done()
        go_on.set()
        assert first.result()[1] == 2
        assert second.result() == ({f"hash of {text}": vector_of(text) for text in "bc"}, 1)


def test_batches_that_wait_for_each_other_do_not_stand_still() -> None:
    recent, embedder = RecentVectors(0), CountingEmbedder()
    batches = [named(*(str((start + step) % 7) for step in range(4))) for start in range(200)]
    with ThreadPoolExecutor(8) as threads:
        for batch, (answers, _) in zip(
            batches, threads.map(lambda batch: recent.embed(batch, embedder), batches), strict=True
        ):
            assert answers == {text_hash: vector_of(text) for text_hash, text in batch.items()}


def test_a_failure_reaches_all_who_wait_and_the_next_attempt_asks_again() -> None:
    started, go_on = threading.Event(), threading.Event()

    def fail(_: Sequence[str]) -> None:
        started.set()
        assert go_on.wait(10)
        raise TransientError("away")

    recent = RecentVectors()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(recent.embed, named("a"), CountingEmbedder(before=fail))
        assert started.wait(10)
        second = threads.submit(recent.embed, named("a", "b"), CountingEmbedder(before=lambda _: go_on.set()))
        for failed in (first, second):
            with pytest.raises(TransientError, match="away"):
                failed.result()
    assert recent.embed(named("a"), CountingEmbedder())[1] == 1
