"""What records would become: counted, stream by stream. The one place for `preview` and for `backfill --dry-run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from destination_milvus.collection import DEFAULT_COLLECTION, Collection
from destination_milvus.config.models import Config
from destination_milvus.documents.chunking import Chunker
from destination_milvus.documents.languages import Impression
from destination_milvus.errors import BadRecord
from destination_milvus.flow.change import change_of
from destination_milvus.model import Delete, Upsert
from destination_milvus.preview.profile import Profile
from destination_milvus.preview.repeats import Repeats
from destination_milvus.preview.sizes import Sizes
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.messages import Message, Record
from destination_milvus.write import document_builder, vector_field

MOST_BAD = 3
"""Bad records that are named."""

MOST_TEXTS = 3
"""Chunks of an example that are kept."""

Visit: TypeAlias = Callable[[Upsert, list[str]], None]


@dataclass
class Counts:
    """Of one stream."""

    impression: Impression
    """Of the language of its chunks."""
    records: int = 0
    deletions: int = 0
    bad: int = 0
    without_text: int = 0
    rows: int = 0
    sizes: Sizes = field(default_factory=Sizes)
    """Of its chunks; none where records bring their vectors."""
    repeats: Repeats = field(default_factory=Repeats)
    profile: Profile = field(default_factory=Profile)
    first_bad: list[BadRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A record as it would be embedded."""

    stream: str
    record_id: str
    texts: list[str]
    """Its first chunks."""
    chunks: int


class Estimate:
    """Counts messages."""

    def __init__(
        self,
        config: Config,
        plans: Mapping[StreamName, StreamPlan],
        *,
        collection: Collection | None = None,
        examples: int = 0,
        visit: Visit = lambda _, __: None,
    ) -> None:
        """Count records of these streams.

        Args:
            config: parsed.
            plans: of the streams; one without a generation is of generation 0.
            collection: that they would be written to; None for one that is still to be created.
            examples: records of each stream to be kept.
            visit: is given every record that would be stored, with its chunks.
        """
        indexing = config.indexing
        collection = collection or replace(
            DEFAULT_COLLECTION,
            vector_field=indexing.vector_field,
            text_field=indexing.text_field,
            name=indexing.collection,
        )
        self._chunker = Chunker.configured(config.processing, collection.text_bytes)
        self._vector_field = vector_field(config)
        self._most_examples = examples
        self._visit = visit
        self.plans = {
            name: plan if plan.generation is not None else replace(plan, generation=0) for name, plan in plans.items()
        }
        self._builders = {name: document_builder(config, name, plan, collection) for name, plan in self.plans.items()}
        self.streams: Mapping[StreamName, Counts] = {name: Counts(Impression(config.embedding)) for name in self.plans}
        self.examples: list[Example] = []
        self.records = 0
        """Read so far, of all streams."""
        self.bytes = 0
        """Of their lines."""
        self.others = 0
        """Records of streams that are not among the plans."""

    def take(self, messages: Iterable[Message], most: int | None = None) -> bool:
        """Count messages; of records at most so many in all, and false once there are more."""
        for message in messages:
            if isinstance(message, Record):
                if most is not None and self.records >= most:
                    return False
                self.records += 1
                self.bytes += message.size
                self._take((message.name, message.namespace), message)
        return True

    def _take(self, name: StreamName, record: Record) -> None:
        counts = self.streams.get(name)
        if counts is None:
            self.others += 1
            return
        counts.records += 1
        builder = self._builders[name]
        try:
            change = change_of(record, self.plans[name], builder, "0", self._vector_field)
        except BadRecord as error:
            counts.bad += 1
            if len(counts.first_bad) < MOST_BAD:
                counts.first_bad.append(error.at(record.place))
            return
        if isinstance(change, Delete):
            counts.deletions += 1
            return
        document = change.document
        texts = self._chunker.split(document) if document.vector is None else []
        for text in texts:
            counts.sizes.add(text)
        counts.impression.look(texts)
        counts.rows += len(texts) if document.vector is None else 1
        counts.without_text += not texts and document.vector is None
        if change.lookup:
            counts.repeats.add(change.key.record_id)
        counts.profile.add(record.data, document, builder)
        if counts.records - counts.bad - counts.deletions <= self._most_examples:
            self.examples.append(Example(change.key.stream, change.key.record_id, texts[:MOST_TEXTS], len(texts)))
        self._visit(change, texts)

    @property
    def tokens(self) -> int:
        """Of all texts; about, where they are many."""
        return sum(counts.sizes.tokens for counts in self.streams.values())

    @property
    def is_exact(self) -> bool:
        """Whether every token was counted."""
        return all(counts.sizes.is_exact for counts in self.streams.values())
