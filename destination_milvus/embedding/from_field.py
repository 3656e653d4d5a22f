"""No embedding at all: the records bring their vectors along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.config.embedding import FromFieldEmbedding
    from destination_milvus.model import Refusal, Vector

MAX_TOKENS = 2**31 - 1
"""No model reads the text."""


class FieldEmbedder:
    """Knows the length of the vectors, and cannot make any; an `Embedder`."""

    __slots__ = ("_dimensions", "_field_name")

    def __init__(self, embedding: FromFieldEmbedding) -> None:
        self._field_name = embedding.field_name
        self._dimensions = embedding.dimensions

    @property
    def identity(self) -> str:
        """The field stands for the model that made its vectors."""
        return f"from_field:{self._field_name}:{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._dimensions

    @property
    def max_tokens(self) -> int:
        """As good as unlimited."""
        return MAX_TOKENS

    @property
    def chunk_tokens(self) -> int:
        """As `MeteredEmbedder.chunk_tokens`."""
        return self.max_tokens

    @property
    def usage(self) -> Usage:
        """Nothing, ever."""
        return Usage()

    def close(self) -> None:
        """Nothing is held."""

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """Nothing for nothing.

        Raises:
            InternalError: there are texts.
        """
        if texts:
            raise InternalError("A text was to be embedded although the records bring their vectors along.")
        return []
