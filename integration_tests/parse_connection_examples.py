"""Run in an environment of its own: judges request bodies by Airbyte's own client library, and parses Terraform.

It reads `{"bodies": {MODEL: BODY}, "terraform": [PATH]}` from standard input and prints the parsed files as JSON. It
fails on a body that lacks a part, has one that the model of the request does not know, or has one of another type. A
`configuration` is passed over: the library knows those of Airbyte's own connectors only, and judges them by themselves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2  # type: ignore[import-not-found]
from airbyte_api import models  # type: ignore[import-not-found]
from pydantic import TypeAdapter


def judge(name: str, body: Mapping[str, Any]) -> None:
    """Fail where a body is none for this request."""
    fields = {field.alias or name: field for name, field in getattr(models, name).model_fields.items()}
    assert body.keys() <= fields.keys(), f"{name} knows nothing of {body.keys() - fields.keys()}"
    for key, field in fields.items():
        assert key in body or not field.is_required(), f"{name} wants {key}"
        if key in body and key != "configuration":
            TypeAdapter(field.annotation).validate_python(body[key])


asked = json.load(sys.stdin)
for model, request in asked["bodies"].items():
    judge(model, request)
print(json.dumps([hcl2.loads(Path(path).read_text()) for path in asked["terraform"]]))
