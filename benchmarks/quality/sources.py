"""Labelled questions and their answers, from documentation that Debian and PyPI distribute; downloaded, kept.

Each page is cut into a question (its heading or title, which becomes the query and is taken out) and an answer (the
HTML below it, which becomes the article). An article's title is that of the chapter and section it stands in, which it
shares with its neighbours: so a title never answers a query by itself.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from pathlib import Path

from benchmarks.installing import unpacked_package, work_folder
from devtools.environments import environment

PERL = "perl-doc"
PYTHON = "python3.11-doc"
DEBIAN = "debian-faq"
GNOME = "gnome-user-docs"
CONSTRUCTION = "zaragoza-construction-faq==1.2.1"

MIN_WORDS = 8
"""Answers of fewer words are pointers to other pages."""

MIN_TERM, MAX_TERM = 4, 30
"""Characters of a name out of code."""

_CODE = re.compile(r"<code[^>]*>(.*?)</code>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_POD_TO_HTML = (
    'my $p = Pod::Simple::XHTML->new; $p->index(0); $p->html_header(""); $p->html_footer(""); '
    "$p->output_string(\\my $html); $p->parse_file($ARGV[0]); binmode STDOUT, ':utf8'; print $html"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with its one right answer."""

    source: str
    title: str
    """Of the chapter and section."""
    question: str
    answer: str
    """HTML; plain text where the source has no markup."""
    key: str = ""


def pairs() -> list[Pair]:
    """All questions and answers, in the order of their sources; of equal questions none, as neither answer is wrong."""
    found = [*_perl(), *_python(), *_debian(), *_gnome(), *_construction()]
    asked = Counter(pair.question.casefold() for pair in found)
    return [
        replace(pair, key=f"{pair.source}-{number}")
        for number, pair in enumerate(found)
        if asked[pair.question.casefold()] == 1 and len(plain(pair.answer).split()) >= MIN_WORDS
    ]


def plain(html: str) -> str:
    """Text without tags, on one line."""
    return " ".join(unescape(_TAG.sub("", html)).split())


