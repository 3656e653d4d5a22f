"""Which partition of the collection a record belongs to. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from destination_milvus.collection import Column
from destination_milvus.documents.columns import fitted
from destination_milvus.documents.metadata import storable
from destination_milvus.documents.paths import FieldPath, compiled
from destination_milvus.fields import MAX_PARTITION_BYTES, PARTITION
from destination_milvus.model import Json

_PARTITION_COLUMN = Column(PARTITION, "VARCHAR", max_bytes=MAX_PARTITION_BYTES)


@dataclass(frozen=True, slots=True)
class Partition:
    """What decides about the partition of a record: a value of its stream, or a field of its own."""

    stream: str = ""
    field: str | None = None
    """Its name in Milvus."""
    paths: tuple[FieldPath, ...] = ()
    """Where the record has it; the first that leads somewhere counts."""

    @classmethod
    def by_field(cls, field: str, sources: Mapping[str, Sequence[str]]) -> Partition:
        """By a field that is stored under this name; `sources` has the paths of names that others are mapped to."""
        return cls(field=field, paths=compiled(sources.get(field, [field])))

    def of(self, data: Mapping[str, Json], metadata: Mapping[str, Json], stored: Container[str]) -> str:
        """The value for a record, as a text; empty where it has none, several, or one that is no scalar.

        Where the field is metadata of its own, that value counts, so that filters by both agree; `stored` has the names
        of all metadata, also of what Milvus cannot hold.
        """
        if self.field is None:
            value: Json = self.stream
        elif self.field in stored:
            value = metadata.get(self.field)
        else:
            found = next(filter(None, (path.select(data) for path in self.paths)), [])
            value = storable(found[0][1], self.field, []) if len(found) == 1 else None
        return fitted(value, _PARTITION_COLUMN).value or ""
