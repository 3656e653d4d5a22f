"""What the benchmarks need beside the project: the baseline's environment and a body of real text; both are kept."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

WORK = Path(__file__).parents[1] / ".bench"
"""Everything the benchmarks make, out of sight of git by a `.gitignore` of its own."""

BASELINE = Path(__file__).parent / "baseline"
PACKAGE = "linux-doc-6.1"
"""Debian's HTML of the Linux kernel's documentation: 3,185 pages, 128 MB."""

_SCRIPTS = re.compile(r"<(script|style|head)\b.*?</\1>", re.DOTALL)
_BLOCK = re.compile(r"<p>(.*?)</p>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_MIN_WORDS = 8
"""Shorter paragraphs are captions and labels."""


def work_folder() -> Path:
    """The folder, made if need be."""
    WORK.mkdir(exist_ok=True)
    (WORK / ".gitignore").write_text("*\n")
    return WORK


def baseline_python() -> Path:
    """The interpreter of the environment with Airbyte's pipeline, installed at the first call (about a minute)."""
    folder = work_folder() / "baseline"
    interpreter = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    wanted = (BASELINE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        # not `python -m uv`, which installs into the environment that it runs in, whatever it is told
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        source = str(BASELINE / "requirements.txt")
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", str(interpreter), "--requirement", source], check=True
        )
        stamp.write_text(wanted)
    return interpreter


def paragraphs() -> list[str]:
    """Paragraphs of real text, each once, in the order of the pages (about 20 s at the first call)."""
    cached = work_folder() / "paragraphs.txt"
    if not cached.exists():
        pages = _pages()
        found = dict.fromkeys(text for page in pages for text in _paragraphs(page))
        cached.write_text("\n".join(found))
    return cached.read_text().split("\n")


def _paragraphs(page: Path) -> list[str]:
    source = _SCRIPTS.sub(" ", page.read_text(errors="replace"))
    texts = (" ".join(html.unescape(_TAG.sub("", block)).split()) for block in _BLOCK.findall(source))
    return [text for text in texts if len(text.split()) >= _MIN_WORDS]


def _pages() -> list[Path]:
    for root in (Path("/usr/share/doc") / PACKAGE, work_folder() / "corpus"):
        if pages := sorted(root.rglob("*.html")):
            return pages
    return _unpacked()


def _unpacked() -> list[Path]:
    folder = work_folder() / "corpus"
    folder.mkdir(exist_ok=True)
    if shutil.which("apt-get") is None:
        raise SystemExit(f"The benchmarks' text is Debian's package {PACKAGE}: put its pages into {folder}.")
    subprocess.run(["apt-get", "download", "-q", PACKAGE], cwd=folder, check=True)
    (archive,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    return sorted(folder.rglob("*.html"))
