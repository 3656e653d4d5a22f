"""What other destinations of Airbyte leave in files: their objects and rows → records. Pure.

| form | what an object has |
|---|---|
| messages | what a source prints: `{"type": "RECORD", …}` |
| since 2024 | `_airbyte_raw_id`, `_airbyte_extracted_at`, `_airbyte_generation_id`, `_airbyte_meta` |
| before | `_airbyte_ab_id`, `_airbyte_emitted_at` |

and, but for messages, the record in `_airbyte_data`, or flattened to the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import NamedTuple

from destination_milvus.digests import is_unfit
from destination_milvus.fields import INT64
from destination_milvus.model import Json

PREFIX = "_airbyte_"
DATA = "_airbyte_data"
RAW_ID = ("_airbyte_raw_id", "_airbyte_ab_id")
EXTRACTED_AT = ("_airbyte_extracted_at", "_airbyte_emitted_at")
GENERATION = "_airbyte_generation_id"
META = "_airbyte_meta"
CDC_LSN = "_ab_cdc_lsn"

MESSAGE_TYPES = frozenset({"RECORD", "STATE", "TRACE", "LOG", "SPEC", "CATALOG", "CONNECTION_STATUS", "CONTROL"})

MAX_RAW_ID = 64
"""Characters; Airbyte's are UUIDs."""

_LSN_DIGITS = 40


class Wrong(ValueError):
    """An object is no record of any of the forms; its text is the reason, a clause."""


class Stored(NamedTuple):
    """A record as a file has it."""

    data: Mapping[str, Json]
    extracted_at: int
    """Milliseconds since the epoch; 0 where a Parquet file does not tell."""
    generation: int | None
    """Of the connection that wrote the file; None where it counted none."""
    raw_id: str | None
    changes: tuple[Mapping[str, Json], ...]

    @property
    def order(self) -> Order:
        """What decides, before the place in the input, which of two versions of a record is the newer one."""
        return Order(self.generation or 0, lsn_text(self.data.get(CDC_LSN)), self.extracted_at)


class Order(NamedTuple):
    """Of a version among those of its record; the larger, the newer.

    A newer generation is newer as a whole. Inside one, the log of the database counts where records carry its position:
    those that do not were there before (a snapshot).
    """

    generation: int
    lsn: str
    extracted_at: int


FIRST = Order(-1, "", -(2**63))
"""Before all others."""


def is_message(loaded: Mapping[str, Json]) -> bool:
    """Whether an object is a message of the protocol, of a type that is known: records may have a `type`, too."""
    return loaded.get("type") in MESSAGE_TYPES and is_of_a_source(loaded)


def is_of_a_source(loaded: Mapping[str, Json]) -> bool:
    """Whether an object may stand among messages: the protocol grows, and what is unknown is passed over."""
    return "type" in loaded and not any(name.startswith(PREFIX) for name in loaded)


def stored(loaded: Mapping[str, Json], *, is_row: bool = False) -> Stored:
    """The record of an object, or of a row of a Parquet file, which may come without Airbyte's columns.

    Raises:
        Wrong: it is none.
    """
    data = loaded.get(DATA)
    if data is None:
        data = {name: value for name, value in loaded.items() if not name.startswith(PREFIX)}
    elif not isinstance(data, dict):
        raise Wrong(f"its {DATA} is no object")
    meta = loaded.get(META)
    raw_id = _first(loaded, *RAW_ID)
    return Stored(
        data,
        _milliseconds(_first(loaded, *EXTRACTED_AT), is_row=is_row),
        _generation(loaded.get(GENERATION)),
        raw_id if _is_raw_id(raw_id) else None,
        _changes(meta) if isinstance(meta, dict) and meta.get("changes") else (),
    )


def _first(loaded: Mapping[str, Json], name: str, old_name: str) -> Json:
    found = loaded.get(name)
    return loaded.get(old_name) if found is None else found


def _milliseconds(value: Json, *, is_row: bool) -> int:
    if type(value) is int and value in INT64:
        return value
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() * 1000)
    if value is None and is_row:
        return 0
    if value is None:
        raise Wrong(f"it has neither {EXTRACTED_AT[0]} nor {EXTRACTED_AT[1]}, and is no message of a source")
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) not in INT64:
        raise Wrong(f"its {EXTRACTED_AT[0]} is no number of milliseconds")
    return int(value)


def _generation(value: Json) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value not in INT64:
        raise Wrong(f"its {GENERATION} is no whole number")
    return value


def _is_raw_id(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_RAW_ID and not is_unfit(value)


def _changes(meta: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    changes = meta.get("changes")
    return tuple(change for change in changes if isinstance(change, dict)) if isinstance(changes, list) else ()


def lsn_text(value: Json) -> str:
    """A position in a database's log, so that texts compare as positions do; empty where there is none.

    PostgreSQL's are numbers (some sources write them as texts, or with a point), SQL Server's texts of one length.
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value == value and value >= 0:  # noqa: PLR0124 - NaN
        return str(int(value)).rjust(_LSN_DIGITS, "0") if value < 10**_LSN_DIGITS else str(value)
    return value.replace("\0", "") if isinstance(value, str) else ""


def from_arrow(value: Json) -> Json:
    """A value of a Parquet file as JSON has it, and as Airbyte's sources write it.

    Raises:
        Wrong: bytes that are no text.
    """
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else None
        return [from_arrow(item) for item in value] if items is None else {k: from_arrow(v) for k, v in items}
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return _decoded(value)
    return _number(value) if isinstance(value, Decimal) else value


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Wrong("it has a column of bytes that are no text") from None


def _number(value: Decimal) -> float | Decimal:
    number = float(value)
    return number if Decimal(repr(number)) == value else value
