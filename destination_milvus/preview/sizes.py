"""Sizes of texts in tokens, in bounded memory and time. Pure.

Counting tokens takes as long as making the texts. So the first texts of a stream are counted one by one, and of those
behind them one in thirty-two: the others count by their characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from destination_milvus.documents.tokenizer import count_tokens

EXACT = 1_000
"""Texts that are counted one by one."""

EVERY = 32
"""Of the texts behind them, one in so many is."""

BARS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram."""

    low: int
    high: int
    """Both in tokens, and both inside."""
    texts: int
    """About so many."""


class Sizes:
    """How large texts are. Holds one number for each size that occurs: no more than a chunk may have tokens."""

    def __init__(self, count: Callable[[str], int] = count_tokens) -> None:
        self.texts = 0
        self._count = count
        self._sizes: Counter[int] = Counter()
        self._characters = 0
        self._counted_characters = 0
        self._counted_tokens = 0

    def add(self, text: str) -> None:
        """Count a text in."""
        self.texts += 1
        self._characters += len(text)
        if self.is_exact or self.texts % EVERY == 0:
            tokens = self._count(text)
            self._sizes[tokens] += 1
            self._counted_characters += len(text)
            self._counted_tokens += tokens

    @property
    def is_exact(self) -> bool:
        """Whether every text was counted."""
        return self.texts <= EXACT

    @property
    def tokens(self) -> int:
        """Of all texts; about, where they are many."""
        counted = self._counted_characters
        return (self._counted_tokens * self._characters + counted // 2) // counted if counted else 0

    @property
    def largest(self) -> int:
        """The largest that was counted; 0 where there is none."""
        return max(self._sizes, default=0)

    def quantile(self, share: float) -> int:
        """The size that so many of the texts do not exceed, from 0 to 1; 0 where there are none."""
        wanted = share * self._sizes.total()
        below = 0
        for size, texts in sorted(self._sizes.items()):
            below += texts
            if below >= wanted:
                return size
        return 0

    def beyond(self, limit: int) -> int:
        """About how many texts are larger."""
        return self._of_all(sum(texts for size, texts in self._sizes.items() if size > limit))

    def share_within(self, limit: int) -> float:
        """The share of all tokens that stands in the first so many of each text: what a model reads of them."""
        within = sum(min(size, limit) * texts for size, texts in self._sizes.items())
        return within / self._counted_tokens if self._counted_tokens else 1.0

    def histogram(self) -> list[Bar]:
        """Bars of equal width, from 1 token to the largest text; none where there are no texts."""
        return list(self._bars())

    def _bars(self) -> Iterator[Bar]:
        width = -(-self.largest // BARS)
        for low in range(1, self.largest + 1, width or 1):
            high = low + width - 1
            yield Bar(low, high, self._of_all(sum(self._sizes[size] for size in range(low, high + 1))))

    def _of_all(self, counted: int) -> int:
        total = self._sizes.total()
        return round(counted * self.texts / total) if total else 0
