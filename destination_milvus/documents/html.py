"""HTML → Markdown for reading: no visible word is lost to broken markup, and no field can stall or flood a sync.

The conversion is a library's. Around it stand a lexer of its own, which takes markup that has no end for the text that
it is to its reader, and a look at the result: where words are missing in it, the text without its markup is taken.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from html import unescape
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_GROWTH = 4
"""Markdown has at most so many times the bytes of its HTML. Ordinary articles shrink; what grows is padding."""

MAX_DEPTH = 100
"""Levels of elements that are converted; a mail table in a mail table takes four, an answer to an answer three."""

MAX_QUOTES = 32
"""Levels of quotations that are converted: the converter writes each line anew for each of them, 1 s/MB at 32."""

_COLUMNS = 1_000
"""Most columns of a row, the converter's own limit: it fills every row of a table up to the widest."""

_CELL_BYTES = 2
"""Fewest bytes of a cell: a space and a bar."""


@dataclass(frozen=True, slots=True)
class Lexed:
    """HTML, and what a reader sees of it."""

    html: str
    """With markup that has no end as the text that it is to a reader; most often the same as it came."""
    texts: Sequence[str]
    """What stands between its tags, without what is not shown; entities as they are."""
    quotes: int = 0
    """Levels of quotations."""


def markdown(html: str) -> str:
    """HTML as Markdown: headings, lists, tables, links and code stay, markup, scripts and inlined images go.

    Where that would lose words or grow beyond `MAX_GROWTH`, it is the text without its markup: what is missing is not
    found. What cannot be converted stays as it is.

    Args:
        html: without NUL and halves of characters.
    """
    lexed = simple(html) or lex(html)
    if lexed.quotes > MAX_QUOTES or _table_bytes(lexed.html) > MAX_GROWTH * len(html):
        return _plain(lexed.html)
    try:
        converted = _converted(lexed.html)
    except Exception:  # noqa: BLE001 - whatever the converter stumbles over, the record has a text
        return html
    if len(converted.encode()) <= MAX_GROWTH * len(html.encode()) and (
        holds(converted, lexed.texts)
        # what is missing was perhaps not to be shown
        or holds(converted, lex(html).texts)
    ):
        return converted
    return _plain(lexed.html)


def _plain(html: str) -> str:
    """The text without its markup, a line a block."""
    lexer = _Lexer(html)
    breaks = ("" if _INLINE.match(tag) else "\n" for tag in lexer.tags)
    text = unescaped("".join(chain.from_iterable(zip(lexer.texts, [*breaks, ""], strict=True))))
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def _converted(html: str) -> str:
    from html_to_markdown import ConversionOptions, PreprocessingOptions, convert  # noqa: PLC0415 - only for html_fields

    options = ConversionOptions(
        bullets="-",
        compact_tables=True,
        extract_metadata=False,
        inline_data_media="alt_text_only",
        # drawings, and the signs beside headings that link to them
        exclude_selectors=["svg", "a.headerlink"],
        # a field is an article, not a page around one: its forms and lists of links are what its author wrote
        preprocessing=PreprocessingOptions(preset="minimal"),
        # what lies deeper is left out, and missed by `holds`; else time and size grow with the square of the depth
        max_depth=MAX_DEPTH,
    )
    return convert(_PREFORMATTED.sub(_without_links, html), options).content or ""


def _without_links(code: re.Match[str]) -> str:
    """Code that shows what it is: in it, a link would become `[name](address)`, which is no code any more."""
    return _LINK_TAG.sub("", code.group())


# to the end of the text where it has none of its own, as in a browser: to look for one again and again is quadratic
_PREFORMATTED = re.compile(r"<pre\b[^<>]*>.*?(?:</pre\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_LINK_TAG = re.compile(r"</?a\b[^<>]*>", re.IGNORECASE)


def _table_bytes(html: str) -> int:
    """About the least bytes of Markdown that tables take, each row filled up to the widest of its table."""
    total, rows, cells, widest = 0, 0, 0, 0
    for table, row, attributes in _TABLE_PART.findall(html):
        if table:
            total, rows, widest = total + rows * widest, 0, 0
        elif row:
            rows, cells = rows + 1, 0
        else:
            span = _COLSPAN.search(attributes) if attributes else None
            cells += min(int(span[1]), _COLUMNS) if span else 1
            widest = max(widest, min(cells, _COLUMNS))
    return _CELL_BYTES * (total + rows * widest)


_TABLE_PART = re.compile(r"<[tT](?:([aA][bB][lL][eE])|([rR])|[dDhH])(?=[\s/>])([^<>]*)")
_COLSPAN = re.compile(r"""\scolspan\s*=\s*["']?\s*(\d{1,4})""", re.IGNORECASE)


# --- words ------------------------------------------------------------------------------------------------------------

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))
_NO_LETTERS = {sign for sign in range(1, 128) if not chr(sign).isalnum()} | set((_SPACES + "¶").encode())
_LETTERS = bytes(ord(" ") if byte in _NO_LETTERS else byte for byte in range(256))
"""For each byte itself or a space: for signs of ASCII, for what spaces of all kinds are made of, which converters write
as one kind, and for the sign that links to a heading. Of letters beyond ASCII it may leave a part."""

