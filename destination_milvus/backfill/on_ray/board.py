"""What the processes of a cluster tell the driver while they work: an actor that they write to, and the driver reads.

It is for people who watch, and for errors. What decides how a load ends comes as data, with what was committed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from typing import Any, TypeAlias

from destination_milvus.backfill.meanwhile import repeated
from destination_milvus.backfill.source import Reading
from destination_milvus.embedding.usage import Usage
from destination_milvus.errors import DestinationError, unexpected
from destination_milvus.flow.progress import Progress
from destination_milvus.logs import log_to

logger = logging.getLogger("airbyte.backfill")

Handle: TypeAlias = Any
"""Of the board, as Ray makes it for a class."""

SECONDS_BETWEEN_LOOKS = 1.0

MOST_WORDS = 100
"""Lines of the workers' logs that wait for the driver; more are left out."""


@dataclass
class Worked:
    """What one worker has done since it began."""

    progress: Progress = field(default_factory=Progress)
    usage: Usage = field(default_factory=Usage)


@dataclass
class Seen:
    """What the driver reads of the board."""

    reading: Reading
    """How far the input is read, all parts together."""
    looked_through: int
    """Versions of records, for the newest ones."""
    older: int
    """Of these."""
    workers: list[Worked]
    words: list[tuple[int, str]]
    """Level and sentence, in the order in which they came."""


class Board:
    """The actor's class."""

    def __init__(self) -> None:
        self._parts: dict[int, Reading] = {}
        self._versions: dict[bytes, tuple[int, int]] = {}
        self._workers: dict[str, Worked] = {}
        self._words: dict[tuple[int, str], None] = {}
        self._failure: DestinationError | None = None

    def read(self, part: int, reading: Reading) -> None:
        """How far a part of the input is read; the last word counts, also of a task that began again."""
        self._parts[part] = reading

    def looked_through(self, partition: bytes, versions: int, older: int) -> None:
        """How many versions of records a partition had, and how many were not the newest."""
        self._versions[partition] = versions, older

    def worked(self, worker: str, worked: Worked) -> None:
        """How far a worker is."""
        self._workers[worker] = worked

    def said(self, level: int, text: str) -> None:
        """What a worker warns of; each sentence once."""
        if len(self._words) < MOST_WORDS:
            self._words.setdefault((level, text))

    def failed(self, error: DestinationError) -> None:
        """What ended a worker; the first one counts."""
        self._failure = self._failure or error

    def failure(self) -> DestinationError | None:
        """The first that came."""
        return self._failure

    def look(self) -> Seen:
        """All of it."""
        return Seen(
            Reading(*(sum(values) for values in zip(*map(astuple, self._parts.values()), strict=True))),
            sum(versions for versions, _ in self._versions.values()),
            sum(older for _, older in self._versions.values()),
            list(self._workers.values()),
            list(self._words),
        )


def start_board() -> Handle:
    """The actor, on the node of the driver: it is there as long as the driver is."""
    import ray  # noqa: PLC0415 - only where there is a cluster
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()


# --- on the side of the workers ---------------------------------------------------------------------------------------


class WorkerFailed(Exception):
    """What Ray is told of; the board has the rest. Ray writes errors into files, with what they were raised from."""


@contextmanager
def failures_told(board: Handle) -> Iterator[None]:
    """Errors go to the board.

    Raises:
        WorkerFailed: there was one.
    """
    import ray  # noqa: PLC0415 - there is a cluster

    try:
        yield
    except DestinationError as error:
        ray.get(board.failed.remote(error))
    except Exception as error:  # noqa: BLE001 - told to the driver
        ray.get(board.failed.remote(unexpected(error)))
    else:
        return
    raise WorkerFailed from None


class _Forwarding(logging.Handler):
    """Warnings of a worker, to the board."""

    def __init__(self, board: Handle) -> None:
        super().__init__()
        self._board = board

    def emit(self, record: logging.LogRecord) -> None:
        """Send one."""
        self._board.said.remote(record.levelno, record.getMessage())


def forward_warnings(board: Handle) -> None:
    """Let the driver tell what this process warns of, and nothing of what libraries log."""
    from destination_milvus.retries import tell_retries  # noqa: PLC0415 - of a worker only

    log_to(_Forwarding(board), logging.WARNING)
    tell_retries()


def tell_if_replaced() -> None:
    """Warn, where this worker is in the place of one that has died."""
    import ray  # noqa: PLC0415 - there is a cluster

    if ray.get_runtime_context().was_current_actor_reconstructed:
        logger.warning(
            "A worker has died and was replaced, by process %d of %s: what it was at is begun again, and what it had "
            "stored is found unchanged.",
            os.getpid(),
            os.uname().nodename,
        )


@contextmanager
def work_told(board: Handle, look: Callable[[], Worked]) -> Iterator[None]:
    """Tell meanwhile, now and then, how far this worker is."""
    worker = f"{os.uname().nodename} {os.getpid()}"

    def tell() -> None:
        board.worked.remote(worker, look())

    try:
        with repeated(tell, SECONDS_BETWEEN_LOOKS, "telling"):
            yield
    finally:
        tell()


# --- on the side of the driver ----------------------------------------------------------------------------------------


@contextmanager
def watched(board: Handle, see: Callable[[Seen], None]) -> Iterator[None]:
    """Meanwhile look at the board, and log what workers warn of.

    Args:
        board: the actor.
        see: takes what is on it.
    """
    import ray  # noqa: PLC0415 - there is a cluster

    told = set[tuple[int, str]]()

    def look() -> None:
        seen: Seen = ray.get(board.look.remote())
        for level, text in seen.words:
            if (level, text) not in told:
                told.add((level, text))
                logger.log(level, "%s", text)
        see(seen)

    def try_to_look() -> None:
        try:
            look()
        except Exception as error:  # noqa: BLE001 - the load itself fails then, with better words
            logger.debug("The board does not answer: %s", type(error).__name__)

    with repeated(try_to_look, SECONDS_BETWEEN_LOOKS, "looking"):
        yield
    look()
