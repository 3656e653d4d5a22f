"""An embedder over a service: measure, pack, pace, send, try again, and find the text for which a request is refused.

What differs between services is how a request is sent. Everything that makes sending safe is here, once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.embedding.answers import Answer
from destination_milvus.embedding.failures import RequestRefused, Unavailable
from destination_milvus.embedding.pace import Pace
from destination_milvus.embedding.packing import Piece, RequestLimits, measure, pack
from destination_milvus.embedding.usage import Meter, Usage
from destination_milvus.errors import ConfigError
from destination_milvus.model import Refusal, Vector
from destination_milvus.retries import Retries, with_retries

if TYPE_CHECKING:
    from destination_milvus.config.models import Advanced

logger = logging.getLogger("airbyte.embedding")


class Sender(Protocol):
    """Connections to a service."""

    def __call__(self, texts: Sequence[str]) -> Answer:
        """One request. Raises Unavailable, RequestRefused or ConfigError, and no foreign exception."""

    def close(self) -> None:
        """Close them."""


Results: TypeAlias = "dict[int, Vector | Refusal]"
"""By the position of the text."""

ALL_REFUSED = 8
"""So many texts refused one by one, and none ever accepted: it is not the texts."""

SMALLEST_LEARNED_BATCH = 8
"""Requests are not made smaller than this for good: a single odd refusal would slow down the whole sync."""

SMALLEST_SHARE = 8
"""Texts of a request that is made smaller than it need be: a service takes about as long for fewer."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A model as a service offers it."""

    identity: str
    dimensions: int
    max_tokens: int
    limits: RequestLimits


