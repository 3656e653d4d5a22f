"""The window: batches under way at the same time, given back in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from destination_milvus.flow.batch import Batch
from destination_milvus.flow.commit import Committed
from destination_milvus.model import Change


@dataclass(frozen=True, slots=True)
class InFlight:
    """A batch that was handed over, and what will come of it."""

    batch: Batch
    outcome: Future[Committed]


class Window:
    """Commits up to W batches at once, and gives them back in the order of submission.

    A batch that shares a record with an earlier unfinished one waits for it, so that versions never overtake each
    other. No deadlock: workers start batches in order, so what a batch waits for has always started.
    """

    def __init__(self, commit: Callable[[Sequence[Change]], Committed], size: int) -> None:
        self._commit = commit
        self._size = size
        self._in_flight: deque[InFlight] = deque()
        self._workers = ThreadPoolExecutor(size, thread_name_prefix="commit")

    def submit(self, batch: Batch) -> None:
        """Hand a batch over; only while there is room."""
        earlier = [
            flight.outcome for flight in self._in_flight if not flight.batch.changes.keys().isdisjoint(batch.changes)
        ]
        outcome = self._workers.submit(self._run, list(batch.changes.values()), earlier)
        self._in_flight.append(InFlight(batch, outcome))

    def _run(self, changes: Sequence[Change], earlier: Sequence[Future[Committed]]) -> Committed:
        for outcome in earlier:
            outcome.result()  # if it failed, this one must not overtake it: it fails too
        return self._commit(changes) if changes else Committed()

    @property
    def is_full(self) -> bool:
        """Whether a batch has to be taken back before another is submitted."""
        return len(self._in_flight) >= self._size

    @property
    def has_failed(self) -> bool:
        """Whether a batch that is done has failed."""
        return any(flight.outcome.done() and flight.outcome.exception() for flight in self._in_flight)

    def finished(self) -> Iterator[tuple[Batch, Committed]]:
        """The batches at the front that are done, without waiting. Raises what a failed one raised."""
        while self._in_flight and self._in_flight[0].outcome.done():
            yield self._take()

    def wait(self) -> tuple[Batch, Committed]:
        """The batch at the front, waited for. Raises what it raised."""
        self._in_flight[0].outcome.result()
        return self._take()

    def _take(self) -> tuple[Batch, Committed]:
        flight = self._in_flight[0]
        committed = flight.outcome.result()
        self._in_flight.popleft()
        return flight.batch, committed

    @property
    def newest(self) -> Batch | None:
        """The batch that was submitted last, if it was not taken back yet."""
        return self._in_flight[-1].batch if self._in_flight else None

    def __len__(self) -> int:
        return len(self._in_flight)

    def close(self, *, abandon: bool) -> None:
        """Stop the workers; `abandon` leaves what they are at."""
        self._workers.shutdown(wait=not abandon, cancel_futures=abandon)
