"""Changes without messages: committed in batches, several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from destination_milvus.errors import BadRecord
from destination_milvus.flow.batch import Batch, BatchLimits
from destination_milvus.flow.commit import Committed, Committer
from destination_milvus.flow.progress import Progress
from destination_milvus.flow.window import Window
from destination_milvus.model import Change


@dataclass
class Commits:
    """What commits changes, and counts them."""

    committer: Committer
    limits: BatchLimits
    progress: Progress = field(default_factory=Progress)
    skip: Callable[[BadRecord], None] | None = None
    """Takes the records that the model has refused; None for those who watch the progress."""

    def commit(self, changes: Iterable[tuple[Change, int]]) -> None:
        """Commit changes, each with its size in bytes; all are durable at the end.

        Raises:
            DestinationError: something failed for good; what was committed stays.
        """
        window = Window(self.committer.commit, self.limits.batches_in_flight)
        batch = Batch(time.monotonic())
        try:
            for change, size in changes:
                batch.add(change, size)
                if batch.is_full(self.limits):
                    self._submit(window, batch)
                    batch = Batch(time.monotonic())
                    self.progress.tick()
            self._submit(window, batch)
            while len(window):
                self._count(*window.wait())
                self.progress.tick()
        except BaseException:
            window.close(abandon=True)
            raise
        window.close(abandon=False)

    def _submit(self, window: Window, batch: Batch) -> None:
        while window.is_full:
            self._count(*window.wait())
        window.submit(batch)

    def _count(self, batch: Batch, committed: Committed) -> None:
        self.progress.count(batch.records, committed)
        for error in committed.bad:
            (self.skip or self.progress.skip)(error)
