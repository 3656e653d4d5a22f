"""Which folders may import which: what several of them need is in `devtools/`, and no test is anybody's library."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
TESTS = [name for name in FOLDERS if name.endswith("_tests")]


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """The files below a folder, each with the folders of this project that it imports from."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                yield path.relative_to(ROOT).as_posix(), module.partition(".")[0]


def test_the_folders_of_tests_are_known() -> None:
    """The rule below is about these; a list that lost its folders would keep no rule."""
    assert TESTS == ["driver_tests", "integration_tests", "unit_tests"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_imports_from_a_folder_of_tests_but_its_own_files(folder: str) -> None:
    """Benchmarks and release do not depend on tests, nor do tests on those of another kind."""
    others = set(TESTS) - {folder}
    assert [(path, name) for path, name in imported(folder) if name in others] == []
