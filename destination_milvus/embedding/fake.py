"""Made-up vectors: for trying out the pipeline, and for measuring everything that is not embedding."""

from __future__ import annotations

import struct
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

from destination_milvus.embedding.usage import Meter, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Refusal, Vector

DIMENSIONS = 1536
"""As the fake embedder of Airbyte's own vector destinations has."""

MAX_TOKENS = 8192

_SPIKES = 16
_SPAN = DIMENSIONS // _SPIKES
_HEIGHT = _SPIKES**-0.5
_FLAT = array("f", bytes(4 * DIMENSIONS))
_DIGEST = struct.Struct(f"<{_SPIKES}H")


class FakeEmbedder:
    """Equal vectors for equal texts, different ones for different texts, all of length 1; an `Embedder`."""

    __slots__ = ("_meter",)

    def __init__(self) -> None:
        self._meter = Meter()

    @property
    def identity(self) -> str:
        """Provider, model and dimension."""
        return f"fake:spikes:{DIMENSIONS}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """That of OpenAI's models, whose place it takes."""
        return MAX_TOKENS

    @property
    def chunk_tokens(self) -> int:
        """As `MeteredEmbedder.chunk_tokens`."""
        return self.max_tokens

    @property
    def usage(self) -> Usage:
        """Calls of `embed` count as requests: they stand for those of a service."""
        return self._meter.total

    def close(self) -> None:
        """Nothing is held."""

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector a text; never a refusal."""
        self._meter.add(requests=1 if texts else 0, texts=len(texts))
        return [_vector(text) for text in texts]


def _vector(text: str) -> Vector:
    """One spike in each sixteenth of the vector, its place and its sign taken from a digest (5 µs a text)."""
    vector = _FLAT[:]
    words = _DIGEST.unpack(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=2 * _SPIKES).digest())
    for start, word in zip(range(0, DIMENSIONS, _SPAN), words, strict=True):
        vector[start + (word >> 1) % _SPAN] = _HEIGHT if word & 1 else -_HEIGHT
    return vector
