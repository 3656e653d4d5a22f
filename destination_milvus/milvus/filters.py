"""Filters in Milvus' language. Pure.

Every literal of a filter is quoted here and nowhere else: a key or a form field can never widen a filter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from destination_milvus.fields import CHUNK, FINGERPRINT, GENERATION, RECORD_ID, STREAM
from destination_milvus.model import PENDING

# no \u escapes: Milvus Lite does not know them, and takes control characters as they are, as the server does
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def literal(value: str | int) -> str:
    """A value as a literal of Milvus' filter language."""
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else str(value)


def literals(values: Iterable[str | int]) -> str:
    """Values as a list of Milvus' filter language."""
    return f"[{', '.join(literal(value) for value in values)}]"


def equals(field: str, value: str | int) -> str:
    """Rows whose field has a value.

    Raises:
        ValueError: the field's name is not made of letters, digits and underscores.
    """
    return f"{_plain(field)} == {literal(value)}"


def is_in(field: str, values: Iterable[str | int]) -> str:
    """Rows whose field has one of some values. Raises as `equals`."""
    return f"{_plain(field)} in {literals(values)}"


def contains_any(field: str, values: Iterable[str | int]) -> str:
    """Rows whose field is a list with at least one of some values; none where there are no values. Raises as `equals`.

    For lists in dynamic fields and in ARRAY columns alike.
    """
    name, wanted = _plain(field), list(values)
    # servers refuse an empty list there; who is in no group is to find nothing: no row has such a number
    return f"json_contains_any({name}, {literals(wanted)})" if wanted else f"{CHUNK} < 0"


def not_in(field: str, values: Iterable[str | int]) -> str:
    """Rows whose field has none of some values. Raises as `equals`."""
    return f"{_plain(field)} not in {literals(values)}"


def all_of(*filters: str) -> str:
    """Rows that all of these filters find; an empty one finds every row."""
    return " and ".join(f"({each})" for each in filters if each)


def _plain(field: str) -> str:
    if not field.isidentifier():
        raise ValueError(f"{field!r} is no name of a field that a filter can have: letters, digits, underscores.")
    return field


def stream_filter(stream: str) -> str:
    """All rows of a stream."""
    return equals(STREAM, stream)


def records_filter(stream: str, record_ids: Iterable[str]) -> str:
    """Rows of these records of a stream."""
    return f"{stream_filter(stream)} and {RECORD_ID} in {literals(record_ids)}"


def first_rows_filter(stream: str, record_ids: Sequence[str], several: Collection[str]) -> str:
    """Rows of these records of a stream; of those that are not among `several` the first alone."""
    more = [record_id for record_id in record_ids if record_id in several]
    if len(more) == len(record_ids):
        return records_filter(stream, record_ids)
    first = f"{CHUNK} == 0" if not more else f"({CHUNK} == 0 or {RECORD_ID} in {literals(more)})"
    return f"{records_filter(stream, record_ids)} and {first}"


def heads_filter(stream: str) -> str:
    """First rows of a stream's records: one each, where the connector numbered them."""
    return f"{stream_filter(stream)} and {CHUNK} == 0"


def unfinished_filter(stream: str) -> str:
    """First rows of those records of a stream whose newest version is not complete."""
    return all_of(heads_filter(stream), equals(FINGERPRINT, ""))


def older(generation: int, minimum: int) -> str:
    """Rows of the generations that a sweep takes out."""
    return f"{GENERATION} != {generation}" if minimum >= generation else f"{GENERATION} < {minimum}"


def stale_heads_filter(stream: str, generation: int, minimum: int) -> str:
    """Heads of the records that a sweep takes out: of older generations, or of no complete version."""
    return f'{STREAM} == {literal(stream)} and {CHUNK} == 0 and ({older(generation, minimum)} or {FINGERPRINT} == "")'


def stale_rows_filter(stream: str, generation: int, minimum: int, *, dynamic: bool) -> str:
    """All rows of older generations; `dynamic` where the generation is no column."""
    stale = older(generation, minimum)
    if dynamic:
        # what a comparison with an absent dynamic field gives differs between Milvus Lite and the server
        stale = f"({stale} or not exists {GENERATION})"
    return f"{stream_filter(stream)} and {stale}"


def before_filter(stream: str, generation: int) -> str:
    """Rows of a stream below a generation."""
    return f"{stream_filter(stream)} and {GENERATION} < {generation}"


def between(key_field: str, low: str | int | None, high: str | int | None) -> list[str]:
    """Filters of rows whose primary key is at least `low` and below `high`; none for a border that is None."""
    lower = [] if low is None else [f"{key_field} >= {literal(low)}"]
    return lower if high is None else [*lower, f"{key_field} < {literal(high)}"]


def synced_heads_filter(mark: str) -> str:
    """Heads that a sync has written: their fingerprints are hexadecimal, and before all that begin with the mark."""
    return f'{CHUNK} == 0 and {FINGERPRINT} > "" and {FINGERPRINT} < {literal(mark)}'


def unfinished_heads_filter() -> str:
    """Heads whose record is not completely stored in any version."""
    return f"{CHUNK} == 0 and {FINGERPRINT} == {literal(PENDING)}"


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Primary keys from `low` on and before `high`, as texts: a page of a collection that needs no order of answers."""

    low: str = ""
    high: str | None = None

    def filter(self, key_field: str) -> str:
        """Rows whose primary key lies in the range."""
        below = "" if self.high is None else f" and {key_field} < {literal(self.high)}"
        return f"{key_field} >= {literal(self.low)}{below}"

    def split(self) -> list[KeyRange]:
        """Ranges that make up this one, by the next character of a digest."""
        borders = [self.low, *(self.low + digit for digit in "123456789abcdef"), self.high]
        return [KeyRange(low or "", high) for low, high in pairwise(borders)]
