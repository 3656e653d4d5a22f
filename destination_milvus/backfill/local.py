"""The engine of one machine: files in order through the sync that moves every other record."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from destination_milvus.backfill.source import Source
from destination_milvus.config.models import Config
from destination_milvus.embedding.usage import Usage
from destination_milvus.flow.progress import Progress
from destination_milvus.model import Json
from destination_milvus.protocol.inbox import Inbox
from destination_milvus.write import sync_steps

logger = logging.getLogger("airbyte.backfill")


def load(
    config: Config,
    catalog: Mapping[str, Json],
    source: Source,
    watch: Callable[[Progress, Callable[[], Usage]], None] = lambda _, __: None,
) -> None:
    """Load what a source has, in one process and bounded memory.

    Args:
        config: parsed.
        catalog: the configured catalog, as protocol JSON; its schemas decide about columns.
        source: files that were looked into.
        watch: is given what counts and what tells the costs, before the first record is taken.

    Raises:
        DestinationError: it did not complete; what came before is stored.
    """
    with closing(Inbox(source.blocks())) as inbox:
        steps = sync_steps(config, catalog, source.survey.plans, inbox, _no_states, watch=watch, what="Backfill")
        # exhausted in C, as in `write_stream`
        deque(steps, maxlen=0)


def _no_states(lines: Sequence[bytes]) -> None:
    """Files have none to give back."""
    assert not lines  # noqa: S101