def terms(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Names out of code (functions, files, commands) that stand in one answer only, with the key of that answer.

    The first such name of each answer that has one: what somebody pastes into a search field.
    """
    texts = [f" {_folded(plain(pair.answer))} " for pair in pairs]
    found = []
    for number, pair in enumerate(pairs):
        for term in dict.fromkeys(map(plain, _CODE.findall(pair.answer))):
            name = f" {_folded(term)} "
            if MIN_TERM <= len(term) <= MAX_TERM and all(
                name not in text for other, text in enumerate(texts) if other != number
            ):
                found.append((term, pair.key))
                break
    return found


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


# --- perlfaq: POD, made into HTML by Perl's own converter -------------------------------------------------------------


def _perl() -> Iterator[Pair]:
    folder = next(unpacked_package(PERL).glob("usr/share/perl/*/pod"))
    for path in sorted(folder.glob("perlfaq?.pod")):
        html = _html_of_pod(path)
        chapter = plain(_between(html, "<p>", "</p>")).partition(" - ")[2]
        section = ""
        for level, heading, body in _headed(html, re.compile(r"<h([12])[^>]*>(.*?)</h\1>", re.DOTALL)):
            if level == "1":
                section = heading
            else:
                title = f"Perl FAQ: {chapter}" + (f", {section}" if section != "DESCRIPTION" else "")
                yield Pair("perlfaq", title, heading, body)


def _html_of_pod(path: Path) -> str:
    if shutil.which("perl") is None:
        raise SystemExit("The Perl FAQ is written in POD: install perl, whose own converter makes HTML of it.")
    command = ["perl", "-MPod::Simple::XHTML", "-e", _POD_TO_HTML, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


# --- Python's FAQ: Sphinx ---------------------------------------------------------------------------------------------


def _python() -> Iterator[Pair]:
    folder = unpacked_package(PYTHON) / "usr/share/doc/python3.11/html/faq"
    heading = re.compile(r"<h([123])>(.*?)(?:<a class=\"headerlink\".*?)?</h\1>", re.DOTALL)
    for path in sorted(folder.glob("*.html")):
        main = _between(path.read_text(), '<div class="body" role="main">', '<div class="clearer">')
        chapter, section = "", ""
        for level, question, rest in _headed(main, heading):
            body = re.split(r"</?section\b", rest, maxsplit=1)[0].strip()
            if level == "1":
                chapter = question
            elif plain(body):
                title = f"Python: {chapter}" + (f", {section}" if section and level == "3" else "")
                yield Pair("python", title, question, body)
            else:
                section = question


# --- Debian's FAQ: DocBook --------------------------------------------------------------------------------------------


def _debian() -> Iterator[Pair]:
    folder = unpacked_package(DEBIAN) / "usr/share/doc/debian/FAQ"
    heading = re.compile(r"<h([1234]) class=\"title\"[^>]*>(.*?)</h\1>(?:</div>)*", re.DOTALL)
    for path in sorted(folder.glob("*.en.html")):
        chapter = ""
        for level, numbered, rest in _headed(path.read_text(), heading):
            question = re.sub(r"^(Chapter )?[\d.]+\s*", "", numbered)
            if level == "1":
                chapter = question
            elif question.endswith("?"):
                body = re.split(r'<div class="(?:section|navfooter)"', rest, maxsplit=1)[0]
                yield Pair("debian-faq", f"The Debian FAQ: {chapter}", question, _balanced(body))


def _balanced(html: str) -> str:
    """Without the closing tags at the end whose opening ones are not in the piece."""
    html = html.strip()
    while html.endswith("</div>") and html.count("</div>") > len(re.findall(r"<div\b", html)):
        html = html[: -len("</div>")].rstrip()
    return html


# --- GNOME's help: Mallard, made into HTML as its reader does ---------------------------------------------------------

_TAGS = {
    **{tag: tag for tag in ("p", "em", "table", "thead", "tbody", "tr", "td", "section")},
    **dict.fromkeys(("code", "cmd", "input", "file", "sys", "output"), "code"),
    **dict.fromkeys(("list", "terms"), "ul"),
    **dict.fromkeys(("gui", "app"), "b"),
    "steps": "ol",
    "item": "li",
    "note": "blockquote",
    "key": "kbd",
    "screen": "pre",
    "example": "div",
}
_DROPPED = {"info", "comment", "links", "when", "desc", "thumb"}


def _gnome() -> Iterator[Pair]:
    folder = unpacked_package(GNOME) / "usr/share/help/C/gnome-help"
    pages = {path.stem: ET.parse(path).getroot() for path in sorted(folder.glob("*.page"))}  # noqa: S314 - Debian's own
    titles = {name: _title(page) for name, page in pages.items()}
    for name, page in pages.items():
        if page.get("type") == "topic" and titles[name]:
            html = "".join(_html(child, titles, 2) for child in page if _local(child) != "title")
            guide = _guide(page, titles)
            title = f"GNOME Help: {guide}" if guide else "GNOME Help"
            yield Pair("gnome-help", title, titles[name], html.strip())


def _guide(page: ET.Element, titles: dict[str, str]) -> str:
    """Title of the first page that lists this one."""
    links = (item for item in page.iter() if _local(item) == "link" and item.get("type") == "guide")
    names = (item.get("xref", "").partition("#")[0] for item in links)
    return next((titles[name] for name in names if titles.get(name) and name != "index"), "")


def _title(page: ET.Element) -> str:
    found = next((child for child in page if _local(child) == "title"), None)
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


def _html(item: ET.Element, titles: dict[str, str], level: int) -> str:
    kind = _local(item)
    if kind in _DROPPED:
        return escape(item.tail or "")
    nested = level + 1 if kind == "section" else level
    inner = escape(item.text or "") + "".join(_html(child, titles, nested) for child in item)
    tag = _TAGS.get(kind, "")
    if kind == "title":  # of a section, else of a table or list
        tag = "b" if level == 2 else f"h{level - 1}"
    if kind == "link":
        target = item.get("href") or f"{item.get('xref', '').partition('#')[0]}.html"
        inner = f'<a href="{escape(target)}">{inner.strip() or escape(titles.get(target[:-5], target))}</a>'
    elif kind == "media" and item.get("src"):
        inner = f'<img src="{escape(item.get("src", ""))}" alt="{escape(plain(inner))}"/>'
    elif tag:
        inner = f"<{tag}>{inner}</{tag}>"
    return inner + escape(item.tail or "")


def _local(item: ET.Element) -> str:
    return item.tag.rpartition("}")[2]


# --- a FAQ of the building trade: JSON with plain text ----------------------------------------------------------------


def _construction() -> Iterator[Pair]:
    installed = environment(work_folder() / "construction", sys.executable, [["--no-deps", CONSTRUCTION]])
    (data,) = installed.folder.glob("lib/python*/site-packages/*/data/faq-en.json")
    for item in json.loads(data.read_text())["questions"]:
        title = f"Construction FAQ: {item['category'].replace('-', ' ')}"
        yield Pair("construction", title, item["q"], item["a"])


# --- pieces -----------------------------------------------------------------------------------------------------------


def _headed(html: str, heading: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
    """Level, text and body of each heading, the body as far as the next heading."""
    matches = list(heading.finditer(html))
    ends = [match.start() for match in matches[1:]] + [len(html)]
    for match, end in zip(matches, ends, strict=True):
        yield match.group(1), plain(match.group(2)), html[match.end() : end].strip()


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]
