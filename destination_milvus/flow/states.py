"""States on their way back, and the numbers of records that they tell. No IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from destination_milvus.protocol.catalog import StreamName
from destination_milvus.protocol.messages import State


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A state, with the numbers of records since the one before it."""

    state: State
    records: int
    rejected: int


@dataclass
class StateCounts:
    """Records accepted and rejected since the last state, a stream each."""

    accepted: dict[StreamName, int] = field(default_factory=dict)
    rejected: dict[StreamName, int] = field(default_factory=dict)
    refused: dict[StreamName, int] = field(default_factory=dict)
    """Records that were accepted, and skipped when their batch was committed; not yet told in a state."""

    def accept(self, stream: StreamName) -> None:
        """Count a record that will be stored."""
        self.accepted[stream] = self.accepted.get(stream, 0) + 1

    def reject(self, stream: StreamName) -> None:
        """Count a record that was skipped."""
        self.rejected[stream] = self.rejected.get(stream, 0) + 1

    def acknowledgement(self, state: State) -> Acknowledgement:
        """The state with its counts; a state of one stream counts that stream, any other counts all."""
        return Acknowledgement(state, _taken(self.accepted, state.stream), _taken(self.rejected, state.stream))

    def refuse(self, stream: StreamName) -> None:
        """Count an accepted record that the embedding model refused."""
        self.refused[stream] = self.refused.get(stream, 0) + 1

    def settled(self, acknowledgement: Acknowledgement) -> Acknowledgement:
        """The acknowledgement as it leaves: records that were refused since it was counted are rejected ones."""
        records = acknowledgement.records
        stream = acknowledgement.state.stream
        for name in [stream] if stream is not None else list(self.refused):
            late = min(self.refused.get(name, 0), records)
            self.refused[name] = self.refused.get(name, 0) - late
            records -= late
        late = acknowledgement.records - records
        return Acknowledgement(acknowledgement.state, records, acknowledgement.rejected + late)


def _taken(counts: dict[StreamName, int], stream: StreamName | None) -> int:
    if stream is not None:
        return counts.pop(stream, 0)
    total = sum(counts.values())
    counts.clear()
    return total
