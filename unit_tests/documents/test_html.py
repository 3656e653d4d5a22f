"""HTML → Markdown: what is ordinary is converted, and of what is broken no word is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from destination_milvus.documents import html as module
from destination_milvus.documents.html import MAX_DEPTH, MAX_GROWTH, MAX_QUOTES, markdown
from destination_milvus.documents.text import clean


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


# --- ordinary HTML ----------------------------------------------------------------------------------------------------


def test_highlighted_code_stays_word_for_word() -> None:
    """Documentation generators colour code with spans and link names in it; neither is part of the code."""
    html = (
        '<div class="highlight"><pre><span></span><span class="k">if</span> <span class="n">a</span><span class="p">['
        '</span>i<span class="p">]</span>:\n    <a class="reference" href="api.html#run"><span>run</span></a>(*_b)\n'
        "</pre></div>"
    )
    assert markdown(html) == "```\nif a[i]:\n    run(*_b)\n```\n"


def test_what_an_author_put_into_forms_and_lists_of_links_stays() -> None:
    """The converter would take them for the furniture of a web page; mails stand in a form as a whole."""
    html = "<nav><a href='#two'>Part two</a></nav><form><p>Dear customer</p></form><aside>Take care</aside>"
    assert markdown(html) == "[Part two](#two)\n\nDear customer\n\nTake care\n"


def test_signs_that_link_to_a_heading_go() -> None:
    """A sign beside a heading is no word of it."""
    assert markdown('<h2>Install<a class="headerlink" href="#install">¶</a></h2>') == "## Install\n"


@pytest.mark.parametrize(
    ("html", "converted"),
    [
        ('<b>in</b><p style="color: red; DISPLAY : none">not</p>', "**in**\n"),
        ("<b>in</b><div hidden><div>not</div>not</div>", "**in**\n"),
        ('<b>in</b><a class="x headerlink" href="#in">not</a>', "**in**\n"),
        ('<b>in</b><img hidden><a href="x" style="visibility:hidden">not</a>', "**in**\n"),
        ("<b>in</b><svg><text>not</text></svg><template>not</template>", "**in**\n"),
        ("<head><title>not</title></head><b>in</b><svg/><noscript>not</noscript><iframe>not</iframe>", "**in**\n"),
        ("<!DOCTYPE html><?xml version='1.0'?><!-- not <p> --><b>in</b><!----><![if !mso]><![endif]>", "**in**\n"),
        ("<script>if (a<b) not('</p>')</script><b>in</b><STYLE>p { not }</STYLE >", "**in**\n"),
        ("<b title='a > b <i> c'>in</b>", "**in**\n"),
        ("<b>un</b>for<i>seen</i>", "**un**for*seen*\n"),
        ("un<span>fore</span>seen&shy;able\u2003it &euro; is&nbsp;<b>so</b>", "unforeseen\u00adable it € is **so**\n"),
        ("<ul><li><b>2 &lt; 3</b><li>I <3 you <b>- a[b[0]]>5</b></ul>", "- **2 < 3**\n- I <3 you **- a[b[0]]>5**\n"),
        # in another order than in the text, by one version of the converter
        ("<table><tfoot><tr><td>F</td></tr></tfoot><tbody><tr><td>B</td></tr></tbody></table>", None),
    ],
)
def test_what_is_not_shown_is_not_missed(html: str, converted: str | None) -> None:
    """Markup of every kind leaves no mark, and its absence does not cost the article its headings and links."""
    if converted is None:
        assert markdown(html).startswith("| ")
    else:
        assert markdown(html) == converted


# --- broken HTML ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "html", ["<div>" * 5000 + "deep", "a < b && c > d", "plain\ntext", "<p>open <b>bold", "\0<p>x", "\ud800"]
)
def test_odd_html_loses_no_word(html: str) -> None:
    """What is written between tags is found, however odd they are."""
    expected = "".join(
        html.replace("\0", "").replace("\ud800", "").replace("<p>", "").replace("<b>", "").split("<div>")
    ).split()
    assert all(word in markdown(clean(html)) for word in expected)


@pytest.mark.parametrize("data", ["PK\x03\x04<b>x</b>", "%PDF-1.4\n%âãÏÓ"])
def test_what_the_converter_refuses_stays_as_it_is(data: str) -> None:
    """An attachment that landed in a field must not end the sync."""
    assert markdown(data) == data


UNCLOSED = "font span div b a blockquote ul><li ol><li table><tr><td dl><dd p pre section x-y h1 em code u small"


@pytest.mark.parametrize("unit", ["<p><{}>w{} x</p>", "<{}>w{} x "])
@pytest.mark.parametrize(
    "tag",
    UNCLOSED.split(),
)
def test_unclosed_elements_cost_no_word(tag: str, unit: str) -> None:
    """Elements that are opened 3,000 times and never closed, as editors of mails do, keep every paragraph."""
    html = "".join(unit.format(tag, number) for number in range(3_000))
    converted = markdown(html)
    assert words(converted).count("x") == 3_000
    assert {f"w{number}" for number in range(3_000)} <= set(words(converted))
    assert len(converted) <= MAX_GROWTH * len(html)


@pytest.mark.parametrize("levels", [1, MAX_QUOTES, MAX_QUOTES + 1, MAX_DEPTH, 5_000])
def test_quotations_keep_their_marks_and_their_words(levels: int) -> None:
    """A thread of mails is quoted level by level; one that no reader could follow is text without marks."""
    html = "".join(f"<blockquote>answer{level} {'word ' * 40}" for level in range(levels)) + "</blockquote>" * levels
    converted = markdown(html)
    assert [word for word in words(converted) if word != "word"] == [f"answer{level}" for level in range(levels)]
    assert ("> " in converted) == (levels <= MAX_QUOTES)


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td colspan=1000>wide</td></tr></table>" * 50,
        "<table><tr>" + "<td>w" * 2_000 + "<tr><td>w" * 2_000,
        "<table><tr>" + "<th colspan='99999'>w" * 20 + "<tr><td>w" * 500 + "<table><tr><td>w</table>",
        "<blockquote>" * MAX_QUOTES + "<p>w</p>" * 500,
        "<ul><li>" * 40 + "<br>w" * 2_000,
    ],
)
def test_no_markdown_outgrows_its_html(html: str) -> None:
    """Padding, and marks that are repeated on each line, are not worth the memory: the words come without them."""
    converted = markdown(html)
    assert len(converted) <= MAX_GROWTH * len(html)
    assert sorted(words(converted)) == sorted(words(re.sub("<[^>]*>", " ", html)))


@pytest.mark.parametrize(
    ("html", "converted"),
    [
        ("<h1>Logs</h1>if x <y then <b>stop</b>", "# Logs\n\nif x <y then **stop**\n"),
        ("<h1>Logs</h1>I </3 you <b>all</b>", "# Logs\n\nI </3 you **all**\n"),
        ("<h1>Logs</h1><!-- cut <b>off</b>", "# Logs\n\n<!-- cut **off**\n"),
        ("<h1>Logs</h1><!-- one -->x<script>cut <b>off</b>", "# Logs\n\nx<script>cut **off**\n"),
        ("<h1>Logs</h1><script>x</script cut <b>off</b>", "# Logs\n\n<script>x</script cut **off**\n"),
        ("<h1>Logs</h1><b>cut</b> <a href='htt", "# Logs\n\n**cut** <a href='htt\n"),
        ('<h1>Logs</h1><p><a href="x>one</p><p>two</p>', "Logs\none\ntwo"),
        ("<![CDATA[<h1>Logs</h1><![CDATA[<b>all</b>]]>", "# Logs\n\n**all**\n"),
        ("<h1>Logs</h1><![CDATA[cut<![CDATA[<b>off</b>", "# Logs\n\n<![CDATA[cut<![CDATA[**off**\n"),
    ],
)
def test_markup_without_an_end_is_text(html: str, converted: str) -> None:
    """A browser would drop it with all that follows; who wrote it, or cut it off, meant what follows to be read."""
    assert markdown(html) == converted


def test_text_without_markup_has_a_line_for_each_block() -> None:
    """Blocks are lines, words that markup runs through stay one, entities are characters."""
    html = (
        "<title>not</title><p>Caf&eacute;&nbsp;&amp;<br>b<b>ol</b>d \n<i>text</i><div>"
        + "<div>" * 2_000
        + "end&#"
        + "9" * 5000
    )
    assert markdown(html) == "Café &\nbold\ntext\nend\ufffd"


# words stand apart: of cells outside of a table, or paragraphs in a heading, a converter may join what is in them
SHOWN = " {} |<p> {} </p>|<p> {} |<td> {} </td>|<li> {} |<h2> {} </h2>| <b>{}</b> | &lt;{}&gt; |< {} <= | {} <br>"
VISIBLE = st.sampled_from(SHOWN.split("|"))
TAG_NAMES = (
    "a b i font span div p pre code blockquote ul ol li dl dt dd table tbody tr td th caption h1 h6 section form "
    "button select option textarea label center details summary figure o:p x-y em strong u sub object body"
)
TAGS = st.sampled_from(TAG_NAMES.split())
STRUCTURE = (
    TAGS.map(lambda tag: f"<{tag}>")
    | TAGS.map(lambda tag: f'<{tag} class="c" href=\'h\' title="a > b">')
    | TAGS.map(lambda tag: f"</{tag}>")
    | st.tuples(TAGS, st.integers(1, 200)).map(lambda of: f"<{of[0]}>" * of[1])
    | st.sampled_from(["<hr>", "<br/>", "<img src='x'>", "<input>", "<p ", "<! ", "</ ", "<a href= ", "& ", "&amp "])
    | st.sampled_from(["<!-- x -->", "<!---->", "<script>a<b</script>", "<style>x</style>", "<svg><g>x</g></svg>"])
)
ENDS = st.sampled_from(["", "<![CDATA[ ]]>", "<p style='display:none'>", '<a href="x ', "<a title='", "<!doctype "]) | (
    st.sampled_from(
        ["<pre>", "<div hidden>", "<!-- ", "<![CDATA[", "<script>", "<style>", "<title>", "<svg>", "<head>"]
    )
)
TOKENS = (
    "<p> </p> <b > & a <!-- --> <pre> </pre> <![CDATA[ ]]> \" ' = < / ! &# &lt; hidden <svg> </svg> <title> </title> "
    "<td> <tr> <blockquote> </blockquote> <iframe> </iframe <a"
)


@settings(deadline=None, max_examples=300)
@given(st.lists(VISIBLE | STRUCTURE, max_size=40), ENDS)
@example(["<pre>"] * 20 + ["<a>", " {} "], "")
def test_every_visible_word_of_broken_html_is_found(pieces: list[str], end: str) -> None:
    """Unclosed, closed twice, misnested, nested too deep, cut off: each word that a reader was to see is there."""
    shown = [*pieces, end, " {} ", "<b>{}</b>"]
    html = "".join(piece.replace("{}", f"word{number}") for number, piece in enumerate(shown))
    expected = [f"word{number}" for number, piece in enumerate(shown) if "{}" in piece]
    converted = markdown(html)
    assert set(expected) <= set(words(converted))
    assert len(converted.encode()) <= MAX_GROWTH * len(html.encode())


@settings(deadline=None, max_examples=200)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
    | st.lists(st.sampled_from(TOKENS.split(" "))).map("".join)
)
def test_any_html_is_converted_or_kept(html: str) -> None:
    """Whatever a field holds, there is a text, and no flood of it."""
    assert len(markdown(html).encode()) <= MAX_GROWTH * len(html.encode())


@settings(deadline=None)
@given(st.lists(VISIBLE | STRUCTURE, max_size=30))
def test_what_is_mended_needs_no_more_mending(pieces: list[str]) -> None:
    """Once markup without an end has become text, nothing is left that a converter could drop."""
    mended = module.lex("".join(pieces)).html
    assert module.lex(mended).html == mended
