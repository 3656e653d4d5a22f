"""Airbyte's schema of `metadata.yaml` (ConnectorMetadataDefinitionV0). Runs in the environment of `acceptance.txt`.

Usage: `python metadata_schema.py metadata.yaml`; exits with 1 and a line for each thing that is wrong.
"""

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml

SCHEMA = resources.files("airbyte_connector_models.metadata.v0") / "ConnectorMetadataDefinitionV0.json"


def without_ids(part: Any) -> Any:
    """A part of the schema without `$id`: the parts were bundled into one file, and refer to places of that file."""
    if isinstance(part, dict):
        return {key: without_ids(value) for key, value in part.items() if key != "$id"}
    return [without_ids(value) for value in part] if isinstance(part, list) else part


if __name__ == "__main__":
    metadata = yaml.safe_load(Path(sys.argv[1]).read_text())
    problems = jsonschema.Draft7Validator(without_ids(json.loads(SCHEMA.read_text()))).iter_errors(metadata)
    sys.exit("\n".join(f"{sys.argv[1]}: {problem.json_path}: {problem.message}" for problem in problems) or None)
