"""The local model behind an endpoint on loopback that remembers: a text is embedded once, for all variants and runs.

The connector speaks to it as to any OpenAI-compatible service. The vectors are those of the connector's own
`LocalEmbedder`, bit by bit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from destination_milvus.embedding.local import DIMENSIONS, MODEL, LocalEmbedder
from destination_milvus.model import Refusal, Vector


class RememberedVectors:
    """Vectors of texts, from a file or from the model."""

    def __init__(self, path: Path) -> None:
        self._embedder = LocalEmbedder()
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, check_same_thread=False)
        self._file.execute("create table if not exists vectors (key blob primary key, vector blob) without rowid")

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector of length 1 a text."""
        keys = [hashlib.sha256(f"{self._embedder.identity}\0{text}".encode()).digest() for text in texts]
        known = self._read(set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = self._embedder.embed(list(missing.values()))
            refused = [vector for vector in made if isinstance(vector, Refusal)]
            assert not refused, refused
            new = {key: bytes(vector) for key, vector in zip(missing, made, strict=True)}
            with self._lock, self._file:
                self._file.executemany("insert or replace into vectors values (?, ?)", new.items())
            known.update(new)
        return [array("f", known[key]) for key in keys]

    def _read(self, keys: set[bytes]) -> dict[bytes, bytes]:
        found = {}
        with self._lock:
            for key in keys:
                row = self._file.execute("select vector from vectors where key = ?", (key,)).fetchone()
                if row:
                    found[key] = row[0]
        return found

    def close(self) -> None:
        """Close the file and stop the model's threads."""
        self._embedder.close()
        self._file.close()


@contextmanager
def serving(vectors: RememberedVectors) -> Iterator[str]:
    """The base address of an endpoint that answers from `vectors`."""

    class Embeddings(BaseHTTPRequestHandler):
        """`POST …/embeddings`, the one request that the connector sends."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """As `BaseHTTPRequestHandler`."""
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(_answer(vectors.embed(asked["input"]))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Embeddings)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def configuration(base_url: str) -> dict[str, object]:
    """The connector's `embedding` section for such an endpoint."""
    return {"mode": "openai_compatible", "base_url": base_url, "model_name": MODEL, "dimensions": DIMENSIONS}


def _answer(vectors: Sequence[Vector]) -> dict[str, object]:
    data = [
        {"object": "embedding", "index": index, "embedding": base64.b64encode(bytes(vector)).decode()}
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": 0, "total_tokens": 0}}
