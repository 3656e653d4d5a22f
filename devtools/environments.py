"""Environments of their own: what only a release, a benchmark or some tests need is kept out of `.venv`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
CONNECTOR = "airbyte-destination-milvus"
STUB = "airbyte-source-zendesk-stub"
FORM = "milvus-support-form"
PLAYGROUND = "milvus-playground"
DISTRIBUTIONS: Mapping[str, Path] = {
    CONNECTOR: ROOT,
    STUB: ROOT / "source_zendesk_stub",
    FORM: ROOT / "support_form",
    PLAYGROUND: ROOT / "playground",
}
"""What is built and installed by itself: its name, and the folder of its pyproject.toml."""

# not `python -m uv`, which installs into the environment that it runs in, whatever it is told
UV = str(Path(sys.executable).with_name("uv"))


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is there."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """One of its console commands."""
        return self.folder / "bin" / name

    def package(self, name: str) -> Path:
        """The folder of one of its packages."""
        [found] = self.folder.glob(f"lib/python*/site-packages/{name}")
        return found


def environment(folder: Path, python: str, installs: Iterable[Sequence[str]]) -> Environment:
    """An environment with what `installs` name, made anew where any of it has changed.

    Args:
        folder: where the environment is, or will be.
        python: the interpreter to make it with, or its version.
        installs: arguments of `uv pip install`, one call each; the files among them count by their content.
    """
    made = Environment(folder)
    wanted = _digest([[python], *installs])
    stamp = folder / "installed.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        run([UV, "venv", "--quiet", "--clear", "--python", python, str(folder)])
        for arguments in installs:
            run([UV, "pip", "install", "--quiet", "--python", str(made.python), *arguments])
        stamp.write_text(wanted)
    return made


def run(command: Sequence[str], folder: Path = ROOT) -> None:
    """Run a command to its end, its output where ours is.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    # bytecode of all that is installed would cost more than it saves in a few starts
    variables = {**os.environ, "UV_COMPILE_BYTECODE": "0"}
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, env=variables)


def built(target: Path, *kinds: str, names: Iterable[str] = tuple(DISTRIBUTIONS)) -> dict[str, list[Path]]:
    """The files that `uv build` makes of this checkout, by the backend at the version of the lock: sdist, then wheel.

    Args:
        target: folder for them; others of the same distributions are taken out of it.
        kinds: `--wheel` or `--sdist` for one of the two; without any, the wheel is made from the sdist.
        names: of the distributions that are built, all by default.
    """
    target.mkdir(parents=True, exist_ok=True)
    build = [UV, "build", "--quiet", "--no-build-isolation", "--no-create-gitignore", "--python", sys.executable]
    files = {}
    for name in names:
        pattern = f"{name.replace('-', '_')}-*"
        for old in target.glob(pattern):
            old.unlink()
        run([*build, *kinds, "--out-dir", str(target), str(DISTRIBUTIONS[name])])
        files[name] = sorted(target.glob(pattern), key=lambda path: path.suffix)
    return files


def _digest(installs: Iterable[Sequence[str]]) -> str:
    digest = hashlib.sha256()
    for argument in (argument for arguments in installs for argument in arguments):
        path = Path(argument.partition("[")[0])
        digest.update(path.read_bytes() if path.is_file() else argument.encode())
        digest.update(b"\0")
    return digest.hexdigest()
