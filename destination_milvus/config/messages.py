"""What pydantic finds wrong, in the words of somebody who fills in a form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from destination_milvus.config.base import FIELD_NAME_PATTERN
from destination_milvus.config.indexing import INDEX_TYPE_PATTERN
from destination_milvus.errors import option

_PATTERNS = {
    FIELD_NAME_PATTERN: "may hold letters of ASCII, digits and underscores only, must not begin with a digit, and must "
    "have 1 to 255 characters",
    INDEX_TYPE_PATTERN: "may hold capital letters, digits and underscores only",
}
"""What the patterns ask for, in words."""

_MESSAGES = {
    "missing": "is missing",
    "union_tag_not_found": "is missing",
    "union_tag_invalid": "must be one of {expected_tags}",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""What pydantic's kinds of errors are to somebody who fills in a form."""


def problem(detail: Mapping[str, Any]) -> str:
    """A clause that names the option and says what is wrong; its value is not repeated.

    Args:
        detail: one of `ValidationError.errors`.
    """
    location = [str(part) for part in detail["loc"]]
    # behind each of these pydantic puts the tag of the chosen option, which is no part of the user's path
    path = ".".join(
        part
        for before, part in zip(["", *location], location, strict=False)
        if before not in {"embedding", "text_splitter", "auth", "full_text_analyzer"}
    )
    kind, context = str(detail["type"]), detail.get("ctx", {})
    if kind.startswith("union_tag"):
        path += ".mode"
    name = option(path) if path else "it"
    if kind in _MESSAGES:
        return f"{name} {_MESSAGES[kind].format(**context)}"
    if kind == "string_pattern_mismatch":
        return f"{name} {_PATTERNS[context['pattern']]}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if path else message
