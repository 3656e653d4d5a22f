"""What moves records between two collections of one Milvus: in one process, or in each worker of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from destination_milvus import digests
from destination_milvus.backfill.commits import Commits
from destination_milvus.backfill.reembed import Reembedding, Rewriting, StoredChunks
from destination_milvus.config.models import Config
from destination_milvus.documents.partition import Partition
from destination_milvus.errors import BadRecord
from destination_milvus.flow.commit import Committer
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.open import OpenCollection
from destination_milvus.milvus.scan import ROW_ID, Scan
from destination_milvus.model import Change, Delete, Embedder
from destination_milvus.write import batch_limits

KEYS_AT_ONCE = 500
"""That are looked for in the old collection."""


@dataclass(frozen=True)
class Pair:
    """Two collections on one Milvus, opened to move records from one to the other."""

    source: OpenCollection
    target: OpenCollection
    partition: Partition | None
    """Of the target, where it is by a field of the metadata."""


class Rewriter:
    """Writes the records of a collection into another one, and takes out of that what the first no longer has."""

    def __init__(
        self,
        config: Config,
        embedder: Embedder,
        pair: Pair,
        progress: Progress,
        skip: Callable[[BadRecord], None] | None = None,
    ) -> None:
        """Work with two collections.

        Args:
            config: names the new one.
            embedder: of the new model.
            pair: the collections.
            progress: counts.
            skip: takes the records that the model refuses; None for those who watch the progress.
        """
        self.reembedding = Reembedding(progress)
        self._source = pair.source
        target = pair.target.collection
        row_format = digests.row_format("reembed", embedder.identity, target.vector_field, target.text_field)
        self._rewriting = Rewriting(pair.source.collection, target, row_format, pair.partition)
        committer = Committer(
            store=pair.target.store,
            embedder=embedder,
            chunker=StoredChunks(),
            row_format=row_format,
            skip_bad_records=config.advanced.bad_records == "skip",
        )
        self._commits = Commits(committer, batch_limits(config), progress, skip)

    def rewrite(self, scan: Scan) -> None:
        """Write records of the old collection.

        Raises:
            DestinationError: something failed for good; what was written stays.
        """
        self._commits.commit(self.reembedding.upserts(scan.records(), self._rewriting))

    def remove_what_is_gone(self, scan: Scan) -> None:
        """Take records of the new collection out that the old one does not have. Raises as `rewrite`."""
        self._commits.commit(self._deletes(scan))

    def _deletes(self, scan: Scan) -> Iterator[tuple[Change, int]]:
        store = self._source.store
        for keys in scan.pages_of_keys():
            for start in range(0, len(keys), KEYS_AT_ONCE):
                portion = keys[start : start + KEYS_AT_ONCE]
                rows = {key: key.record_id.removeprefix(ROW_ID) for key in portion if key.record_id.startswith(ROW_ID)}
                heads = store.heads(key for key in portion if key not in rows)
                present = self._source.present(rows.values())
                gone = (key for key in portion if key not in heads and rows.get(key) not in present)
                yield from ((Delete(key), 0) for key in gone)
