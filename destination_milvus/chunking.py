"""A document becomes the texts to embed: encoded once, cut where the text allows it.

    document → context on top, bytes below → window of chunk_size tokens → best cut in it → chunk → next window

The text is encoded in blocks, and each token's end in bytes is kept, so that a window of n tokens is a look-up and a
separator in it one `rfind`. A cut may divide a token, and so add some; the tokens of a chunk are therefore counted, not
read off. Counting again would double the work, but cl100k has borders that hold in any text (see `_BORDER`):
between the first and the last of a chunk the block's tokens are the chunk's tokens, and only the few bytes
outside them are encoded again. Text without such borders, base64 or Chinese, is encoded a second time.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from destination_milvus.config import CodeSplitter, MarkdownSplitter, SeparatorSplitter
from destination_milvus.tokenizer import count_tokens, encoding, token_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from destination_milvus.config import Processing
    from destination_milvus.model import Document

CHUNKER_VERSION = 1
"""Part of every fingerprint: raise it with any change that makes other chunks of the same text."""

MAX_TEXT_BYTES = 65_535
"""UTF-8 bytes of a chunk: the most that a VARCHAR of a Milvus server holds (Milvus Lite counts characters)."""

_BLOCK_BYTES = 1 << 19
"""Bytes encoded at a time: bounds memory, and is far above the 65,535 that a window can have."""

_REACH = 256
"""Bytes from the ends of a chunk within which a border is looked for."""

_CONTEXT_BORDER = "\n\n"
