"""The page for users of Airbyte says what the connector is: its options, its messages and its versions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.config.specification import specification
from devtools.options import DOCUMENTS, filled, options

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "integrations" / "destinations" / "milvus.md"
TEXT = PAGE.read_text()


def modes(schema: Any) -> Iterator[tuple[str, str]]:
    """Title and word of every choice."""
    if isinstance(schema, dict):
        for choice in schema.get("oneOf", []):
            yield choice["title"], choice["properties"]["mode"]["const"]
        for part in schema.values():
            yield from modes(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from modes(part)


def rows(heading: str) -> list[list[str]]:
    """Cells of the tables of a section, without heads."""
    section = re.split(r"^## ", TEXT.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0] not in {"Option", "Message", "Version", "Sync mode"}]


def test_every_option_of_the_form_is_on_the_page_with_its_default() -> None:
    """Under the title that the form shows, and with some advice; and the page knows no other."""
    shown = {(row[0], row[1].strip("`"), row[2]) for row in rows("Options")}
    assert shown == {(option.title, option.key, option.default) for option in options(specification())}
    assert all(row[3] for row in rows("Options"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_of_options_are_those_of_the_models(document: Path) -> None:
    """`make options` would change nothing."""
    text = document.read_text()
    assert filled(text, list(options(specification()))) == text


def test_every_choice_of_the_form_is_on_the_page() -> None:
    """By its title and by its word in a configuration."""
    section = TEXT.split("\n## Options\n")[1].split("\n## ")[0]
    for title, mode in modes(specification()):
        assert f"*{title}*" in section, title
        assert f"`{mode}`" in section, mode


def sentences_of_the_code() -> str:
    """Every fixed part of a text in the connector, a line each."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "destination_milvus").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return "\n".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_every_message_that_is_explained_can_come() -> None:
    """What stands in quotes is a fixed part of a message in the code."""
    quoted = [part for row in rows("Troubleshooting") for part in re.findall(r'"([^"]+)"', row[0])]
    assert len(quoted) > 20
    code = sentences_of_the_code()
    assert [part for part in quoted if part not in code] == []


def test_every_version_of_the_changelog_has_a_row() -> None:
    """With its date, newest first."""
    versions = re.findall(r"^## (\S+) \S (\S+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions
    assert [(row[0], row[1]) for row in rows("Changelog")] == versions


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    """Pages, pictures and folders of this repository."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
