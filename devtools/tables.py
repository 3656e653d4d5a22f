"""Tables that a program fills, in documents that people write: between `<!-- table: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

Row = Sequence[str]


def fill(document: Path, name: str, rows: Sequence[Row], key: int = 1) -> None:
    """Put rows into a table. Those with the same first `key` cells go; the head, and all others, stay as they are.

    Raises:
        ValueError: the document has no such table.
    """
    begin, text = f"<!-- table: {name} -->\n", document.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    table, ended, after = rest.partition("<!-- end -->")
    if not found or not ended:
        raise ValueError(f"{document.name} has no table {name}.")
    head, ruler, *old = table.splitlines()
    lines = [head, ruler, *map(line, _merged([_cells(row) for row in old], rows, key))]
    document.write_text("\n".join([before + begin.rstrip("\n"), *lines, f"<!-- end -->{after}"]), encoding="utf-8")


def line(row: Row) -> str:
    """A row as Markdown has it."""
    return f"| {' | '.join(row)} |"


def _merged(old: Sequence[Row], new: Sequence[Row], key: int) -> list[Row]:
    """New rows in the place of old ones with their key, else at the end."""
    waiting: dict[Row, list[Row]] = {}
    for row in new:
        waiting.setdefault(tuple(row[:key]), []).append(row)
    keys, merged = set(waiting), list[Row]()
    for row in old:
        this = tuple(row[:key])
        merged += waiting.pop(this, []) if this in keys else [row]
    return [*merged, *(row for rows in waiting.values() for row in rows)]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
