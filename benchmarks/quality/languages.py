"""Ten languages: a page of GNOME's help is looked for by its one-line description, in its own language and in others.

Documents are the lines of a page that are translated, with its title; a page of which little is, is left out. The
description, which is no part of what a reader sees of a page, is the query. English pages are asked for in every
language too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.installing import WORK
from benchmarks.quality import searching
from benchmarks.quality.variants import ALL, Variant
from benchmarks.quality.vectors import remembered
from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalModelName
from devtools import connector
from devtools.openai_endpoint import serving

PACKAGE = "gnome-user-docs"
HELP = Path("usr/share/help")
INSTALLED = Path("/")

ENGLISH = "C"
LANGUAGES = {
    ENGLISH: "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "pt_BR": "Portuguese (Brazil)",
    "ru": "Russian",
    "pl": "Polish",
    "ko": "Korean",
    "zh_CN": "Chinese (simplified)",
    "ja": "Japanese",
}

MIN_CHARACTERS = 30
"""Of text in the page's own language; less is a pointer to other pages."""

PROCESSING: Mapping[str, Any] = {
    "chunk_size": 1000,
    "text_fields": ["body"],
    "metadata_fields": ["id"],
    "include_field_names": False,
}


@dataclass(frozen=True, slots=True)
class Analyzer:
    """How words are cut for full-text search."""

    name: str
    indexing: Mapping[str, Any]
    """The options of `indexing` that ask for it, beside `full_text_search`."""


STANDARD = Analyzer("standard", {})
CHINESE = Analyzer("chinese", {"full_text_analyzer": {"mode": "language", "language": "chinese"}})
ANALYZERS: Mapping[str, Sequence[Analyzer]] = {"zh_CN": [CHINESE]}
"""By language, what is measured beside `standard`: what Milvus Lite can cut, with the options that ask for it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page in one language."""

    name: str
    """The same in all languages."""
    description: str
    """Empty where it is not translated, or is that of several pages."""
    body: str


@dataclass(frozen=True, slots=True)
class Row:
    """A language under a model and an analyzer: MRR@10 by way of searching, and of English pages by vectors."""

    language: str
    model: LocalModelName
    analyzer: str
    documents: int
    questions: int
    own: Mapping[str, float]
    across: float | None
    """None in rows of another analyzer than `standard`: vectors do not depend on it."""


def pages() -> dict[str, list[Page]]:
    """The pages of each language.

    Raises:
        SystemExit: GNOME's help is not here; it says how to get it.
    """
    folder = next((root / HELP for root in (WORK / "packages" / PACKAGE, INSTALLED) if _has_all(root / HELP)), None)
    if folder is None:
        raise SystemExit(
            f"GNOME's help is not here: install Debian's package {PACKAGE} (apt-get install {PACKAGE}; images of "
            f"containers often leave out its translations), or unpack it (apt-get download, dpkg-deb -x) into "
            f"{WORK / 'packages' / PACKAGE}."
        )
    english = {name: (description, lines) for name, description, lines in _read(folder / ENGLISH)}
    known = {line for _, lines in english.values() for line in lines}
    return {code: _pages(folder / code, {} if code == ENGLISH else english, known) for code in LANGUAGES}


def _has_all(folder: Path) -> bool:
    return all((folder / code / "gnome-help").is_dir() for code in LANGUAGES)


def _pages(folder: Path, english: Mapping[str, tuple[str, Sequence[str]]], known: set[str]) -> list[Page]:
    found = []
    for name, description, lines in _read(folder):
        own = [line for line in lines if not english or line not in known]  # the title among them
        translated = not english or (name in english and description != english[name][0])
        if sum(map(len, own)) >= MIN_CHARACTERS:
            found.append(Page(name, description if translated else "", "\n\n".join(own)))
    asked = Counter(page.description for page in found)
    return [page if asked[page.description] == 1 else Page(page.name, "", page.body) for page in found]


def _read(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Name, description and lines of each page that is an article."""
    for path in sorted((folder / "gnome-help").glob("*.page")):
        page = ET.parse(path).getroot()  # noqa: S314 - Debian's own
        if page.get("type") == "topic":
            info = [item for item in page if _kind(item) == "info"]
            descriptions = [_text(item) for part in info for item in part if _kind(item) == "desc"]
            body = [part for part in page if _kind(part) != "info"]
            lines = [_text(item) for part in body for item in part.iter() if _kind(item) in {"p", "title"}]
            yield path.stem, next(iter(descriptions), ""), [line for line in lines if line]


def _kind(item: ET.Element) -> str:
    return item.tag.rpartition("}")[2]


def _text(item: ET.Element) -> str:
    return " ".join("".join(item.itertext()).split())


def rows(models: Sequence[LocalModelName] = (MINILM, MULTILINGUAL)) -> Iterator[Row]:
    """Every row as soon as it is measured: a sync of the connector into Milvus Lite for each."""
    corpus = pages()
    for model in models:
        with (
            remembered(searching.folder() / "vectors.db", model) as vectors,
            serving(vectors.embed, dimensions=vectors.dimensions) as endpoint,
        ):
            asked = {code: _questions(corpus[code], vectors.embed) for code in LANGUAGES}
            across: Mapping[str, float] = {}
            for code in LANGUAGES:
                for analyzer in (STANDARD, *ANALYZERS.get(code, ())):
                    own, of_english = _measured(code, model, analyzer, corpus[code], asked, endpoint.embedding())
                    across = of_english or across
                    crossed = across[code] if analyzer is STANDARD else None
                    yield Row(code, model, analyzer.name, len(corpus[code]), len(asked[code]), own, crossed)


def _measured(
    code: str,
    model: LocalModelName,
    analyzer: Analyzer,
    corpus: Sequence[Page],
    asked: Mapping[str, Sequence[searching.Question]],
    embedding: Mapping[str, Any],
) -> tuple[dict[str, float], dict[str, float]]:
    """MRR@10 by way of searching; and of English pages by the language in which they are asked for."""
    name = f"{LANGUAGES[code]}, {analyzer.name}, {model}"
    variant = Variant(name, PROCESSING, ALL, model=model, indexing=analyzer.indexing)
    here = {f"{searching.STREAM}_{page.name}" for page in corpus}
    sets = {one: [question for question in asked[one] if question.record_id in here] for one in LANGUAGES}
    others = list(LANGUAGES) if code == ENGLISH else []
    own, of_english = dict[str, float](), dict[str, float]()
    for measured in searching.measured(
        variant, _lines(corpus), [sets[code]], embedding, by_vectors=[sets[one] for one in others]
    ):
        first, *rest = (answer.scores.mrr_10 for answer in measured.asked)
        own[measured.search] = first
        of_english |= zip(others, rest, strict=False)
    return own, of_english


def _lines(corpus: Sequence[Page]) -> list[str]:
    records = ({"id": page.name, "body": page.body} for page in corpus)
    return [*(connector.record(record, searching.STREAM) for record in records), connector.state(1, searching.STREAM)]


def _questions(corpus: Sequence[Page], embed: Any) -> list[searching.Question]:
    asked = [page for page in corpus if page.description]
    vectors = embed([page.description for page in asked])
    return [
        searching.Question(page.description, vector, f"{searching.STREAM}_{page.name}", long=False)
        for page, vector in zip(asked, vectors, strict=True)
    ]
