"""A stand-in for OpenAI's endpoint on loopback, embeddings and chat: as slow, limited and faulty as it is asked to be.

It takes little work a text, so that it can stand beside what is measured.
"""

from __future__ import annotations

import base64
import random
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import orjson

from destination_milvus.documents.tokenizer import count_tokens

DIMENSIONS = 8

Embed: TypeAlias = "Callable[[Sequence[str]], Sequence[array[float]]]"


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request."""

    code: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks after half of the body."""


_LIMITED = {"message": "PLANTED-TEXT", "type": "requests", "code": "rate_limit_exceeded"}
_FAULTS: Mapping[str, Answer] = {
    "429": Answer(429, {"error": _LIMITED}),
    "429 with Retry-After": Answer(429, {"error": _LIMITED}, {"Retry-After": "1"}),
    "429 for a moment": Answer(429, {"error": _LIMITED}, {"Retry-After": "0.2"}),
    "500": Answer(500, {"error": {"message": "PLANTED-TEXT"}}),
    "503": Answer(503, {"error": {"message": "PLANTED-TEXT"}}),
    "quota": Answer(429, {"error": {**_LIMITED, "type": "insufficient_quota", "code": "insufficient_quota"}}),
    "404": Answer(404, {"error": {"message": "PLANTED-TEXT", "code": "model_not_found"}}),
    "revoked": Answer(401, {"error": {"message": "Incorrect API key: PLANTED-KEY", "code": "invalid_api_key"}}),
}
"""Others are "nothing at all", "half a body", "no completion", and what `_damaged` knows."""


class OpenAIEndpoint:
    """Answers embeddings and chat completions.

    Args:
        embed: makes the vectors; made-up ones by default.
        dimensions: of the vectors.
        latency: seconds that an answer takes.
        latency_a_text: seconds that it takes longer for each text, as where a model runs on one core.
        floats: answer lists of numbers whatever is asked for, as some compatible services do.
        requests_per_minute: its limit, refilled evenly; 0 for none.
        tokens_per_minute: as above.
        faults: what goes wrong with the next requests.

    Attributes:
        faults: used up one a request, None for one that is answered well; when all are used up all is well.
        always: a fault of every request, while set.
        requests: number of requests that arrived.
        refused: number of requests that were beyond a limit.
        texts: every text that was answered with a vector, in order.
        tokens: of these texts.
        first_request: when it came; moments are seconds since the epoch.
        last_answer: when it left.
        said: what a chat completion says.
        chats: every request for a chat completion, in order.
    """

    def __init__(
        self,
        embed: Embed | None = None,
        *,
        dimensions: int = DIMENSIONS,
        latency: float = 0.0,
        latency_a_text: float = 0.0,
        floats: bool = False,
        requests_per_minute: float = 0,
        tokens_per_minute: float = 0,
        faults: Sequence[str | None] = (),
    ) -> None:
        self.dimensions = dimensions
        self.latency = latency
        self.latency_a_text = latency_a_text
        self.faults = list(faults)
        self.always: str | None = None
        self.requests = self.refused = self.tokens = 0
        self.texts: list[str] = []
        self.first_request: float | None = None
        self.last_answer: float | None = None
        self.said = ""
        self.chats: list[dict[str, Any]] = []
        self._embed = embed or (lambda texts: [vector(text, dimensions) for text in texts])
        self._floats = floats
        self._limits = {"requests": _Limit(requests_per_minute), "tokens": _Limit(tokens_per_minute)}
        self._lasting: tuple[int, str] | None = None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

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
            "dimensions": self.dimensions,
        }

    def fail_after(self, requests: int | None, fault: str) -> None:
        """Answer so many requests well, and let all that follow fail; None for no more failures."""
        with self._lock:
            self._lasting = None if requests is None else (self.requests + requests, fault)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked: dict[str, Any]) -> Answer | None:
        """To a request that has just arrived; None for a connection that closes without a word."""
        with self._lock:
            self.requests += 1
            self.first_request = self.first_request or time.time()
            fault = self._next_fault()
            if fault == "nothing at all":
                return None
            if fault is not None and fault in _FAULTS:
                return _FAULTS[fault]
            if path.endswith("/chat/completions"):
                self.chats.append(asked)
                return Answer(200, {} if fault == "no completion" else _completion(asked["model"], self.said))
            return self._embeddings(_texts(asked["input"]), asked.get("encoding_format"), fault)

    def _next_fault(self) -> str | None:
        if self._lasting is not None and self.requests > self._lasting[0]:
            return self._lasting[1]
        return self.faults.pop(0) if self.faults else self.always

    def _embeddings(self, texts: Sequence[str], encoding: str | None, fault: str | None) -> Answer:
        # where no limit counts them, tokens are estimated: little work, and the same for all who are compared
        exact = self._limits["tokens"].per_minute
        tokens = sum(map(count_tokens, texts)) if exact else sum(map(len, texts)) // 4
        used = {"requests": 1, "tokens": tokens}
        wait = max(limit.wait(used[what]) for what, limit in self._limits.items())
        if wait > 0:
            self.refused += 1
            return Answer(429, {"error": _LIMITED}, {**self._told(), "Retry-After": f"{wait:.3f}"})
        for what, limit in self._limits.items():
            limit.take(used[what])
        in_base64 = encoding == "base64" and not self._floats
        vectors = [_encoded(vector, in_base64=in_base64) for vector in _damaged(self._embed(texts), fault)]
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        if fault == "another order":
            data.reverse()
        if fault is None or fault == "another order":
            self.texts += texts
            self.tokens += tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"object": "list", "model": "test-model", "data": data, "usage": usage}
        return Answer(200, body, self._told(), cut=fault == "half a body")

    def _told(self) -> dict[str, str]:
        """What OpenAI's headers say of its limits."""
        return {
            f"x-ratelimit-{name}-{what}": value
            for what, limit in self._limits.items()
            if limit.per_minute
            for name, value in limit.told().items()
        }


