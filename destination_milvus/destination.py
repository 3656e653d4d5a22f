"""spec, check and write as the CDK calls them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

import orjson
from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    ConnectorSpecification,
    DestinationSyncMode,
    Status,
)

from destination_milvus.config.models import parse_config
from destination_milvus.config.specification import connector_specification


class DestinationMilvus(Destination):
    """The connector."""

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:  # noqa: ARG002 - the CDK's signature
        """The specification; needs neither Milvus nor an embedding library."""
        spec = connector_specification()
        modes = [DestinationSyncMode(mode) for mode in spec.pop("supported_destination_sync_modes")]
        return ConnectorSpecification(supported_destination_sync_modes=modes, **spec)

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:  # noqa: ARG002
        """Look at everything, change nothing. FAILED says which option is wrong."""
        from destination_milvus.check import connection_status  # noqa: PLC0415 - spec needs none of it

        status = connection_status(config)
        return AirbyteConnectionStatus(status=Status(status["status"]), message=status.get("message"))

    def write(
        self,
        config: Mapping[str, Any],
        configured_catalog: ConfiguredAirbyteCatalog,
        input_messages: Iterable[AirbyteMessage],
    ) -> Iterable[AirbyteMessage]:
        """The CDK's way in, for callers in Python; the console goes by `write_stream`.

        A state is yielded as soon as it is durable, also those that were before an error, which is raised after them.
        The sync goes on while the caller asks for the next one, on the caller's thread; the input is read ahead by
        another. The CDK's messages do not carry all that the platform sends (`state.id`).

        Raises:
            DestinationError: as `write_stream`.
        """
        from destination_milvus.write import write_steps  # noqa: PLC0415 - as above

        durable: deque[bytes] = deque()
        lines = (orjson.dumps(AirbyteMessageSerializer.dump(message)) + b"\n" for message in input_messages)
        catalog = ConfiguredAirbyteCatalogSerializer.dump(configured_catalog)
        with closing(write_steps(parse_config(config), catalog, _Lines(lines), durable.extend)) as steps:
            try:
                for _ in steps:
                    yield from _taken(durable)
            except Exception:
                yield from _taken(durable)
                raise


def _taken(lines: deque[bytes]) -> Iterator[AirbyteMessage]:
    while lines:
        yield AirbyteMessageSerializer.load(orjson.loads(lines.popleft()))


class _Lines:
    """An iterable of lines, read as a binary stream is."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)

    def read1(self, size: int, /) -> bytes:  # noqa: ARG002 - one line at a time
        return next(self._lines, b"")
