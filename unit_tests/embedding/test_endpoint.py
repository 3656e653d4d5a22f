from __future__ import annotations

import logging
import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus.config.models import Advanced
from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.embedding.answers import Answer
from destination_milvus.embedding.endpoint import ALL_REFUSED, EmbeddingModel, EndpointEmbedder
from destination_milvus.embedding.failures import RequestRefused, Unavailable
from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.packing import RequestLimits
from destination_milvus.embedding.rates import UNTOLD, Allowance, Allowances, allowances
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import ConfigError, TransientError
from destination_milvus.model import Refusal, Vector
from destination_milvus.retries import Retries
from unit_tests.embedding.clock import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unit_tests.embedding.clock import Clock

QUICK = Retries(deadline=0.4, first_wait=0.001, longest_wait=0.02)
PATIENT = Retries(deadline=900, first_wait=0.001, longest_wait=0.02)


class Sender:
    """A service that embeds the number in a text, takes so many texts, and refuses some."""

    def __init__(self, poison: frozenset[str] = frozenset(), most_inputs: int = 10_000) -> None:
        self.poison = poison
        self.most_inputs = most_inputs
        self.sent: list[list[str]] = []
        self.failures: list[Exception] = []
        self.lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Answer:
        """One request."""
        with self.lock:
            self.sent.append(list(texts))
            if self.failures:
                raise self.failures.pop(0)
        if len(texts) > self.most_inputs or self.poison.intersection(texts):
            raise RequestRefused("the service rejects it (HTTP 400)")
        return Answer([vector(text) for text in texts], tokens=len(texts))

    def close(self) -> None:
        """Nothing is open."""


def vector(text: str) -> Vector:
    return array("f", [float(text)])


def texts(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def embedder(
    sender: Sender,
    limits: RequestLimits | None = None,
    tokens_per_minute: int | None = None,
    pace: Pace | None = None,
    retries: Retries = QUICK,
    concurrency: int = 1,
    connections: list[Sender] | None = None,
) -> EndpointEmbedder:
    limits = limits or RequestLimits(inputs=2048, tokens_per_input=100, tokens_per_request=300_000)
    model = EmbeddingModel("test:numbers:1", 1, 100, limits)
    advanced = Advanced(tokens_per_minute=tokens_per_minute, concurrency=concurrency)

    def connect() -> Sender:
        if connections is not None:
            connections.append(sender)
        return sender

    return EndpointEmbedder(model, connect, advanced, retries, pace or Pace(None, None))


def test_no_texts_make_no_request() -> None:
    sender = Sender()
    assert embedder(sender).embed([]) == []
    assert sender.sent == []


def test_texts_go_in_as_few_requests_as_the_limits_allow() -> None:
    sender = Sender()
    limits = RequestLimits(inputs=4, tokens_per_input=100, tokens_per_request=300_000)
    assert embedder(sender, limits).embed(texts(10)) == [vector(text) for text in texts(10)]
    assert [len(sent) for sent in sender.sent] == [4, 4, 2]


def test_a_text_that_is_too_long_is_refused_without_a_request() -> None:
    sender = Sender()
    refusal, kept = embedder(sender).embed(["1 " * 101, "7"])
    assert isinstance(refusal, Refusal)
    assert "at most 100" in refusal.reason
    assert kept == vector("7")
    assert sender.sent == [["7"]]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.sets(st.integers(1, 70)), st.integers(1, 20), st.sampled_from([1, 4]))
def test_exactly_the_texts_at_fault_are_refused(
    count: int, poisoned: set[int], most_inputs: int, concurrency: int
) -> None:
    sender = Sender(frozenset(map(str, poisoned)), most_inputs)
    tested = embedder(sender, concurrency=concurrency)
    assert tested.embed(["1000"]) == [vector("1000")]
    for text, result in zip(texts(count), tested.embed(texts(count)), strict=True):
        assert isinstance(result, Refusal) if text in sender.poison else result == vector(text)


def test_one_text_at_fault_costs_a_few_requests_and_no_text_is_embedded_twice() -> None:
    sender = Sender(frozenset({"77"}))
    embedder(sender).embed(texts(256))
    assert len(sender.sent) == 17
    accepted = [text for sent in sender.sent if "77" not in sent for text in sent]
    assert len(accepted) == len(set(accepted)) == 255


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_service_that_refuses_everything_is_given_up_after_a_few_texts(concurrency: int) -> None:
    """Without this a batch of 256 would cost 511 requests, and so would the next one."""
    sender = Sender(frozenset(texts(256)))
    with pytest.raises(ConfigError, match=r"None of the first 8 texts could be embedded: .*HTTP 400"):
        embedder(sender, concurrency=concurrency).embed(texts(256))
    assert len(sender.sent) < 8 * ALL_REFUSED


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_run_of_refused_texts_at_the_start_is_not_taken_for_everything(concurrency: int) -> None:
    """The halves are interleaved: the first texts that stand alone come from all over the batch."""
    sender = Sender(frozenset(texts(100)))
    results = embedder(sender, concurrency=concurrency).embed(texts(256))
    assert [isinstance(result, Refusal) for result in results] == [True] * 100 + [False] * 156


def test_a_service_that_takes_fewer_texts_is_remembered() -> None:
    sender = Sender(most_inputs=32)
    tested = embedder(sender)
    assert tested.embed(texts(256)) == [vector(text) for text in texts(256)]
    first = len(sender.sent)
    tested.embed(texts(256))
    assert [len(sent) for sent in sender.sent[first:]] == [32] * 8


