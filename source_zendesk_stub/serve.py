"""The command `source-zendesk-stub serve`: from the command line to a server that runs until it is stopped."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from source_zendesk_stub.api import Api
from source_zendesk_stub.certificates import issue
from source_zendesk_stub.config import Settings
from source_zendesk_stub.errors import refusal
from source_zendesk_stub.server import Account, RateLimit, ZendeskServer
from source_zendesk_stub.source import SourceZendeskStub
from source_zendesk_stub.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
Serve the stub's data over Zendesk's REST API on this machine, for programs that know Zendesk and not the stub,
such as Airbyte's own Zendesk Support source. Each request is logged to standard error."""

_EPILOG = """\
Clients connect to https://localhost:PORT, or name http://127.0.0.1:PORT as the proxy for SUBDOMAIN.zendesk.com (it
leads to no other host), and trust the authority in the CA file. Airbyte's sources take the proxy from HTTPS_PROXY, and
trust what the package certifi of their environment holds: docs/drivers.md shows a whole sync."""


def serve(arguments: Sequence[str]) -> None:
    """Serve until the process is stopped. What cannot be used ends it with a sentence."""
    options = _parser().parse_args(arguments)
    with suppress(KeyboardInterrupt), _server(options) as server:
        sys.stdout.write(_welcome(server, options.ca_file))
        sys.stdout.flush()
        server.serve_forever()


def _welcome(server: ZendeskServer, ca_file: Path) -> str:
    return (
        f"Serving day {server.api.world.settings.day} of {server.account.host} on https://localhost:{server.port}\n"
        f"As a proxy for that host: http://127.0.0.1:{server.port}\n"
        f"Authority to trust: {ca_file.absolute()}\n"
    )


def _server(options: argparse.Namespace) -> ZendeskServer:
    config = {} if options.config is None else SourceZendeskStub.read_config(options.config)
    settings = Settings.from_config(config)
    if options.day is not None:
        settings = replace(settings, day=Settings.from_config({"day": options.day}).day)
    account = Account(options.subdomain, options.email, options.token)
    identity = issue([account.host, "localhost", "127.0.0.1"])
    try:
        server = ZendeskServer(options.port, Api(World(settings)), account, identity, RateLimit(options.rate_limit))
    except OSError as error:
        raise refusal(f"Port {options.port} cannot be listened on: {error.strerror}. Choose another --port.") from error
    try:
        options.ca_file.write_text(identity.authority)  # after the port: it may be the file of a server that runs there
    except OSError as error:
        server.server_close()
        raise refusal(f"The file {options.ca_file} of --ca-file cannot be written: {error.strerror}.") from error
    return server


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="source-zendesk-stub serve",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_port, default=8443, help="port on 127.0.0.1, 0 for a free one (default: %(default)s)")
    add("--config", metavar="FILE", help="the source stub's configuration: sizes, seed, day, page size")
    add("--day", type=int, help="the day on which the data is looked at, in place of the configuration's")
    add("--subdomain", type=_subdomain, default="tallyroost", help="of SUBDOMAIN.zendesk.com (default: %(default)s)")
    add("--email", default="agent@tallyroost.example", help="who may read (default: %(default)s)")
    add("--token", default="stub-token", help="that user's API token (default: %(default)s)")
    add("--rate-limit", type=_positive, metavar="N", help="answer at most N requests a minute, and others with 429")
    add(
        "--ca-file",
        type=Path,
        default=Path("zendesk-stub-ca.pem"),
        metavar="FILE",
        help="where the certificate authority to trust is written, a new one at each start (default: %(default)s)",
    )
    return parser


def _port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no port: give a number from 0 to 65535")


def _positive(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", text) and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no limit: give a number from 1 to 999999")


def _subdomain(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        return text
    raise argparse.ArgumentTypeError(f"{text} is no subdomain: give letters a-z, digits and hyphens")
