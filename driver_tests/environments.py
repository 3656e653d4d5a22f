"""Programs of others, each installed from PyPI into an environment of its own: they agree on no version of anything."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WORK = Path(__file__).parents[1] / ".drivers"
"""The environments, 0.8 GB of them, out of sight of git by a `.gitignore` of its own; they are kept."""

REQUIREMENTS = Path(__file__).parent / "requirements"

PYTHON = "3.11"
"""The version that all of them support."""


@dataclass(frozen=True)
class Environment:
    """An installed program."""

    folder: Path

    def program(self, name: str) -> Path:
        """One of its console commands."""
        return self.folder / "bin" / name

    def package(self, name: str) -> Path:
        """The folder of one of its packages."""
        return self.folder / "lib" / f"python{PYTHON}" / "site-packages" / name


def environment_of(name: str) -> Environment:
    """The environment of `requirements/{name}.txt`, installed at the first call."""
    WORK.mkdir(exist_ok=True)
    (WORK / ".gitignore").write_text("*\n")
    folder = WORK / name
    stamp, requirements = folder / "requirements.txt", REQUIREMENTS / f"{name}.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        _install(folder, requirements)
        stamp.write_text(requirements.read_text())
    return Environment(folder)


def _install(folder: Path, requirements: Path) -> None:
    # not `python -m uv`, which installs into the environment that it runs in, whatever it is told
    uv = Path(sys.executable).with_name("uv")
    made = subprocess.run(
        [uv, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", PYTHON, folder],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, f"Python {PYTHON} is needed for {folder.name}: {made.stderr}"
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "--requirement", requirements], check=True)
