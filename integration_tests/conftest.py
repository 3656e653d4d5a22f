"""Fixtures of the integration tests: every test that asks for `backend` runs on Milvus Lite and on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration_tests.backends import Backend
from integration_tests.milvus_server import MilvusServer, NoBuildError


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
def collection(backend: Backend) -> str:
    """A collection name of the test's own; what it names is dropped after the test."""
    return backend.make_collection_name()
