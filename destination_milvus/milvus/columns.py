"""Which columns a new collection gets for metadata, from the schemas of a catalog. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from destination_milvus.collection import Column, Scalar
from destination_milvus.model import Json

_SCALARS: Mapping[Json, Scalar] = {"string": "VARCHAR", "integer": "INT64", "number": "DOUBLE", "boolean": "BOOL"}

_NOTHING_TYPED = "values of any type"

_SYSTEM_NAMES = frozenset({"RowID", "Timestamp", "_seq", "_partition"})
"""Columns that every collection has already, of a server and of Milvus Lite."""

_KEYWORDS = frozenset(
    {
        *("and", "or", "not", "in", "like", "exists", "true", "false", "null", "iso", "interval"),
        *("json_contains", "json_contains_all", "json_contains_any", "array_length"),
        *("array_contains", "array_contains_all", "array_contains_any"),
        *("text_match", "phrase_match", "random_sample"),
    }
)
"""Words of Milvus' filter language, in any case: newer servers, and Milvus Lite, refuse fields of such names."""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Typed columns for the fields of a list, and why others have none."""

    columns: tuple[Column, ...]
    left_dynamic: tuple[str, ...]
    """A phrase a field: its name, and what the catalog says of it."""


NO_COLUMNS = ColumnChoice((), ())


def choose_columns(
    names: Iterable[str], sources: Mapping[str, Sequence[str]], schemas: Iterable[Mapping[str, Json]]
) -> ColumnChoice:
    """The columns of these fields, where all streams that have one agree on a type.

    Args:
        names: of the fields in Milvus.
        sources: paths in the records, by the name that they are stored under; a name without any is its own path.
        schemas: JSON schema of each stream.
    """
    schemas = list(schemas)
    columns, left = [], []
    for name in dict.fromkeys(names):
        kinds = kinds_of(name, sources, schemas)
        if kinds == {"INT64", "DOUBLE"}:
            kinds = {"DOUBLE"}  # an integer in one stream, any number in another
        column = _column(name, *kinds) if len(kinds) == 1 else None
        if is_kept_by_milvus(name):
            left.append(f'"{name}" (a name that Milvus keeps for itself)')
        elif column is not None:
            columns.append(column)
        else:
            left.append(f'"{name}" ({", ".join(sorted(kinds)) or "in no stream of the catalog"})')
    return ColumnChoice(tuple(columns), tuple(left))


def is_kept_by_milvus(name: str) -> bool:
    """Whether no column can have a name, since Milvus has it itself."""
    return name in _SYSTEM_NAMES or name.lower() in _KEYWORDS


def with_text_column(columns: Iterable[Column], name: str | None) -> tuple[Column, ...]:
    """Columns with one for the texts of a field, in the place of any other for it; None asks for no more."""
    others = tuple(column for column in columns if column.name != name)
    return others if name is None else (*others, Column(name, "VARCHAR"))


def kinds_of(name: str, sources: Mapping[str, Sequence[str]], schemas: Iterable[Mapping[str, Json]]) -> set[str]:
    """The types that a field has in the streams; none where no stream has it. Arguments as for `choose`."""
    paths = sources.get(name, [name])
    return {kind for schema in schemas for path in paths for kind in _kinds_at(schema, path)}


def _column(name: str, kind: str) -> Column | None:
    scalars: dict[str, Scalar] = {scalar: scalar for scalar in _SCALARS.values()}
    if kind in scalars:
        return Column(name, scalars[kind])
    element = scalars.get(kind.removeprefix("ARRAY of "))
    return Column(name, "ARRAY", element) if element is not None else None


def _kinds_at(schema: Json, path: str) -> set[str]:
    """Types of the values at a path; a field whose name is the whole path goes first, as it does in a record."""
    if path in _properties(schema):
        return _kinds(_properties(schema)[path])
    name, _, rest = path.partition(".")
    return _kinds_at(_properties(schema).get(name), rest) if rest else set()


def _properties(schema: Json) -> Mapping[str, Json]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _kinds(schema: Json) -> set[str]:
    """Types that a JSON schema allows, without null."""
    if not isinstance(schema, Mapping):
        return {_NOTHING_TYPED}
    options = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(options, list):
        return set().union(*map(_kinds, options))
    types = schema.get("type", _NOTHING_TYPED)
    names = types if isinstance(types, list) else [types]
    return {_kind(name, schema) for name in names if name != "null"}


def _kind(name: Json, schema: Mapping[str, Json]) -> str:
    if name == "array":
        (element, *more) = sorted(_kinds(schema.get("items"))) or [_NOTHING_TYPED]
        return f"ARRAY of {element}" if not more and element in _SCALARS.values() else "lists of several types"
    if name == "number" and schema.get("airbyte_type") == "integer":
        return "INT64"
    return _SCALARS.get(name) or ("objects" if name == "object" else _NOTHING_TYPED)
