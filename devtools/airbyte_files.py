"""Files as Airbyte's other destinations leave them, made of RECORD lines."""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

Form: TypeAlias = Literal["data", "flat", "before 2024", "messages"]

FORMS: Sequence[Form] = ("data", "flat", "before 2024", "messages")

_IDS = uuid.UUID("7f1c8f9e-2f64-4b3c-9a53-1c2d3e4f5a6b")


def lines_of(messages: Iterable[str], form: Form, *, generation: int = 0, first: int = 0) -> list[str]:
    """The lines of a file.

    Args:
        messages: lines of the protocol; all but RECORD are left out, unless the form is that of messages.
        form: of the file.
        generation: of the connection that wrote it.
        first: number of the first record, which the ids are made of.
    """
    if form == "messages":
        return list(messages)
    records = [line for line in filter(str.strip, messages) if json.loads(line)["type"] == "RECORD"]
    return [
        _object(record, form, generation, str(uuid.uuid5(_IDS, str(number))))
        for number, record in enumerate(records, first)
    ]


def _object(line: str, form: Form, generation: int, raw_id: str) -> str:
    record = json.loads(line)["record"]
    data = _data(line)
    if form == "before 2024":
        columns = {"_airbyte_ab_id": raw_id, "_airbyte_emitted_at": record["emitted_at"]}
    else:
        columns = {
            "_airbyte_raw_id": raw_id,
            "_airbyte_extracted_at": record["emitted_at"],
            "_airbyte_meta": {"sync_id": 1, "changes": (record.get("meta") or {}).get("changes", [])},
            "_airbyte_generation_id": generation,
        }
    rest = f", {data[1:-1]}" if data.strip("{} ") else ""
    return json.dumps(columns)[:-1] + (f"{rest}}}" if form == "flat" else f', "_airbyte_data": {data}}}')


def _data(line: str) -> str:
    """As it stands in the line: its numbers have more digits than a double."""
    start = line.index("{", line.index('"data"'))
    _, end = json.JSONDecoder().raw_decode(line, start)
    return line[start:end]


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a file, by gzip where its name ends so."""
    content = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def streams_of(messages: Iterable[str]) -> dict[tuple[str, str | None], list[str]]:
    """RECORD lines by the stream that they are of."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for line in filter(str.strip, messages):
        message = json.loads(line)
        if message["type"] == "RECORD":
            record = message["record"]
            found.setdefault((record["stream"], record.get("namespace") or None), []).append(line)
    return found
