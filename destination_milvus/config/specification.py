"""What `spec` says: the models as the JSON schema that Airbyte draws its form from, and what the connector can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from destination_milvus.config.models import Config

DOCUMENTATION_URL = "https://docs.airbyte.com/integrations/destinations/milvus"

GROUPS = [
    {"id": "processing", "title": "Processing"},
    {"id": "embedding", "title": "Embedding"},
    {"id": "indexing", "title": "Indexing"},
    {"id": "advanced", "title": "Advanced"},
]


def specification() -> dict[str, Any]:
    """JSON schema (draft 7) of the configuration, references inlined, as Airbyte's form wants it."""
    schema = Config.model_json_schema(schema_generator=GenerateJsonSchema)
    definitions = schema.pop("$defs")
    inlined = _inline(schema, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **inlined,
        "title": "Milvus Destination Config",
        "groups": GROUPS,
    }


def connector_specification() -> dict[str, Any]:
    """The `spec` of a SPEC message, as protocol JSON; needs neither Milvus nor an embedding library."""
    return {
        "documentationUrl": DOCUMENTATION_URL,
        "connectionSpecification": specification(),
        "supportsIncremental": True,
        "supportsNormalization": False,
        "supportsDBT": False,
        "supported_destination_sync_modes": ["overwrite", "append", "append_dedup"],
    }


def _inline(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - walks any JSON
    """References replaced by what they name; pydantic's nullable unions and discriminators by what the form knows."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        named = _inline(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
        return {**named, **{key: _inline(value, definitions) for key, value in node.items() if key != "$ref"}}
    if any(option == {"type": "null"} for option in node.get("anyOf", [])):
        (present,) = (option for option in node["anyOf"] if option != {"type": "null"})
        rest = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
        return _inline({**present, **rest}, definitions)
    cleaned = {key: _inline(value, definitions) for key, value in node.items() if key != "discriminator"}
    if "const" in cleaned and cleaned.get("title") == "Mode":
        cleaned["enum"] = [cleaned["const"]]
    if "const" in cleaned.get("properties", {}).get("mode", {}):
        cleaned["required"] = ["mode", *cleaned.get("required", [])]
    if cleaned.get("format") == "password":
        del cleaned["format"]
        cleaned.pop("writeOnly", None)
    return cleaned
