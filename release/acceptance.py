"""Airbyte's own tests of connectors (`make acceptance`): the CDK's standard tests, and the rules of Airbyte's QA.

Both find a connector by the name of its folder, and the rules want it inside a checkout of Airbyte's repository.
Folders of that shape are put together in `.acceptance/`. The connectors themselves are installed from their wheels.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devtools.environments import CONNECTOR, LOCK, ROOT, STUB, Environment, built, environment, run

WORK = ROOT / ".acceptance"
HERE = Path(__file__).parent
DESTINATION = "destination-milvus"
SOURCE = "source-zendesk-stub"

CONNECTORS: Mapping[str, Path] = {
    DESTINATION: ROOT / "metadata.yaml",
    SOURCE: HERE / SOURCE / "metadata.yaml",  # it goes into no registry
}
"""Where the metadata of each connector is, by the name that its folder must have."""

JUDGED = (
    *("metadata.yaml", "icon.svg", "pyproject.toml", "requirements.lock", "Dockerfile"),
    *("README.md", "CHANGELOG.md", "LICENSE", "main.py"),
    *("destination_milvus", "unit_tests", "integration_tests", "examples"),
)
"""What the rules of QA look at: the connector, without the source stub, the support form and the benchmarks."""

DOCUMENTATION = Path("docs") / "integrations" / "destinations" / "milvus.md"

DECISION = ROOT / "docs" / "adr" / "0009-airbyte-rules-not-followed.md"
"""Has a table of the rules that are not followed."""

QA_PYTHONS = ("3.11", "3.12")
"""airbyte-internal-ops runs on these."""

_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Airbyte's QA says about one of its rules."""

    rule: str
    status: str
    """`passed`, `failed`, `skipped` (it is not for destinations), or `error` (it could not be judged)."""
    message: str

    @property
    def followed(self) -> bool:
        """Whether it needs no reason."""
        return self.status in {"passed", "skipped"}


def main() -> None:
    """Run all of it; exit with 1 where something does not hold."""
    for name in CONNECTORS:
        print(f"\n=== {name}: the CDK's standard tests", flush=True)
        run_standard_tests(name)
    print(f"\n=== {DESTINATION}: the rules of Airbyte's QA", flush=True)
    found = verdicts()
    for verdict in found:
        print(f"{verdict.status:8}{verdict.rule}: {verdict.message}")
    if disagreement := compared(found, rules_with_a_reason()):
        sys.exit(disagreement)
    print(f"\nEvery rule is followed, or has its reason in {DECISION.relative_to(ROOT)}.")


# --- standard tests ---------------------------------------------------------------------------------------------------


def run_standard_tests(name: str) -> None:
    """Run the CDK's standard tests of a connector, but for those of its image, and look at its metadata.

    Raises:
        subprocess.CalledProcessError: one of them failed.
    """
    tools = acceptance_tools()
    folder = assembled(name)
    run([str(tools.python), str(HERE / "metadata_schema.py"), str(folder / "metadata.yaml")])
    command = [str(tools.program("airbyte-cdk")), "connector", "test", "."]
    run([*command, "--pytest-arg=-m", "--pytest-arg=not image_tests", "--pytest-arg=-rfE"], folder)


def acceptance_tools() -> Environment:
    """The environment with Airbyte's tests and the wheels of both connectors."""
    wheels = built(WORK / "wheel", "--wheel", names=(CONNECTOR, STUB))
    locked = ["--constraint", str(LOCK), f"{wheels[CONNECTOR][0]}[lite,local]", str(wheels[STUB][0])]
    tools = ["--require-hashes", "--no-deps", "--requirement", str(HERE / "acceptance.txt")]
    return environment(WORK / "environment", sys.executable, [locked, tools])


def assembled(name: str) -> Path:
    """The folder of a connector as Airbyte's repository has it, made anew."""
    folder = WORK / "connectors" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (CONNECTORS[name], *(HERE / name).iterdir(), ROOT / "examples"):
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    # else pytest would follow the settings of this project's own tests
    (folder / "pytest.ini").touch()
    return folder


# --- the rules of QA --------------------------------------------------------------------------------------------------


def verdicts() -> list[Verdict]:
    """What Airbyte's QA says about the destination, rule by rule."""
    repository = WORK / "airbyte"  # its name is looked for
    shutil.rmtree(repository, ignore_errors=True)
    folder = _copied(repository / "airbyte-integrations" / "connectors")
    if (ROOT / DOCUMENTATION).exists():
        (repository / DOCUMENTATION).parent.mkdir(parents=True)
        shutil.copy(ROOT / DOCUMENTATION, repository / DOCUMENTATION)
    _make_repository(repository)
    rules = [str(_qa_python()), str(HERE / "qa_rules.py"), folder.name]
    done = subprocess.run(rules, cwd=repository, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The rules of Airbyte's QA cannot be run:\n{done.stderr}")
    return [Verdict(**said) for said in json.loads(done.stdout.splitlines()[-1])]


def rules_with_a_reason() -> set[str]:
    """The rules that the decision lists as not followed."""
    return set(_ROW.findall(DECISION.read_text()))


def compared(found: list[Verdict], listed: set[str]) -> str:
    """In which rules the verdicts and the list of those that are not followed differ; empty where they agree."""
    broken = {verdict.rule: verdict.message for verdict in found if not verdict.followed}
    where = DECISION.relative_to(ROOT)
    sentences = [
        f"{rule} is not followed, and has no reason in {where}: {broken[rule]}" for rule in broken.keys() - listed
    ]
    sentences += [f"{rule} is followed: take it out of {where}." for rule in listed - broken.keys()]
    return "\n".join(sorted(sentences))


def _copied(parent: Path) -> Path:
    """The destination's folder in Airbyte's repository: of files, since the rules do not follow links to folders."""
    folder = parent / DESTINATION
    folder.mkdir(parents=True)
    for name in JUDGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    return folder


def _make_repository(folder: Path) -> None:
    """The rules ask git where the repository is, and what its `origin` is called."""
    git = ["git", "-c", "user.name=acceptance", "-c", "user.email=acceptance@localhost"]
    for command in (
        ["init", "--quiet", "--initial-branch", "master"],
        ["remote", "add", "origin", "https://github.com/airbytehq/airbyte.git"],
        ["add", "--all"],
        ["commit", "--quiet", "--no-verify", "--message", "A connector to look at"],
    ):
        run([*git, *command], folder)


def _qa_python() -> Path:
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = sys.executable if this in QA_PYTHONS else QA_PYTHONS[0]
    tools = ["--no-deps", "--requirement", str(HERE / "qa.txt")]
    return environment(WORK / "qa", python, [tools]).python


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"Failed: {' '.join(failed.cmd)}")
