"""What is released is what is here: wheels, sdists, and the places that name the version."""

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

from devtools.environments import CONNECTOR, DISTRIBUTIONS, FORM, PLAYGROUND, ROOT, STUB, built
from release.check import description, find_interpreters, look_at_description

PACKAGES = {
    CONNECTOR: "destination_milvus",
    STUB: "source_zendesk_stub",
    FORM: "support_form",
    PLAYGROUND: "playground",
}
COMMANDS = {
    CONNECTOR: "destination-milvus = destination_milvus.run:run",
    STUB: "source-zendesk-stub = source_zendesk_stub.run:run",
    FORM: "milvus-support-form = support_form.run:run",
    PLAYGROUND: "milvus-playground = playground.run:run",
}
DESCRIBING = ("pyproject.toml", "README.md", "LICENSE")
"""What a folder that is a package has besides."""

every_distribution = pytest.mark.parametrize("name", DISTRIBUTIONS)


def tracked(*folders: str) -> set[str]:
    """Files of the checkout, those that git is told to ignore left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout: which files belong to it is not known")
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Sdist and wheel of each distribution."""
    return built(tmp_path_factory.mktemp("dist"))


@every_distribution
def test_a_wheel_holds_its_package_as_it_is_here(name: str, files: dict[str, list[Path]]) -> None:
    """Every file, data too, byte for byte, and no other: tests of the checkout are tests of the wheel.

    So the connector's carries neither the stub nor the form.
    """
    _, path = files[name]
    with zipfile.ZipFile(path) as wheel:
        inside = {file: wheel.read(file) for file in wheel.namelist() if ".dist-info/" not in file}
    here = tracked(PACKAGES[name]) - {f"{PACKAGES[name]}/{file}" for file in DESCRIBING}
    assert inside == {file: (ROOT / file).read_bytes() for file in here}


@every_distribution
def test_a_wheel_brings_its_command_and_licences(name: str, files: dict[str, list[Path]]) -> None:
    """The image, and users, call the commands by name; the bundled vocabularies have licences of their own."""
    _, path = files[name]
    with zipfile.ZipFile(path) as wheel:
        [commands] = (wheel.read(file).decode() for file in wheel.namelist() if file.endswith("entry_points.txt"))
        licences = {
            file.partition("/licenses/")[2]: wheel.read(file) for file in wheel.namelist() if "/licenses/" in file
        }
    assert commands.split("\n", 1)[1].strip() == COMMANDS[name]
    assert licences.pop("LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert licences.keys() == ({"destination_milvus/data/NOTICE"} if name == CONNECTOR else set())


@every_distribution
def test_an_sdist_holds_nothing_that_is_not_tracked(name: str, files: dict[str, list[Path]]) -> None:
    """No environment, database or result of a run is published; what the wheel is made of is there."""
    path, _ = files[name]
    with tarfile.open(path) as sdist:
        inside = {file.partition("/")[2] for file in sdist.getnames()}
    folder = DISTRIBUTIONS[name].relative_to(ROOT)
    prefix = "" if name == CONNECTOR else f"{folder}/"
    here = {file.removeprefix(prefix) for file in tracked(str(folder))}
    assert inside <= here | {"PKG-INFO", ".gitignore"}
    assert (tracked(PACKAGES[name]) | {"CHANGELOG.md"} if name == CONNECTOR else here) <= inside
    assert {"pyproject.toml", "LICENSE"} <= inside


@every_distribution
def test_an_index_accepts_the_description(name: str, files: dict[str, list[Path]]) -> None:
    """Each field is valid, and wheel and sdist say the same."""
    sdist, wheel = files[name]
    look_at_description(description(wheel), description(sdist))


def test_the_connector_asks_for_nothing_that_only_its_companions_need(files: dict[str, list[Path]]) -> None:
    """Milvus Lite and the local model are extras; the form takes both, and the stub, at its own version."""
    requirements = {name: description(wheel).requires_dist or [] for name, (_, wheel) in files.items()}
    released = version(CONNECTOR)
    always = {required.name for required in requirements[CONNECTOR] if required.marker is None}
    assert not always & {"milvus-lite", "onnxruntime", "streamlit", "cryptography", "pyarrow"}
    extras = {
        str(required.marker): required.name for required in requirements[CONNECTOR] if required.marker is not None
    }
    assert extras['extra == "lite"'] == "milvus-lite"
    ours = {required.name: required for required in requirements[FORM] if required.name in DISTRIBUTIONS}
    assert ours.keys() == {CONNECTOR, STUB}
    assert ours[CONNECTOR].extras == {"lite", "local"}
    [connector] = [required for required in requirements[PLAYGROUND] if required.name in DISTRIBUTIONS]
    assert (connector.name, connector.extras) == (CONNECTOR, {"lite", "local"})
    assert str(connector.specifier) == f"=={released}"
    assert {str(required.specifier) for required in ours.values()} == {f"=={released}"}


def test_every_place_names_the_version_of_the_package() -> None:
    """pyproject.toml has it; the rest follows."""
    released = version(CONNECTOR)
    for folder in DISTRIBUTIONS.values():
        assert f'\nversion = "{released}"\n' in (folder / "pyproject.toml").read_text(), "run `make -B .venv/.complete`"
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
