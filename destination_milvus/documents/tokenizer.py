"""Tokens as OpenAI's embedding models count them, with the vocabulary in the package.

tiktoken fetches its vocabulary from the network at first use. A sync must not need one more host to be
reachable, so `cl100k_base` ships with the connector and is registered with tiktoken: `get_encoding`,
`encoding_for_model` and everything built on them then work offline.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
import zlib
from base64 import b64decode
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from destination_milvus.errors import InternalError

if TYPE_CHECKING:
    from tiktoken import Encoding

ENCODING_NAME = "cl100k_base"
"""Encoding of text-embedding-3-small, text-embedding-3-large and text-embedding-ada-002."""

# OpenAI's published digest of the file, the one that tiktoken checks its own download against
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
# How cl100k_base divides text before it merges bytes, and its special tokens. Both are part of the encoding's
# definition (tiktoken_ext.openai_public), which tiktoken hands out only together with a download.
_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
_SPECIAL_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}

_loading = threading.Lock()


def encoding() -> Encoding:
    """The bundled cl100k_base encoding, the same object at every call and in every thread.

    The first call takes about 0.3 s and registers the encoding with tiktoken.

    Raises:
        InternalError: the packaged vocabulary is damaged.
    """
    with _loading:
        return _load()


def count_tokens(text: str) -> int:
    """Number of tokens of `text`, special tokens counted as the plain text that they are in a record.

    A lone surrogate counts as the replacement character that takes its place.
    """
    return len(encoding().encode_ordinary(text))


@cache
def token_lengths() -> bytes:
    """Length in UTF-8 bytes (1 to 128) of every token of ordinary text, at the index that is its id."""
    loaded = encoding()
    ids = range(len(loaded.token_byte_values()))
    return bytes(map(len, loaded.decode_tokens_bytes(ids)))


@cache
def _load() -> Encoding:
    import tiktoken  # noqa: PLC0415 - `spec` must not pay for it
    from tiktoken import registry  # noqa: PLC0415

    packed = (files("destination_milvus") / "data" / f"{ENCODING_NAME}.tiktoken.gz").read_bytes()
    loaded = tiktoken.Encoding(
        name=ENCODING_NAME,
        pat_str=_PATTERN,
        mergeable_ranks=_ranks(packed),
        special_tokens=_SPECIAL_TOKENS,
    )
    registry.ENCODINGS[ENCODING_NAME] = loaded
    return loaded


def _ranks(packed: bytes) -> dict[bytes, int]:
    """Merge rank of every token, from lines of `base64 rank`."""
    try:
        vocabulary = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged() from error
    if hashlib.sha256(vocabulary).hexdigest() != _SHA256:
        raise _damaged()
    pairs = (line.split() for line in vocabulary.splitlines())
    return {b64decode(token): int(rank) for token, rank in pairs}


def _damaged() -> InternalError:
    return InternalError("The tokenizer's vocabulary in this package is damaged: reinstall the connector.")
