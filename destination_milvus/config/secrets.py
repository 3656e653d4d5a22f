"""The configuration's secrets: found in what was given, and left out of what a user reads. Pure.

Not the CDK's `filter_secrets`: it replaces each secret wherever it stands, and a key of one letter, as services without
authentication are given, is in every word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from destination_milvus.config.specification import specification
from destination_milvus.model import Json

MIN_SECRET_LINE = 8
"""Characters from which a line of a secret is one by itself; those of a key in PEM format have 64."""

MIN_ANYWHERE = 4
"""Characters from which a secret is left out of the middle of a word, too."""

BLOT = "****"


def redaction(secrets: Iterable[str]) -> Callable[[str], str]:
    """Replaces secrets in a text: short ones as whole words only, of two that begin alike the longer one."""
    patterns = [
        re.escape(secret) if len(secret) >= MIN_ANYWHERE else rf"(?<!\w){re.escape(secret)}(?!\w)"
        for secret in sorted(secrets, key=len, reverse=True)
    ]
    if not patterns:
        return str
    any_of_them = re.compile("|".join(patterns))
    return lambda text: any_of_them.sub(BLOT, text)


def secrets_in(raw: Json) -> list[str]:
    """Everything that stands where the specification has a secret, the longest first, for the log to leave out.

    Of a configuration that may be wrong: a list or an object in the place of a key still holds the key. A key of
    several lines is quoted line by line. Milvus' default password stays: to blot out its name would give it away.
    """
    found = set(_scalars_below(raw, _secret_names(specification()), secret=False))
    lines = {line for secret in found for line in secret.splitlines() if len(line) >= MIN_SECRET_LINE}
    return sorted({text.strip() for text in found | lines} - {"", "Milvus"}, key=len, reverse=True)


def _secret_names(node: Json) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_secret_names, node))
    if not isinstance(node, dict):
        return set()
    here = {name for name, value in node.items() if isinstance(value, dict) and value.get("airbyte_secret") is True}
    return here.union(*map(_secret_names, node.values()))


def _scalars_below(node: Json, names: set[str], *, secret: bool) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _scalars_below(value, names, secret=secret or name in names)
    elif isinstance(node, list):
        for value in node:
            yield from _scalars_below(value, names, secret=secret)
    elif secret and node is not None and not isinstance(node, bool):
        yield str(node)
