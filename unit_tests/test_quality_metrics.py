"""What `make quality` computes from rankings and from converted pages, by cases that were worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.quality import fidelity, metrics
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


def test_no_queries_have_no_scores() -> None:
    with pytest.raises(ValueError, match="at least one query"):
        metrics.scores([])


def test_a_record_stands_where_its_best_chunk_does() -> None:
    """Three chunks of `a` push nothing down but once: `b` is second, `c` third."""
    records = metrics.first_of_each(["a", "a", "b", "a", "c", "b"])
    assert records == ["a", "b", "c"]
    assert [metrics.rank(records, key) for key in ("a", "c", "d")] == [1, 3, None]


PAGE = """<head><title>unseen</title></head><h1>Set <em>up</em><a href="#up">¶</a></h1>
<p>Read <a href="https://a.example/b_(c)">the guide</a> and <a href="#here">below</a>.</p>
<pre><span></span><span class="k">def</span> f(<a href="x.html">a</a>):

    return a  # <b>
</pre>
<table><tr><th>Key</th><th></th></tr><tr><td>F1</td><td>Opens <code>help</code></td></tr></table>"""

CODE = "def f(a):\n\n    return a  #"


def test_a_page_is_read_as_a_reader_sees_it() -> None:
    """Links into the page and inside code do not count, nor do empty cells or what stands in the head."""
    page = fidelity.read(PAGE)
    assert page.code == [CODE]
    assert page.headings == ["Set up¶"]
    assert page.links == ["https://a.example/b_(c)"]
    assert page.cells == ["Key", "F1", "Opens help"]
    assert page.words["unseen"] == 0
    assert page.words["a"] == 2


def test_a_faithful_conversion_loses_nothing() -> None:
    markdown = (
        '# Set *up*\n\nRead [the guide](<https://a.example/b_(c)> "t") and [below](#here).\n\n> ```\n> '
        + CODE.replace("\n", "\n> ")
        + "\n> ```\n\n| Key | |\n|---|---|\n| F1 | Opens `help` |\n"
    )
    found = fidelity.found(fidelity.read(PAGE), markdown)
    assert found == fidelity.Found(code=(1, 1), cells=(3, 3), links=(1, 1), headings=(1, 1), words=(16, 16))


@pytest.mark.parametrize(
    ("markdown", "lost"),
    [
        ("def f(a):\n\n  return a  #", "code"),
        ("def f(a): return a  #", "code"),
        ("Key F1 Opens help", "cells"),
        ("the guide https://a.example/other", "links"),
        ("Set up", "headings"),
        ("nothing", "words"),
    ],
)
def test_what_is_lost_is_counted(markdown: str, lost: str) -> None:
    """Another indent, a table without bars, an address of another page, a heading that is none."""
    there, kept = getattr(fidelity.found(fidelity.read(PAGE), markdown), lost)
    assert there > 0
    assert kept == 0


def test_counts_of_pages_add_up() -> None:
    total = fidelity.Found(code=(1, 1), words=(5, 4)) + fidelity.Found(code=(2, 0), words=(1, 1))
    assert total == fidelity.Found(code=(3, 1), words=(6, 5))


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
