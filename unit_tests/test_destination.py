"""The CDK's class for callers in Python says what the console says, which does not import the CDK."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, Type

from destination_milvus.check import connection_status
from destination_milvus.config.specification import connector_specification
from destination_milvus.destination import DestinationMilvus

LOGGER = logging.getLogger("airbyte")


def test_the_specification_is_the_consoles() -> None:
    """Field by field, as the CDK writes it: those too that the protocol has no use for any more."""
    message = AirbyteMessage(type=Type.SPEC, spec=DestinationMilvus().spec(LOGGER))
    assert json.loads(json.dumps(AirbyteMessageSerializer.dump(message)["spec"])) == connector_specification()


@pytest.mark.parametrize("chunk_size", [1000, 0])
def test_the_answer_of_check_is_the_consoles(tmp_path: Path, chunk_size: int) -> None:
    """SUCCEEDED, and FAILED with its sentence."""
    config: dict[str, Any] = {
        "embedding": {"mode": "fake"},
        "processing": {"chunk_size": chunk_size},
        "indexing": {"host": str(tmp_path / "milvus.db"), "collection": "c", "auth": {"mode": "no_auth"}},
    }
    status = DestinationMilvus().check(LOGGER, config)
    message = AirbyteMessage(type=Type.CONNECTION_STATUS, connectionStatus=status)
    assert AirbyteMessageSerializer.dump(message)["connectionStatus"] == connection_status(config)
