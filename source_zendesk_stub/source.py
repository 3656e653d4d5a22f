"""The source as the CDK sees it: four incremental streams over made-up data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    Status,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_zendesk_stub.config import Settings, connection_specification
from source_zendesk_stub.errors import refusal
from source_zendesk_stub.feeds import feeds_of
from source_zendesk_stub.streams import CURSOR_FIELDS, GeneratedStream, position_in
from source_zendesk_stub.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping
    from logging import Logger

    from airbyte_cdk.sources.streams import Stream

Content = TypeVar("Content")


class SourceZendeskStub(AbstractSource):
    """An Airbyte source with the streams, shapes and states of Zendesk Support, and no account behind it."""

    @property
    def raise_exception_on_missing_stream(self) -> bool:
        """A stream this source does not have is an error, never a silent gap."""
        return True

    def spec(self, logger: Logger) -> ConnectorSpecification:  # noqa: ARG002
        """The options, all of them optional."""
        return ConnectorSpecification(
            connectionSpecification=connection_specification(),
            documentationUrl="https://docs.airbyte.com/integrations/sources/zendesk-support",
        )

    def check(self, logger: Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the configuration can be read; there is nothing to connect to."""
        succeeded, sentence = self.check_connection(logger, config)
        return AirbyteConnectionStatus(status=Status.SUCCEEDED if succeeded else Status.FAILED, message=sentence)

    def check_connection(self, logger: Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:  # noqa: ARG002
        """Success, or a sentence that says what is wrong."""
        try:
            Settings.from_config(config)
        except AirbyteTracedException as error:
            return False, error.message
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        """The four streams over one world."""
        settings = Settings.from_config(config)
        world = World(settings)
        return [GeneratedStream(name, feed, settings) for name, feed in feeds_of(world).items()]

    def read(
        self,
        logger: Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """Refuse what cannot be read before the first message of a stream, then read as the CDK does."""
        _refuse_unknown_streams(catalog)
        _refuse_malformed_states(catalog, state)
        yield from super().read(logger, config, catalog, state)

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        """The configuration in a file; one that holds no JSON object is refused."""
        return _read_file(AbstractSource.read_config, config_path, "configuration", "a JSON object")

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        """The configured catalog in a file."""
        return _read_file(super().read_catalog, catalog_path, "catalog", "a configured Airbyte catalog")

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        """The states in a file; no file is no state."""
        return _read_file(super().read_state, state_path, "state", "a JSON list of Airbyte states")


def _read_file(read: Callable[[str], Content], path: str, name: str, shape: str) -> Content:
    """What `read` makes of a file; a file that is missing or of another shape is refused by name."""
    try:
        return read(path)
    except OSError as error:
        raise refusal(f"The {name} file {Path(path).name} cannot be opened: {error.strerror}.") from error
    except (ValueError, TypeError, AttributeError) as error:  # what JSON and the CDK's serializers raise
        raise refusal(f"The {name} file {Path(path).name} does not hold {shape}.") from error


def _refuse_unknown_streams(catalog: ConfiguredAirbyteCatalog) -> None:
    for configured in catalog.streams:
        if configured.stream.name not in CURSOR_FIELDS:
            raise refusal(
                f"The catalog names the stream '{configured.stream.name}', which this source does not have. "
                f"It has {', '.join(CURSOR_FIELDS)}."
            )


def _refuse_malformed_states(catalog: ConfiguredAirbyteCatalog, states: list[AirbyteStateMessage] | None) -> None:
    """Look at every state before the first record is read: a late refusal would leave a sync half done."""
    try:
        manager = ConnectorStateManager(state=states)
    except (
        ValueError,
        AttributeError,
    ) as error:  # a global state with shared parts, or a state without its stream
        raise refusal("The state cannot be read: this source keeps one state for each stream.") from error
    for configured in catalog.streams:
        name = configured.stream.name
        position_in(manager.get_stream_state(name, configured.stream.namespace), name)
