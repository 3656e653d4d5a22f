"""What `make quality` computes from rankings, by cases that were worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.quality import metrics
from benchmarks.quality.sources import Pair, plain, terms

RANKS = [1, 2, None, 5, 11]
"""Of five queries: found first, second, not at all, fifth, eleventh."""


def test_recall_counts_the_queries_whose_answer_is_among_the_first() -> None:
    assert metrics.recall(RANKS, 1) == 1 / 5
    assert metrics.recall(RANKS, 5) == 3 / 5
    assert metrics.recall(RANKS, 11) == 4 / 5


def test_reciprocal_ranks_end_at_the_limit() -> None:
    """1 + 1/2 + 0 + 1/5, and nothing for the eleventh place, over five queries."""
    assert metrics.reciprocal_rank(RANKS, 10) == pytest.approx(1.7 / 5)
    assert metrics.reciprocal_rank(RANKS, 1) == 1 / 5


def test_scores_hold_all_figures() -> None:
    assert metrics.scores(RANKS) == metrics.Scores(queries=5, recall_1=0.2, recall_5=0.6, mrr_10=pytest.approx(0.34))


def test_sets_of_queries_count_by_their_size() -> None:
    """Three at 1 and one at 0."""
    parts = metrics.scores([1, 1, 1]), metrics.scores([None])
    assert metrics.mean_of(*parts) == pytest.approx(0.75)


def test_no_queries_have_no_scores() -> None:
    with pytest.raises(ValueError, match="at least one query"):
        metrics.scores([])


def test_a_record_stands_where_its_best_chunk_does() -> None:
    """Three chunks of `a` push nothing down but once: `b` is second, `c` third."""
    records = metrics.first_of_each(["a", "a", "b", "a", "c", "b"])
    assert records == ["a", "b", "c"]
    assert [metrics.rank(records, key) for key in ("a", "c", "d")] == [1, 3, None]


def test_a_term_stands_in_one_answer_only() -> None:
    """The first name of an answer that no other answer says, in code or not; short ones are none."""
    answers = {
        "a": "<p>Call <code>ls</code>, <code>os.path</code> or <code>shutil.rmtree</code>.</p>",
        "b": "<p>As <i>os.path</i> does, <code>Shutil</code>.</p>",
        "c": "<p><code>make install</code> and <code>make clean</code></p>",
    }
    pairs = [Pair("source", "title", "question", answer, key) for key, answer in answers.items()]
    assert terms(pairs) == [("shutil.rmtree", "a"), ("make install", "c")]


def test_plain_text_has_neither_tags_nor_entities() -> None:
    assert plain("<p>a &lt; <b>b</b>\n c</p>") == "a < b c"
