"""A local model, which remembers: a text is embedded once, for all variants and runs.

The vectors are those of the connector's own `LocalEmbedder`, bit by bit.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from destination_milvus.config.embedding import LocalModelName
from destination_milvus.embedding.local import LocalEmbedder
from destination_milvus.model import Refusal, Vector


class RememberedVectors:
    """Vectors of texts, from a file or from the model; for one thread at a time."""

    def __init__(self, file: sqlite3.Connection, embedder: LocalEmbedder) -> None:
        self._file = file
        self._embedder = embedder
        self._file.execute("create table if not exists vectors (key blob primary key, vector blob) without rowid")

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector of length 1 a text."""
        keys = [hashlib.sha256(f"{self._embedder.identity}\0{text}".encode()).digest() for text in texts]
        known = {key: found for key in keys if (found := self._read(key))}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        made = self._embedder.embed(list(missing.values())) if missing else []
        refused = [vector for vector in made if isinstance(vector, Refusal)]
        assert not refused, refused
        known |= {key: bytes(vector) for key, vector in zip(missing, made, strict=True)}
        with self._file:
            self._file.executemany("insert into vectors values (?, ?)", [(key, known[key]) for key in missing])
        return [array("f", known[key]) for key in keys]

    def _read(self, key: bytes) -> bytes | None:
        row = self._file.execute("select vector from vectors where key = ?", (key,)).fetchone()
        return row[0] if row else None


@contextmanager
def remembered(path: Path, model: LocalModelName) -> Iterator[RememberedVectors]:
    """A model's vectors in a file; the endpoint that asks has a thread for each connection, and asks one by one."""
    embedder, file = LocalEmbedder(model), sqlite3.connect(path, check_same_thread=False)
    try:
        yield RememberedVectors(file, embedder)
    finally:
        embedder.close()
        file.close()
