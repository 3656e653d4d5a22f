"""The documentation names tests: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    """A promise whose test was renamed or removed is no promise."""
    code = "".join(path.read_text() for path in ROOT.glob("*_tests/**/test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    defined = set(re.findall(r"def (test_\w+)\(", code))
    assert named <= defined
