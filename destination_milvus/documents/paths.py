"""Configured paths such as `user.name` or `users.*.name`: where they lead in a record. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import TypeAlias

from destination_milvus.model import Json

Location: TypeAlias = "tuple[str | int, ...]"
"""Names and list indices that lead to a value in a record."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A configured path such as `user.name` or `users.*.name`, compiled.

    A step is a name, an index of a list, or a pattern of names or indices (`*`, and as in Airbyte's CDK `custom_*`).
    A field of the record whose name is the whole path, dots included, goes first.
    """

    path: str
    steps: tuple[str | re.Pattern[str], ...]

    @classmethod
    def parse(cls, path: str) -> FieldPath:
        """The path as configured, compiled."""
        return cls(path, tuple(_step(name) for name in path.split(".")))

    @property
    def names_field(self) -> bool:
        """Whether the top-level field is named, not matched."""
        return isinstance(self.steps[0], str)

    def select(self, data: Mapping[str, Json]) -> list[tuple[Location, Json]]:
        """The values at the path, in the order of the record; none where it leads nowhere."""
        if self.path in data:
            return [((self.path,), data[self.path])]
        found: list[tuple[Location, Json]] = [((), data)]
        for step in self.steps:
            found = [((*at, key), child) for at, value in found for key, child in _children(value, step)]
        return found


def _step(name: str) -> str | re.Pattern[str]:
    return re.compile(translate(name)) if set(name) & set("*?[") else name


def _children(value: Json, step: str | re.Pattern[str]) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, list):
        if isinstance(step, str):
            index = int(step) if step.isascii() and step.isdecimal() else len(value)
            yield from ((index, item) for item in value[index : index + 1])
        else:
            yield from ((index, item) for index, item in enumerate(value) if step.match(str(index)))
    elif isinstance(value, dict):
        if isinstance(step, str):
            yield from ((key, value[key]) for key in (step,) if key in value)
        else:
            yield from ((key, item) for key, item in value.items() if step.match(key))


def compiled(paths: Iterable[str]) -> tuple[FieldPath, ...]:
    """Paths as configured, compiled."""
    return tuple(map(FieldPath.parse, paths))


def without_value(value: Json, at: Location) -> Json:
    """A copy of `value` without what is at one place; in a list null stands there, so that no other item moves."""
    name, *rest = at
    if rest:
        return with_value(value, (name,), without_value(value[name], tuple(rest)))
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key != name}
    return with_value(value, at, None)


def with_value(value: Json, at: Location, new: Json) -> Json:
    """A copy of `value` with another value at one place."""
    if not at:
        return new
    copy = value.copy()
    copy[at[0]] = with_value(value[at[0]], at[1:], new)
    return copy
