"""Fixtures of the integration tests: every test that asks for `backend` runs on Milvus Lite and on a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import Backend
from devtools.milvus_server import MilvusServer, NoBuildError
from integration_tests.shared import SharedCollection

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """The shared server: started when the first test asks for it. A test that kills servers starts one of its own."""
    server = MilvusServer(tmp_path_factory.mktemp("milvus-server"))
    try:
        server.start()
    except NoBuildError as no_build:
        # the one reason to skip; everything else that can go wrong is a failure
        pytest.skip(f"no real Milvus server: {no_build}")
    yield server
    server.kill()  # its data is thrown away: an orderly end would take 10 s


@pytest.fixture(params=["lite", pytest.param("server", marks=pytest.mark.server)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A Milvus to test on. Creating a collection on the server costs 3 s: share one among the steps of a test."""
    if request.param == "lite":
        backend = Backend("lite", str(tmp_path / "milvus.db"))
    else:
        server: MilvusServer = request.getfixturevalue("milvus_server")
        backend = Backend("server", server.uri)
    yield backend
    backend.drop()


@pytest.fixture
def shared(place: SharedCollection) -> SharedCollection:
    """The collection of a module's fixture `place`, empty."""
    place.wipe()
    return place


@pytest.fixture
def collection(backend: Backend) -> str:
    """A collection name of the test's own; what it names is dropped after the test."""
    return backend.make_collection_name()


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the demo's first day; a test that writes, or lets a program hold it, takes a copy."""
    return _demo_database(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def synced_with_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with full-text search."""
    return _demo_database(tmp_path_factory.mktemp("demo-with-words"), full_text_search=True)


def _demo_database(home: Path, **indexing: Any) -> Path:
    config = json.loads((EXAMPLES / "milvus_lite_local.json").read_text())
    config["indexing"].update(host=str(home / "milvus.db"), **indexing)
    (home / "config.json").write_text(json.dumps(config))
    read = [PROGRAMS / "source-zendesk-stub", "read", "--config", EXAMPLES / "source_config.json"]
    store = [PROGRAMS / "destination-milvus", "write", "--config", home / "config.json"]
    configured = ["--catalog", EXAMPLES / "catalog.json"]
    source = subprocess.run([*read, *configured], check=True, capture_output=True)
    subprocess.run([*store, *configured], check=True, capture_output=True, input=source.stdout)
    return home / "milvus.db"
