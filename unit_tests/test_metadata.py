"""metadata.yaml says the same as the package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from destination_milvus.config.specification import specification
from destination_milvus.embedding import cohere_client, openai_api

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"host|url|base|endpoint", re.IGNORECASE)
"""How options are called that hold an address."""


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The description of the connector."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
    return described


def test_version_and_licence_are_those_of_the_package(data: dict[str, Any]) -> None:
    """A release that changes one of the two places only is noticed."""
    package = metadata(data["remoteRegistries"]["pypi"]["packageName"])
    assert data["dockerImageTag"] == package["Version"]
    assert data["license"] == package["License-Expression"]


def test_the_base_image_is_pinned_by_its_digest(data: dict[str, Any]) -> None:
    """A tag can be moved, a digest cannot."""
    base_image = data["connectorBuildOptions"]["baseImage"]
    assert re.fullmatch(r"docker\.io/airbyte/python-connector-base:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", base_image)


def test_every_host_that_is_reached_is_allowed(data: dict[str, Any]) -> None:
    """Those that options name, and those that the embedding modules know: others the platform would shut off."""
    allowed = set(data["allowedHosts"]["hosts"])
    known = {urlsplit(address).hostname for address in (cohere_client.ADDRESS, openai_api.OPENAI_ADDRESS)}
    code = "".join(path.read_text() for path in (ROOT / "destination_milvus").rglob("*.py"))
    assert known == set(re.findall(r"https://(api\.[\w.]+)", code)), "a module has a new address"
    options = {
        f"${{{section}.{name}}}"
        for section in ("embedding", "indexing")
        for name, option in options_of(specification()["properties"][section])
        if ADDRESS.search(name) and option["type"] == "string" and name != "server_name"
    }
    assert allowed == known | options


def options_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Options of a section, those of its alternatives too."""
    for alternative in (schema, *schema.get("oneOf", ())):
        yield from alternative.get("properties", {}).items()


def test_the_icon_is_a_square(data: dict[str, Any]) -> None:
    """Airbyte draws it into one."""
    view = re.search(r'viewBox="0 0 (\d+) (\d+)"', (ROOT / data["icon"]).read_text())
    assert view is not None
    assert view[1] == view[2]


def test_the_image_is_the_one_that_is_described(data: dict[str, Any]) -> None:
    """Its base, its name and its version stand in the Dockerfile too."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"ARG BASE_IMAGE={data['connectorBuildOptions']['baseImage']}\n" in dockerfile
    assert f"io.airbyte.version={data['dockerImageTag']} " in dockerfile
    assert f"io.airbyte.name={data['dockerRepository']}\n" in dockerfile
