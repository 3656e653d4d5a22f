"""The real clients against real sockets that misbehave: what no mock transport shows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from destination_milvus.config.embedding import OpenAICompatibleEmbedding
from destination_milvus.config.models import Advanced
from destination_milvus.embedding.openai_api import compatible_embedder
from destination_milvus.errors import TransientError
from destination_milvus.retries import Retries

BODY = b'{"data": [{"index": 0, "embedding": [1.0, 2.0]}], "model": "m", "usage": {"total_tokens": 1}}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
    BODY
)

Conversation = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)


def answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(HEAD + BODY)


def half_a_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(HEAD + BODY[: len(BODY) // 2])


def hang_up(connection: socket.socket) -> None:
    read_request(connection)


def hang_up_at_once(_: socket.socket) -> None:
    pass


def no_http(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


def fall_silent(connection: socket.socket) -> None:
    read_request(connection)
    time.sleep(0.6)


def fall_silent_in_the_middle(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(HEAD + BODY[:10])
    time.sleep(0.6)


@contextmanager
def server(*conversations: Conversation) -> Iterator[str]:
    """One connection for each conversation, then answers; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, [*conversations, *[answer] * 10]), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def serve(listener: socket.socket, conversations: list[Conversation]) -> None:
    for conversation in conversations:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            conversation(connection)


@pytest.fixture
def make() -> Iterator[Any]:
    """An embedder of two dimensions for an address, with timeouts that a test can wait for."""
    with httpx2.Client(timeout=httpx2.Timeout(0.2), trust_env=False) as client:

        def embedder(address: str, deadline: float = 5.0) -> Any:
            embedding = OpenAICompatibleEmbedding(api_key=SecretStr(""), base_url=address, model_name="m", dimensions=2)
            retries = Retries(deadline, first_wait=0.01, longest_wait=0.05)
            return compatible_embedder(embedding, Advanced(), retries, client)

        yield embedder


@pytest.mark.parametrize(
    "failing",
    [half_a_body, hang_up, hang_up_at_once, no_http, fall_silent, fall_silent_in_the_middle],
)
def test_a_connection_that_fails_once_does_no_harm(make: Any, failing: Conversation) -> None:
    with server(failing) as address:
        embedder = make(address)
        (vector,) = embedder.embed(["text"])
    assert list(vector) == [1.0, 2.0]
    assert embedder.usage.requests >= 2


@pytest.mark.parametrize(
    ("failing", "sentence"),
    [
        (half_a_body, "the connection broke off"),
        (hang_up, "the connection broke off"),
        (fall_silent, "did not answer in time"),
        (fall_silent_in_the_middle, "did not answer in time"),
    ],
)
def test_a_connection_that_keeps_failing_ends_at_the_deadline(make: Any, failing: Conversation, sentence: str) -> None:
    started = time.monotonic()
    with server(*[failing] * 100) as address, pytest.raises(TransientError, match=sentence):
        make(address, deadline=0.3).embed(["text"])
    assert time.monotonic() - started < 4


def test_a_port_where_nobody_listens_is_told(make: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransientError, match=r"cannot be reached.*embedding\.base_url"):
        make(f"http://127.0.0.1:{port}/v1", deadline=0.2).embed(["text"])
