"""Who hears what this package logs, and that nobody hears its libraries."""

from __future__ import annotations

import logging


def log_to(handler: logging.Handler, level: int) -> None:
    """Let a handler alone take what this package logs from a level on.

    Libraries log what they work on: texts, keys, requests; some set a level of their own.
    """
    root, ours = logging.getLogger(), logging.getLogger("airbyte")
    root.handlers = [logging.NullHandler()]
    root.setLevel(logging.CRITICAL + 1)
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel(level)
