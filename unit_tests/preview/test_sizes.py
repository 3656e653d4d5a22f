"""Sizes of texts and repetitions of keys, in bounded memory."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from destination_milvus.preview.repeats import Repeats
from destination_milvus.preview.sizes import EVERY, EXACT, Bar, Sizes


def words(text: str) -> int:
    """A count of tokens that a test can read."""
    return len(text.split())


def sizes_of(*counts: int) -> Sizes:
    sizes = Sizes(words)
    for count in counts:
        sizes.add("w " * count)
    return sizes


def test_few_texts_are_counted_one_by_one() -> None:
    sizes = sizes_of(1, 2, 3, 4, 10)
    assert (sizes.texts, sizes.tokens, sizes.is_exact) == (5, 20, True)
    assert [sizes.quantile(share) for share in (0, 0.5, 0.8, 0.95, 1)] == [1, 3, 4, 10, 10]
    assert sizes.largest == 10
    assert sizes.beyond(3) == 2
    assert sizes.share_within(3) == pytest.approx((1 + 2 + 3 + 3 + 3) / 20)


def test_nothing_has_no_size() -> None:
    sizes = sizes_of()
    assert (sizes.tokens, sizes.largest, sizes.quantile(0.5), sizes.beyond(0)) == (0, 0, 0, 0)
    assert sizes.share_within(10) == 1
    assert sizes.histogram() == []


def test_bars_cover_all_sizes() -> None:
    """Equal widths from 1 to the largest; a few sizes make fewer bars."""
    assert sizes_of(1, 1, 3).histogram() == [Bar(1, 1, 2), Bar(2, 2, 0), Bar(3, 3, 1)]
    bars = sizes_of(*range(1, 101)).histogram()
    assert len(bars) <= 8
    assert (bars[0].low, sum(bar.texts for bar in bars)) == (1, 100)
    assert all(before.high + 1 == after.low for before, after in pairwise(bars))


def test_of_many_texts_some_are_counted_and_the_tokens_follow_the_characters() -> None:
    """The count is called for one text in `EVERY`; the sums are those of all texts, within a hundredth."""
    asked = 0

    def counted(text: str) -> int:
        nonlocal asked
        asked += 1
        return words(text)

    sizes = Sizes(counted)
    total = 0
    for number in range(20 * EXACT):
        total += 1 + number % 7
        sizes.add("w " * (1 + number % 7))
    assert asked <= EXACT + 19 * EXACT // EVERY + 1
    assert not sizes.is_exact
    assert sizes.tokens == pytest.approx(total, rel=0.01)
    assert sum(bar.texts for bar in sizes.histogram()) == pytest.approx(20 * EXACT, abs=8)
    assert sizes.beyond(6) == pytest.approx(20 * EXACT / 7, rel=0.1)


def test_keys_that_came_before_are_counted_and_memory_is_bounded() -> None:
    repeats = Repeats(remembered=2)
    for key in ("a", "b", "a", "c", "c", "b"):
        repeats.add(key)
    assert repeats.count == 2
    many = Repeats()
    for number in range(300_000):
        many.add(str(number))
    assert many.count == 0
    assert sys.getsizeof(many._hashes) < 16_000_000
