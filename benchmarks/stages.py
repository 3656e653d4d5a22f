"""The limit: each stage of the pipeline alone, at full speed, on the same data; the slowest is what a sync can reach.

Run as a process of its own, `python -m benchmarks.stages STAGE CONFIG CATALOG INPUT` prints the seconds that the stage
took and how many records it saw. Start-up, and the work of the stages before it, are left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.bench import DIMENSIONS
from destination_milvus import digests
from destination_milvus.collection import Collection
from destination_milvus.config.models import Config, parse_config
from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.documents.chunking import Chunker
from destination_milvus.embedding import create_embedder
from destination_milvus.fields import PRIMARY_KEY
from destination_milvus.flow.batch import BatchLimits
from destination_milvus.flow.change import change_of
from destination_milvus.flow.reconcile import reconcile, triage
from destination_milvus.milvus import connection
from destination_milvus.milvus.open import open_collection
from destination_milvus.model import Change, Chunk, Upsert
from destination_milvus.protocol.catalog import plan_streams
from destination_milvus.protocol.inbox import Inbox, blocks_of
from destination_milvus.protocol.messages import Message, Record
from devtools.openai_endpoint import vector

BATCH = BatchLimits().records


class Stages:
    """The stages of one configuration and input; each returns (seconds, records)."""

    def __init__(self, config: Config, catalog: dict[str, Any], source: Path) -> None:
        self._config = config
        (self._plan,) = plan_streams(catalog).values()
        self._source = source
        self._workers = config.advanced.concurrency

    def parse(self) -> tuple[float, int]:
        """Lines to messages."""
        seconds, messages = _timed(self._messages)
        return seconds, sum(isinstance(message, Record) for message in messages)

    def chunk(self) -> tuple[float, int]:
        """Messages to documents, chunks and hashes."""
        records = self._records()
        self._chunk(records[:50])  # loads the vocabulary
        seconds, changes = _timed(lambda: self._chunk(records))
        return seconds, len(changes)

    def embed(self) -> tuple[float, int]:
        """Texts to vectors, as many requests at a time as a sync makes."""
        texts = [chunk.text for _, chunks in self._chunk(self._records()) for chunk in chunks]
        with closing(create_embedder(self._config.embedding, self._config.advanced)) as embedder:
            embedder.embed(texts[:1])
            seconds, _ = _timed(lambda: self._each_batch(texts, embedder.embed))
        return seconds, len(self._records())

    def store(self) -> tuple[float, int]:
        """Plans to rows in Milvus, in a collection of its own."""
        chunked = self._chunk(self._records())
        embedded = {chunk.text_hash: vector(chunk.text, DIMENSIONS) for _, chunks in chunked for chunk in chunks}
        indexing = self._config.indexing.model_copy(update={"collection": f"limit_{uuid4().hex}"})
        config = self._config.model_copy(update={"indexing": indexing})
        with (
            closing(create_embedder(config.embedding, config.advanced)) as embedder,
            closing(connection.connect(indexing)) as client,
        ):
            milvus = open_collection(client, config, embedder).store

            def write(batch: Sequence[tuple[Change, tuple[Chunk, ...]]]) -> None:
                candidates = triage([change for change, _ in batch], {}, "")
                chunks = [chunks for _, chunks in batch]
                plan = reconcile(candidates, list(zip(candidates.candidates, chunks, strict=True)), {}, {}, "")
                milvus.apply(plan, embedded)

            seconds, _ = _timed(lambda: self._each_batch(chunked, write))
            client.drop_collection(indexing.collection)
        return seconds, len(chunked)

    def _messages(self) -> list[Message]:
        with self._source.open("rb") as stream:
            inbox = Inbox(blocks_of(stream))
            return [message for block in iter(lambda: inbox.next_block(60), None) for message in block]

    def _records(self) -> list[Record]:
        return [message for message in self._messages() if isinstance(message, Record)]

    def _chunk(self, records: Sequence[Record]) -> list[tuple[Upsert, tuple[Chunk, ...]]]:
        chunker = Chunker.configured(self._config.processing)
        collection = Collection(PRIMARY_KEY, auto_id=False, vector_field="vector", text_field="text")
        builder = DocumentBuilder.configured(
            self._config.processing, reserved=collection.reserved, protected=self._plan.protected, omitted=()
        )
        changes = [change_of(record, self._plan, builder, "", None) for record in records]
        return [
            (
                change,
                tuple(
                    Chunk(number, text, digests.text_hash(text, "limit"))
                    for number, text in enumerate(chunker.split(change.document))
                ),
            )
            for change in changes
            if isinstance(change, Upsert)
        ]

    def _each_batch(self, items: Sequence[Any], work: Callable[[Sequence[Any]], object]) -> None:
        with ThreadPoolExecutor(self._workers) as workers:
            list(workers.map(work, _batches(items)))


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    result = work()
    return time.monotonic() - started, result


def main(stage: str, config: str, catalog: str, source: str) -> None:
    """Measure one stage."""
    stages = Stages(
        parse_config(json.loads(Path(config).read_text())), json.loads(Path(catalog).read_text()), Path(source)
    )
    seconds, records = getattr(stages, stage)()
    print(json.dumps({"seconds": seconds, "records": records}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
