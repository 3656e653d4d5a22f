"""Filters, distances, and what is shown of an answer."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.search.filter import parse_expr
from milvus_lite.search.filter.ast import And, CmpOp, FieldRef, IntLit, StringLit

from destination_milvus.errors import ConfigError
from destination_milvus.milvus.reader import Hit
from support_form import search

# Milvus Lite refuses a filter with an escaped control character: an error, never a wider filter
NASTY = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\"\\'\n\t )(=&|%{}"),
    max_size=60,
)
PIECES = st.lists(
    st.sampled_from(
        ['"', "\\", "'", " or ", " and ", " in ", "id > 0", "==", "(", ")", "360033549136", "\n", "{x}", "//", "é"]
    ),
    max_size=12,
).map("".join)
"""Text that would be a filter if it were not quoted."""


def conditions(condition: str) -> list[Any]:
    """The parts of a conjunction, as Milvus Lite's own parser reads them."""
    parsed = parse_expr(condition)
    assert isinstance(parsed, And)
    return list(parsed.operands)


def hit(number: int, score: float, **entity: Any) -> Hit:
    return Hit({"_ab_record_id": f"tickets_{number}", "id": number, **entity}, score)


def ticket(number: int, distance: float, organization: int = 7) -> Hit:
    return hit(number, distance, subject=f"Subject {number}", status="new", organization_id=organization)


def article(number: int, distance: float, **entity: Any) -> Hit:
    return hit(number, distance, **{"title": f"Title {number}", "html_url": f"https://help.example/{number}", **entity})


@given(organization=NASTY | PIECES | st.integers(-(2**63) + 1, 2**63 - 1), but=st.integers(0, 2**53))
def test_no_value_can_widen_the_filter(organization: int | str, but: int) -> None:
    """Whatever the organization is called, the filter stays four conditions, all of which must hold, one its name."""
    stream, owner, status, other = conditions(search.open_tickets_filter(organization, but=but))
    assert (stream.left.name, stream.op, stream.right.value) == ("_ab_stream", "==", "tickets")
    assert isinstance(owner, CmpOp)
    assert isinstance(owner.left, FieldRef)
    assert (owner.left.name, owner.op) == ("organization_id", "==")
    if isinstance(organization, str) or organization >= 0:
        assert isinstance(owner.right, (StringLit, IntLit))
        assert owner.right.value == organization
    assert status.field.name == "status"
    assert [item.value for item in status.values.elements] == ["new", "open", "pending", "hold"]
    assert (other.op, other.right.value) == ("!=", but)


@given(similarity=st.floats(-1, 1))
def test_distances_agree_across_metrics(similarity: float) -> None:
    """Two unit vectors at an angle: COSINE, IP and L2 tell one distance, the square of the chord between them."""
    angle = math.acos(similarity)
    chord = (1 - math.cos(angle)) ** 2 + math.sin(angle) ** 2
    for metric, score in (("COSINE", similarity), ("IP", similarity), ("L2", chord)):
        assert search.squared_distance(score, metric) == pytest.approx(chord, abs=1e-9)


def test_the_tutorials_thresholds_are_known_similarities() -> None:
    """0.35 and 0.362, squared L2, are the cosine similarities 0.825 and 0.819."""
    assert search.squared_distance(0.825, "COSINE") == pytest.approx(0.35)
    assert search.squared_distance(0.819, "COSINE") == pytest.approx(0.362)


def test_rounding_makes_no_distance_negative() -> None:
    """A vector's similarity to itself may come back as 1.0000001."""
    assert search.squared_distance(1.0000001, "COSINE") == 0


@pytest.mark.parametrize("metric", ["HAMMING", ""])
def test_a_metric_without_such_a_distance_is_named(metric: str) -> None:
    """The sentence says which metrics the form knows."""
    with pytest.raises(ConfigError, match="COSINE, IP and L2"):
        search.squared_distance(0.5, metric)


@given(
    scores=st.lists(st.tuples(st.integers(1, 4), st.floats(-1, 1)), max_size=12),
    metric=st.sampled_from(["COSINE", "IP", "L2"]),
)
def test_each_record_is_found_once_with_its_nearest_row(scores: list[tuple[int, float]], metric: str) -> None:
    """Chunks of one record collapse into its best hit, and hits come nearest first, whatever the metric's direction."""
    answer = [hit(number, abs(score) if metric == "L2" else score) for number, score in scores]
    found = search.nearest_rows(answer, metric)
    distances = [near.distance for near in found]
    assert distances == sorted(distances)
    assert {near.entity["id"] for near in found} == {number for number, _ in scores}
    assert len(found) == len({number for number, _ in scores})
    for near in found:
        rows = [row.score for row in answer if row.entity["id"] == near.entity["id"]]
        assert near.distance == min(search.squared_distance(score, metric) for score in rows)


def test_only_near_tickets_of_the_organization_are_the_same_problem() -> None:
    """The threshold is a limit, and a row of another organization is not shown even if Milvus returned it."""
    found = search.nearest_rows(
        [ticket(1, 0.9), ticket(2, 0.6), ticket(3, 0.5), ticket(4, 0.99, organization=8)], "COSINE"
    )
    tickets = search.same_problem(found, 7, threshold=1.0, limit=3)
    assert [(known.number, known.subject) for known in tickets] == [(1, "Subject 1"), (2, "Subject 2")]
    assert search.same_problem(found, "7", threshold=1.0, limit=3) == ()


def test_no_more_than_the_limit_is_shown() -> None:
    """The nearest ones are."""
    found = search.nearest_rows([ticket(number, number / 10) for number in range(1, 9)], "COSINE")
    assert [known.number for known in search.same_problem(found, 7, threshold=4, limit=2)] == [8, 7]


def test_articles_are_public_and_have_a_web_address() -> None:
    """No draft, none for some readers only, and no link that runs a script."""
    found = search.nearest_rows(
        [
            article(1, 0.9),
            article(2, 0.9, draft=True),
            article(3, 0.9, user_segment_id=12),
            article(4, 0.9, html_url="javascript:alert(1)"),
            article(5, 0.9, html_url=None),
            article(6, 0.9, title=""),
            article(7, 0.9, html_url="https://[broken"),
            article(8, 0.1),
            article(9, 0.8, draft=False),
        ],
        "COSINE",
    )
    assert [shown.title for shown in search.helpful(found, threshold=1.2, limit=5)] == ["Title 1", "Title 9"]
