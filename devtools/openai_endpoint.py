"""An OpenAI endpoint on loopback, embeddings and chat, that misbehaves on request: the network's edge of the tests."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSIONS = 8


class OpenAIEndpoint:
    """Answers embeddings and chat completions; `faults` are used up one a request, then all is well.

    Attributes:
        faults: names of what goes wrong with the next requests.
        always: a fault of every request, while set.
        latency: seconds that an answer takes.
        texts: every text that was answered with a vector, in order.
        requests: number of requests that arrived.
        said: what a chat completion says.
        chats: every request for a chat completion, in order.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.always: str | None = None
        self.latency = 0.0
        self.texts: list[str] = []
        self.requests = 0
        self.said = ""
        self.chats: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self._lasting: tuple[int, str] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        """What goes into the configuration."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def embedding(self) -> dict[str, Any]:
        """The `embedding` section of a configuration that uses it."""
        return {
            "mode": "openai_compatible",
            "api_key": "PLANTED-KEY",
            "base_url": self.base_url,
            "model_name": "test-model",
            "dimensions": DIMENSIONS,
        }

    def next_fault(self) -> str | None:
        """What goes wrong with this request, if anything does."""
        with self.lock:
            self.requests += 1
            if self._lasting is not None and self.requests > self._lasting[0]:
                return self._lasting[1]
            return self.faults.pop(0) if self.faults else self.always

    def fail_after(self, requests: int | None, fault: str) -> None:
        """Answer so many requests well, and let all that follow fail; None for no more failures."""
        with self.lock:
            self._lasting = None if requests is None else (self.requests + requests, fault)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def vector(text: str) -> list[float]:
    """Equal for equal texts."""
    return [byte / 255 + 0.001 for byte in hashlib.blake2b(text.encode(), digest_size=DIMENSIONS).digest()]


_ERRORS: dict[str, tuple[int, dict[str, str], dict[str, Any]]] = {
    "429": (429, {}, {"error": {"message": "PLANTED-TEXT", "type": "requests", "code": "rate_limit_exceeded"}}),
    "429 with Retry-After": (
        429,
        {"Retry-After": "1"},
        {"error": {"message": "PLANTED-TEXT", "code": "rate_limit_exceeded"}},
    ),
    "500": (500, {}, {"error": {"message": "PLANTED-TEXT"}}),
    "503": (503, {}, {"error": {"message": "PLANTED-TEXT"}}),
    "quota": (
        429,
        {},
        {"error": {"message": "PLANTED-TEXT", "type": "insufficient_quota", "code": "insufficient_quota"}},
    ),
    "404": (404, {}, {"error": {"message": "PLANTED-TEXT", "code": "model_not_found"}}),
    "revoked": (401, {}, {"error": {"message": "Incorrect API key: PLANTED-KEY", "code": "invalid_api_key"}}),
}


def _handler(endpoint: OpenAIEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = endpoint.next_fault()
            time.sleep(endpoint.latency)
            if fault == "nothing at all":
                self.close_connection = True
                return
            if fault in _ERRORS:
                code, headers, error = _ERRORS[fault]
                self._answer(code, json.dumps(error).encode(), headers)
                return
            if self.path.endswith("/chat/completions"):
                endpoint.chats.append(asked)
                said = {} if fault == "no completion" else _completion(asked["model"], endpoint.said)
                self._answer(200, json.dumps(said).encode(), {})
                return
            texts = asked["input"]
            body = json.dumps(_embeddings(texts, asked.get("encoding_format"), fault)).encode()
            if fault == "half a body":
                self._answer(200, body, {}, sent=len(body) // 2)
                return
            if fault is None or fault == "another order":
                with endpoint.lock:
                    endpoint.texts += texts
            self._answer(200, body, {})

        def _answer(self, code: int, body: bytes, headers: dict[str, str], sent: int | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:sent])
            self.close_connection = sent is not None

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def _completion(model: str, said: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}


def _embeddings(texts: list[str], encoding: str | None, fault: str | None) -> dict[str, Any]:
    vectors = [vector(text) for text in texts]
    if fault == "NaN":
        vectors = [[float("nan")] * DIMENSIONS for _ in texts]
    if fault == "the wrong dimension":
        vectors = [numbers[:-1] for numbers in vectors]
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(v, encoding)} for index, v in enumerate(vectors)
    ]
    if fault == "the wrong number of vectors":
        data.pop()
    if fault == "another order":
        data.reverse()
    used = sum(len(text) for text in texts)
    return {
        "object": "list",
        "model": "test-model",
        "data": data,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _encoded(numbers: list[float], encoding: str | None) -> Any:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if encoding == "base64" else numbers


@contextmanager
def serving() -> Iterator[OpenAIEndpoint]:
    """An endpoint while it is needed."""
    endpoint = OpenAIEndpoint()
    try:
        yield endpoint
    finally:
        endpoint.close()