class EndpointEmbedder:
    """Embeds through a service; an `Embedder`."""

    __slots__ = (
        "_accepted",
        "_concurrency",
        "_connect",
        "_inputs",
        "_lock",
        "_meter",
        "_model",
        "_pace",
        "_refused",
        "_retries",
        "_searching",
        "_sender",
        "_side_by_side",
        "_slots",
        "_tokens_per_minute",
        "_under_way",
    )

    def __init__(
        self,
        model: EmbeddingModel,
        connect: Callable[[], Sender],
        advanced: Advanced,
        retries: Retries,
        pace: Pace | None = None,
    ) -> None:
        """Embed with a model through the connections that `connect` makes, once something is to be embedded."""
        self._model = model
        self._connect = connect
        self._lock = threading.Lock()
        self._sender: Sender | None = None
        self._concurrency = advanced.concurrency
        self._slots = ThreadPoolExecutor(advanced.concurrency, thread_name_prefix="embedding")
        self._under_way = 0
        # whether batches have come side by side: then they fill the slots by themselves, also where all of them have
        # ended at the same moment and the next one finds the service idle
        self._side_by_side = False
        self._tokens_per_minute = advanced.tokens_per_minute
        self._pace = pace or Pace(advanced.requests_per_minute, advanced.tokens_per_minute)
        self._retries = retries
        self._meter = Meter()
        # What all threads learn about the service. Without a lock: to lose an update costs a request.
        self._inputs = model.limits.inputs
        self._accepted = False
        self._refused = 0
        self._searching = threading.RLock()

    @property
    def identity(self) -> str:
        """Provider, model and dimension."""
        return self._model.identity

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        """Most tokens that the model reads of one text."""
        return self._model.max_tokens

    @property
    def chunk_tokens(self) -> int:
        """As `MeteredEmbedder.chunk_tokens`."""
        return self.max_tokens

    @property
    def usage(self) -> Usage:
        """What was sent so far."""
        return self._meter.total

    def close(self) -> None:
        """Close the connections to the service."""
        self._slots.shutdown(wait=False, cancel_futures=True)
        if self._sender is not None:
            self._sender.close()

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector a text, in order; in as few requests as the service's limits allow, or side by side if it idles.

        Raises:
            ConfigError: the account, the key, the model or the quota stands in the way.
            TransientError: the service failed until the deadline for retries.
        """
        exact = self._tokens_per_minute is not None
        measured = measure(texts, self._model.limits, count_tokens, exact=exact)
        results: Results = {position: size for position, size in enumerate(measured) if isinstance(size, Refusal)}
        requests = self._submit([size for size in measured if isinstance(size, Piece)])
        try:
            for request in requests:
                results |= request.result()
        except BaseException:
            self._ended(sum(request.cancel() for request in requests))  # of no use to anybody once one has failed
            raise
        return [results[position] for position in range(len(texts))]

    def _submit(self, pieces: Sequence[Piece]) -> list[Future[Results]]:
        """Requests for the pieces, which run side by side as far as `concurrency` allows."""
        batches = list(pack(pieces, self._inputs, self._tokens_per_request()))
        with self._lock:
            self._side_by_side |= self._under_way > 0
            if not (self._side_by_side or self._pace.limits_requests):
                batches = [share for batch in batches for share in _shares(batch, self._concurrency // len(batches))]
            self._under_way += len(batches)
        return [self._slots.submit(self._run, batch) for batch in batches]

    def _run(self, batch: Sequence[Piece]) -> Results:
        try:
            return self._divide(batch)
        finally:
            self._ended(1)

    def _ended(self, requests: int) -> None:
        with self._lock:
            self._under_way -= requests

    def _tokens_per_request(self) -> int:
        """No request may be larger than the ceiling of a whole minute: no pause would make it fit."""
        most = self._model.limits.tokens_per_request
        return most if self._tokens_per_minute is None else min(most, self._tokens_per_minute)

    def _divide(self, batch: Sequence[Piece]) -> Results:
        """Send a batch; where it is refused, its halves, until the texts at fault stand alone."""
        if len(batch) > self._inputs:
            return self._halves(batch)
        try:
            answer = self._request(batch)
        except RequestRefused as refused:
            return self._search(batch, refused)
        self._accepted = True
        return {piece.position: vector for piece, vector in zip(batch, answer.vectors, strict=True)}

    def _search(self, batch: Sequence[Piece], refused: RequestRefused) -> Results:
        if len(batch) == 1:
            return {batch[0].position: self._refuse(refused)}
        # one after the other until a text is accepted: the first ones at fault of several batches would look like all
        with nullcontext() if self._accepted else self._searching:
            results = self._halves(batch)
        if not any(isinstance(result, Refusal) for result in results.values()):
            self._learn(len(batch))
        return results

    def _halves(self, batch: Sequence[Piece]) -> Results:
        """Every other text, then the others: the first few that end up alone come from all over the batch."""
        return self._divide(batch[::2]) | self._divide(batch[1::2])

    def _learn(self, refused_size: int) -> None:
        """Refused as a whole and accepted in halves: the service takes fewer texts than it was sent."""
        if refused_size > SMALLEST_LEARNED_BATCH:
            self._inputs = min(self._inputs, max(refused_size // 2, SMALLEST_LEARNED_BATCH))

    def _refuse(self, refused: RequestRefused) -> Refusal:
        self._refused += 1
        if self._refused >= ALL_REFUSED and not self._accepted:
            raise ConfigError(
                f"None of the first {self._refused} texts could be embedded: {refused.reason}. "
                "Check the embedding model and its dimensions, and processing.chunk_size against its limit."
            ) from refused
        return Refusal(refused.reason)

    def _request(self, batch: Sequence[Piece]) -> Answer:
        texts = [piece.text for piece in batch]
        turns = [self._wait(texts, self._retries.deadline)]
        ends = time.monotonic() + self._retries.deadline
        answer = with_retries(
            lambda: self._attempt(texts, turns),
            self._retries,
            lambda: turns.append(self._wait(texts, ends - time.monotonic())),
        )
        self._meter.add(texts=len(texts), tokens=answer.tokens)
        return answer

    def _wait(self, texts: Sequence[str], patience: float) -> int:
        return self._pace.wait(_tokens(texts) if self._pace.counts_tokens else 0, patience)

    def _connected(self) -> Sender:
        """The connections, made once something is to be sent: that imports what a sync may never need."""
        with self._lock:
            if self._sender is None:
                self._sender = self._connect()
            return self._sender

    def _attempt(self, texts: Sequence[str], turns: Sequence[int]) -> Answer:
        self._meter.add(requests=1)
        try:
            return self._connected()(texts)
        except Unavailable as error:
            told = error.allowances
            tokens = _tokens(texts) if told.tokens else 0
            rates = told.rates(tokens)
            if self._pace.learn(rates):
                logger.info(
                    "The embedding service limits this account to %s a minute: requests are spaced accordingly.",
                    rates.a_minute(),
                )
            if error.wait is None:
                error.wait = told.wait(tokens, again=len(turns) > 1)
            # the others would only meet the same limit; a pause beyond the deadline ends in an error instead
            if error.wait is not None and error.wait <= self._retries.deadline:
                self._pace.refused(turns[-1], error.wait)
            raise


def _shares(batch: list[Piece], slots: int) -> list[list[Piece]]:
    """A batch divided among idle slots: a service that computes takes its time for each text."""
    count = max(1, min(slots, len(batch) // SMALLEST_SHARE))
    return [batch[first::count] for first in range(count)]


def _tokens(texts: Sequence[str]) -> int:
    return sum(map(count_tokens, texts))
