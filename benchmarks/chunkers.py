"""Our chunker and langchain's on the same text with the same vocabulary."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from langchain_text_splitters import RecursiveCharacterTextSplitter

from benchmarks.installing import paragraphs
from destination_milvus.documents.chunking import Chunker
from destination_milvus.documents.tokenizer import encoding, token_lengths
from destination_milvus.model import Document

DOCUMENT_CHARACTERS = 40_000
CHARACTERS = 3_000_000


def compare(size: int, overlap: int) -> tuple[float, float]:
    """MB of text a CPU second: ours, langchain's."""
    encoding()  # registers the vocabulary for both
    token_lengths()
    chunker = Chunker(size, overlap)
    splitter = RecursiveCharacterTextSplitter.from_tiktoken_encoder(
        "cl100k_base", chunk_size=size, chunk_overlap=overlap, disallowed_special=()
    )
    return _rate(lambda text: chunker.split(Document(text, "", {}, 0))), _rate(splitter.split_text)


def _rate(split: Callable[[str], list[str]]) -> float:
    documents = _documents()
    started = time.process_time()
    for document in documents:
        split(document)
    return sum(len(document.encode()) for document in documents) / 1e6 / (time.process_time() - started)


@cache
def _documents() -> tuple[str, ...]:
    text = "\n\n".join(paragraphs())[:CHARACTERS]
    return tuple(text[start : start + DOCUMENT_CHARACTERS] for start in range(0, len(text), DOCUMENT_CHARACTERS))
