"""What the benchmarks need beside the project: the baseline's environment and a body of real text; both are kept."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from devtools.environments import environment

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
    requirements = ["--requirement", str(BASELINE / "requirements.txt")]
    return environment(work_folder() / "baseline", sys.executable, [requirements]).python


def paragraphs() -> list[str]:
    """Paragraphs of real text, each once, in the order of the pages (about 20 s at the first call)."""
    cached = work_folder() / "paragraphs.txt"
    if not cached.exists():
        found = dict.fromkeys(text for page in pages() for text in _paragraphs(page))
        cached.write_text("\n".join(found))
    return cached.read_text().split("\n")


def _paragraphs(page: Path) -> list[str]:
    source = _SCRIPTS.sub(" ", page.read_text(errors="replace"))
    texts = (" ".join(html.unescape(_TAG.sub("", block)).split()) for block in _BLOCK.findall(source))
    return [text for text in texts if len(text.split()) >= _MIN_WORDS]


def pages() -> list[Path]:
    """The HTML pages of the kernel's documentation, downloaded at the first call."""
    installed = sorted((Path("/usr/share/doc") / PACKAGE).rglob("*.html"))
    return installed or sorted(unpacked_package(PACKAGE).rglob("*.html"))


def unpacked_package(name: str) -> Path:
    """The files of one of Debian's packages, which is downloaded at the first call and not installed."""
    folder = work_folder() / "packages" / name
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SystemExit(f"The text is in Debian's package {name}: unpack its files into {folder}.")
    with tempfile.TemporaryDirectory(dir=work_folder()) as partial:
        command = ["apt-get", "download", "-q", name]
        done = subprocess.run(command, cwd=partial, check=False, capture_output=True, text=True)
        archives = list(Path(partial).glob("*.deb"))
        if not archives:
            reason = done.stderr.strip()
            raise SystemExit(f"Debian's package {name} could not be downloaded (run `apt-get update`?): {reason}")
        files = Path(partial) / "files"
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), str(files)], check=True)
        folder.parent.mkdir(exist_ok=True)
        files.rename(folder)
    return folder
