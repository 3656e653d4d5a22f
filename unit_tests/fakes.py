"""The two edges of the network in memory: a store that fails on schedule and an embedder that counts."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

from destination_milvus.collection import Collection
from destination_milvus.digests import chunk_key
from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT, GENERATION, PRIMARY_KEY, STREAM
from destination_milvus.milvus.phases import Upserts, phases
from destination_milvus.milvus.rows import is_vouched_for, record_of, stored_row
from destination_milvus.model import PENDING, Document, Head, Json, Plan, RecordKey, Refusal, StoredRow, Vector

DIMENSIONS = 4

COLLECTION = Collection(key_field=PRIMARY_KEY, auto_id=False, vector_field="vector", text_field="text")
LITE_COLLECTION = Collection(
    key_field=PRIMARY_KEY, auto_id=False, vector_field="vector", text_field="text", merges_upserts=True
)

Entity = Mapping[str, Json]


def vector_of(text: str) -> Vector:
    """The one vector of a text."""
    return array("f", list(blake2b(text.encode(), digest_size=DIMENSIONS).digest()))


class BarChunker:
    """Cuts at every bar: the text `a|b|a` has three chunks."""

    max_bytes = 65_535

    def split(self, document: Document) -> list[str]:
        """The pieces that are not empty."""
        return [piece for piece in document.text.split("|") if piece]


@dataclass
class CountingEmbedder:
    """Gives each text its vector and remembers what it was asked."""

    refused: frozenset[str] = frozenset()
    """Texts that it will not embed."""
    before: Callable[[Sequence[str]], None] = lambda _: None
    """Called with the texts of each request; what it raises, the request raises."""
    texts: list[str] = field(default_factory=list)
    identity: str = "fake/deterministic"
    dimensions: int = DIMENSIONS
    max_tokens: int = 8191

    def embed(self, texts: Sequence[str]) -> list[Vector | Refusal]:
        """As `Embedder.embed`."""
        assert all(texts)
        assert len(set(texts)) == len(texts), "equal texts are embedded once"
        self.before(texts)
        self.texts.extend(texts)
        return [Refusal("the model refuses it") if text in self.refused else vector_of(text) for text in texts]


class Crash(BaseException):
    """The process is gone: kill -9."""


@dataclass(frozen=True)
class Fault:
    """What happens to one call of the store."""

    call: int
    """Which one, from 0; reads count."""
    applied: int = -1
    """Bit i: whether row i of the call is applied before it fails. 0 for none, -1 for all (a lost acknowledgement)."""
    error: BaseException | None = None
    """What the call then raises; None where the same call is sent again and succeeds."""


class FakeStore:
    """A collection in memory, as a `VectorStore`, written through the phases of the commit procedure."""

    def __init__(
        self,
        entities: dict[str, Entity] | None = None,
        *,
        collection: Collection = COLLECTION,
        faults: Iterable[Fault] = (),
        rows_a_call: int = 1_000,
        watch: Callable[[FakeStore], None] = lambda _: None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """A store over `entities`; `watch` looks at it after every change, `pause` takes the time of a call."""
        self.entities: dict[str, Entity] = {} if entities is None else entities
        self.collection = collection
        self.calls = 0
        self.writes = 0
        self.dead = False
        self._faults = {fault.call: fault for fault in faults}
        self._rows_a_call = rows_a_call
        self._watch = watch
        self._pause = pause
        self._lock = threading.RLock()

    def heads(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Head]:
        """As `VectorStore.heads`."""
        with self._call():
            found = {key: self.entities.get(chunk_key(key, 0)) for key in keys}
            return {key: Head(row[FINGERPRINT], row[CHUNKS]) for key, row in found.items() if row is not None}

    def read_rows(self, counts: Mapping[RecordKey, int]) -> dict[RecordKey, dict[int, StoredRow]]:
        """As `VectorStore.read_rows`."""
        with self._call():
            stored: dict[RecordKey, dict[int, StoredRow]] = {}
            for key, count in counts.items():
                for number in range(count):
                    raw = self.entities.get(chunk_key(key, number))
                    if raw is not None:
                        stored.setdefault(key, {})[number] = stored_row(raw, self.collection)
            return stored

    def apply(self, plan: Plan, vectors: Mapping[str, Vector]) -> None:
        """As `VectorStore.apply`: each phase whole before the next."""
        for phase in phases(plan, vectors, self.collection):
            if isinstance(phase, Upserts):
                self._write((str(entity[self.collection.key_field]), entity) for entity in phase.entities)
            else:
                self._write((key, None) for key in phase.primary_keys)

    def lowest_generation(self, stream: str) -> int:
        """As `VectorStore.lowest_generation`."""
        with self._call():
            return min([0, *(row[GENERATION] for row in self.entities.values() if row[STREAM] == stream)])

    def sweep(self, stream: str, generation: int, minimum: int, *, keyed: bool) -> int:
        """As `VectorStore.sweep`, in pages of two heads."""

        def stale(row: Entity) -> bool:
            found = row[GENERATION]
            older = found != generation if minimum >= generation else found < minimum
            return bool(row[STREAM] == stream and older)

        if not keyed and minimum >= generation:
            self._write([(key, None) for key, row in self.entities.items() if stale(row)])
            return 0
        swept = 0
        while page := self._stale_heads(stream, stale):
            self._write([(chunk_key(record_of(row), number), None) for row in page for number in range(1, row[CHUNKS])])
            self._write([(chunk_key(record_of(row), 0), None) for row in page])
            swept += len(page)
        with self._call():
            chunks = {record_of(row): row[CHUNKS] for row in self.entities.values() if row[CHUNK] == 0}
            rows = [(key, row) for key, row in self.entities.items() if stale(row)]
        self._write([(key, None) for key, row in rows if not is_vouched_for(row, chunks, self.collection)])
        return swept

    def _stale_heads(self, stream: str, stale: Callable[[Entity], bool]) -> list[Entity]:
        with self._call():
            heads = [row for row in self.entities.values() if row[CHUNK] == 0 and row[STREAM] == stream]
            return [row for row in heads if stale(row) or row[FINGERPRINT] == PENDING][:2]

    def records(self) -> dict[RecordKey, dict[int, Entity]]:
        """All rows by record and number, as a reader would find them; no call."""
        with self._lock:
            found: dict[RecordKey, dict[int, Entity]] = {}
            for row in self.entities.values():
                found.setdefault(record_of(row), {})[row[CHUNK]] = row
            return found

    def kill(self) -> None:
        """From now on nothing gets through: workers that still run are those of a dead process."""
        with self._lock:
            self.dead = True

    def _write(self, rows: Iterable[tuple[str, Entity | None]]) -> None:
        remaining = iter(rows)
        while call := list(islice(remaining, self._rows_a_call)):
            with self._call(call):
                self.writes += 1
                self._put(call)

    @contextmanager
    def _call(self, rows: Sequence[tuple[str, Entity | None]] = ()) -> Iterator[None]:
        """One call, with what is to happen to it; its body is the server's answer."""
        self._pause()
        with self._lock:
            if self.dead:
                raise Crash
            fault = self._faults.pop(self.calls, None)
            self.calls += 1
            if fault is not None:
                self._put([row for number, row in enumerate(rows) if fault.applied >> (number % 16) & 1])
                self.dead = isinstance(fault.error, Crash)
            if fault is not None and fault.error is not None:
                raise fault.error
            yield

    def _put(self, rows: Iterable[tuple[str, Entity | None]]) -> None:
        for key, entity in rows:
            if entity is None:
                self.entities.pop(key, None)
            elif self.collection.merges_upserts:
                self.entities[key] = {**self.entities.get(key, {}), **entity}
            else:
                self.entities[key] = dict(entity)
        self._watch(self)


def texts_of(rows: Mapping[int, Entity]) -> Iterator[str]:
    """The texts of a record's rows, in order."""
    return (rows[number]["text"] for number in sorted(rows))
