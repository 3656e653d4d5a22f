"""docs/reading.md on the demo's collection: every recipe runs as it stands there, and prints what stands below it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import environments
from devtools.connector import environment

ROOT = Path(__file__).parents[1]
READERS = ROOT / "integration_tests" / "readers"
PAGE = (ROOT / "docs" / "reading.md").read_text()

RECIPES = {
    "The connector's own reader": None,
    "Who may see it": None,
    "MilvusClient": None,
    "The tutorial's queries": None,
    "LangChain": "langchain",
    "LlamaIndex": "llamaindex",
}
"""Sections of the page, and the environment of each; None for the project's own."""

NUMBER = re.compile(r"\d+\.\d+")
TOLERANCE = 0.02
"""The local model's weights are bytes: another processor sums them up a little differently."""


HYBRID_TOO = ["The connector's own reader", "MilvusClient", "LangChain", "LlamaIndex"]
HYBRID = "\n### Hybrid search\n"
"""What needs a collection with full-text search; the last part of a section."""


def blocks(section: str, language: str, *, hybrid: bool = True) -> str:
    """The code blocks of a section, one after the other: a section is one program."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    text = text if hybrid else text.split(HYBRID)[0]
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def run(recipe: str, python: Path, folder: Path) -> str:
    """What a program prints that runs in a folder with the demo's database; the checkout can be imported."""
    done = subprocess.run(
        [python, "-c", recipe], cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env=environment(PYTHONPATH=str(ROOT), HOME=str(folder)),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("section", RECIPES)
def test_a_recipe_prints_what_stands_below_it(synced: Path, tmp_path: Path, section: str) -> None:
    """Line by line, similarities within the tolerance: what was really synced is really read."""
    shutil.copytree(synced, tmp_path / ".demo" / "milvus.db")
    printed = run(blocks(section, "python", hybrid=False), python_of(section), tmp_path)
    require_same(printed, blocks(section, "text", hybrid=False))


@pytest.mark.parametrize("section", HYBRID_TOO)
def test_a_recipe_and_its_hybrid_search_run_on_a_collection_with_words(
    synced_with_words: Path, tmp_path: Path, section: str
) -> None:
    """The whole section, hybrid search included: a field and an index more change no other answer."""
    shutil.copytree(synced_with_words, tmp_path / ".demo" / "milvus.db")
    require_same(run(blocks(section, "python"), python_of(section), tmp_path), blocks(section, "text"))


def python_of(section: str) -> Path:
    library = RECIPES[section]
    if library is None:
        return Path(sys.executable)
    locked = ["--require-hashes", "--requirement", str(READERS / f"{library}.txt")]
    return environments.environment(ROOT / ".readers" / library, sys.executable, [locked]).python


def require_same(printed: str, promised: str) -> None:
    promised = promised.replace("\n\n", "\n")
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", promised)
    assert numbers(printed) == pytest.approx(numbers(promised), abs=TOLERANCE)


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def test_every_recipe_is_run() -> None:
    """A section with code that this file does not know is a recipe that nobody tests."""
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert [section for section in sections if blocks(section, "python")] == list(RECIPES)
    assert PAGE.count(HYBRID) == len(HYBRID_TOO)
