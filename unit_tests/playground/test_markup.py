"""What a customer once typed stays text."""

from __future__ import annotations

import pytest

from playground import markup

HOSTILE = '<script>alert("x")</script>&'
SAFE = "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;"


@pytest.mark.parametrize(
    "made",
    [
        markup.place(HOSTILE, HOSTILE),
        markup.trouble(HOSTILE, HOSTILE),
        markup.note(HOSTILE, HOSTILE),
        markup.facts({HOSTILE: HOSTILE}),
        markup.details({HOSTILE: HOSTILE}),
        markup.table([HOSTILE], [[HOSTILE, HOSTILE]]),
        markup.chunk(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}),
        markup.hit(1, HOSTILE, markup.marked(HOSTILE, frozenset()), [HOSTILE], markup.record_link(HOSTILE, HOSTILE)),
        markup.reasons([HOSTILE]),
    ],
)
def test_everything_is_escaped(made: str) -> None:
    assert "<script" not in made
    assert SAFE in made


def test_the_words_of_the_question_are_marked() -> None:
    """Whole words, whatever their case; those that stand in every text are not, unless there are no others."""
    words = markup.words_of("The phone of the café")
    assert words == {"phone", "café"}
    assert (
        markup.marked("A Phone & the phones, CAFÉ", words) == "A <mark>Phone</mark> &amp; the phones, <mark>CAFÉ</mark>"
    )
    assert markup.marked("<script>phone", frozenset({"script"})) == "&lt;<mark>script</mark>&gt;phone"
    assert markup.words_of("not for me") == {"not", "for", "me"}
    assert markup.marked("", words) == ""


def test_a_link_leads_to_one_record() -> None:
    assert markup.record_link("a&b", 'x"1') == "record?stream=a%26b&record=x%221"