def test_a_request_that_fails_and_recovers_is_repeated_as_it_was() -> None:
    sender = Sender()
    sender.failures = [Unavailable("Down."), Unavailable("Down.")]
    tested = embedder(sender)
    assert tested.embed(["1", "2"]) == [vector("1"), vector("2")]
    assert sender.sent == [["1", "2"]] * 3
    assert tested.usage == Usage(requests=3, texts=2, tokens=2)


def test_a_service_that_stays_down_is_an_error_that_may_pass() -> None:
    sender = Sender()
    sender.failures = [Unavailable("Acme failed (HTTP 503).")] * 10_000
    with pytest.raises(TransientError, match=r"Acme failed \(HTTP 503\)"):
        embedder(sender).embed(["1"])


def test_a_pause_that_the_service_asks_for_holds_back_the_other_threads() -> None:
    sender = Sender()
    sender.failures = [Unavailable("Busy.", wait=0.3)]
    tested = embedder(sender)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(tested.embed, ["1"])
        while not sender.sent:
            time.sleep(0.001)
        time.sleep(0.02)
        started = time.monotonic()
        assert tested.embed(["2"]) == [vector("2")]
        assert time.monotonic() - started > 0.2
        assert first.result() == [vector("1")]


def test_no_request_is_larger_than_the_ceiling_of_a_minute(clock: Clock) -> None:
    sender = Sender()
    embedder(sender, tokens_per_minute=5, pace=clock.pace(None, 5)).embed(texts(12))
    assert [len(sent) for sent in sender.sent] == [5, 5, 2]


def test_repetitions_count_against_the_ceiling_too(clock: Clock) -> None:
    sender = Sender()
    sender.failures = [Unavailable("Down.")]
    embedder(sender, pace=clock.pace(60, None)).embed(["1"])
    assert clock.time == pytest.approx(START + 1)


def test_requests_are_spaced_as_the_service_says_once_it_refuses_one(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The first refusal tells the rates; the log says so once."""
    caplog.set_level(logging.INFO, "airbyte")
    count_tokens("")  # loads the vocabulary, which takes longer than the deadline here
    sender = Sender()
    told = Allowances(Allowance(31, 0, 60), Allowance(601, 0, 60))
    sender.failures = [Unavailable("Busy.", wait=0.0, allowances=told) for _ in range(2)]
    tested = embedder(sender, pace=clock.pace(None, None), retries=PATIENT)
    for text in ("1", "2", "3"):
        tested.embed([text])
    # the refused attempt that knew the rates is not counted, and the two texts after it wait their time
    assert clock.time == pytest.approx(START + 4)
    said = [record.message for record in caplog.records if record.name == "airbyte.embedding"]
    assert len(said) == 1
    assert "limits this account to 30 requests and 600 tokens a minute" in said[0]


@pytest.mark.parametrize(
    "told",
    [
        {"limit-requests": "100", "remaining-requests": "0", "reset-requests": "1795824000"},
        {"limit-requests": "100", "remaining-requests": "99", "reset-requests": "59"},
        {"limit-requests": "1", "remaining-requests": "0", "reset-requests": "15m0s"},
    ],
    ids=["a Unix time", "a window with enough left", "the slowest that is believed"],
)
def test_one_refusal_never_stalls_a_sync(clock: Clock, told: dict[str, str]) -> None:
    """A hundred requests after it take minutes at the very worst, whatever its headers said."""
    sender = Sender()
    headers = {f"x-ratelimit-{name}": value for name, value in told.items()}
    sender.failures = [Unavailable("Busy.", wait=0.0, allowances=allowances(headers))]
    tested = embedder(sender, pace=clock.pace(None, None), retries=PATIENT)
    for text in texts(100):
        tested.embed([text])
    assert clock.time < START + 600


def test_a_rate_that_would_hold_a_request_beyond_the_deadline_ends_with_an_error_that_may_pass(clock: Clock) -> None:
    """Instead of standing still: the deadline for retries is that of learned rates too."""
    sender = Sender()
    told = Allowances(requests=Allowance(1, 0, 60))
    sender.failures = [Unavailable("Busy.", wait=0.0, allowances=told)]
    tested = embedder(sender, pace=clock.pace(None, None))
    tested.embed(["1"])
    with pytest.raises(TransientError, match=r"limits its rate so much.*run the sync again later"):
        tested.embed(["2"])
    assert clock.time == START


def test_where_a_service_names_no_pause_its_limits_tell_it(clock: Clock) -> None:
    """All threads wait until what is missing is back, then, if that was too early, until the limit is reset."""
    sender = Sender()
    told = Allowances(requests=Allowance(6001, 0, 60))
    sender.failures = [Unavailable("Busy.", allowances=told)]
    embedder(sender, pace=clock.pace(None, None), retries=PATIENT).embed(["1"])
    assert clock.time == pytest.approx(START + 0.01)


def test_a_refusal_without_limits_teaches_nothing(clock: Clock) -> None:
    """As Azure and Cohere send it: its pause is kept, and no rate learned."""
    sender = Sender()
    sender.failures = [Unavailable("Busy.", wait=0.01, allowances=UNTOLD)]
    tested = embedder(sender, pace=clock.pace(None, None), retries=PATIENT)
    for text in texts(10):
        tested.embed([text])
    assert clock.time == pytest.approx(START + 0.01)


def test_many_threads_get_their_own_vectors() -> None:
    sender = Sender()
    tested = embedder(sender)
    with ThreadPoolExecutor(16) as threads:
        batches = [[str(number), str(number + 1000)] for number in range(1, 200)]
        assert list(threads.map(tested.embed, batches)) == [[vector(a), vector(b)] for a, b in batches]
    assert tested.usage == Usage(requests=199, texts=398, tokens=398)
