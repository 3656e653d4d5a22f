"""Programs of others, each installed from PyPI into an environment of its own: they agree on no version of anything."""

from __future__ import annotations

from pathlib import Path

from devtools.environments import ROOT, Environment, environment

WORK = ROOT / ".drivers"
"""The environments, 0.8 GB of them; they are kept."""

REQUIREMENTS = Path(__file__).parent / "requirements"

PYTHON = "3.11"
"""The version that all of them support."""


def environment_of(name: str) -> Environment:
    """The environment of `requirements/{name}.txt`, installed at the first call."""
    return environment(WORK / name, PYTHON, [["--requirement", str(REQUIREMENTS / f"{name}.txt")]])
