"""A plan as writes and deletions, in the order in which a crash between or inside any two leaves nothing lost. No IO.

The numbers in comments are the steps of the commit procedure in docs/delivery.md. Whoever carries the phases out waits
for each to be acknowledged before the next; inside a phase the rows may go in any order and in any number of calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from destination_milvus.collection import Collection
from destination_milvus.digests import chunk_key
from destination_milvus.milvus.rows import announced_head, entity, pending
from destination_milvus.model import Json, Plan, Vector


@dataclass(frozen=True, slots=True)
class Upserts:
    """Rows to put in the place of those with the same primary key."""

    entities: Iterable[Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Deletes:
    """Rows to take out; those that are not there do no harm."""

    primary_keys: Iterable[str]


Phase: TypeAlias = Upserts | Deletes


def phases(plan: Plan, vectors: Mapping[str, Vector], collection: Collection) -> Iterator[Phase]:
    """The phases of a plan; any of them may be empty."""
    writes, removals = plan.writes, plan.removals
    # 6: from here on the heads vouch for no version
    yield Upserts(
        chain(
            (announced_head(write, vectors, collection) for write in writes if write.announce is not None),
            (
                pending(removal.announce, removal.chunks, collection)
                for removal in removals
                if removal.announce is not None
            ),
        )
    )
    # 7
    yield Upserts(
        entity(write, number, vectors, collection)
        for write in writes
        for number in range(1, len(write.chunks))
        if number not in write.unchanged
    )
    # 8
    yield Deletes(
        chain(
            (chunk_key(write.upsert.key, number) for write in writes for number in write.surplus),
            (chunk_key(removal.key, number) for removal in removals for number in range(1, removal.chunks)),
        )
    )
    # 9: a version is complete once its head is in, and a record gone once its head is out
    yield Upserts(entity(write, 0, vectors, collection) for write in writes)
    yield Deletes(chunk_key(removal.key, 0) for removal in removals)
