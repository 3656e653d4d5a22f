"""The parts of the pages that Streamlit has no element for, as HTML. Pure.

Texts and names are what somebody once typed: everything goes through `escape`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import urlencode

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")

NO_TEXT = '<p class="pg-quiet">The collection keeps no text.</p>'

COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about after all also am an and any are as at be been but by can could did do does for from had has "
        "have how i if in into is it its me my no not of on or our so than that the their them then there they "
        "this to was we were what when where which who why will with would you your ",
    )
)
"""English words that stand in every text."""

_WORD = re.compile(r"\w+")


def heading(title: str, caption: str) -> str:
    """The head of a page: what it is about, and what it is for."""
    return f'<header class="pg-head"><h1>{escape(title)}</h1><p>{escape(caption)}</p></header>'


def place(collection: str, where: str) -> str:
    """What is looked at, on every page."""
    return (
        f'<p class="pg-place"><span>Collection</span> <b>{escape(collection)}</b> <span>in {escape(where)}</span></p>'
    )


def trouble(headline: str, detail: str) -> str:
    """Something that did not work; read out at once."""
    return f'<section class="pg-trouble" role="alert"><h2>{escape(headline)}</h2><p>{escape(detail)}</p></section>'


def note(headline: str, detail: str) -> str:
    """Something that is as it should be, and shows nothing."""
    return f'<section class="pg-note" role="status"><h2>{escape(headline)}</h2><p>{escape(detail)}</p></section>'


def facts(values: Mapping[str, str], *, alarming: Iterable[str] = ()) -> str:
    """A few large figures; those that are alarming stand out."""
    alarms = set(alarming)
    items = "".join(
        f"<div{' class=pg-alarm' if name in alarms else ''}><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in values.items()
    )
    return f'<dl class="pg-facts">{items}</dl>'


def details(values: Mapping[str, str]) -> str:
    """Names and values, one a line."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="pg-details">{items}</dl>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A small table; columns after the first are figures."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return (
        f'<div class="pg-scroll" tabindex="0" role="region" aria-label="{escape(headers[0])}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def words_of(text: str) -> frozenset[str]:
    """The words of a text, as Milvus' `standard` analyzer tells them apart, without those that tell nothing.

    Case does not matter. Where there are no others, the common ones count.
    """
    words = frozenset(word.lower() for word in _WORD.findall(text))
    return words - COMMON or words


def marked(text: str, words: frozenset[str]) -> str:
    """A text in which those words are marked."""
    parts, end = [], 0
    for found in _WORD.finditer(text):
        if found[0].lower() in words:
            parts += [escape(text[end : found.start()]), f"<mark>{escape(found[0])}</mark>"]
            end = found.end()
    return "".join(parts) + escape(text[end:])


def record_link(stream: str, record_id: str) -> str:
    """The address of a record's page."""
    return f"record?{urlencode({'stream': stream, 'record': record_id})}"


def hit(rank: int, head: str, text: str | None, badges: Sequence[str], link: str) -> str:
    """One row that was found.

    Args:
        rank: from 1.
        head: which chunk of which record.
        text: as HTML, from `marked`; None where the collection keeps no text.
        badges: what it was found by, and how near it is.
        link: of its record.
    """
    tags = "".join(f"<span>{escape(badge)}</span>" for badge in badges)
    body = NO_TEXT if text is None else f'<div class="pg-text">{text}</div>'
    return (
        f'<li><div class="pg-hit-head"><span class="pg-rank">{rank}</span><b>{escape(head)}</b>'
        f'<span class="pg-badges">{tags}</span></div>{body}'
        f'<a href="{escape(link)}" target="_self">The whole record</a></li>'
    )


def hits(items: Iterable[str]) -> str:
    """What a search found, best first."""
    return f'<ol class="pg-hits">{"".join(items)}</ol>'


def chunk(title: str, text: str | None, values: Mapping[str, str], words: frozenset[str] = frozenset()) -> str:
    """One chunk of a record, with what is stored beside its text."""
    body = NO_TEXT if text is None else f'<div class="pg-text">{marked(text, words)}</div>'
    return f'<article class="pg-chunk"><h3>{escape(title)}</h3>{body}{details(values)}</article>'


def chunks(items: Iterable[str]) -> str:
    """A record's chunks, side by side where there is room."""
    return f'<div class="pg-chunks">{"".join(items)}</div>'


def reasons(sentences: Iterable[str]) -> str:
    """Sentences, one a line; read out when they change."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<ul class="pg-reasons" role="status">{items}</ul>'
