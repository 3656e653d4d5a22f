"""Converters of HTML to Markdown, on the articles of the kernel's documentation: fidelity, speed, tokens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.installing import pages, python_with, work_folder
from benchmarks.quality import fidelity
from destination_milvus.documents.tokenizer import count_tokens

HERE = Path(__file__).parent / "converters"
ROOT = HERE.parents[2]
OURS = "destination"
OTHERS = ("html2text", "markdownify", "markitdown", "trafilatura")

_ARTICLE = re.compile(r'itemprop="articleBody">(.*?)<footer>', re.DOTALL)


@dataclass(frozen=True)
class Measured:
    """What a converter made of all articles."""

    converter: str
    pages: int
    megabytes: float
    seconds_per_megabyte: float
    """CPU time."""
    failures: int
    found: fidelity.Found
    tokens_before: int
    tokens_after: int


def articles() -> list[Path]:
    """The article of each page as a file of its own: what a knowledge base holds, without the menus around it."""
    folder = work_folder() / "articles"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=work_folder()) as partial:
            for number, page in enumerate(pages()):
                if article := _ARTICLE.search(page.read_text(errors="replace")):
                    (Path(partial) / f"{number:04}.html").write_text(article.group(1))
            Path(partial).rename(folder)
            Path(partial).mkdir()
    return sorted(folder.glob("*.html"))


def measured(every: int = 1) -> Iterator[Measured]:
    """Each converter's figures, on one article of `every`."""
    chosen = articles()[::every]
    texts = [path.read_text() for path in chosen]
    read = [fidelity.read(text) for text in texts]
    megabytes = sum(path.stat().st_size for path in chosen) / 1e6
    before = sum(map(count_tokens, texts))
    others = python_with("converters", HERE / "requirements.txt")
    for name in (OURS, *OTHERS):
        with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
            cost = _convert(Path(sys.executable) if name == OURS else others, name, chosen, Path(folder))
            found, after = fidelity.Found(), 0
            for number, page in enumerate(read):
                made = Path(folder) / f"{number}.md"
                markdown = made.read_text() if made.exists() else ""
                found += fidelity.found(page, markdown)
                after += count_tokens(markdown)
        yield Measured(
            converter=name,
            pages=len(chosen),
            megabytes=megabytes,
            seconds_per_megabyte=cost["seconds"] / megabytes,
            failures=len(cost["failures"]),
            found=found,
            tokens_before=before,
            tokens_after=after,
        )


def _convert(python: Path, name: str, chosen: list[Path], folder: Path) -> dict[str, float | list[str]]:
    listed = folder / "pages.txt"
    listed.write_text("\n".join(map(str, chosen)))
    command = [str(python), "-W", "ignore", str(HERE / "convert.py"), name, str(listed), str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)} if name == OURS else dict(os.environ)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        raise RuntimeError(f"{name} did not finish:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
