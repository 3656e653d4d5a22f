"""What is known to be absent: records of streams that were empty when the sync began. No IO."""

from __future__ import annotations

from collections.abc import Iterable

from destination_milvus.model import Change, Delete, Upsert
from destination_milvus.protocol.catalog import StreamName


class AbsentRecords:
    """Knows, of streams that were empty when the sync began, which records were not written since.

    They need no look at what is stored, and that look is a third of the cost of a first sync. One bit stands for a
    record, by its hash: where two records share one, the second is looked up for nothing.
    """

    BITS = 2**26
    """8 MiB, whatever the size of the sync: of a million records 1.5 % share a bit, of ten million 14 %."""

    def __init__(self, empty_streams: Iterable[StreamName]) -> None:
        self._streams = frozenset(empty_streams)
        self._written = bytearray(self.BITS // 8 if self._streams else 0)

    def marked(self, stream: StreamName, change: Change) -> Change:
        """The change, told that its record is not stored where that is known; from now on it may be."""
        if stream not in self._streams:
            return change
        place, bit = divmod(hash(change.key) % self.BITS, 8)
        may_be_written = self._written[place] & (1 << bit)
        self._written[place] |= 1 << bit
        if may_be_written or isinstance(change, Delete):
            return change
        # not by dataclasses.replace, which takes five times as long
        return Upsert(change.key, change.generation, change.document, change.lookup, known_absent=True)
