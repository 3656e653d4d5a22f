"""Values of a record as text to read. Pure."""

from __future__ import annotations

import math
from textwrap import indent

from destination_milvus.fields import MAX_DEPTH
from destination_milvus.model import Json


def clean(text: str) -> str:
    """Text that UTF-8 and Milvus can hold: without NUL, and with U+FFFD for each half of a character.

    The two halves of one character, left apart by a careless decoder, are joined.
    """
    text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def labelled(name: str, value: Json, depth: int = 0) -> str:
    """A value with its name in front, or above a value of several lines; empty for nothing."""
    body = rendered(value, depth)
    if not body:
        return ""
    name = clean(name)
    if isinstance(value, dict) or (isinstance(value, list) and "\n" in body):
        return f"{name}:\n{indent(body, '  ')}"
    return f"{name}:\n{body}" if "\n" in body else f"{name}: {body}"


def rendered(value: Json, depth: int = 0) -> str:
    """A value for reading: text as it is, numbers as in JSON, objects and lists by lines; empty for nothing."""
    if isinstance(value, str):
        return clean(value).replace("\r\n", "\n").strip()
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or depth == MAX_DEPTH:
        return ""
    if isinstance(value, dict):
        return "\n".join(filter(None, (labelled(name, item, depth + 1) for name, item in value.items())))
    if isinstance(value, list):
        return _listed(value, depth + 1)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(values: list[Json], depth: int) -> str:
    """One line, or a line for each item where items have structure or commas of their own."""
    items = [item for item in (rendered(value, depth) for value in values) if item]
    structured = any(isinstance(value, dict | list) for value in values)
    if structured or any("," in item or "\n" in item for item in items):
        return "\n".join("- " + indent(item, "  ").lstrip() for item in items)
    return ", ".join(items)
