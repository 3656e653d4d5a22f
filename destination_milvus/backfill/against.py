"""What a collection has already of records that would come: the look-ups of a sync, without what follows them."""

from __future__ import annotations

from dataclasses import dataclass

from destination_milvus import digests
from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.flow.reconcile import reconcile, rows_to_read, triage
from destination_milvus.model import Chunk, RecordKey, Upsert, VectorStore

RECORDS = 500
"""That are looked up at a time."""


@dataclass
class Compared:
    """Records of one stream, by what a sync would find."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    texts: int = 0
    """That would be embedded: those whose vectors are not stored."""
    tokens: int = 0
    """Of these."""


class Comparison:
    """Looks records up, a portion at a time."""

    def __init__(self, store: VectorStore, identity: str, row_format: str) -> None:
        """Compare with a collection.

        Args:
            store: of the collection.
            identity: of the embedding model.
            row_format: of the configuration, as `write.row_format` makes it.
        """
        self.streams: dict[str, Compared] = {}
        self._store = store
        self._identity = identity
        self._row_format = row_format
        self._waiting: dict[RecordKey, tuple[Upsert, list[str]]] = {}

    def add(self, upsert: Upsert, texts: list[str]) -> None:
        """Take a record and its chunks; the last of a key counts.

        Raises:
            DestinationError: the collection cannot be read.
        """
        if not upsert.lookup:  # append: every record is new
            compared = self._of(upsert.key.stream)
            compared.new += 1
            compared.texts += len(texts)
            compared.tokens += sum(map(count_tokens, texts))
            return
        self._waiting[upsert.key] = upsert, texts
        if len(self._waiting) >= RECORDS:
            self.finish()

    def finish(self) -> None:
        """Look up those that wait. Raises as `add`."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        heads = self._store.heads(waiting)
        sorted_out = triage((upsert for upsert, _ in waiting.values()), heads, self._row_format)
        candidates = {candidate.upsert.key for candidate in sorted_out.candidates}
        for key, (upsert, texts) in waiting.items():
            compared = self._of(key.stream)
            has_rows = bool(texts) or upsert.document.vector is not None
            compared.unchanged += key not in candidates
            compared.new += key in candidates and key not in heads and has_rows
            compared.changed += key in candidates and key in heads
        chunked = [
            (candidate, self._chunks(waiting[candidate.upsert.key][1]))
            for candidate in sorted_out.candidates
            if candidate.upsert.document.vector is None
        ]
        stored = self._store.read_rows(rows_to_read(chunked, (), heads))
        left = dict(reconcile(sorted_out, chunked, heads, stored, self._row_format).embed)
        for candidate, chunks in chunked:
            compared = self._of(candidate.upsert.key.stream)
            for chunk in chunks:
                if left.pop(chunk.text_hash, None) is not None:
                    compared.texts += 1
                    compared.tokens += count_tokens(chunk.text)

    def _of(self, stream: str) -> Compared:
        return self.streams.setdefault(stream, Compared())

    def _chunks(self, texts: list[str]) -> tuple[Chunk, ...]:
        return tuple(Chunk(number, text, digests.text_hash(text, self._identity)) for number, text in enumerate(texts))
