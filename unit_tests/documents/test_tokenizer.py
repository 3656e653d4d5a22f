"""Tokens are counted offline, as tiktoken does, whatever the text."""

from __future__ import annotations

import gzip
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus.documents import tokenizer
from destination_milvus.errors import InternalError

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates included


def test_known_tokens_of_cl100k() -> None:
    """OpenAI's cookbook gives these ids for this sentence."""
    assert tokenizer.encoding().encode_ordinary("tiktoken is great!") == [83, 1609, 5963, 374, 2294, 0]


def test_one_encoding_for_all_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = set(pool.map(lambda _: id(tokenizer.encoding()), range(32)))
    assert len(loaded) == 1


def test_tiktoken_itself_works_without_network() -> None:
    """A new process that can resolve no host gets the encoding by name and by model."""
    program = (
        "import socket, tiktoken\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from destination_milvus.documents.tokenizer import encoding\n"
        "loaded = encoding()\n"
        "assert tiktoken.get_encoding('cl100k_base') is loaded\n"
        "for model in ('text-embedding-3-small', 'text-embedding-3-large', 'text-embedding-ada-002'):\n"
        "    assert tiktoken.encoding_for_model(model) is loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_importing_the_module_does_not_import_tiktoken() -> None:
    """`spec` and `check` of other modes do not pay for it."""
    program = "import sys, destination_milvus.documents.tokenizer\nassert 'tiktoken' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_special_tokens_are_plain_text() -> None:
    """A ticket may quote `<|endoftext|>`."""
    assert tokenizer.count_tokens("<|endoftext|>") == 7
    assert tokenizer.count_tokens("") == 0


@settings(deadline=None)
@given(ANY_TEXT)
def test_any_text_has_a_count_of_at_most_its_bytes(text: str) -> None:
    assert 0 <= tokenizer.count_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


@settings(deadline=None)  # the first call reads the vocabulary
@given(st.text(max_size=80))
def test_lengths_of_tokens_add_up_to_the_text(text: str) -> None:
    lengths = tokenizer.token_lengths()
    tokens = tokenizer.encoding().encode_ordinary(text)
    assert sum(lengths[token] for token in tokens) == len(text.encode())


def test_every_token_has_its_length() -> None:
    lengths = tokenizer.token_lengths()
    assert max(lengths) == 128
    assert min(lengths) == 1
    assert len(lengths) == 100_256


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no gzip",
        gzip.compress(b"YQ== 0\n", mtime=0),
        gzip.compress(b"YQ== 0\n" * 99, mtime=0)[:-9],
        b"\x1f\x8b\x08" + b"\xff" * 30,
    ],
)
def test_a_damaged_vocabulary_is_told_from_a_good_one(packed: bytes) -> None:
    """Silently other counts would make chunks that the model refuses."""
    with pytest.raises(InternalError, match="damaged"):
        tokenizer._ranks(packed)
