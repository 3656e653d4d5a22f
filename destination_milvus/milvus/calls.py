"""The calls to one collection: each with a timeout, tried again while Milvus is away, in pages and portions that fit.

All reads are strong: a server's default, bounded staleness, hides rows that were just written. Every call has a
timeout: a hung server would otherwise block for ever. All writes are idempotent but inserts, which are counted: a call
whose answer got lost is sent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from destination_milvus.collection import Collection
from destination_milvus.config.indexing import Indexing
from destination_milvus.errors import DestinationError, InternalError, TransientError
from destination_milvus.milvus.address import is_embedded
from destination_milvus.milvus.errors import is_message_too_large, is_retryable, is_still_loading, translated
from destination_milvus.milvus.rows import MAX_ROWS_A_CALL, portions
from destination_milvus.model import Json
from destination_milvus.retries import Retries, RetryLater, with_retries

if TYPE_CHECKING:
    from pymilvus import MilvusClient

T = TypeVar("T")
RawRow = Mapping[str, Json]
"""A row as pymilvus returns it."""

CALL_TIMEOUT = 120.0
"""Seconds for one call. Milvus Lite flushes for tens of seconds under its lock once it holds many rows."""

RETRIES = Retries(deadline=300.0, first_wait=0.2, longest_wait=10.0)
"""Long enough for a server to restart."""

LOADING_TIMEOUT = CALL_TIMEOUT
"""Seconds after which a collection that is being loaded is asked how far it is."""

READ_PAGE = 500
"""Whole rows a read: a strong read costs a server 0.2 s whatever its size, and so many stay below its 64 MiB."""

ROWS_PAGE = 10_000
"""Rows a read where only their keys and numbers are read."""


class Calls:
    """The calls to a collection. Safe to use from several threads."""

    def __init__(self, client: MilvusClient, indexing: Indexing, collection: Collection) -> None:
        self.collection = collection
        self.indexing = indexing
        self._client = client
        self._name = collection.name
        self._inserts = _counted_inserts(client)
        # Milvus Lite has one writer a collection
        embedded = is_embedded(indexing.host)
        self._writing: AbstractContextManager[Any] = threading.Lock() if embedded else nullcontext()
        self._loading = threading.Lock()
        self._is_loaded = False

    def load(self) -> None:
        """Wait until the collection can be read and searched; at once where it can.

        A large one takes its time: as long as it gets on, however long that is.

        Raises:
            DestinationError: Milvus cannot load it, or has not got on with it for as long as calls are tried again.
        """
        with self._loading:
            progress, since = -1, time.monotonic()
            while not self._is_loaded:
                failure = self._load()
                if failure is None:
                    self._is_loaded = True
                    return
                state = self._call(lambda: self._client.get_load_state(self._name, timeout=CALL_TIMEOUT))
                now = state.get("progress", 0)
                if now > progress:
                    progress, since = now, time.monotonic()
                elif time.monotonic() - since > RETRIES.deadline:
                    raise failure

    def _load(self) -> _StillLoading | None:
        try:
            self._call(lambda: self._client.load_collection(self._name, timeout=LOADING_TIMEOUT))
        except _StillLoading as failure:
            return failure
        return None

    # --- reading

    def get(
        self, primary_keys: Sequence[str], output_fields: list[str], page_size: int = READ_PAGE
    ) -> Iterator[RawRow]:
        """The rows of these primary keys that there are, in any order."""
        return self.paged(
            primary_keys,
            lambda page: self._read(
                lambda: self._client.get(
                    self._name,
                    ids=list(page),
                    output_fields=output_fields,
                    consistency_level="Strong",
                    timeout=CALL_TIMEOUT,
                )
            ),
            page_size,
        )

    def query(self, query_filter: str, output_fields: list[str], limit: int | None = None) -> Sequence[RawRow]:
        """The rows that a filter finds; of more than `limit` any so many."""
        limits = {} if limit is None else {"limit": limit}
        return self._read(
            lambda: self._client.query(
                self._name,
                filter=query_filter,
                output_fields=output_fields,
                consistency_level="Strong",
                timeout=CALL_TIMEOUT,
                **limits,
            )
        )

    def paged(
        self, items: Sequence[str], read: Callable[[Sequence[str]], Sequence[RawRow]], page_size: int = READ_PAGE
    ) -> Iterator[RawRow]:
        """Read in pages; one whose answer may be too large is read in halves.

        Where that is not the limit of a message but one of the server's own (`quotaAndLimits.limits.maxOutputSize`),
        each version says so in other words and under another code: every refusal without a meaning counts.
        """
        pages = [items[start : start + page_size] for start in range(0, len(items), page_size)]
        while pages:
            page = pages.pop(0)
            try:
                yield from read(page)
            except (_MessageTooLarge, InternalError):
                if len(page) == 1:
                    raise
                pages[:0] = [page[: len(page) // 2], page[len(page) // 2 :]]

    def _read(self, call: Callable[[], T]) -> T:
        self.load()
        return self._call(call)

    # --- writing

    def upsert(self, entities: Iterable[RawRow]) -> None:
        """Put rows in the place of those with the same primary key."""
        for portion in portions(list(entities), self.collection.vector_field):
            self._write(self._client.upsert, portion)

    def insert(self, portion: Sequence[RawRow]) -> tuple[Sequence[Json], bool]:
        """Add rows that fit one message.

        Returns:
            Their primary keys, and whether the request is known to have been sent just once: one that was sent again
            may have been applied before.
        """
        before = self._inserts.made
        answer = self._write(self._client.insert, portion)
        return answer["ids"], self._inserts.made == before + 1

    def delete(self, primary_keys: Iterable[Json]) -> None:
        """Take out rows; those that are not there do no harm."""
        remaining = list(primary_keys)
        for start in range(0, len(remaining), MAX_ROWS_A_CALL):
            self._write(self._client.delete, ids=remaining[start : start + MAX_ROWS_A_CALL])

    def delete_matching(self, query_filter: str) -> None:
        """Take out all rows that a filter finds."""
        self._write(self._client.delete, filter=query_filter)

    def _write(self, call: Callable[..., Any], *data: Json, **selection: Json) -> Any:  # noqa: ANN401 - pymilvus' answers
        with self._writing:
            return self._call(lambda: call(self._name, *data, timeout=CALL_TIMEOUT, **selection))

    def _call(self, call: Callable[[], T]) -> T:
        """One call, tried again while the server is away or overloaded.

        Raises:
            DestinationError: it failed for good.
        """
        return with_retries(lambda: self._once(call), RETRIES)

    def _once(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> DestinationError:
        failure = translated(error, self.indexing)
        if is_message_too_large(error):
            return _MessageTooLarge(failure.marked)
        if is_still_loading(error):
            return _StillLoading(failure.marked)
        return RetryLater(failure.marked) if is_retryable(error) else failure


class _MessageTooLarge(TransientError):
    """An answer exceeds the limit of a message."""


class _StillLoading(TransientError):
    """A collection was not loaded in time; it goes on being loaded."""


class _Requests(threading.local):
    """How many requests a thread has made, those included that pymilvus repeats by itself."""

    made = 0


def _counted_inserts(client: MilvusClient) -> _Requests:
    """A count of the insert requests that a connection makes from now on.

    A version of pymilvus that makes them elsewhere leaves it at 0: then no insert is known to have been sent just once.
    """
    connection = client._get_connection()  # noqa: SLF001 - its requests are made nowhere else
    prepare = getattr(connection, "_prepare_row_insert_request", None)
    requests = _Requests()
    if prepare is not None:

        def counted(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - pymilvus'
            requests.made += 1
            return prepare(*arguments, **options)

        connection._prepare_row_insert_request = counted  # noqa: SLF001
    return requests