_WORD = re.compile(r"\w+")


def holds(converted: str, texts: Sequence[str]) -> bool:
    """Whether Markdown has all words of these texts, entities in them as they are.

    To look for them in their order costs a fraction of the conversion, and suffices for most articles. Where
    markup runs through words, pieces of them are looked for; where a converter has put something elsewhere, such as the
    foot of a table, words are counted.
    """
    visible = unescaped("\0".join(texts))
    found = _words(converted)
    rest = iter(found)  # `in` goes on behind the word that it found
    if all(word in rest for word in _words(visible.replace("\0", " "))):
        return True
    if _holds_pieces(b" ".join([b"", *found]), b" ".join(_words(visible)).split(b"\0")):
        return True
    return not Counter(_WORD.findall(visible)) - Counter(_WORD.findall(converted))


def _holds_pieces(found: bytes, pieces: Iterable[bytes]) -> bool:
    at, apart = 0, b" "
    for piece in pieces:
        if piece.startswith(b" "):
            apart = b" "
        if word := piece.strip():
            at = found.find(apart + word, at)
            if at < 0:
                return False
            at += len(apart + word)
            apart = b" " if piece.endswith(b" ") else b""
    return True


def _words(text: str) -> list[bytes]:
    return text.encode().translate(_LETTERS).split()


def unescaped(text: str) -> str:
    """Text with its entities as characters."""
    if "&" not in text:
        return text
    return unescape(_LONG_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text))


# no character has one, and Python refuses to read numbers of thousands of digits
_LONG_NUMBER = re.compile(r"&#\d{20,};?")


# --- the lexer --------------------------------------------------------------------------------------------------------

_OPAQUE = "iframe|noscript|script|style|title"
"""Elements that are not shown, and in which nothing but their end is markup."""

_UNSEEN = "head|svg|template"

_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])[^<>]*>", re.IGNORECASE) for name in _OPAQUE.split("|")}
_ENDS["comment"] = re.compile("-->")

# Every way through these ends well, so that they never go back, and read a character once; but a quote that has no end
# is read to the end of the text, twice at most.
_ATTRIBUTES = r"""[^<>"'=]*(?:(?:=\s*(?:"[^"]*"|'[^']*')?|["'])[^<>"'=]*)*"""
_TOKEN = re.compile(
    rf"""<(?:
      (?: (?i:(?:(?P<opaque>{_OPAQUE}) | (?P<unseen>{_UNSEEN}) | (?P<quote>/?blockquote))(?=[\s/>]))
        | [/?!]?[a-zA-Z]
        | !\[(?!CDATA\[)
      )
      {_ATTRIBUTES}(?:>|(?P<endless>))
    | (?P<comment>!(?=--))
    | (?P<section>!\[CDATA\[)
    | (?P<stray>[!?/])
    )""",
    re.VERBOSE,
)
# nothing but markup; the first letters are those of most tags and of no others
_SIMPLE_TAG = re.compile(
    rf"""</?(?:[ac-gj-mo-ru-z]|(?!(?i:{_OPAQUE}|{_UNSEEN}|blockquote)[\s/>])[a-zA-Z]){_ATTRIBUTES}(?:>|(<|\Z))"""
)
_INLINE = re.compile(
    r"</?(?:a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|label|mark|nobr|o:p|q|s|samp|small|span|"
    r"strike|strong|sub|sup|time|tt|u|var|wbr)(?=[\s/>])",
    re.IGNORECASE,
)
_NAME = re.compile(r"<(/?[a-z][^\s/>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?""")
_UNSEEN_STYLE = re.compile(r"(?<![\w-])(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")


def simple(html: str) -> Lexed | None:
    """HTML as it reads, where tags are nothing but markup, as they are in most articles; None where one may be more."""
    pieces = _SIMPLE_TAG.split(html)
    texts, endless = pieces[::2], pieces[1::2]
    if endless.count(None) < len(endless) or "<" in "".join(texts):
        return None
    return Lexed(html, texts)


