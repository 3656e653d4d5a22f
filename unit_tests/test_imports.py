"""Who may import whom: the drawing of the architecture, kept by a test.

    errors, model ◄─ config, protocol, identity, tokenizer, redaction
                  ◄─ rows, columns, reconcile, recent_vectors, html, text, chunking, records, reading ◄─ commit
                  ◄─ progress, trial, sync ◄────────────────────────────────────┐
                  ◄─ schema, phases, milvus_errors, upsert_request ◄─ store ◄─ commands ◄─ destination ◄─ run
                  ◄─ embedding ◄────────────────────────────────────────────────┘

What decides does not know what does: nothing but `commands` knows a store and an embedder by name.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "destination_milvus"
FILES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "errors": "",
    "model": "",
    "config": "errors model",
    "protocol": "errors model",
    "identity": "model",
    "tokenizer": "errors",
    "rows": "errors identity model",
    "reconcile": "identity model",
    "columns": "model rows",
    "html": "",
    "text": "columns config errors html model rows",
    "chunking": "config errors model tokenizer",
    "records": "errors identity model protocol rows text",
    "reading": "errors protocol",
    "phases": "identity model rows",
    "milvus_errors": "config errors",
    "upsert_request": "model",
    "schema": "columns config identity rows",
    "store": "columns config errors identity milvus_errors model phases rows schema upsert_request",
    "embedding": "config errors model tokenizer",
    "recent_vectors": "model",
    "commit": "chunking errors identity model recent_vectors reconcile rows",
    "progress": "commit errors",
    "trial": "errors records",
    "sync": "commit errors model progress protocol reading records text trial",
    "commands": (
        "chunking columns commit config embedding errors identity milvus_errors model progress protocol reading "
        "records rows schema store sync text tokenizer"
    ),
    "redaction": "",
    "destination": "commands config errors redaction",
    "run": "commands config destination errors model redaction",
}
"""Each line names lines above it only. `embedding` is a folder: inside it, modules import each other freely."""

OWNERS = {
    "pymilvus": {"store.py", "schema.py"},
    "milvus_lite": {"store.py"},
    "openai": {"embedding/openai_api.py"},
    "throttled": {"embedding/pace.py"},
}
"""The files that may import a library, so that nothing else can grow used to it."""

UNNEEDED_BY_SPEC = [
    "pymilvus",
    "milvus_lite",
    "openai",
    "onnxruntime",
    "tokenizers",
    "langchain_core",
    "langchain_text_splitters",
    "pandas",
    "numpy",
    "tiktoken",
    "stamina",
    "throttled",
    "destination_milvus.commands",
]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Dotted names that a file imports, and whether that happens while the file itself is imported."""

    def walk(node: ast.AST, *, early: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, early) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", early) for alias in node.names)
        else:
            late = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or for_types(node)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, early=early and not late)

    def for_types(node: ast.AST) -> bool:
        return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"

    return walk(ast.parse(path.read_text(encoding="utf-8")), early=True)


def place(path: Path) -> str:
    """The line of `MAY_IMPORT` that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_the_drawing_has_no_circle() -> None:
    """Each line of the table names lines above it only, so that there is an order to read the files in."""
    above: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= above, name
        above.add(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_arrow_is_in_the_drawing(path: Path) -> None:
    """A file imports what the drawing lets it import, for types too."""
    if place(path) == "__init__":
        early = {name for name, is_early in imports(path) if is_early}
        assert early <= {"__future__.annotations", "typing.TYPE_CHECKING"}, "importing the package costs nothing"
        return
    assert place(path) in MAY_IMPORT, f"{path.name} is new: give it a place in the drawing"
    allowed = {place(path), *MAY_IMPORT[place(path)].split()}
    imported = {name.split(".")[1] for name, _ in imports(path) if name.split(".")[0] == PACKAGE.name}
    assert imported <= allowed


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    """What a library of endpoints says is translated in one place: no other one knows the library."""
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name.split(".")[0] == library for name, _ in imports(path))
    }
    assert importers <= OWNERS[library]


@pytest.mark.parametrize("late", ["pymilvus", "milvus_lite", "destination_milvus.embedding.openai_api"])
def test_what_is_slow_to_import_is_imported_late(late: str) -> None:
    """Both libraries cost seconds, which nobody pays who does not use them: functions import them."""
    early = {name for path in FILES for name, is_early in imports(path) if is_early}
    assert not {name for name in early if f"{name}.".startswith(f"{late}.")}


def test_spec_imports_no_library_that_it_does_not_need() -> None:
    """The platform asks every connector for its specification, often: it costs the CDK and nothing more."""
    script = (
        "import sys; from destination_milvus import config, run; config.specification(); "
        f"print(*[name for name in {UNNEEDED_BY_SPEC} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
