"""Rows as Milvus returns them → what pages show: fields, days, groups, CSV, names of chunks. Pure."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

import orjson

from destination_milvus.collection import Collection
from destination_milvus.fields import CHUNK, EXTRACTED_AT, RECORD_ID, STREAM, SYSTEM_FIELDS
from destination_milvus.model import Json

MOST_GROUPS = 9
"""Groups with a colour of their own; further ones are one."""

OTHERS, NOTHING = "others", "none"

Row = Mapping[str, Json]


def fields_of(rows: Iterable[Row], collection: Collection) -> list[str]:
    """Names of the fields that rows have: the text, metadata by name, then what the connector notes. No vectors."""
    found = {name for row in rows for name, value in row.items() if value is not None}
    found -= {collection.vector_field, collection.key_field, *collection.computed, "$meta"}
    text = [name for name in (collection.text_field,) if name in found]
    metadata = sorted(found - SYSTEM_FIELDS - set(text))
    return [*text, *metadata, *sorted(found & SYSTEM_FIELDS)]


def metadata_of(row: Row, collection: Collection) -> dict[str, Json]:
    """A record's own fields, by name."""
    own = fields_of([row], collection)
    return {name: row[name] for name in own if name not in SYSTEM_FIELDS and name != collection.text_field}


def text_of(row: Row, collection: Collection) -> str | None:
    """The chunk's text; None where none is stored."""
    value = row.get(collection.text_field or "")
    return value if isinstance(value, str) else None


def shown(value: Json) -> str:
    """A value as text: lists and objects as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return str(value)


def name_of(row: Row, count: Json = None) -> str:
    """Which chunk of which record: counted from 1, for people."""
    number = row.get(CHUNK)
    record = f"{shown(row.get(STREAM))} · {shown(row.get(RECORD_ID))}"
    if not isinstance(number, int):
        return record
    of = f" of {count}" if isinstance(count, int) and count else ""
    return f"{record} · chunk {number + 1}{of}"


def day_of(value: Json, field: str) -> str | None:
    """The day, in UTC, of a time of extraction in ms, or of a text that begins with an ISO date; else None."""
    try:
        if field == EXTRACTED_AT and isinstance(value, int) and value > 0:
            return datetime.fromtimestamp(value / 1000, timezone.utc).date().isoformat()
        if isinstance(value, str):
            return datetime.strptime(value[:10], "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 - a day
    except (ValueError, OverflowError, OSError):
        pass
    return None


def day_fields(rows: Sequence[Row], collection: Collection) -> list[str]:
    """Fields that days can be read from in most rows that have them: metadata by name, then the extraction."""
    candidates = [*sorted({name for row in rows for name in metadata_of(row, collection)}), EXTRACTED_AT]

    def is_day(field: str) -> bool:
        values = [row[field] for row in rows if row.get(field) is not None]
        return sum(day_of(value, field) is not None for value in values) * 2 > len(values)

    return [field for field in candidates if is_day(field)]


def groups(rows: Sequence[Row], field: str) -> list[str]:
    """A group for each row by the value of a field: the most frequent values, the rest as one."""
    values = [NOTHING if row.get(field) in (None, "", []) else shown(row[field])[:60] for row in rows]
    frequent = {value for value, _ in Counter(values).most_common(MOST_GROUPS)}
    return [value if value in frequent else OTHERS for value in values]


def csv_of(rows: Iterable[Row], fields: Sequence[str]) -> bytes:
    """Rows as CSV (UTF-8 with a mark, as spreadsheets want it).

    A text that a spreadsheet would run as a formula gets an apostrophe in front: a customer may have written it.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(fields)
    writer.writerows([_cell(row.get(field)) for field in fields] for row in rows)
    return target.getvalue().encode("utf-8-sig")


def _cell(value: Json) -> str:
    text = shown(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
