"""Environments of programs that read a collection beside the connector. As a script, this file renews their locks.

LangChain and LlamaIndex stay out of the project's own environment: the project does not use them, and LlamaIndex asks
for another version of pymilvus. What they have in common with `requirements.lock` has the same version: uv links its
files, which are there already.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release.environments import LOCK, ROOT, UV, environment, run

LOCKS = Path(__file__).parent / "readers"
HOME = ROOT / ".readers"

OTHERWISE = {"langchain": frozenset[str](), "llamaindex": frozenset({"pymilvus"})}
"""The environments, and which packages each has in a version that is not the project's."""


def interpreter_of(name: str) -> Path:
    """The interpreter of an environment, made at the first call."""
    return environment(HOME / name, sys.executable, [["--require-hashes", "--requirement", str(LOCKS / f"{name}.txt")]])


def renew() -> None:
    """Compile the locks anew."""
    locked = LOCK.read_text().replace("\\\n", "").splitlines()
    pins = [line.partition(" --hash")[0].rstrip() for line in locked if line[:1].isalnum()]
    HOME.mkdir(exist_ok=True)
    for name, otherwise in OTHERWISE.items():
        constraints = HOME / f"{name}-constraints.txt"
        constraints.write_text("\n".join(pin for pin in pins if re.split(r"[=\[ ]", pin)[0] not in otherwise))
        compiled = ("pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--generate-hashes")
        compiled += ("--no-annotate", "--custom-compile-command", "python integration_tests/reader_environments.py")
        compiled += ("--constraint", str(constraints), "--output-file", str(LOCKS / f"{name}.txt"))
        run([UV, *compiled, str(LOCKS / f"{name}.in")])


if __name__ == "__main__":
    renew()
