"""The console: arguments in, protocol messages out, one line each.

Standard output carries nothing but protocol messages, each flushed: on a pipe, a state that is durable would otherwise
wait in a buffer.
"""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import sys
import threading
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from destination_milvus.backfill.arguments import add_commands
from destination_milvus.config.models import parse_config
from destination_milvus.config.secrets import redaction, secrets_in
from destination_milvus.config.specification import connector_specification
from destination_milvus.errors import ConfigError, DestinationError, TransientError, unexpected
from destination_milvus.logs import log_to
from destination_milvus.model import Json
from destination_milvus.stopping import Stopped, leave_at_once, listen_to_signals, signals_held

if TYPE_CHECKING:
    from destination_milvus.backfill.display import PlainOutput

logger = logging.getLogger("airbyte")

LOG_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.FATAL,
}
"""The platform's words for LOG_LEVEL; INFO for all others."""

LEVELS = {
    logging.CRITICAL: "FATAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}
"""Python's levels in the words of the protocol; INFO for all others."""


FOR_PEOPLE = frozenset({"backfill", "preview", "reembed"})
"""Commands that no platform calls: they speak text on standard error."""


class Messages(Protocol):
    """Where messages go."""

    after_a_stop: str
    """What is to be said once a sync was stopped."""

    redact: Callable[[str], str]
    """Leaves the secrets out of what a user reads, once the configuration has told them."""

    def message(self, message: Mapping[str, Json]) -> None:
        """Write a message."""


class Output:
    """Lines on standard output, whole and in order, from any thread."""

    after_a_stop = "What was durable is acknowledged."

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.redact: Callable[[str], str] = str
        """As of `Messages`."""

    def lines(self, lines: Sequence[bytes]) -> None:
        """Write lines and flush them, all at once: each flush lets go of the GIL, and waits to get it back."""
        with self._lock, signals_held():
            self._stream.write(b"".join(line + b"\n" for line in lines))
            self._stream.flush()

    def message(self, message: Mapping[str, Json]) -> None:
        """Write a message. Not with orjson: names that hold half a character must not cost the user the message."""
        self.lines([json.dumps(message).encode()])


class LogHandler(logging.Handler):
    """Log records as LOG messages, without the configuration's secrets.

    Not by the CDK's formatter: it writes DEBUG lines that are no messages of the protocol, and no half characters.
    """

    def __init__(self, output: Messages) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        log = {"level": LEVELS.get(record.levelno, "INFO"), "message": self._output.redact(record.getMessage())}
        self._output.message({"type": "LOG", "log": log})


def run() -> None:
    """Entry point of `destination-milvus`; exits with 0, or 1 after an error, 143 after SIGTERM, 130 after SIGINT."""
    arguments = sys.argv[1:] or ["--help"]
    if arguments[0] in FOR_PEOPLE:
        from destination_milvus.backfill.display import PlainOutput  # noqa: PLC0415 - platforms need none of it

        plain = PlainOutput()
        _carry_out(plain, lambda: _run_for_people(_arguments().parse_args(arguments), plain))
    else:
        _set_up_process()
        output = Output(sys.stdout.buffer)
        _carry_out(output, lambda: _run(_arguments().parse_args(arguments), output))


def _carry_out(output: Messages, command: Callable[[], None]) -> None:
    _set_up_logging(output)
    try:
        listen_to_signals()
        command()
        leave_at_once()
        gc.freeze()  # else Python's last collection looks at all that was imported: 0.2 s
    except BrokenPipeError:
        # nobody reads the states any more: what is stored is found unchanged by the next sync
        os._exit(1)
    except DestinationError as error:
        _fail(output, error, 1)
    except Stopped as stopped:
        sentence = f"The sync was stopped from outside ({stopped.signal.name}). {output.after_a_stop}"
        _fail(output, TransientError(sentence), 128 + stopped.signal)
    except Exception as error:  # noqa: BLE001 - the last line of defence: nothing may reach the user as a traceback
        _fail(output, unexpected(error), 1)


def _arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="destination-milvus", description="Airbyte's destination for Milvus.")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    commands.add_parser("spec", help="show all options, as the JSON schema of a configuration")
    check = commands.add_parser("check", help="look whether a configuration can be synced with; changes nothing")
    write = commands.add_parser("write", help="sync the messages on standard input")
    for command in (check, write):
        command.add_argument("--config", required=True, help="path of the configuration, a JSON file")
    write.add_argument("--catalog", required=True, help="path of the configured catalog, a JSON file")
    add_commands(commands)
    return parser


