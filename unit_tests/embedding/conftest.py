"""A service that speaks OpenAI's embedding API behind the real client: it stores what it got and fails on request."""

from __future__ import annotations

import base64
import struct
import threading
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import httpx2
import orjson
import pytest

from destination_milvus.config.models import Advanced
from destination_milvus.retries import Retries
from unit_tests.embedding.clock import Clock

Reply = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class EmbeddingService:
    """Answers with vectors that depend on the text alone."""

    dimensions: int = 1536
    model: str = "text-embedding-3-small"
    encoding: str | None = None
    """What it answers in; None for what was asked."""
    backwards: bool = False
    poison: frozenset[str] = frozenset()
    """Texts that make it refuse a whole request."""
    most_inputs: int = 2048
    next_replies: list[Reply] = field(default_factory=list)
    """Sent instead of vectors, in this order, before it recovers."""
    always: Reply | None = None
    requests: list[httpx2.Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        with self.lock:
            self.requests.append(request)
            reply = self.next_replies.pop(0) if self.next_replies else self.always
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            return reply(request)
        return reply if reply is not None else self.embed(request)

    def embed(self, request: httpx2.Request) -> httpx2.Response:
        """The regular answer, or a refusal."""
        body = orjson.loads(request.content)
        texts = body["input"]
        if len(texts) > self.most_inputs:
            return httpx2.Response(422, json={"error": f"batch size {len(texts)} > {self.most_inputs}"})
        if self.poison.intersection(texts):
            return self.error(400, "This input is not allowed.", code="invalid_input", param="input")
        items = [
            {
                "object": "embedding",
                "index": index,
                "embedding": self.encoded(text, body.get("encoding_format", "float")),
            }
            for index, text in enumerate(texts)
        ]
        return self.answer(items[::-1] if self.backwards else items)

    def answer(self, items: list[dict[str, Any]]) -> httpx2.Response:
        """An answer around these items."""
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return httpx2.Response(
            200, content=orjson.dumps({"object": "list", "data": items, "model": self.model, "usage": usage})
        )

    def vector(self, text: str) -> array[float]:
        """The vector of a text: everybody can work out what is expected."""
        seed = blake2b(text.encode(), digest_size=8).digest()
        return array("f", [1 + byte / 256 for byte in seed] + [0.5] * (self.dimensions - len(seed)))

    def encoded(self, text: str, asked: str) -> object:
        """A vector as the answer carries it."""
        vector = self.vector(text)
        if (self.encoding or asked) == "float":
            return list(vector)
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

    @staticmethod
    def error(
        status: int,
        message: str = "",
        *,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """An error as OpenAI words it."""
        error = {"message": message, "type": "some_error", "param": param, "code": code}
        return httpx2.Response(status, json={"error": error}, headers=headers)

    def inputs(self) -> list[list[str]]:
        """The texts of every request."""
        return [orjson.loads(request.content)["input"] for request in self.requests]


@pytest.fixture
def service() -> EmbeddingService:
    """A healthy service."""
    return EmbeddingService()


@pytest.fixture
def http_client(service: EmbeddingService) -> Iterator[httpx2.Client]:
    """The connection to the service."""
    with httpx2.Client(transport=httpx2.MockTransport(service)) as client:
        yield client


@pytest.fixture
def advanced() -> Advanced:
    """No ceilings; one request after the other, so that each is as large as may be."""
    return Advanced(concurrency=1)


@pytest.fixture
def quick() -> Retries:
    """Retries that a test can wait for."""
    return Retries(deadline=0.2, first_wait=0.001, longest_wait=0.02)


@pytest.fixture
def clock() -> Clock:
    """Time that passes only where a pace waits."""
    return Clock()
