"""Which texts go into one request: as many as the service's limits allow, counted in real tokens. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from destination_milvus.model import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a service takes in one request."""

    inputs: int
    tokens_per_input: int | None
    """None where the service cuts off what is too long, so that no text needs to be refused."""
    tokens_per_request: int


class Piece(NamedTuple):
    """One text to send."""

    position: int
    """Its place among the texts of the caller."""
    text: str
    tokens: int
    """Its size; an upper bound where that was enough to know."""


UNENCODABLE = Refusal("the text is not valid Unicode: it holds half a surrogate pair")


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold a text: JSON escapes can write half a surrogate pair."""
    return _utf8_length(text) is not None


def measure(
    texts: Sequence[str], limits: RequestLimits, count_tokens: Callable[[str], int], *, exact: bool
) -> list[Piece | Refusal]:
    """Every text with its size, or the reason why it cannot be sent.

    A byte-level encoding never makes more tokens than bytes. Where the bytes already hold all limits, nothing
    is tokenized (38 µs for 100 words, about as much as the whole request costs), unless `exact` asks for it.
    """
    sizes = [_utf8_length(text) for text in texts]
    if exact or not _surely_within(sizes, limits):
        sizes = [size if size is None else count_tokens(text) for text, size in zip(texts, sizes, strict=True)]
    return [
        _piece_or_refusal(Piece(position, text, size or 0), limits, encodable=size is not None)
        for position, (text, size) in enumerate(zip(texts, sizes, strict=True))
    ]


def pack(pieces: Iterable[Piece], inputs: int, tokens: int) -> Iterator[list[Piece]]:
    """Batches of consecutive pieces, each of at most `inputs` pieces and `tokens` tokens.

    A piece that is larger than `tokens` gets a batch of its own.
    """
    batch: list[Piece] = []
    total = 0
    for piece in pieces:
        if batch and (len(batch) == inputs or total + piece.tokens > tokens):
            yield batch
            batch, total = [], 0
        batch.append(piece)
        total += piece.tokens
    if batch:
        yield batch


def _utf8_length(text: str) -> int | None:
    """None for a text that UTF-8 cannot hold."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def _surely_within(sizes: Sequence[int | None], limits: RequestLimits) -> bool:
    known = [size for size in sizes if size is not None]
    longest = max(known, default=0)
    fits = limits.tokens_per_input is None or longest <= limits.tokens_per_input
    return fits and sum(known) <= limits.tokens_per_request


def _piece_or_refusal(piece: Piece, limits: RequestLimits, *, encodable: bool) -> Piece | Refusal:
    if not encodable:
        return UNENCODABLE
    if limits.tokens_per_input is not None and piece.tokens > limits.tokens_per_input:
        return Refusal(
            f"the text has {piece.tokens:,} tokens, and the embedding model reads at most "
            f"{limits.tokens_per_input:,}: lower processing.chunk_size"
        )
    return piece
