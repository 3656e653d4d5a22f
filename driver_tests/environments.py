"""Programs of others, each installed from PyPI into an environment of its own: they agree on no version of anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from release.environments import ROOT, environment

WORK = ROOT / ".drivers"
"""The environments, 0.8 GB of them; they are kept."""

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
    environment(WORK / name, PYTHON, [["--requirement", str(REQUIREMENTS / f"{name}.txt")]])
    return Environment(WORK / name)
