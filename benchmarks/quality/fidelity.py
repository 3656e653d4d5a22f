"""What of a page of HTML is found again in its Markdown: code, tables, links, headings, words. Pure.

The page is read with the standard library's parser, which none of the compared converters uses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from html.parser import HTMLParser
from urllib.parse import unquote

_WORD = re.compile(r"\w+")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~^=:&$@%,;?/\"'])")
_LINK_TARGET = re.compile(r"\]\((?:<[^>]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+\"[^\"]*\")?\)")
_WRITTEN_TARGET = re.compile(r"(?<=\]\()<?((?:[^\s()<>]|\([^\s()]*\))+)|<(\w+:[^\s<>]+)>")
_HEADING_LINE = re.compile(r"^#{1,6} +(.*)$", re.MULTILINE)
_UNDERLINED = re.compile(r"^(.+)\n(?:=+|-+)$", re.MULTILINE)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_UNSEEN = {"script", "style", "head", "svg", "template", "noscript"}
_INLINE = {"a", "abbr", "b", "code", "em", "i", "kbd", "s", "small", "span", "strong", "sub", "sup", "tt", "u", "var"}


@dataclass(slots=True)
class Page:
    """What stands in a page of HTML."""

    code: list[str] = field(default_factory=list)
    """Text of each `<pre>` that is not empty, without blank lines around it."""
    cells: list[str] = field(default_factory=list)
    """Text of each cell of a table."""
    links: list[str] = field(default_factory=list)
    """Target of each link with a text; none into the page itself, and none in code, where Markdown has no links."""
    headings: list[str] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Found:
    """How many there are in pages, and how many were found in their Markdown."""

    code: tuple[int, int] = (0, 0)
    cells: tuple[int, int] = (0, 0)
    links: tuple[int, int] = (0, 0)
    headings: tuple[int, int] = (0, 0)
    words: tuple[int, int] = (0, 0)

    def __add__(self, other: Found) -> Found:
        pairs = ((getattr(self, item.name), getattr(other, item.name)) for item in fields(Found))
        return Found(*((a[0] + b[0], a[1] + b[1]) for a, b in pairs))


def read(html: str) -> Page:
    """What a reader sees in a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.page.words = Counter(words("".join(reader.text)))
    return reader.page


def found(page: Page, markdown: str) -> Found:
    """What of the page is in its Markdown."""
    lines = markdown.split("\n")
    readable = _readable(markdown)
    headings = Counter(_key(match) for match in _headings(markdown))
    rows = [_key(_readable(line)) for line in lines if "|" in line]
    table = f" {' '.join(rows)} "
    kept = Counter(words(readable)) & page.words
    return Found(
        code=(len(page.code), _verbatim(page.code, lines)),
        cells=(len(page.cells), sum(f" {_key(cell)} " in table for cell in page.cells)),
        links=(len(page.links), _contained(page.links, markdown)),
        headings=(len(page.headings), (Counter(map(_key, page.headings)) & headings).total()),
        words=(page.words.total(), kept.total()),
    )


def words(text: str) -> list[str]:
    """Words in lower case."""
    return _WORD.findall(text.casefold().replace("_", " "))


class _Reader(HTMLParser):
    """Collects a `Page`."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.text: list[str] = []
        self._unseen = 0
        self._open: dict[str, list[str]] = {}
        """Texts of the elements that are being read, by their kind."""
        self._target = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As `HTMLParser`."""
        if tag in _UNSEEN:
            self._unseen += 1
        elif not self._unseen:
            if tag not in _INLINE and not self._in_code:
                self._add(" ")
            if tag == "br" and self._in_code:
                self._add("\n")
            if tag == "a":
                self._target = dict(attrs).get("href") or ""
            kind = _kind(tag)
            if kind and kind not in self._open:
                self._open[kind] = []

    def handle_endtag(self, tag: str) -> None:
        """As `HTMLParser`."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif not self._unseen:
            kind = _kind(tag)
            if kind in self._open:
                self._close(kind, "".join(self._open.pop(kind)))
            if tag not in _INLINE and not self._in_code:
                self._add(" ")

    def handle_data(self, data: str) -> None:
        """As `HTMLParser`."""
        if not self._unseen:
            self._add(data)

    @property
    def _in_code(self) -> bool:
        return "pre" in self._open

    def _add(self, text: str) -> None:
        self.text.append(text)
        for texts in self._open.values():
            texts.append(text)

    def _close(self, kind: str, text: str) -> None:
        page = self.page
        if kind == "pre" and text.strip():
            page.code.append(_trimmed(text))
        elif kind == "cell" and words(text):
            page.cells.append(text)
        elif kind == "heading" and words(text):
            page.headings.append(text)
        elif kind == "a" and words(text) and self._target and not self._target.startswith("#") and not self._in_code:
            page.links.append(self._target)


def _kind(tag: str) -> str:
    if tag in {"td", "th"}:
        return "cell"
    if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
        return "heading"
    return tag if tag in {"pre", "a"} else ""


def _trimmed(text: str) -> str:
    lines = [line.rstrip() for line in text.expandtabs(8).split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines)


def _verbatim(blocks: Iterable[str], lines: list[str]) -> int:
    """Blocks whose lines stand in the Markdown one after the other, all behind the same indent or quotation mark."""
    clean = [line.expandtabs(8).rstrip() for line in lines]
    places: dict[str, list[int]] = {}
    for number, line in enumerate(clean):
        places.setdefault(line.lstrip(" >"), []).append(number)
    return sum(_stands(block.split("\n"), clean, places) for block in blocks)


def _stands(block: list[str], lines: list[str], places: dict[str, list[int]]) -> bool:
    first = block[0]
    for start in places.get(first.lstrip(" >"), ()):
        if lines[start].endswith(first):
            lead = lines[start][: len(lines[start]) - len(first)]
            expected = [(lead + line).rstrip() for line in block]
            here = lines[start : start + len(block)]
            if all(a == b or not (a.strip(" >") or b.strip(" >")) for a, b in zip(here, expected, strict=False)):
                return len(here) == len(block)
    return False


def _contained(targets: Iterable[str], markdown: str) -> int:
    """Targets that stand in the Markdown as often as in the page; case, escapes and a last slash do not matter."""
    written = Counter(_target(inline or automatic) for inline, automatic in _WRITTEN_TARGET.findall(markdown))
    return (Counter(map(_target, targets)) & written).total()


def _target(text: str) -> str:
    return _ESCAPED.sub(r"\1", unquote(text)).strip().rstrip("/").casefold()


def _headings(markdown: str) -> Iterable[str]:
    for match in _HEADING_LINE.finditer(markdown):
        yield _readable(match.group(1))
    for match in _UNDERLINED.finditer(markdown):
        yield _readable(match.group(1))


def _readable(markdown: str) -> str:
    """Without targets of links, escapes and emphasis inside words."""
    text = _LINK_TARGET.sub("]", markdown)
    text = _ESCAPED.sub(r"\1", text)
    return re.sub(r"[*`]", "", text.replace("[", " ").replace("]", " "))


def _key(text: str) -> str:
    return " ".join(words(text))
