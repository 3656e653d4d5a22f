"""The connector as tests drive it: in this process, over a byte stream, or as a process of its own, over pipes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from destination_milvus.config.models import parse_config
from destination_milvus.write import write_stream
from devtools.backends import Backend

PROGRAM = Path(sys.executable).with_name("destination-milvus")


def stream(name: str = "tickets", mode: str = "append_dedup", **extra: Any) -> dict[str, Any]:
    """A configured stream; with `id` as its primary key where the mode deduplicates."""
    configured: dict[str, Any] = {
        "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental",
        "destination_sync_mode": mode,
    }
    if mode == "append_dedup":
        configured["primary_key"] = [["id"]]
    if "namespace" in extra:
        configured["stream"]["namespace"] = extra.pop("namespace")
    return {**configured, **extra}


def catalog(*streams: Mapping[str, Any]) -> dict[str, Any]:
    """A configured catalog."""
    return {"streams": list(streams)}


def record(data: Mapping[str, Any], name: str = "tickets", emitted_at: int = 1_767_312_000_000, **extra: Any) -> str:
    """A RECORD line."""
    return json.dumps({"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": emitted_at, **extra}})


def state(number: int, name: str = "tickets") -> str:
    """A STATE line of one stream, with the platform's id."""
    body = {"stream_descriptor": {"name": name}, "stream_state": {"cursor": number}}
    return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": body, "id": number}})


def status(word: str, name: str = "tickets") -> str:
    """A TRACE line with a stream's status."""
    body = {"stream_descriptor": {"name": name}, "status": word}
    return json.dumps({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": body}})


def write(
    config: Mapping[str, Any],
    configured: Mapping[str, Any],
    lines: Iterable[str],
    states: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """A sync in this process; returns the states that came out, raises what it raises.

    Those of a sync that fails are found in `states`.
    """
    states = [] if states is None else states
    stdin = io.BytesIO("".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass"))

    def emit(durable: Sequence[bytes]) -> None:
        states.extend(json.loads(line)["state"] for line in durable)

    write_stream(parse_config(config), configured, stdin, emit)
    return states


def entities(backend: Backend, collection: str, fields: Sequence[str] = ("*",)) -> list[dict[str, Any]]:
    """All rows of a collection, by record and chunk, without what differs between backends and without nulls."""
    with backend.client() as client:
        client.load_collection(collection, timeout=60)
        found = client.query(
            collection, filter='_ab_stream != ""', output_fields=list(fields), consistency_level="Strong", timeout=60
        )
        rows = [{key: value for key, value in row.items() if value is not None} for row in found]
    return sorted(rows, key=lambda row: (row["_ab_stream"], row["_ab_record_id"], row["_ab_chunk"]))


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended."""

    exit_code: int
    messages: tuple[dict[str, Any], ...]
    """Its standard output: each line must be a protocol message."""
    stderr: str

    @property
    def states(self) -> list[dict[str, Any]]:
        """The states that it gave back."""
        return [message["state"] for message in self.messages if message["type"] == "STATE"]

    @property
    def logs(self) -> list[str]:
        """What it logged."""
        return [message["log"]["message"] for message in self.messages if message["type"] == "LOG"]

    @property
    def error(self) -> dict[str, Any]:
        """The error that it ended with."""
        (trace,) = (message["trace"]["error"] for message in self.messages if message["type"] == "TRACE")
        return dict(trace)

    @property
    def check(self) -> dict[str, Any]:
        """The answer to `check`."""
        (status_,) = (m["connectionStatus"] for m in self.messages if m["type"] == "CONNECTION_STATUS")
        return dict(status_)


def arguments(
    folder: Path, command: str, config: Mapping[str, Any] | None, configured: Mapping[str, Any] | None
) -> list[str]:
    """The command line, its files written into `folder`."""
    line = [str(PROGRAM), command]
    for name, content in (("config", config), ("catalog", configured)):
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content))
            line += [f"--{name}", str(path)]
    return line


def environment(**variables: str) -> dict[str, str]:
    """The environment of a process, without the variable that would hide missing flushes."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return {**inherited, **variables}


def run(
    folder: Path,
    command: str,
    config: Mapping[str, Any] | None = None,
    configured: Mapping[str, Any] | None = None,
    lines: Iterable[str] = (),
    *,
    cut_off: str = "",
    timeout: float = 120,
    **variables: str,
) -> Finished:
    """Run a command of the connector to its end; `cut_off` is the beginning of a line whose rest never comes."""
    process = subprocess.run(
        arguments(folder, command, config, configured),
        input=("".join(line + "\n" for line in lines) + cut_off).encode("utf-8", "surrogatepass"),
        capture_output=True,
        check=False,
        timeout=timeout,
        env=environment(**variables),
    )
    messages = tuple(json.loads(line) for line in process.stdout.splitlines())
    return Finished(process.returncode, messages, process.stderr.decode())
