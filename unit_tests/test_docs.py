"""The documentation: the tests that it names exist, and it reads well where lines are not wrapped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[!.]*/README.md"), *ROOT.glob("examples/*/README.md")]
)
COLUMNS = 120

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """A promise whose test was renamed or removed is no promise."""
    code = "".join(path.read_text() for path in ROOT.glob("*_tests/**/test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    defined = set(re.findall(r"def (test_\w+)\(", code))
    assert named <= defined


@every_page
def test_lines_of_prose_fit_a_screen(page: Path) -> None:
    """At most 120 columns; rows of tables and what programs print cannot be wrapped."""
    assert [line for line in prose(page.read_text()) if len(line) > COLUMNS] == []


def prose(text: str) -> Iterator[str]:
    """Lines outside of blocks of code, but for rows of tables."""
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside and not line.startswith(("|", "    ")):
            yield line
