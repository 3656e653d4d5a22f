"""What `make bench` and `make quality` do to the documents that they fill: tables change, sentences do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.tables import fill

DOCUMENT = """# Measured

Written by hand.

<!-- table: speed -->
| case | what | rate |
|---|---|---|
| lite | ours | 2 |
| lite | theirs | 1 |
| server |  | 3 |
<!-- end -->

By hand too.
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A page with a table."""
    path = tmp_path / "page.md"
    path.write_text(DOCUMENT)
    return path


def test_rows_of_a_case_take_the_place_of_those_before(document: Path) -> None:
    """However many there are of either."""
    fill(document, "speed", [("lite", "ours", "4")])
    assert document.read_text() == DOCUMENT.replace("| 2 |\n| lite | theirs | 1 |", "| 4 |")


def test_rows_of_a_new_case_come_last(document: Path) -> None:
    """They displace nothing."""
    fill(document, "speed", [("million", "ours", "4"), ("million", "theirs", "5")])
    added = "| server |  | 3 |\n| million | ours | 4 |\n| million | theirs | 5 |"
    assert document.read_text() == DOCUMENT.replace("| server |  | 3 |", added)


def test_a_row_may_be_known_by_more_than_its_first_cell(document: Path) -> None:
    """The row beside it stays."""
    fill(document, "speed", [("lite", "theirs", "9")], key=2)
    assert document.read_text() == DOCUMENT.replace("theirs | 1", "theirs | 9")


def test_what_was_measured_is_not_lost_in_silence(document: Path) -> None:
    """A table that is not there is an error, and the page stays as it is."""
    with pytest.raises(ValueError, match="no table memory"):
        fill(document, "memory", [("lite", "ours", "4")])
    assert document.read_text() == DOCUMENT
