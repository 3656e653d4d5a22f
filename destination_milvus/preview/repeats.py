"""Whether keys repeat, in bounded memory. Pure."""

from __future__ import annotations

REMEMBERED = 200_000
"""Keys that are remembered, as hashes of 8 bytes: 14 MB a stream. A repetition of a later one is not seen."""


class Repeats:
    """Counts the keys that came before. Two keys of one hash would be one repetition too many: it takes billions."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.count = 0
        self._remembered = remembered
        self._hashes: set[int] = set()

    def add(self, key: str) -> None:
        """Take a key in."""
        hashed = hash(key)
        if hashed in self._hashes:
            self.count += 1
        elif len(self._hashes) < self._remembered:
            self._hashes.add(hashed)
