"""What embedding has cost so far: every embedder counts it, the summary of a sync tells it."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """A snapshot of the counters, from the start of the embedder."""

    requests: int = 0
    """Requests sent to a service, retries included; 0 for models that run in this process."""
    texts: int = 0
    """Texts that were answered."""
    tokens: int = 0
    """Tokens, as the model counts them; 0 where the service does not tell."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.requests + other.requests, self.texts + other.texts, self.tokens + other.tokens)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.requests - other.requests, self.texts - other.texts, self.tokens - other.tokens)


class Meter:
    """Adds up usage that several threads report."""

    __slots__ = ("_lock", "_total")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Usage()

    @property
    def total(self) -> Usage:
        """Everything added so far."""
        return self._total

    def add(self, *, requests: int = 0, texts: int = 0, tokens: int = 0) -> None:
        """Count these on top."""
        with self._lock:
            self._total += Usage(requests, texts, tokens)
