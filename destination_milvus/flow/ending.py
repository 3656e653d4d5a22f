"""How a sync ends: which streams are complete, and which of them are swept of older generations."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from destination_milvus.errors import TransientError
from destination_milvus.model import VectorStore
from destination_milvus.protocol.catalog import StreamName, StreamPlan

logger = logging.getLogger("airbyte.sync")


@dataclass
class Ending:
    """What is known when all that came is stored."""

    plans: Mapping[StreamName, StreamPlan]
    empty_streams: AbstractSet[StreamName] = frozenset()
    """Streams of which nothing was stored when the sync began: all that they have is of today."""
    statuses: dict[StreamName, str] = field(default_factory=dict)
    """What the source has said last of each stream."""
    streams_with_skipped_records: set[StreamName] = field(default_factory=set)
    """Of records that have a key: one without has no older version."""

    def sweep(self, store: VectorStore) -> int:
        """Take older generations out of the streams that are complete, and say how many records went.

        Raises:
            DestinationError: Milvus failed for good.
        """
        swept = 0
        for stream, plan in self.plans.items():
            if plan.generation is None or not plan.minimum_generation or not self._is_complete(stream):
                continue
            if stream in self.empty_streams:
                continue
            if plan.finds_again and stream in self.streams_with_skipped_records:
                logger.warning(
                    'Stream "%s" is not swept of older records: those that were skipped may be searchable in an older '
                    "version, which would be lost. The next refresh without bad records sweeps it.",
                    plan.identifier,
                )
                continue
            logger.info('Sweeping records of older generations from stream "%s".', plan.identifier)
            swept += store.sweep(plan.identifier, plan.generation, plan.minimum_generation, keyed=plan.finds_again)
        return swept

    def require_complete(self) -> None:
        """Refuse to end well where a stream has not.

        Raises:
            TransientError: one has not.
        """
        incomplete = [stream for stream in self.plans if not self._is_complete(stream)]
        if incomplete:
            names = ", ".join(f'"{self.plans[stream].identifier}"' for stream in incomplete)
            silent = "" if self.statuses else " No status COMPLETE came, which a catalog with generation_id asks for."
            raise TransientError(
                f"The source did not complete: {names}. Everything that came is stored and acknowledged, and older "
                f"records were left in place; sync again.{silent}",
                stream=incomplete[0],
            )

    def _is_complete(self, stream: StreamName) -> bool:
        """Without generations (old platforms, hand-made messages), an input without any status ends complete."""
        if not self.statuses and not self.plans[stream].awaits_complete:
            return True
        return self.statuses.get(stream) == "COMPLETE"
