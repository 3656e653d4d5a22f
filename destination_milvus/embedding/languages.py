"""An embedder that says so in the log if its model was not made for the texts that come."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from destination_milvus.config.embedding import Embedding, LocalEmbedding
from destination_milvus.documents.languages import Impression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Embedder, Refusal, Vector

logger = logging.getLogger("airbyte.destination")


def watched(embedding: Embedding, embedder: Embedder) -> Embedder:
    """The embedder, which says so once if its model was not made for the first texts of a sync; others as they are."""
    return _Watched(embedder, Impression(embedding)) if isinstance(embedding, LocalEmbedding) else embedder


class _Watched:
    """An `Embedder` that looks at texts on their way, until it has seen enough."""

    __slots__ = ("_embedder", "_impression", "_lock")

    def __init__(self, embedder: Embedder, impression: Impression) -> None:
        self._embedder = embedder
        self._impression = impression
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        return self._embedder.identity

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        if not self._impression.is_complete:
            with self._lock:
                self._look(texts)
        return self._embedder.embed(texts)

    def _look(self, texts: Sequence[str]) -> None:
        if self._impression.is_complete:  # another thread has seen enough meanwhile
            return
        self._impression.look(texts)
        if doubt := self._impression.doubt:
            logger.warning("%s", doubt)
