"""Renews the locks: `python -m devtools.lock [--upgrade]` requirements.lock, with `readers` those of docs/reading.md.

The readers, LangChain and LlamaIndex, stay out of the project's own environment: the project does not use them, and
LlamaIndex asks for another version of pymilvus. What they have in common with `requirements.lock` has the same version:
uv links its files, which are there already.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence

from devtools.environments import CONNECTOR, DISTRIBUTIONS, LOCK, ROOT, STUB, UV, run

COMPILE = [UV, "pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--generate-hashes"]
ASKING = [str(folder.relative_to(ROOT) / "pyproject.toml") for folder in DISTRIBUTIONS.values()]
PROJECT = [*COMPILE, *ASKING, "--output-file", LOCK.name, "--extra", "lite", "--extra", "local"]
PROJECT += ["--extra", "backfill", "--extra", "chinese", "--extra", "ray", "--group", "dev"]
# these two the form asks for, and they are here
PROJECT += [f"--no-emit-package={name}" for name in (CONNECTOR, STUB)]
PROJECT += ["--custom-compile-command", "make lock"]
"""Compiles the lock of the project in the folder that it is run in."""

READERS = ROOT / "integration_tests" / "readers"
OTHERWISE = {"langchain": frozenset[str](), "llamaindex": frozenset({"pymilvus"})}
"""The readers, and which packages each has in a version that is not the project's."""


def renew_readers(arguments: Sequence[str]) -> None:
    """Compile their locks anew."""
    locked = LOCK.read_text().replace("\\\n", "").splitlines()
    pins = [line.partition(" --hash")[0].rstrip() for line in locked if line[:1].isalnum()]
    for name, otherwise in OTHERWISE.items():
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.write("\n".join(pin for pin in pins if re.split(r"[=\[ ]", pin)[0] not in otherwise))
            constraints.flush()
            command = [*COMPILE, "--no-annotate", "--custom-compile-command", "python -m devtools.lock readers"]
            command += ["--constraint", constraints.name, "--output-file", str(READERS / f"{name}.txt")]
            run([*command, *arguments, str(READERS / f"{name}.in")])


def main(arguments: Sequence[str]) -> None:
    """Renew what is named."""
    if arguments[:1] == ["readers"]:
        renew_readers(arguments[1:])
    else:
        run([*PROJECT, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
