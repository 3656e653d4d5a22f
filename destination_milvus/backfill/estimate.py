"""`--dry-run`: what a backfill would read, embed and take, counted without embedding or writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from destination_milvus.backfill.source import Source
from destination_milvus.collection import DEFAULT_COLLECTION
from destination_milvus.config.models import Config
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.chunking import Chunker
from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.errors import BadRecord
from destination_milvus.flow.change import change_of
from destination_milvus.model import Delete
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.messages import Record
from destination_milvus.write import document_builder, vector_field


@dataclass
class Counts:
    """Of one stream."""

    records: int = 0
    deletions: int = 0
    bad: int = 0
    without_text: int = 0
    chunks: int = 0
    tokens: int = 0
    first_bad: BadRecord | None = None


class Estimate:
    """Counts a source."""

    def __init__(self, config: Config, source: Source) -> None:
        self._config = config
        self._source = source
        self._chunker = Chunker.configured(config.processing)
        self._plans = {
            name: plan if plan.generation is not None else replace(plan, generation=0)
            for name, plan in source.survey.plans.items()
        }
        self._builders = {name: self._builder(name, plan) for name, plan in self._plans.items()}
        self.streams: Mapping[StreamName, Counts] = {name: Counts() for name in self._plans}

    def _builder(self, name: StreamName, plan: StreamPlan) -> DocumentBuilder:
        indexing = self._config.indexing
        collection = replace(
            DEFAULT_COLLECTION,
            vector_field=indexing.vector_field,
            text_field=indexing.text_field,
            name=indexing.collection,
        )
        return document_builder(self._config, name, plan, collection)

    def run(self) -> None:
        """Read everything.

        Raises:
            DestinationError: as a backfill.
        """
        for block in self._source.blocks():
            for message in block:
                if isinstance(message, Record) and (message.name, message.namespace) in self._plans:
                    self._count((message.name, message.namespace), message)

    def _count(self, name: StreamName, record: Record) -> None:
        counts = self.streams[name]
        counts.records += 1
        try:
            change = change_of(record, self._plans[name], self._builders[name], "0", vector_field(self._config))
        except BadRecord as error:
            counts.bad += 1
            counts.first_bad = counts.first_bad or error.at(record.place)
            return
        if isinstance(change, Delete):
            counts.deletions += 1
            return
        texts = self._chunker.split(change.document) if change.document.vector is None else []
        counts.without_text += not texts and change.document.vector is None
        counts.chunks += len(texts)
        counts.tokens += sum(map(count_tokens, texts))

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(counts.tokens for counts in self.streams.values())
