"""The texts that people wrote: problems in several customers' words, and the articles that solve them.

`content/tickets/TOPIC.md` holds problems (`# key`), each told by several customers (`## subject`, then the
description). `content/articles/NAME.html` holds an article; a comment in its first line gives the title, the
section and the labels, parted by bars.
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
    head, _, body = file.read_text(encoding="utf-8").partition("\n")
    title, section, labels = head.removeprefix("<!--").removesuffix("-->").split("|")
    return Article(
        name=file.name.removesuffix(".html"),
        title=title.strip(),
        section=section.strip(),
        labels=tuple(label.strip() for label in labels.split(",")),
        body=body.strip(),
    )
