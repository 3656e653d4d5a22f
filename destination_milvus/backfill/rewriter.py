"""What moves records between two collections of one Milvus: in one process, or in each worker of a cluster."""

from __future__ import annotations

from collections.abc import Iterator

from destination_milvus import digests
from destination_milvus.backfill.commits import Commits
from destination_milvus.backfill.reembed import Reembedding, Rewriting, StoredChunks
from destination_milvus.config.models import Config
from destination_milvus.documents.partition import Partition
from destination_milvus.flow.commit import Committer
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.open import OpenCollection
from destination_milvus.milvus.scan import ROW_ID, Scan
from destination_milvus.model import Change, Delete, Embedder
from destination_milvus.write import batch_limits

KEYS_AT_ONCE = 500
"""That are looked for in the old collection."""


class Rewriter:
    """Writes the records of a collection into another one, and takes out of that what the first no longer has."""

    def __init__(
        self,
        config: Config,
        embedder: Embedder,
        source: OpenCollection,
        target: OpenCollection,
        partition: Partition | None,
    ) -> None:
        self.progress = Progress()
        self.reembedding = Reembedding(self.progress)
        self._source = source
        row_format = digests.row_format(
            "reembed", embedder.identity, target.collection.vector_field, target.collection.text_field
        )
        self._rewriting = Rewriting(source.collection, target.collection, row_format, partition)
        committer = Committer(
            store=target.store,
            embedder=embedder,
            chunker=StoredChunks(),
            row_format=row_format,
            skip_bad_records=config.advanced.bad_records == "skip",
        )
        self._commits = Commits(committer, batch_limits(config), self.progress)

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
