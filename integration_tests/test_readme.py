"""What the README shows is what happens: the demo on two days, and every command line of its own section."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.connector import environment

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the examples and nothing else, so that the reader's own `.demo` is left alone."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def demo(checkout: Path, **variables: str) -> str:
    """The output of one run of the demo."""
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=checkout, capture_output=True, text=True, check=False, timeout=300,
        env=environment(**variables),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_finds_what_the_customer_means_and_day_two_is_incremental(checkout: Path) -> None:
    """Open tickets of the organization that tell the problem in other words, the article that helps, small deltas."""
    first, second = demo(checkout), demo(checkout)
    assert "176 records read; 176 committed (176 new or changed" in first
    for output in (first, second):
        assert "`make playground`" in output.splitlines()[-1]
        assert "`make app`" in output.splitlines()[-1]
        tickets, articles = output.split("Similar open tickets")[1].split("Articles that help")
        assert "#10525" in tickets.splitlines()[1]
        assert "#10526" in tickets.splitlines()[2]
        assert "10527" not in tickets
        assert "10528" not in tickets
        assert "You lost the phone with your authenticator app" in articles.splitlines()[1]
    assert "12 records read; 12 committed (10 new or changed, 0 unchanged, 2 removed)" in second
    embedded = re.search(r"(\d+) texts embedded", second)
    assert embedded is not None
    assert int(embedded[1]) < 20


def test_the_demo_of_the_other_model_searches_across_languages(checkout: Path) -> None:
    """Asked in Chinese: the tickets in English that tell the same, and the article in Chinese; nothing of the first."""
    output = demo(checkout, LOCAL_MODEL="universal-sentence-encoder-multilingual")
    assert "with the model universal-sentence-encoder-multilingual" in output
    assert "200 records read; 200 committed (200 new or changed" in output
    tickets, articles = output.split("Similar open tickets")[1].split("Articles that help")
    assert ["#10525" in line for line in tickets.splitlines()[1:3]] == [True, False]
    assert "#10526" in tickets.splitlines()[2]
    assert "装有验证器应用的手机丢失了怎么办" in articles.splitlines()[1]
    assert "You lost the phone with your authenticator app" in articles
    assert not (checkout / ".demo" / "milvus.db").exists()


def test_an_unknown_model_for_the_demo_is_refused_before_anything_is_made(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=checkout, capture_output=True, text=True, check=False, timeout=300,
        env=environment(LOCAL_MODEL="../other"),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "LOCAL_MODEL must be all-MiniLM-L6-v2 or universal-sentence-encoder-multilingual.\n"
    assert not (checkout / ".demo").exists()


def test_every_command_line_can_be_pasted(checkout: Path) -> None:
    """The lines of the section "Command line", one after the other, in a folder with the examples."""
    section = (ROOT / "README.md").read_text().split("## Command line")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    for line in block[1].replace("\\\n", " ").splitlines():
        command = "set -o pipefail; " + line.replace(".venv/bin/", f"{PROGRAMS}/")
        done = subprocess.run(
            ["bash", "-c", command], cwd=checkout, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert '"FAILED"' not in done.stdout
