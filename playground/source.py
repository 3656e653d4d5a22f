"""Where the pages read: the collection that the environment names, opened for one visit and let go of again.

A page sees a `Reader` and nothing else of Milvus, and a reader has no method that writes. Milvus Lite lets one process
at a time have a database: the next sync must find it free.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from destination_milvus.config.environment import VARIABLES, Environment, read_environment
from destination_milvus.config.models import Config
from destination_milvus.errors import (
    CollectionMissing,
    ConfigError,
    DestinationError,
    InternalError,
    ModelMismatch,
    TransientError,
)
from destination_milvus.milvus.address import described, is_embedded
from destination_milvus.milvus.errors import own_words
from destination_milvus.milvus.reader import Reader, open_reader
from destination_milvus.model import Embedder, Refusal, Vector

CALL_TIMEOUT = 15.0
"""Seconds for one call: somebody is watching."""

EMBEDDING_DEADLINE = 20.0
"""Seconds for which an embedding request is tried again."""

PROCESSING = {"chunk_size": 1000}
"""Nothing is chunked here; the destination's configuration asks for it."""


class InUse(TransientError):
    """Another process has the Milvus Lite database."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a page cannot show what it is for."""

    headline: str
    detail: str
    """What is wrong and what to do. Holds no secret."""


class Source:
    """One collection, and the model to search it by. Safe to use from several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Connects to nothing.

        Raises:
            ConfigError: a variable is wrong.
        """
        self._environment = read_environment(Environment, environment)
        self._config = self._environment.config(PROCESSING, with_model=False)
        # closing a Milvus Lite database closes it for every thread: one at a time
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.is_embedded else nullcontext()

    @property
    def is_embedded(self) -> bool:
        """Whether it is Milvus Lite."""
        return is_embedded(self._config.indexing.host)

    @property
    def place(self) -> str:
        """Where the collection is, without credentials; a database in the folder of the start by its path there."""
        host = self._config.indexing.host
        if self.is_embedded and Path(host).is_relative_to(Path.cwd()):
            host = str(Path(host).relative_to(Path.cwd()))
        return described(host)

    @property
    def collection(self) -> str:
        """Its name."""
        return self._config.indexing.collection

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """The collection, loaded; for what needs no vector of a question, so that any model will do.

        Raises:
            DestinationError: as `open_reader`.
        """
        with self._opened(self._config, None) as reader:
            yield reader

    @contextmanager
    def searching(self) -> Iterator[Reader]:
        """The collection, loaded, and found to be of the model that `vector` asks.

        Raises:
            DestinationError: as `open_reader`; a key is missing.
        """
        with self._opened(self._environment.config(PROCESSING), self._embedder) as reader:
            yield reader

    @contextmanager
    def _opened(self, config: Config, embedder: Embedder | None) -> Iterator[Reader]:
        with self._turn, ExitStack() as visit:
            try:
                reader = visit.enter_context(open_reader(config, embedder, timeout=CALL_TIMEOUT))
            except TransientError as error:
                if not self.is_embedded:
                    raise
                waiting = "It serves one process at a time: while a sync runs, wait until it has ended, then try again."
                raise InUse(f"{self.place} cannot be opened. {waiting}") from error
            yield reader

    def vector(self, question: str) -> Vector:
        """The vector of a question, to be asked for while `searching`: no question goes to a model of others.

        Raises:
            DestinationError: the model cannot make one.
        """
        [vector] = self._embedder.embed([question])
        if isinstance(vector, Refusal):
            raise ConfigError(f"The embedding model refuses the text: {vector.reason}.")
        return vector

    @cached_property
    def _embedder(self) -> Embedder:
        from destination_milvus.embedding import create_embedder  # noqa: PLC0415 - pages without a search pay nothing

        config = self._environment.config(PROCESSING)
        return create_embedder(config.embedding, config.advanced, deadline=EMBEDDING_DEADLINE)


def trouble_of(error: DestinationError) -> Trouble:
    """An error in the words of the pages."""
    detail = error.named(VARIABLES)
    if isinstance(error, CollectionMissing):
        advice = "Run `make demo` in a checkout and start the playground there, or set MILVUS_URL."
        return Trouble("There is nothing to look at yet", f"{detail} {advice}")
    if isinstance(error, ModelMismatch):
        return Trouble("The collection is of another model", detail)
    if isinstance(error, ConfigError):
        return Trouble("The playground is not set up completely", detail)
    if isinstance(error, InternalError):
        # whoever reads it here wrote the request
        return Trouble("Milvus refused the request", own_words(error) or detail)
    if isinstance(error, InUse):
        return Trouble("The collection is in use", detail)
    return Trouble("There is no answer", detail)