@contextmanager
def serving(embed: Embed | None = None, **behaviour: Any) -> Iterator[OpenAIEndpoint]:
    """An endpoint while it is needed; arguments as those of `OpenAIEndpoint`."""
    endpoint = OpenAIEndpoint(embed, **behaviour)
    try:
        yield endpoint
    finally:
        endpoint.close()


class _Limit:
    """A limit a minute that refills evenly. It starts empty: what a minute before has used up is not to be had."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._level = 0.0
        self._filled: float | None = None

    def wait(self, amount: float) -> float:
        """Seconds until so much is there; 0 where it is, but for a moment."""
        if not self.per_minute:
            return 0.0
        now = time.monotonic()
        since = 0.0 if self._filled is None else now - self._filled
        self._filled = now
        self._level = min(self.per_minute, self._level + since * self.per_minute / 60)
        seconds = (amount - self._level) * 60 / self.per_minute
        return seconds if seconds > 0.001 else 0.0

    def take(self, amount: float) -> None:
        """Use so much up."""
        self._level -= amount

    def told(self) -> dict[str, str]:
        """As headers name it."""
        reset = (self.per_minute - self._level) * 60 / self.per_minute
        left = max(self._level, 0.0)
        return {"limit": f"{self.per_minute:.0f}", "remaining": f"{left:.0f}", "reset": f"{reset:.3f}s"}


# --- bodies -----------------------------------------------------------------------------------------------------------

_POOL = array("f", (random.Random(1).randrange(-512, 513) / 8192 for _ in range(1 << 16)))  # noqa: S311 - no secret
"""Numbers that are the same in float32 and in JSON."""


def vector(text: str, dimensions: int) -> array[float]:
    """Equal for equal texts: two stretches of numbers that were made beforehand."""
    digest = blake2b(text.encode(errors="replace"), digest_size=8).digest()
    half, starts = dimensions // 2, len(_POOL) - dimensions
    first, second = (int.from_bytes(part, "big") % starts for part in (digest[:4], digest[4:]))
    return _POOL[first : first + half] + _POOL[second : second + dimensions - half]


def _texts(given: Any) -> list[str]:
    """The texts of a request, which may be one, and may come as tokens."""
    several = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    return [text if isinstance(text, str) else " ".join(map(str, text)) for text in several]


def _damaged(vectors: Sequence[array[float]], fault: str | None) -> Sequence[array[float]]:
    if fault == "NaN":
        return [array("f", [float("nan")] * len(vector)) for vector in vectors]
    if fault == "the wrong dimension":
        return [vector[:-1] for vector in vectors]
    return vectors[:-1] if fault == "the wrong number of vectors" else vectors


def _encoded(vector: array[float], *, in_base64: bool) -> str | list[float]:
    return base64.b64encode(vector.tobytes()).decode() if in_base64 else vector.tolist()


def _completion(model: str, said: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _handler(endpoint: OpenAIEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two packets, of which the second would wait

        def do_POST(self) -> None:
            asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = endpoint.answer(self.path, asked)
            time.sleep(endpoint.latency + endpoint.latency_a_text * len(asked.get("input", ())))
            if answer is None:
                self.close_connection = True
                return
            body = orjson.dumps(answer.body)
            self.send_response(answer.code)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            endpoint.last_answer = time.time()
            self.wfile.write(body[: len(body) // 2] if answer.cut else body)
            self.close_connection = answer.cut

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
