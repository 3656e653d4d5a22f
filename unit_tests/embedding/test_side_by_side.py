"""Requests side by side: how a batch is divided among the slots that `concurrency` gives, and when it is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from destination_milvus.embedding.endpoint import SMALLEST_SHARE
from destination_milvus.embedding.failures import Unavailable
from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.packing import RequestLimits
from destination_milvus.embedding.rates import Rates
from destination_milvus.errors import TransientError
from unit_tests.embedding.test_endpoint import Sender, embedder, texts, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.embedding.answers import Answer

SECONDS = 10.0
"""Long enough for any thread to come."""


class Meeting(Sender):
    """Answers a request once so many are there at the same time; notes how many were there at most."""

    def __init__(self, expected: int = 1) -> None:
        super().__init__()
        self.barrier = threading.Barrier(expected)
        self.there = self.most = 0

    def __call__(self, texts: Sequence[str]) -> Answer:
        """One request."""
        with self.lock:
            self.there += 1
            self.most = max(self.most, self.there)
        self.barrier.wait(SECONDS)
        with self.lock:
            self.there -= 1
        return super().__call__(texts)


def sizes(sender: Sender) -> list[int]:
    return sorted(map(len, sender.sent))


def test_a_batch_is_divided_among_idle_slots() -> None:
    sender = Meeting(expected=8)
    assert embedder(sender, concurrency=8).embed(texts(190)) == [vector(text) for text in texts(190)]
    assert sizes(sender) == [23, 23, 24, 24, 24, 24, 24, 24]


def test_a_batch_that_is_many_requests_to_the_service_is_sent_side_by_side() -> None:
    sender = Meeting(expected=4)
    limits = RequestLimits(inputs=10, tokens_per_input=100, tokens_per_request=300_000)
    assert embedder(sender, limits, concurrency=4).embed(texts(120)) == [vector(text) for text in texts(120)]
    assert sizes(sender) == [10] * 12
    assert sender.most == 4


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (SMALLEST_SHARE, 1), (2 * SMALLEST_SHARE, 2)])
def test_a_few_texts_stay_together(count: int, requests: int) -> None:
    sender = Sender()
    embedder(sender, concurrency=8).embed(texts(count))
    assert len(sender.sent) == requests


def test_batches_of_several_threads_share_the_slots() -> None:
    """The first one finds the service idle and is divided, the others are not; never more than the slots at once."""
    sender = Meeting()
    tested = embedder(sender, concurrency=4)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(tested.embed, [texts(64)] * 16))
    assert answers == [[vector(text) for text in texts(64)]] * 16
    assert sender.most <= 4


def test_nothing_is_divided_while_another_request_is_under_way() -> None:
    sender = Meeting(expected=2)
    tested = embedder(sender, concurrency=8)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(tested.embed, ["7"])
        while not sender.there:
            pass
        tested.embed(texts(100))
        assert first.result() == [vector("7")]
    assert sizes(sender) == [1, 100]
    # batches that began together may end together: the next one finds the service idle, and has company on its way
    sender.barrier = threading.Barrier(1)
    tested.embed(texts(100))
    assert sizes(sender) == [1, 100, 100]


def test_a_configured_limit_on_requests_keeps_a_batch_together() -> None:
    sender = Sender()
    embedder(sender, pace=Pace(100_000, None), concurrency=8).embed(texts(100))
    assert sizes(sender) == [100]


def test_a_ceiling_of_tokens_alone_does_not() -> None:
    sender = Sender()
    embedder(sender, pace=Pace(None, 10**9), concurrency=8).embed(texts(80))
    assert sizes(sender) == [10] * 8


def test_a_learned_limit_on_requests_keeps_a_batch_together() -> None:
    sender, pace = Sender(), Pace(None, None)
    tested = embedder(sender, pace=pace, concurrency=8)
    pace.learn(Rates(seconds_per_request=0.001))
    tested.embed(texts(100))
    assert sizes(sender) == [100]


def test_a_service_that_has_asked_for_a_pause_gets_no_more_requests_than_there_need_be() -> None:
    sender = Sender()
    tested = embedder(sender, concurrency=8)
    sender.failures = [Unavailable("Busy.", wait=0.01)]
    tested.embed(["1"])
    tested.embed(texts(100))
    assert sizes(sender) == [1, 1, 100]


def test_once_a_request_has_failed_the_others_of_its_batch_are_not_begun() -> None:
    sender = Sender()
    sender.failures = [Unavailable("Acme failed (HTTP 503).")] * 10_000
    limits = RequestLimits(inputs=1, tokens_per_input=100, tokens_per_request=300_000)
    tested = embedder(sender, limits, concurrency=2)
    with pytest.raises(TransientError, match=r"HTTP 503"):
        tested.embed(texts(100))
    assert len({text for sent in sender.sent for text in sent}) < 10
    sender.failures = []
    assert tested.embed(texts(3)) == [vector(text) for text in texts(3)]


def test_the_service_is_connected_to_once_something_is_to_be_embedded() -> None:
    connections: list[Sender] = []
    tested = embedder(Sender(), concurrency=8, connections=connections)
    tested.embed([])
    assert connections == []
    tested.embed(texts(100))
    tested.embed(texts(100))
    assert len(connections) == 1