def lex(html: str) -> Lexed:
    """HTML as it reads; in linear time, whatever it is."""
    lexer = _Lexer(html)
    if lexer.mends:
        lexer = _Lexer(_mended(html, lexer.mends))
    return Lexed(lexer.html, lexer.texts, lexer.quotes)


def _mended(html: str, mends: Sequence[tuple[int, int, str]]) -> str:
    """HTML with other text at these places; they may overlap nowhere."""
    parts: list[str] = []
    at = 0
    for start, end, text in sorted(mends):
        parts += html[at:start], text
        at = end
    return "".join((*parts, html[at:]))


class _Lexer:
    """Reads HTML once, and notes in `mends` what of its markup is none."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.quotes = 0
        self.mends: list[tuple[int, int, str]] = []
        """(start, end, what is meant there)"""
        self._open_quotes = 0
        self._section_end = 0
        self._endless: set[str] = set()
        """What has no end any more, so that it is not sought again and again."""
        self._unseen = ""
        """Name of the element that is not shown, if this is inside one; a second one in it is part of it."""
        self._unseen_depth = 0
        self._seen = 0
        """Texts before it."""
        self._read()

    def _read(self) -> None:
        html, texts, tags = self.html, self.texts, self.tags
        may_hide = _may_hide(html)
        at = 0
        while True:
            for token in _TOKEN.finditer(html, at):
                texts.append(html[at : token.start()])
                tags.append(token.group())
                at = token.end()
                special = token.lastgroup or self._unseen or (may_hide and _may_hide(tags[-1]))
                if special and (end := self._note(token)) > at:
                    at = end
                    break
            else:
                break
        texts.append(html[at:])

    def _note(self, token: re.Match[str]) -> int:
        """Take notice of a token that may be more than markup; returns where reading goes on."""
        kind = token.lastgroup
        if kind in {"endless", "stray"}:
            self._is_text(token)
        elif kind == "section":
            self._note_section(token)
        elif kind in {"comment", "opaque"}:
            return self._end_of(token, (token["opaque"] or kind).lower())
        else:
            if kind == "quote":
                self._open_quotes = max(0, self._open_quotes + (-1 if token["quote"].startswith("/") else 1))
                self.quotes = max(self.quotes, self._open_quotes)
            self._note_tag(token.group(), unseen=kind == "unseen")
        return token.end()

    def _is_text(self, token: re.Match[str]) -> None:
        self.mends.append((token.start(), token.start() + 1, "&lt;"))

    def _note_section(self, token: re.Match[str]) -> None:
        """CDATA: a browser ignores all of it, but where it stands in a field, the field is in it."""
        if token.start() >= self._section_end:
            end = -1 if "section" in self._endless else self.html.find("]]>", token.end())
            if end < 0:
                self._endless.add("section")
                self._is_text(token)
                return
            self._section_end = end
            self.mends.append((end, end + len("]]>"), ""))
        self.mends.append((*token.span(), ""))

    def _end_of(self, token: re.Match[str], name: str) -> int:
        if name not in self._endless:
            end = _ENDS[name].search(self.html, token.end())
            if end is not None:
                return end.end()
            self._endless.add(name)
        self._is_text(token)
        return token.end()

    def _note_tag(self, tag: str, *, unseen: bool) -> None:
        match = _NAME.match(tag)
        name = match[1].lower() if match is not None else ""
        if self._unseen:
            self._unseen_depth += (name == self._unseen) - (name == f"/{self._unseen}")
            if not self._unseen_depth:
                self._unseen = ""
                del self.texts[self._seen :], self.tags[self._seen :]
        elif (unseen or (_may_hide(tag) and _hides(tag, name))) and not tag.endswith("/>"):
            self._unseen, self._unseen_depth, self._seen = name, 1, len(self.texts)


def _may_hide(html: str) -> bool:
    """Whether an attribute may be there that hides an element."""
    # as quick as can be, for every record: by their last letters, since the first is of either case
    return "idden" in html or "isplay" in html or "headerlink" in html or "IDDEN" in html or "ISPLAY" in html


def _hides(tag: str, name: str) -> bool:
    """Whether an element is not shown, by its attributes."""
    if name.startswith("/") or _VOID.fullmatch(name):
        return False
    found = _ATTRIBUTE.findall(tag, len(name) + 1)
    attributes = {attribute.lower(): "".join(values) for attribute, *values in found}
    if name == "a" and "headerlink" in attributes.get("class", "").split():
        return True
    return "hidden" in attributes or _UNSEEN_STYLE.search(attributes.get("style", "")) is not None
