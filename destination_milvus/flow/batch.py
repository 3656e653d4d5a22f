"""A batch: changes and states as they come, until it is time to commit them. No IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from destination_milvus.flow.states import Acknowledgement
from destination_milvus.model import Change, Delete, RecordKey


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch closes, and how many are under way."""

    records: int = 256
    text_characters: int = 1_000_000
    """About 250,000 tokens: OpenAI takes 300,000 a request."""
    message_bytes: int = 4 * 1024 * 1024
    """Of records and states as they came: what a batch holds in memory until it is committed is a few times as much."""
    states: int = 10_000
    age_seconds: float = 30.0
    """Far inside the 15 minutes after which Airbyte's platform gives up on a destination without states."""
    batches_in_flight: int = 8


@dataclass
class Batch:
    """Changes and states in the order of their arrival; the last change of a record wins."""

    opened_at: float
    changes: dict[RecordKey, Change] = field(default_factory=dict)
    states: list[Acknowledgement] = field(default_factory=list)
    records: int = 0
    text_characters: int = 0
    message_bytes: int = 0

    def add(self, change: Change, size: int) -> None:
        """Fold a change in; `size` is that of its message in bytes."""
        self.records += 1
        self.changes[change.key] = change
        # of all versions, also of those that a later one replaced: bounds, not accounts
        self.message_bytes += size
        if not isinstance(change, Delete):
            self.text_characters += len(change.document.text)

    def add_state(self, acknowledgement: Acknowledgement) -> None:
        """Let a state ride along."""
        self.states.append(acknowledgement)
        self.message_bytes += acknowledgement.state.size

    def is_full(self, limits: BatchLimits) -> bool:
        """Whether it is to be committed now."""
        return (
            len(self.changes) >= limits.records
            or self.text_characters >= limits.text_characters
            or self.message_bytes >= limits.message_bytes
            or len(self.states) >= limits.states
        )

    def takes_states(self, limits: BatchLimits) -> bool:
        """Whether a state may still ride along, although the batch is under way."""
        return len(self.states) < limits.states and self.message_bytes < 2 * limits.message_bytes

    def __bool__(self) -> bool:
        return bool(self.changes or self.states)
