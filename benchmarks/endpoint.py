"""A stand-in for OpenAI's embedding API, as a process of its own: vectors for nothing, latency that costs no CPU.

It speaks HTTP/1.1 on loopback, with as little work a text as can be: what is measured is the connector. Besides
`POST …/embeddings` it answers `POST /configure` (sets `Behaviour`, forgets all counts) and `GET /stats`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

import orjson

DIMENSIONS = 1536
SEGMENT = 3
"""Components in a segment: twelve bytes, which base64 writes without a remainder."""

BLOCKED = 0.001


@dataclass
class Behaviour:
    """What the endpoint does; latency in seconds."""

    latency: float = 0.1
    floats: bool = False
    """Whether it answers lists of numbers whatever it is asked for, as some compatible services do."""
    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    error_rate: float = 0.0
    """Share of requests that fail, by turns with 429 and 500."""


@dataclass
class Stats:
    """Counts since the last configuration; times as seconds since the epoch."""

    requests: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    texts: int = 0
    tokens: int = 0
    first_request: float | None = None
    last_answer: float | None = None
    cpu: float = 0.0


class Vectors:
    """A vector for a text, put together from parts that were made beforehand; equal for equal texts."""

    def __init__(self) -> None:
        rng = random.Random(1)  # noqa: S311 - no secret
        triples = [tuple(rng.uniform(-0.05, 0.05) for _ in range(SEGMENT)) for _ in range(4096)]
        self._base64 = [base64.b64encode(struct.pack("<3f", *triple)).decode() for triple in triples]
        self._numbers = [",".join(f"{number:.8f}" for number in triple) for triple in triples]
        length = DIMENSIONS // SEGMENT - 4
        chosen = [rng.choices(range(4096), k=length) for _ in range(64)]
        self._base64_tails = ["".join(map(self._base64.__getitem__, indexes)) for indexes in chosen]
        self._number_tails = [",".join(map(self._numbers.__getitem__, indexes)) for indexes in chosen]

    def base64(self, text: str) -> str:
        """Little-endian float32 in base64."""
        tail, *heads = _parts(text)
        return "".join(map(self._base64.__getitem__, heads)) + self._base64_tails[tail % 64]

    def numbers(self, text: str) -> str:
        """The same numbers, as the items of a JSON list."""
        tail, *heads = _parts(text)
        return ",".join([*map(self._numbers.__getitem__, heads), self._number_tails[tail % 64]])


def _parts(text: str) -> tuple[int, ...]:
    digest = struct.unpack("<5H", hashlib.blake2b(text.encode(errors="replace"), digest_size=10).digest())
    return tuple(number & 4095 for number in digest)


class Bucket:
    """A limit a minute that refills evenly. It starts empty: what a minute before has used up is not to be had."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._level = 0.0
        self._filled: float | None = None

    def wait(self, amount: float) -> float:
        """Seconds until so much is there; 0 where it is now."""
        if not self.per_minute:
            return 0.0
        now = time.monotonic()
        since = 0.0 if self._filled is None else now - self._filled
        self._filled = now
        self._level = min(self.per_minute, self._level + since * self.per_minute / 60)
        return max(0.0, (amount - self._level) * 60 / self.per_minute)

    def told(self) -> dict[str, str]:
        """What OpenAI's headers say of it."""
        reset = (self.per_minute - self._level) * 60 / self.per_minute
        left = max(self._level, 0.0)
        return {"limit": f"{self.per_minute:.0f}", "remaining": f"{left:.0f}", "reset": f"{reset:.3f}s"}

    def take(self, amount: float) -> None:
        """Use so much up."""
        self._level -= amount


@cache
def _encoding() -> Any:
    from destination_milvus.documents.tokenizer import encoding  # noqa: PLC0415 - only where tokens are limited

    return encoding()


