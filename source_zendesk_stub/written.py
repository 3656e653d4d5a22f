"""The texts that people wrote: problems in several customers' words, and the articles that solve them.

`content/tickets/TOPIC.md` holds problems (`# key`), each told by several customers (`## subject`, then the
description). `content/articles/NAME.html` holds an article; a comment in its first line gives the title, the
section and the labels, parted by bars. `content/translations/LOCALE/NAME.html` holds the same article in another
language; its first line gives the title alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import (
        Traversable,  # its place up to Python 3.10; later ones have it in importlib.resources
    )


@dataclass(frozen=True, slots=True)
class Telling:
    """One customer's way to describe a problem."""

    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that goes wrong with the product; every telling describes it in other words."""

    key: str
    topic: str
    tellings: tuple[Telling, ...]


@dataclass(frozen=True, slots=True)
class Article:
    """A help center article as written; `body` is HTML."""

    name: str
    title: str
    section: str
    labels: tuple[str, ...]
    body: str


@dataclass(frozen=True, slots=True)
class Translation:
    """A written article in another language; `body` is HTML."""

    title: str
    body: str


LOCALES = ("de", "zh-cn")
"""Those that articles are translated into, as Zendesk writes them."""


@cache
def problems() -> tuple[Problem, ...]:
    """Every written problem, by topic."""
    return tuple(problem for file in _content("tickets") for problem in _problems_of(file))


@cache
def articles() -> tuple[Article, ...]:
    """Every written article, by file name."""
    return tuple(_article(file) for file in _content("articles"))


@cache
def sections() -> tuple[str, ...]:
    """The help center's sections, by name."""
    return tuple(sorted({article.section for article in articles()}))


@cache
def translations(locale: str) -> dict[str, Translation]:
    """The articles that are translated into a locale, by the name of the article."""
    files = _content(f"translations/{locale}")
    return {file.name.removesuffix(".html"): Translation(*_title_and_body(file)) for file in files}


def _content(folder: str) -> list[Traversable]:
    return sorted((files(__package__) / "content" / folder).iterdir(), key=lambda file: file.name)


def _problems_of(file: Traversable) -> list[Problem]:
    topic = file.name.removesuffix(".md")
    _, *parts = re.split(r"^# ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [_problem(topic, part) for part in parts]


def _problem(topic: str, part: str) -> Problem:
    key, *tellings = re.split(r"^## ", part, flags=re.MULTILINE)
    return Problem(key.strip(), topic, tuple(_telling(telling) for telling in tellings))


def _telling(text: str) -> Telling:
    subject, _, description = text.partition("\n")
    return Telling(subject.strip(), _unwrapped(description))


def _unwrapped(text: str) -> str:
    """Paragraphs as a customer sends them: one line each, however the file breaks its lines."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))


def _article(file: Traversable) -> Article:
    head, body = _title_and_body(file)
    title, section, labels = head.split("|")
    return Article(
        name=file.name.removesuffix(".html"),
        title=title.strip(),
        section=section.strip(),
        labels=tuple(label.strip() for label in labels.split(",")),
        body=body,
    )


def _title_and_body(file: Traversable) -> tuple[str, str]:
    """What the comment in the first line says, and what follows it."""
    head, _, body = file.read_text(encoding="utf-8").partition("\n")
    return head.removeprefix("<!--").removesuffix("-->").strip(), body.strip()
