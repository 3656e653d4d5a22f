"""The JSON schema of KubeRay's RayJob that `unit_tests/test_ray_example.py` judges the example by, made from its CRD.

The CRD is 1.4 MB, since three pod templates are written out in it with all their descriptions. What decides about a
manifest fits into 40 kB: the same fields, types, patterns and enumerations, each part written once. As the API server
does with `fieldValidation: Strict`, which is kubectl's default, the schema refuses fields that it does not know. Left
out are `status`, which no manifest has, descriptions, and the rules in CEL.

    git -C kuberay show v1.7.0:ray-operator/config/crd/bases/ray.io_rayjobs.yaml > rayjobs.yaml
    python -m devtools.rayjob_schema rayjobs.yaml v1.7.0
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "unit_tests" / "rayjob_schema.json"

ORIGIN = (
    "Made by devtools/rayjob_schema.py from ray-operator/config/crd/bases/ray.io_rayjobs.yaml of KubeRay {release} "
    "(https://github.com/ray-project/kuberay), which is under the Apache License, Version 2.0 "
    "(https://www.apache.org/licenses/LICENSE-2.0), and so is this. Changed: reduced to what a manifest is judged by."
)

KEPT = (
    *("type", "enum", "pattern", "anyOf"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems"),
)
"""Keywords that mean in a CRD what they mean in JSON schema."""

WORTH_SHARING = 60
"""Characters from which on a part that repeats is written once: a reference takes some 30."""

Schema = dict[str, Any]


def schema_of(crd: Mapping[str, Any], release: str) -> Schema:
    """The schema of a manifest of version v1.

    Args:
        crd: KubeRay's CustomResourceDefinition of RayJob.
        release: KubeRay's release that it is of.
    """
    version = next(version for version in crd["spec"]["versions"] if version["name"] == "v1")
    described = version["schema"]["openAPIV3Schema"]
    manifest = {**described, "properties": dict(described["properties"])}
    del manifest["properties"]["status"]
    root = strict(manifest)
    root["properties"]["apiVersion"] = {"const": f"{crd['spec']['group']}/v1"}
    root["properties"]["kind"] = {"const": crd["spec"]["names"]["kind"]}
    root["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": ORIGIN.format(release=release),
        **shared(root),
    }


def strict(described: Mapping[str, Any]) -> Schema:
    """A part of the CRD as JSON schema, closed where fields are named."""
    schema = {keyword: described[keyword] for keyword in KEPT if keyword in described}
    properties = described.get("properties")
    if properties is not None:
        schema["properties"] = {name: strict(part) for name, part in properties.items()}
        schema["additionalProperties"] = False
        # the API server fills in defaults before it looks for what is missing
        required = [name for name in described.get("required", ()) if "default" not in properties[name]]
        if required:
            schema["required"] = required
    for keyword in ("items", "additionalProperties"):
        if isinstance(described.get(keyword), Mapping):
            schema[keyword] = strict(described[keyword])
    return schema


def shared(root: Schema) -> Schema:
    """The same schema with each part that repeats written once, under `$defs`."""
    uses = Counter(_text(part) for _, part in _parts("root", root))
    names: dict[str, str] = {}
    named: Counter[str] = Counter()
    definitions: Schema = {}

    def share(name: str, part: Schema) -> Schema:
        text = _text(part)
        if text in names:
            return {"$ref": f"#/$defs/{names[text]}"}
        smaller = dict(part)
        if "properties" in part:
            smaller["properties"] = {key: share(key, inner) for key, inner in part["properties"].items()}
        for keyword in ("items", "additionalProperties"):
            if isinstance(part.get(keyword), dict):
                smaller[keyword] = share(name, part[keyword])
        if uses[text] == 1 or len(text) < WORTH_SHARING:
            return smaller
        named[name] += 1
        names[text] = name if named[name] == 1 else f"{name}-{named[name]}"
        definitions[names[text]] = smaller
        return {"$ref": f"#/$defs/{names[text]}"}

    return {**share("root", root), "$defs": definitions}


def _parts(name: str, part: Schema) -> Iterator[tuple[str, Schema]]:
    yield name, part
    for key, inner in part.get("properties", {}).items():
        yield from _parts(key, inner)
    for keyword in ("items", "additionalProperties"):
        if isinstance(part.get(keyword), dict):
            yield from _parts(name, part[keyword])


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def lines(schema: Schema) -> str:
    """As a file: a line for each definition, so that a newer release shows what it changed."""
    definitions = ",\n".join(f"  {_text(name)}: {_text(part)}" for name, part in schema["$defs"].items())
    others = "".join(f"{_text(key)}: {_text(value)},\n" for key, value in schema.items() if key != "$defs")
    return f'{{\n{others}"$defs": {{\n{definitions}\n}}\n}}\n'


if __name__ == "__main__":
    SCHEMA.write_text(lines(schema_of(yaml.safe_load(Path(sys.argv[1]).read_text()), sys.argv[2])))
