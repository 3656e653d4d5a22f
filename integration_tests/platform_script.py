"""A platform that follows a script: it starts source and destination, relays messages and judges each as it passes.

It does what Airbyte's does to messages on their way: of what the source says it forwards RECORD and STATE and nothing
else, gives each STATE an integer `id`, moves streams into a namespace and their states back out of it, and keeps the
states that came back for the next read. Once the source has ended with 0 it says COMPLETE of every configured stream;
after a source that failed it says nothing, and closes the input just the same. The processes are real, so are the
pipes, and PYTHONUNBUFFERED is not set. The rules are in `platform_rules`.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from devtools.connector import PROGRAM, arguments, environment
from devtools.platform_rules import VERSION, Breach, Judge, Message, StoredRecord, require_source_line

if TYPE_CHECKING:
    from pymilvus import MilvusClient

SOURCE = PROGRAM.with_name("source-zendesk-stub")

PATIENCE = 150.0
"""Seconds to wait for what must come at once; not a measurement, the machine may be busy."""

End = Literal["close", "terminate"]


class SourceFailed(Exception):
    """The source has ended with another exit code than 0: raised by its lines, in the place of the next one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sync that broke no rule."""

    exit_code: int
    states: Sequence[Message]
    """As they came back."""
    error: Message | None
    states_while_open: int
    """States that came before the input was closed."""


@dataclass
class Platform:
    """Runs syncs of one connection.

    Attributes:
        folder: for configurations and catalogs.
        config: of the destination.
        look: what Milvus holds now, read from outside; None where it cannot be looked at during a sync (Milvus Lite).
        namespace: that all streams are moved into.
    """

    folder: Path
    config: Mapping[str, Any]
    look: Callable[[], Sequence[StoredRecord]] | None = None
    namespace: str | None = None
    saved_states: list[dict[str, Any]] = field(default_factory=list)
    """What the next read of the source begins with."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def sync(self, catalog: Message, lines: Iterable[str], *, wait: bool = False, end: End = "close") -> Outcome:
        """A sync of what the source says.

        Args:
            catalog: configured, as the source knows it.
            lines: the source's output; raises SourceFailed at its end where the source fails.
            wait: before the end, until a state has come back: it must not wait in a buffer for the end of the input.
            end: of the destination's input, or by SIGTERM.

        Raises:
            Breach: of the first rule that the destination breaks.
        """
        catalog = _in_namespace_catalog(catalog, self.namespace)
        run = _Run(self, catalog)
        try:
            ended_well = self._relay(lines, run)
            if wait:
                run.wait_for_a_state()
            for configured in catalog["streams"] if ended_well else ():
                run.send(_complete(configured["stream"]))
            outcome = run.end(end)
        finally:
            run.stop()
        self._save(outcome.states)
        return outcome

    def _relay(self, lines: Iterable[str], run: _Run) -> bool:
        """Forward what the source says, and tell whether it ended well."""
        try:
            for line in lines:
                if (forwarded := self._forwarded(line)) is not None:
                    run.send(forwarded)
        except SourceFailed:
            return False
        return True

    def _forwarded(self, line: str) -> str | None:
        """A line of the source's, as the destination gets it; None for one that is not forwarded."""
        message = json.loads(line)
        if message["type"] not in {"RECORD", "STATE"}:
            return None
        if message["type"] == "STATE":
            message["state"]["id"] = next(self._ids)
        for descriptor in _descriptors(message):
            if self.namespace is not None:
                descriptor["namespace"] = self.namespace
        return json.dumps(message)

    def _save(self, states: Sequence[Message]) -> None:
        """Keep the newest state of each stream, in the source's words."""
        newest = {_stream(saved): saved for saved in self.saved_states}
        for came in states:
            state = {name: value for name, value in came.items() if name not in {"id", "destinationStats"}}
            if state.get("type") == "STREAM":
                descriptor = {"name": state["stream"]["stream_descriptor"]["name"]}
                state["stream"] = {**state["stream"], "stream_descriptor": descriptor}
                newest[_stream(state)] = state
        self.saved_states = list(newest.values())

    def read(self, catalog: Message, *, killed_after: int | None = None, **config: Any) -> Iterator[str]:
        """The lines of `source-zendesk-stub read`, from the saved states on, each judged.

        Args:
            catalog: configured.
            killed_after: so many records the source is killed; 0 is before its first one.
            **config: of the source.

        Raises:
            Breach: a line is none that a source says.
            SourceFailed: the source ended with another exit code than 0.
        """
        files = {"config": config, "catalog": catalog, "state": self.saved_states}
        command = [str(SOURCE), "read"]
        for name, content in files.items():
            path = self.folder / f"source-{name}.json"
            path.write_text(json.dumps(content))
            command += [f"--{name}", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as source:
            assert source.stdout is not None
            records = 0
            for line in source.stdout:
                if killed_after is not None and records >= killed_after:
                    source.kill()
                    break
                require_source_line(catalog, line)
                records += json.loads(line)["type"] == "RECORD"
                yield line.rstrip("\n")
        if source.returncode != 0:
            raise SourceFailed


class _Run:
    """One `write`: this thread writes its input, another reads its output and judges it."""

    def __init__(self, platform: Platform, catalog: Message) -> None:
        self._platform = platform
        self._judge = Judge(catalog)
        self._lock = threading.Lock()
        self._breach: BaseException | None = None
        self._messages: list[Message] = []
        self._a_state_came = threading.Event()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            arguments(platform.folder, "write", platform.config, catalog),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, line: str) -> None:
        """Relay a line; a destination that has ended is no longer written to."""
        with self._lock:
            self._judge.sent(line)  # before it is written: the answer may come at once
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line.encode("utf-8", "surrogatepass") + b"\n")
            self._process.stdin.flush()

    def wait_for_a_state(self) -> None:
        """Leave the input open until a state has come."""
        self._a_state_came.wait(PATIENCE)
        if self._breach is None and not self._states():
            raise Breach(f"A state leaves while the input is open: none came in {PATIENCE:.0f} s, or before the end.")

    def end(self, end: End) -> Outcome:
        """Close the input, or terminate the process, and hear it to its end."""
        states_while_open = len(self._states())
        if end == "terminate":
            self._process.send_signal(signal.SIGTERM)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._reader.join(PATIENCE)
        if self._breach is not None:
            raise self._breach
        exit_code = self._process.wait(PATIENCE)
        self._stderr.seek(0)
        self._judge.ended(exit_code, self._stderr.read().decode())
        return Outcome(exit_code, self._states(), self._judge.conversation.error, states_while_open)

    def _states(self) -> list[Message]:
        return [message["state"] for message in list(self._messages) if message["type"] == "STATE"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._hear(line)
        except BaseException as breach:  # noqa: BLE001 - raised by the main thread
            self._breach = breach
            self._process.kill()
        finally:
            self._a_state_came.set()  # or never will

    def _hear(self, line: bytes) -> None:
        is_state = b'"STATE"' in line
        stored = self._platform.look() if is_state and self._platform.look is not None else None
        with self._lock:
            self._messages.append(self._judge.received(line, stored))
        if is_state:
            self._a_state_came.set()

    def stop(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def _complete(stream: Message) -> str:
    """What the platform says of a stream whose source has ended well."""
    status = {"stream_descriptor": {"name": stream["name"], "namespace": stream.get("namespace")}, "status": "COMPLETE"}
    trace = {"type": "STREAM_STATUS", "emitted_at": 1.0, "stream_status": status}
    return json.dumps({"type": "TRACE", "trace": trace})


def _in_namespace_catalog(catalog: Message, namespace: str | None) -> Message:
    if namespace is None:
        return catalog
    return {
        **catalog,
        "streams": [
            {**configured, "stream": {**configured["stream"], "namespace": namespace}}
            for configured in catalog["streams"]
        ],
    }


def _descriptors(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Wherever a message names a stream."""
    if message["type"] == "RECORD":
        yield message["record"]
    if message["type"] == "STATE" and message["state"].get("type") == "STREAM":
        yield message["state"]["stream"]["stream_descriptor"]


def _stream(state: Message) -> str:
    return str(state["stream"]["stream_descriptor"]["name"])


def stored_records(client: MilvusClient, collection: str) -> list[StoredRecord]:
    """What a collection holds, record by record, read strongly.

    A record is whole where its head is finished and all rows that it counts are there.
    """
    if not client.has_collection(collection, timeout=20):
        return []
    rows = client.query(
        collection,
        filter='_ab_stream != ""',
        output_fields=["_ab_stream", "_ab_record_id", "_ab_chunk", "_ab_chunks", "_ab_fingerprint", VERSION],
        consistency_level="Strong",
        timeout=20,
    )
    in_order = sorted(rows, key=lambda row: (row["_ab_stream"], row["_ab_record_id"], row["_ab_chunk"]))
    by_record = itertools.groupby(in_order, key=lambda row: (row["_ab_stream"], row["_ab_record_id"]))
    return [_stored(stream, record_id, list(group)) for (stream, record_id), group in by_record]


def _stored(stream: str, record_id: str, rows: Sequence[Mapping[str, Any]]) -> StoredRecord:
    head = rows[0]
    whole = [row["_ab_chunk"] for row in rows] == list(range(head["_ab_chunks"])) and head["_ab_fingerprint"] != ""
    return StoredRecord(stream, record_id, head.get(VERSION), whole)