@dataclass
class Endpoint:
    """Behaviour, counts and limits of the one endpoint of the process."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    stats: Stats = field(default_factory=Stats)
    vectors: Vectors = field(default_factory=Vectors)

    def __post_init__(self) -> None:
        self.configure({})

    def configure(self, settings: dict[str, Any]) -> None:
        """Behave so from now on, with all counts at nothing."""
        self.behaviour = Behaviour(**settings)
        self.stats = Stats()
        self._requests = Bucket(self.behaviour.requests_per_minute)
        self._tokens = Bucket(self.behaviour.tokens_per_minute)
        self._failing = 0.0
        self._cpu_before = time.process_time()

    def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content for a request."""
        asked = orjson.loads(body)
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        if texts and not isinstance(texts[0], str):
            texts = [" ".join(map(str, tokens)) for tokens in ([texts] if isinstance(texts[0], int) else texts)]
        self.stats.requests += 1
        self.stats.first_request = self.stats.first_request or time.time()
        tokens = self._count(texts)
        wait = max(self._requests.wait(1), self._tokens.wait(tokens))
        if wait > BLOCKED:
            self.stats.refused += 1
            return 429, {**self._limits(), "retry-after": f"{wait:.3f}"}, _error("rate_limit_exceeded")
        if failure := self._failure():
            return failure
        self._requests.take(1)
        self._tokens.take(tokens)
        self.stats.answered += 1
        self.stats.texts += len(texts)
        self.stats.tokens += tokens
        return 200, self._limits(), self._embeddings(texts, asked.get("encoding_format"), tokens)

    def _count(self, texts: Sequence[str]) -> int:
        if self.behaviour.tokens_per_minute:
            return sum(map(len, _encoding().encode_ordinary_batch(texts, num_threads=1)))
        return sum(map(len, texts)) // 4  # as OpenAI estimates before it counts; equal work for all who are compared

    def _failure(self) -> tuple[int, dict[str, str], bytes] | None:
        self._failing += self.behaviour.error_rate
        if self._failing < 1:
            return None
        self._failing -= 1
        self.stats.failed += 1
        if self.stats.failed % 2:
            return 429, {"retry-after": "0.2"}, _error("rate_limit_exceeded")
        return 500, {}, _error("server_error")

    def _limits(self) -> dict[str, str]:
        limits = {"requests": self._requests, "tokens": self._tokens}
        return {
            f"x-ratelimit-{what}-{name}": value
            for name, bucket in limits.items()
            if bucket.per_minute
            for what, value in bucket.told().items()
        }

    def _embeddings(self, texts: Sequence[str], encoding: str | None, tokens: int) -> bytes:
        if encoding == "base64" and not self.behaviour.floats:
            vectors = [f'"{self.vectors.base64(text)}"' for text in texts]
        else:
            vectors = [f"[{self.vectors.numbers(text)}]" for text in texts]
        items = ",".join(
            f'{{"object":"embedding","index":{index},"embedding":{vector}}}' for index, vector in enumerate(vectors)
        )
        usage = f'{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}'
        body = f'{{"object":"list","data":[{items}],"model":"text-embedding-3-small","usage":{usage}}}'
        return body.encode()

    def totals(self) -> bytes:
        """The counts as JSON."""
        self.stats.cpu = time.process_time() - self._cpu_before
        return orjson.dumps(asdict(self.stats))


def _error(code: str) -> bytes:
    return orjson.dumps({"error": {"message": "made up", "type": code, "code": code}})


class Connection(asyncio.Protocol):
    """One connection, kept alive; one request at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """As `asyncio.Protocol`."""
        self._received += data
        head, separator, _ = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = next(
            (int(line[15:]) for line in bytes(head).split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        end = len(head) + 4 + length
        if len(self._received) < end:
            return
        method, path, _ = bytes(head).split(b" ", 2)
        body = bytes(self._received[len(head) + 4 : end])
        del self._received[:end]
        self._respond(method, path, body)

    def _respond(self, method: bytes, path: bytes, body: bytes) -> None:
        endpoint = self._endpoint
        if path == b"/stats":
            self._send(200, {}, endpoint.totals())
        elif path == b"/configure":
            endpoint.configure(orjson.loads(body))
            self._send(200, {}, b"{}")
        elif method == b"POST":
            answer = endpoint.answer(body)
            asyncio.get_running_loop().call_later(endpoint.behaviour.latency, self._send, *answer)
        else:
            self._send(404, {}, b"{}")

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._endpoint.stats.last_answer = time.time()
        lines = {"content-type": "application/json", "content-length": str(len(content)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._transport.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)


async def _serve(port: int) -> None:
    endpoint = Endpoint()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(endpoint), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# --- for the one who measures -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Remote:
    """The endpoint as another process sees it."""

    port: int
    pid: int

    @property
    def base_url(self) -> str:
        """What goes into a configuration."""
        return f"http://127.0.0.1:{self.port}/v1"

    def configure(self, **behaviour: Any) -> None:
        """Set `Behaviour`; what is not named has its default."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/configure", data=json.dumps(behaviour).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    def stats(self) -> Stats:
        """Counts since the last `configure`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=30) as answer:
            counts = json.load(answer)
        return Stats(**{item.name: counts[item.name] for item in fields(Stats)})


@contextmanager
def serving() -> Iterator[Remote]:
    """An endpoint in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.endpoint"]
    root = Path(__file__).parents[1]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield Remote(int(process.stdout.readline()), process.pid)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
