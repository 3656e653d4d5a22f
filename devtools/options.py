"""The tables of options in README and on the connector's page, filled from the specification: `make options`.

A row is found by its option's key. People decide which rows there are, and write the advice; title, default and
description come from the models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from destination_milvus.config.specification import specification

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "integrations" / "destinations" / "milvus.md")

ADVISED = "| Option | Key | Default | Advice |"
DESCRIBED = "| Key | Default | What it does |"

CHOICE = re.compile(r"^`(\w+)`, \*")
"""Begins the paragraph above a table of one choice's options: `openai`, *OpenAI*."""


@dataclass(frozen=True, slots=True)
class Option:
    """Something that can be filled in."""

    key: str
    mode: str | None
    """Of the choice that has it; None where it is there in any case."""
    title: str
    default: str
    """As a table writes it."""
    description: str


def options(schema: Mapping[str, Any], prefix: str = "", mode: str | None = None) -> Iterator[Option]:
    """All options of a specification, in the order of the form."""
    for name, described in schema.get("properties", {}).items():
        inner = [described, *described.get("oneOf", []), described.get("items", {})]
        parts = [part for part in inner if "properties" in part]
        for part in parts:
            yield from options(part, f"{prefix}{name}.", part["properties"].get("mode", {}).get("const", mode))
        if not parts and "const" not in described:
            required = name in schema.get("required", [])
            default = "required" if required else _default(described)
            yield Option(f"{prefix}{name}", mode, described["title"], default, described.get("description", ""))


def _default(described: Mapping[str, Any]) -> str:
    default = described.get("default")
    return "none" if default in (None, "") else f"`{json.dumps(default)}`"


def filled(text: str, known: list[Option]) -> str:
    """A document with its tables as the options have them.

    Raises:
        ValueError: a row is about an option that does not exist.
    """
    lines, head, mode = [], "", None
    for line in text.splitlines():
        if choice := CHOICE.match(line):
            mode = choice[1]
        elif line.startswith("#"):
            mode = None
        if line in {ADVISED, DESCRIBED}:
            head = line
        elif not line.startswith("|"):
            head = ""
        elif head and not line.startswith("|---"):
            line = _row(head, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]], mode, known)  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines) + "\n"


def _row(head: str, cells: list[str], mode: str | None, known: list[Option]) -> str:
    key = cells[1 if head == ADVISED else 0].strip("`")
    option = _option(key, mode, known)
    row = [option.title, f"`{key}`", option.default, cells[-1]]
    if head == DESCRIBED:
        row = [f"`{key}`", option.default, option.description.replace("|", "\\|")]
    return f"| {' | '.join(row)} |"


def _option(key: str, mode: str | None, known: list[Option]) -> Option:
    named = [option for option in known if option.key == key]
    if not named:
        raise ValueError(f"There is no option {key}: take its row out.")
    return next((option for option in named if option.mode == mode), named[0])


def main() -> None:
    """Fill the tables of both documents."""
    known = list(options(specification()))
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(encoding="utf-8"), known), encoding="utf-8")


if __name__ == "__main__":
    main()
