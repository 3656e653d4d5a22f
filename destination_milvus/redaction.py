"""Leaves the configuration's secrets out of what a user reads. Pure.

Not the CDK's `filter_secrets`: it replaces each secret wherever it stands, and a key of one letter, as services without
authentication are given, is in every word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

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
