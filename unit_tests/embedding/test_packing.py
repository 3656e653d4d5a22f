from __future__ import annotations

import sys
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.embedding.packing import UNENCODABLE, Piece, RequestLimits, measure, pack
from destination_milvus.model import Refusal

SIZES = st.lists(st.integers(min_value=1, max_value=12), max_size=40)


def pieces(sizes: list[int]) -> list[Piece]:
    return [Piece(position, "x" * size, size) for position, size in enumerate(sizes)]


def never(_: str) -> int:
    raise AssertionError("nothing needed to be counted")


@given(SIZES, st.integers(1, 6), st.integers(1, 20))
def test_packing_loses_no_piece_and_keeps_their_order(sizes: list[int], inputs: int, tokens: int) -> None:
    packed = [piece for batch in pack(pieces(sizes), inputs, tokens) for piece in batch]
    assert packed == pieces(sizes)


@given(SIZES, st.integers(1, 6), st.integers(1, 20))
def test_every_batch_holds_both_limits_or_is_a_single_piece(sizes: list[int], inputs: int, tokens: int) -> None:
    for batch in pack(pieces(sizes), inputs, tokens):
        assert 1 <= len(batch) <= inputs
        assert sum(piece.tokens for piece in batch) <= tokens or len(batch) == 1


@given(SIZES, st.integers(1, 6), st.integers(1, 20))
def test_no_batch_could_have_taken_the_next_piece_as_well(sizes: list[int], inputs: int, tokens: int) -> None:
    batches = list(pack(pieces(sizes), inputs, tokens))
    for batch, following in pairwise(batches):
        assert len(batch) == inputs or sum(p.tokens for p in [*batch, following[0]]) > tokens


@given(st.lists(st.text(), max_size=8))
def test_the_bytes_of_a_text_are_never_fewer_than_its_tokens(texts: list[str]) -> None:
    """What allows to skip counting."""
    limits = RequestLimits(inputs=10, tokens_per_input=10**6, tokens_per_request=10**6)
    for text, size in zip(texts, measure(texts, limits, never, exact=False), strict=True):
        assert isinstance(size, Piece)
        assert size.tokens >= count_tokens(text)


@given(st.lists(st.text(alphabet='a _"\\é語', min_size=1), max_size=8), st.integers(1, 9), st.integers(1, 30))
def test_a_text_is_refused_exactly_if_it_has_more_tokens_than_the_model_reads(
    texts: list[str], per_input: int, per_request: int
) -> None:
    limits = RequestLimits(inputs=10, tokens_per_input=per_input, tokens_per_request=per_request)
    for text, size in zip(texts, measure(texts, limits, count_tokens, exact=False), strict=True):
        assert isinstance(size, Refusal) == (count_tokens(text) > per_input)


def test_texts_near_a_limit_are_counted_in_real_tokens() -> None:
    limits = RequestLimits(inputs=10, tokens_per_input=100, tokens_per_request=100)
    (piece,) = measure(["word " * 90], limits, count_tokens, exact=False)
    assert isinstance(piece, Piece)
    assert piece.tokens == count_tokens("word " * 90) < 100


def test_exact_sizes_are_counted_whatever_the_limits() -> None:
    limits = RequestLimits(inputs=10, tokens_per_input=10**6, tokens_per_request=10**6)
    assert measure(["a word"], limits, count_tokens, exact=True) == [Piece(0, "a word", 2)]


def test_a_service_that_cuts_off_long_texts_refuses_none() -> None:
    limits = RequestLimits(inputs=10, tokens_per_input=None, tokens_per_request=4)
    assert measure(["a b c d e f"], limits, count_tokens, exact=False) == [Piece(0, "a b c d e f", 6)]


def test_half_a_surrogate_pair_is_refused_and_its_neighbours_are_not() -> None:
    limits = RequestLimits(inputs=10, tokens_per_input=sys.maxsize, tokens_per_request=4)
    assert measure(["fine", "half \ud83d", "good"], limits, count_tokens, exact=True) == [
        Piece(0, "fine", 1),
        UNENCODABLE,
        Piece(2, "good", 1),
    ]
