"""What is released is what is here: wheel, sdist, and the places that name the version."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from devtools.environments import built
from release.check import description, find_interpreters, look_at_description

ROOT = Path(__file__).parents[1]
PACKAGES = ("destination_milvus", "source_zendesk_stub", "support_form")


def tracked(*folders: str) -> set[str]:
    """Files of the checkout, those that git is told to ignore left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout: which files belong to it is not known")
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheel and sdist, by suffix."""
    return {path.suffix: path for path in built(tmp_path_factory.mktemp("dist"))}


def test_the_wheel_holds_its_packages_as_they_are_here(files: dict[str, Path]) -> None:
    """Every file, data too, byte for byte, and no other: tests of the checkout are tests of the wheel."""
    with zipfile.ZipFile(files[".whl"]) as wheel:
        inside = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == {name: (ROOT / name).read_bytes() for name in tracked(*PACKAGES)}


def test_the_wheel_brings_its_commands_and_licences(files: dict[str, Path]) -> None:
    """The image, and users, call the commands by name; the bundled vocabularies have licences of their own."""
    with zipfile.ZipFile(files[".whl"]) as wheel:
        [commands] = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("entry_points.txt"))
        licences = {name.partition("/licenses/")[2] for name in wheel.namelist() if "/licenses/" in name}
    assert "destination-milvus = destination_milvus.run:run" in commands
    assert "source-zendesk-stub = source_zendesk_stub.run:run" in commands
    assert licences == {"LICENSE", "destination_milvus/data/NOTICE"}


def test_the_sdist_holds_nothing_that_is_not_tracked(files: dict[str, Path]) -> None:
    """No environment, database or result of a run is published; what the wheel is made of is there."""
    with tarfile.open(files[".gz"]) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert inside <= tracked() | {"PKG-INFO"}
    assert tracked(*PACKAGES, "pyproject.toml", "LICENSE", "CHANGELOG.md") <= inside


def test_an_index_accepts_the_description(files: dict[str, Path]) -> None:
    """Each field is valid, and wheel and sdist say the same."""
    look_at_description(description(files[".whl"]), description(files[".gz"]))


def test_every_place_names_the_version_of_the_package() -> None:
    """pyproject.toml has it; the rest follows."""
    released = version("airbyte-destination-milvus")
    assert f'\nversion = "{released}"\n' in (ROOT / "pyproject.toml").read_text(), "run `make -B .venv/.complete`"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == released
    stub = yaml.safe_load((ROOT / "release" / "source-zendesk-stub" / "metadata.yaml").read_text())["data"]
    assert stub["dockerImageTag"] == released
    for path in sorted(ROOT.glob("release/*/acceptance-test-config.yml")):
        assert yaml.safe_load(path.read_text())["connector_image"].endswith(f":{released}"), path


def test_an_interpreter_that_is_missing_is_not_made_up() -> None:
    """A release is tried out on each version, and one that is not there is named, not passed over."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert find_interpreters((here, "3.99")) == {here: sys.executable}
