"""What the drivers move things into: this destination, Milvus Lite, and an endpoint that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.backends import Backend
from devtools.openai_endpoint import serving
from driver_tests.target import Target


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A collection of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    with serving() as endpoint:
        yield Target(backend, endpoint)
    backend.release()
