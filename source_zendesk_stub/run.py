"""The console command `source-zendesk-stub`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_zendesk_stub.config import Settings
from source_zendesk_stub.source import SourceZendeskStub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airbyte_cdk.models import ConnectorSpecification


class Entrypoint(AirbyteEntrypoint):
    """The CDK's commands, with this source's own sentences for a configuration it refuses.

    The CDK would show the validator's words, which do not say which option they are about.
    """

    @staticmethod
    def validate_connection(
        source_spec: ConnectorSpecification,  # noqa: ARG004 - the CDK's signature
        config: Mapping[str, Any],
    ) -> None:
        """Refuse a bad configuration before any command looks at it."""
        Settings.from_config(config)


def run() -> None:
    """Run the command of the process's arguments; messages go to standard output, one a line.

    A refusal is one message and exit code 1. Anything else that escapes is a bug, reported by the CDK in full.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"]:
        _serve(arguments[1:])
        return
    entrypoint = Entrypoint(SourceZendeskStub())
    try:
        for message in entrypoint.run(entrypoint.parse_args(arguments)):
            sys.stdout.write(f"{message}\n")
    except AirbyteTracedException as error:
        error.emit_message()
        sys.exit(1)


def _serve(arguments: list[str]) -> None:
    """Run the REST server: no command of Airbyte's, so that a refusal is a plain line."""
    from source_zendesk_stub.serve import serve  # noqa: PLC0415 - the platform's commands need no server

    try:
        serve(arguments)
    except AirbyteTracedException as error:
        sys.exit(error.message)


if __name__ == "__main__":
    run()
