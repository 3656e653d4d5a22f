"""What Milvus says of a collection → what it is. Pure: descriptions are read as pymilvus gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from destination_milvus.collection import MAX_CAPACITY, SCALARS, Collection, Column
from destination_milvus.config.models import Config
from destination_milvus.fields import MAX_VARCHAR_BYTES, RECORD_ID, SYSTEM_FIELDS
from destination_milvus.milvus.address import is_embedded

MODEL_PROPERTY = "destination_milvus.embedding_model"
"""Collection property that names the model of its vectors."""

TTL_PROPERTY = "collection.ttl.seconds"
"""Of Milvus: rows that were written longer ago are no longer found, and removed. Not positive for never."""


def collection_of(description: Mapping[str, Any], config: Config, *, metric_type: str = "") -> Collection:
    """The collection of a description, as a configuration uses it.

    Args:
        description: of a collection in which `existing.schema_problems` finds none.
        config: names the fields of vector and text.
        metric_type: of its vector's index; empty where it has none yet.
    """
    indexing = config.indexing
    fields = {field["name"]: field for field in description["fields"]}
    properties = description.get("properties") or {}
    key = primary_key(description)
    auto_id = bool(description.get("auto_id"))
    text_field = None if config.omit_raw_text else indexing.text_field
    computed = computed_fields(description)
    collection = Collection(
        key_field=key["name"],
        auto_id=auto_id,
        vector_field=indexing.vector_field,
        text_field=text_field,
        name=indexing.collection,
        dimensions=int((fields[indexing.vector_field].get("params") or {}).get("dim", 0)),
        metric_type=metric_type,
        embedding_model=properties.get(MODEL_PROPERTY),
        unused_key="no such key" if type_name(key) == "VARCHAR" else -1,
        partition_key=next((name for name, field in fields.items() if field.get("is_partition_key")), None),
        analyzer=_analyzer(fields.get(text_field or "")),
        full_text_field=next((name for name, inputs in computed.items() if text_field in inputs), None),
        text_bytes=max_bytes(fields.get(text_field or "")),
        record_id_bytes=max_bytes(fields.get(RECORD_ID)),
        ttl_seconds=max(0, int(properties.get(TTL_PROPERTY) or 0)),
        dynamic=frozenset({*SYSTEM_FIELDS, indexing.text_field} - fields.keys()),
        merges_upserts=is_embedded(indexing.host) and not auto_id,
        computed=frozenset(computed),
    )
    columns = {name: _column(field) for name, field in fields.items() if name not in collection.reserved}
    return replace(collection, columns=columns)


def primary_key(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """The field of the primary key."""
    field: Mapping[str, Any] = next(field for field in description["fields"] if field.get("is_primary"))
    return field


def type_name(field: Mapping[str, Any]) -> str | None:
    """The name of a field's type."""
    return getattr(field.get("type"), "name", None)


def max_bytes(field: Mapping[str, Any] | None) -> int:
    """Most bytes of a text in a field of a description; None is a dynamic field."""
    limits = (field or {}).get("params") or {}
    return int(limits.get("max_length", MAX_VARCHAR_BYTES))


def is_required(field: Mapping[str, Any]) -> bool:
    """Whether every row must fill a field."""
    return not field.get("nullable") and field.get("default_value") is None


def _analyzer(text: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the words of a text field are found; empty where nothing is said of it that can be read."""
    analyzer = {}
    for name in ("analyzer_params", "multi_analyzer_params"):
        params = ((text or {}).get("params") or {}).get(name)
        try:
            parsed = orjson.loads(params) if isinstance(params, str) else params
        except ValueError:
            continue
        if isinstance(parsed, dict) and parsed:
            analyzer[name] = parsed
    return analyzer


def _column(field: Mapping[str, Any]) -> Column:
    kind, element = (getattr(field.get(key), "name", None) for key in ("type", "element_type"))
    return Column(
        field["name"],
        kind if kind in SCALARS or kind == "ARRAY" else None,
        element if kind == "ARRAY" and element in SCALARS else None,
        max_bytes=max_bytes(field),
        capacity=int((field.get("params") or {}).get("max_capacity", MAX_CAPACITY)),
        required=is_required(field),
    )


def computed_fields(description: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Fields that Milvus computes itself and refuses to be given, each with the fields it is made of.

    Args:
        description: of a collection, as pymilvus gives it.
    """
    functions = description.get("functions") or []
    computed = {
        output: tuple(function.get("input_field_names") or ())
        for function in functions
        for output in function.get("output_field_names") or ()
    }
    flagged = {field["name"]: () for field in description["fields"] if field.get("is_function_output")}
    return {**flagged, **computed}
