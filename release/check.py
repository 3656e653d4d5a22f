"""Whether this can be released (`make release-check`).

Wheels and sdists are built, of the connector and of what is installed beside it; their descriptions are what an index
accepts; on every supported Python, the wheels are installed with the versions of the lock, spec, check and write run,
from the stub into Milvus Lite, and support form and playground open what was written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.metadata import Metadata

from devtools.environments import LOCK, ROOT, UV, Environment, built, environment

WORK = ROOT / ".release"
EXAMPLES = ROOT / "examples"
OPEN = """
import os
from streamlit.testing.v1 import AppTest
from {}.run import PAGE
os.environ.update(MILVUS_URL="milvus.db", EMBEDDING_MODEL="all-MiniLM-L6-v2")
page = AppTest.from_file(str(PAGE), default_timeout=60).run()
print(*(title.value for title in [*page.title, *page.header]), sep=", ")
"""
"""What a page shows first, without a browser."""

SHOWN = {"support_form": "Sign in", "playground": "Streams, Length of chunks, Records by day, How it is searched"}
"""By the package of the pages, what they show once the stub's records are there."""

PYTHONS = tuple(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text()))
"""The versions that the package says it is for."""


def main() -> None:
    """Check all of it; exit with 1 and a sentence at the first thing that does not hold."""
    interpreters = find_interpreters(PYTHONS)
    if missing := [version for version in PYTHONS if version not in interpreters]:
        sys.exit(
            f"Python {', '.join(missing)} is not installed; a release is tried out on each of {', '.join(PYTHONS)}."
        )
    files = built(WORK / "dist")
    for sdist, wheel in files.values():
        print(f"{sdist.name} {sdist.stat().st_size / 1e6:.1f} MB, {wheel.name} {wheel.stat().st_size / 1e6:.1f} MB")
        look_at_description(description(wheel), description(sdist))
    wheels = {name: wheel for name, (_, wheel) in files.items()}
    for version, interpreter in interpreters.items():
        print(f"\nPython {version}", flush=True)
        try_out(_installed(version, interpreter, wheels))
    print(f"\n{', '.join(wheel.name for wheel in wheels.values())} can be released.{_what_is_left()}")


# --- description ------------------------------------------------------------------------------------------------------


def description(path: Path) -> Metadata:
    """What an index shows of a wheel or an sdist, each field checked.

    Raises:
        ExceptionGroup: fields are wrong.
    """
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            [name] = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
            return Metadata.from_email(wheel.read(name), validate=True)
    with tarfile.open(path) as sdist:
        content = sdist.extractfile(f"{path.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert content is not None
        return Metadata.from_email(content.read(), validate=True)


def look_at_description(wheel: Metadata, sdist: Metadata) -> None:
    """What an index needs, and a reader there: `twine check` asks for no more."""
    assert wheel.version == sdist.version
    assert wheel.description
    assert wheel.description == sdist.description
    assert wheel.description_content_type == "text/markdown"
    assert wheel.license_expression == "MIT"
    print(
        f"{wheel.name} {wheel.version}, Python {wheel.requires_python}, {len(wheel.requires_dist or [])} requirements"
    )


# --- every Python -----------------------------------------------------------------------------------------------------


def find_interpreters(versions: Sequence[str]) -> dict[str, str]:
    """Interpreters by version, of those that are installed: on the path, by pyenv, or by uv."""
    return {version: found for version in versions if (found := _find_interpreter(version))}


def _find_interpreter(version: str) -> str | None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}") or ""]
    candidates += map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))
    find = [UV, "python", "find", "--quiet", "--no-project", "--managed-python", "--no-python-downloads", version]
    candidates.append(subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip())
    return next((candidate for candidate in candidates if candidate and _version_of(candidate) == version), None)


def _version_of(interpreter: str) -> str:
    show = [interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()


def _installed(version: str, interpreter: str, wheels: Mapping[str, Path]) -> Environment:
    """An environment with the wheels; what extras they need, they say themselves."""
    folder = WORK / version
    shutil.rmtree(folder, ignore_errors=True)  # what is tried out is what was built now
    return environment(folder, interpreter, [["--constraint", str(LOCK), *map(str, wheels.values())]])


def try_out(installed: Environment) -> None:
    """Run spec, check, and write twice: the stub's records into Milvus Lite, then the same, which embeds nothing.

    Then let support form and playground open what has been written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for example in ("catalog.json", "source_config.json", "milvus_lite_local.json"):
            shutil.copy(EXAMPLES / example, folder)
        destination = str(installed.program("destination-milvus"))
        config = ["--config", "milvus_lite_local.json"]
        spec = _messages([destination, "spec"], folder)
        assert spec == [json.loads((ROOT / "integration_tests" / "spec.json").read_text())], (
            "spec is not the golden copy"
        )
        status = _messages([destination, "check", *config], folder)[-1]
        assert status == {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}, status
        print("  spec is the golden copy, check succeeds")
        read = [
            str(installed.program("source-zendesk-stub")),
            "read",
            "--config",
            "source_config.json",
            "--catalog",
            "catalog.json",
        ]
        records = _output(read, folder)
        for embedded in ("248 texts embedded", "0 texts embedded"):
            messages = _messages([destination, "write", *config, "--catalog", "catalog.json"], folder, records)
            states = sum(message["type"] == "STATE" for message in messages)
            assert states == sum('"STATE"' in line for line in records.splitlines()), f"{states} states came back"
            log = [message["log"]["message"] for message in messages if message["type"] == "LOG"]
            summary = next((line for line in log if line.startswith("Sync complete")), "no summary")
            assert embedded in summary, summary
            print(f"  write: {states} states; {summary}", flush=True)
        for package, expected in SHOWN.items():
            titles = _output([str(installed.python), "-c", OPEN.format(package)], folder).strip()
            assert titles == expected, f"{package} shows: {titles}"
            print(f'  {package}: shows "{titles}"', flush=True)


def _messages(command: Sequence[str], folder: Path, stdin: str = "") -> list[dict[str, object]]:
    return [json.loads(line) for line in _output(command, folder, stdin).splitlines()]


def _output(command: Sequence[str], folder: Path, stdin: str = "") -> str:
    # nothing of this checkout is to be imported
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, input=stdin, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
    return done.stdout


def _what_is_left() -> str:
    unreleased = re.search(r"^## .*unreleased", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    return " Its day is still missing in CHANGELOG.md." if unreleased else ""


if __name__ == "__main__":
    try:
        main()
    except AssertionError as failed:
        sys.exit(f"Failed: {failed}")