def _run(arguments: Namespace, output: Output) -> None:
    if arguments.command == "spec":
        output.message({"type": "SPEC", "spec": connector_specification()})
        return
    raw = _configuration(arguments, output)
    if arguments.command == "check":
        from destination_milvus.check import connection_status  # noqa: PLC0415

        output.message({"type": "CONNECTION_STATUS", "connectionStatus": connection_status(raw)})
        return
    from destination_milvus.write import write_stream  # noqa: PLC0415

    stdin = cast(io.BufferedReader, sys.stdin.buffer)
    catalog = _json_file(arguments.catalog, "catalog")
    write_stream(parse_config(raw), catalog, stdin, output.lines, ready=_collect_garbage)


def _set_up_process() -> None:
    """What suits a process of our own; who imports this package decides on theirs."""
    # each collection looks at all that was imported so far, which stays: a tenth of the imports
    gc.disable()
    # nothing here computes with numpy on several threads, whose start costs 0.1 s; a local model has threads of its own
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # of Milvus Lite: Arrow's own allocators keep 6 MB more
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def _collect_garbage() -> None:
    """Garbage is collected from now on, and what was set up is not looked at again: 20 µs a record."""
    gc.freeze()
    gc.enable()


def _run_for_people(arguments: Namespace, output: PlainOutput) -> None:
    config = parse_config(_configuration(arguments, output))
    catalog = {} if arguments.catalog is None else _json_file(arguments.catalog, "catalog")
    if arguments.command == "reembed":
        from destination_milvus.backfill.model_change import reembed  # noqa: PLC0415 - as below

        reembed(arguments, config, catalog, output)
        return
    if arguments.command == "preview":
        from destination_milvus.backfill.preview import preview  # noqa: PLC0415 - as below

        preview(arguments, config, catalog, output)
        return
    from destination_milvus.backfill.commands import backfill  # noqa: PLC0415 - as below

    backfill(arguments, config, catalog, output)


def _configuration(arguments: Namespace, output: Messages) -> Mapping[str, Json]:
    # imported here, and where commands begin: they and what they import would double the time of spec
    from destination_milvus.retries import tell_retries  # noqa: PLC0415

    tell_retries()
    raw = _json_file(arguments.config, "configuration")
    output.redact = redaction(secrets_in(raw))
    return raw


def _json_file(path: str, what: str) -> Mapping[str, Json]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"The {what} {path} is not valid JSON.") from None
    if not isinstance(content, dict):
        raise ConfigError(f"The {what} {path} is not a JSON object.")
    return content


def _set_up_logging(output: Messages) -> None:
    log_to(LogHandler(output), LOG_LEVELS.get(os.environ.get("LOG_LEVEL", "").strip().upper(), logging.INFO))


def _fail(output: Messages, error: DestinationError, exit_code: int) -> None:
    """Report an error and leave at once: workers may hang in calls to a server that does not answer."""
    try:
        logger.error(error.message)
        output.message(_trace(error, output.redact))
    finally:
        os._exit(exit_code)


def _trace(error: DestinationError, redact: Callable[[str], str]) -> dict[str, Json]:
    """A TRACE message. Its stack has places and no values: foreign errors quote keys and texts."""
    stack = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    body: dict[str, Json] = {
        "message": redact(error.message),
        "internal_message": type(error).__name__,
        "failure_type": error.failure_type,
        "stack_trace": redact(stack),
    }
    if error.stream is not None:
        name, namespace = error.stream
        body["stream_descriptor"] = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": time.time_ns() // 1_000_000, "error": body}}


if __name__ == "__main__":
    run()
