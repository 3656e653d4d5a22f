"""A configured catalog → what the sync does with each of its streams. Pure.

What Airbyte's sync modes and generations mean here is decided in `plan_streams`, once, before anything is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from destination_milvus.digests import is_unfit, stream_identifier
from destination_milvus.errors import ConfigError
from destination_milvus.model import Json, WriteMode

StreamName: TypeAlias = tuple[str, str | None]
"""(name, namespace); the namespace of streams without one is None."""

KeyPath: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What a sync does with one stream."""

    identifier: str
    mode: WriteMode
    primary_key: tuple[KeyPath, ...]
    """Empty in append, where records have no identity."""
    protected: frozenset[str]
    """Top-level fields that are never altered: those of primary key and cursor."""
    generation: int | None
    """Generation of the records; None where one below the lowest stored generation is to be taken."""
    minimum_generation: int
    """Rows below it are swept once the stream is complete; 0 for no sweep."""
    needs_key: bool = True
    """Whether a record without a whole key is a bad one; else it is stored under an identity of its own."""
    awaits_complete: bool = False
    """Whether the stream is complete only once a status says so. A platform that counts generations sends COMPLETE for
    every stream when the source has ended well, and nothing at all when the source has failed."""
    knows_raw_ids: bool = False
    """Whether records without a key are known by the id that Airbyte gave each, which comes again with it."""

    @property
    def finds_again(self) -> bool:
        """Whether a record that comes again is found by its identity."""
        return self.mode is WriteMode.DEDUP or self.knows_raw_ids


def plan_streams(catalog: Mapping[str, Json]) -> dict[StreamName, StreamPlan]:
    """The plan of each stream of a configured catalog (protocol JSON).

    Raises:
        ConfigError: a sync mode that vectors cannot serve, append_dedup without a primary key, two streams that would
            be one in the collection, or no configured catalog at all.
    """
    plans: dict[StreamName, StreamPlan] = {}
    for number, configured in enumerate(catalog.get("streams") or [], 1):
        try:
            stream = configured["stream"]
            name = (stream["name"], stream.get("namespace") or None)
            identifier = stream_identifier(*name)
            unfit = is_unfit(identifier)
            plan = _plan_stream(configured, name, identifier)
        except (KeyError, TypeError, AttributeError):
            raise ConfigError(
                f"Stream number {number} of the catalog is not a configured stream: it needs stream.name, "
                "destination_sync_mode and, as a list of paths, primary_key."
            ) from None
        if unfit:
            raise ConfigError(
                f"The name of stream number {number} of the catalog holds a character that Milvus cannot store (NUL or "
                "half of one): rename it."
            )
        _refuse_collision(plan.identifier, name, plans)
        plans[name] = plan
    return plans


def _refuse_collision(identifier: str, name: StreamName, plans: Mapping[StreamName, StreamPlan]) -> None:
    for other, plan in plans.items():
        if plan.identifier == identifier:
            raise ConfigError(
                f'The streams {_described(other)} and {_described(name)} would both be stored as "{identifier}" and '
                "replace each other's records. Rename one of them, give it a prefix, or sync it into a collection "
                "of its own.",
                stream=name,
            )


def _described(name: StreamName) -> str:
    return f'"{name[0]}"' + (f' of namespace "{name[1]}"' if name[1] else "")


def _plan_stream(configured: Mapping[str, Json], name: StreamName, identifier: str) -> StreamPlan:
    mode = configured.get("destination_sync_mode")
    stream = configured["stream"]
    primary_key = _key_paths(configured.get("primary_key") or stream.get("source_defined_primary_key") or [])
    if mode not in {"append", "append_dedup", "overwrite"}:
        raise ConfigError(
            f'Stream "{identifier}" asks for the sync mode "{mode}": choose Append, Append + Deduped or Overwrite.',
            stream=name,
        )
    if mode == "append_dedup" and not primary_key:
        raise ConfigError(
            f'Stream "{identifier}" is to be deduplicated but has no primary key: choose one in the connection, or '
            "another sync mode.",
            stream=name,
        )
    keyed = mode != "append" and bool(primary_key)
    generation, minimum = _generations(configured, overwrite=mode == "overwrite")
    cursor = configured.get("cursor_field") or []
    return StreamPlan(
        identifier=identifier,
        mode=WriteMode.DEDUP if keyed else WriteMode.APPEND,
        primary_key=primary_key if keyed else (),
        # a plain overwrite uses a key that the source defines, and no deduplication was asked for
        needs_key=mode == "append_dedup",
        protected=frozenset(path[0] for path in (*primary_key, cursor) if path),
        generation=generation,
        minimum_generation=minimum,
        awaits_complete=configured.get("generation_id") is not None,
    )


def _key_paths(paths: Sequence[Sequence[str]]) -> tuple[KeyPath, ...]:
    if any(isinstance(path, str) for path in paths):
        raise TypeError  # a list of names would be read as paths of single letters
    return tuple(tuple(path) for path in paths if path)


def _generations(configured: Mapping[str, Json], *, overwrite: bool) -> tuple[int | None, int]:
    generation = configured.get("generation_id") or 0
    minimum = configured.get("minimum_generation_id") or 0
    if not generation and overwrite:
        return None, 0
    return generation, minimum


def with_own_generation(plan: StreamPlan, lowest_generation: int) -> StreamPlan:
    """The plan of an overwrite on a platform without generations: all that is stored is older than what comes.

    Counted down from -1: the platform's own numbers, which may come one day, are never taken for one of these.
    """
    generation = lowest_generation - 1
    return replace(plan, generation=generation, minimum_generation=generation)
