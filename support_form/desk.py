"""The desk: takes a case in, finds what is known about it, and stores what is new.

    case → vector → open tickets of the organization ─┬─► AlreadyOpen
                                                      └─► articles, ticket stored ─► Received

A connection is held for one visit to Milvus and no longer: Milvus Lite lets one process at a time have a database, and
the next sync must find it free.
"""

from __future__ import annotations

import io
import logging
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeAlias

import orjson

from destination_milvus import digests
from destination_milvus.config.environment import VARIABLES
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import CollectionMissing, ConfigError, DestinationError, ModelMismatch, TransientError
from destination_milvus.milvus.address import described, is_embedded
from destination_milvus.milvus.filters import records_filter
from destination_milvus.milvus.reader import Reader, open_reader
from destination_milvus.model import Embedder, Json, Refusal, Vector
from destination_milvus.write import write_stream
from support_form import search
from support_form.customers import Customer
from support_form.search import Article, Near, Ticket
from support_form.settings import Settings

logger = logging.getLogger("support_form")

CALL_TIMEOUT = 10.0
"""Seconds for one call: somebody is watching."""

EMBEDDING_DEADLINE = 20.0
"""Seconds for which an embedding request is tried again."""

MOST_TICKETS, MOST_ARTICLES = 3, 5
"""How many are shown."""

ROWS_SEARCHED = 50
"""A record has several rows; so many leave enough records."""

NUMBERS = 900_000_000
"""Ticket numbers of nine digits are drawn at random: a source counts its own from 1."""

CATALOG: Mapping[str, Json] = {
    "streams": [
        {
            "stream": {"name": search.TICKETS, "json_schema": {}, "supported_sync_modes": ["incremental"]},
            "sync_mode": "incremental",
            "destination_sync_mode": "append_dedup",
            "cursor_field": ["generated_timestamp"],
            "primary_key": [["id"]],
        }
    ]
}


@dataclass(frozen=True, slots=True)
class Case:
    """What a customer reports."""

    number: int
    """Of the ticket that it becomes: a case that is submitted twice becomes one ticket."""
    customer: Customer
    subject: str
    description: str

    @property
    def text(self) -> str:
        """What is embedded."""
        return f"{self.subject}\n\n{self.description}"


@dataclass(frozen=True, slots=True)
class AlreadyOpen:
    """The organization reported it before; nothing was stored."""

    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """The case is stored as a ticket."""

    number: int
    articles: tuple[Article, ...]


Outcome: TypeAlias = AlreadyOpen | Received


class DeskClosed(Exception):
    """The desk cannot take cases now."""

    def __init__(self, headline: str, detail: str) -> None:
        super().__init__(headline)
        self.headline = headline
        """For the customer: what this means to them."""
        self.detail = detail
        """For whoever runs the form: what is wrong and what to do. Holds no secret."""


def draw_number() -> int:
    """A number for a new case."""
    return 100_000_000 + secrets.randbelow(NUMBERS)


class Desk:
    """One collection and the model that it was filled with. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Load the model; connects to nothing.

        Raises:
            DeskClosed: the settings cannot be.
        """
        with explained():
            self._settings = settings
            self._thresholds = settings.thresholds
            self._config = settings.destination
            self._embedder: Embedder = create_embedder(
                self._config.embedding, self._config.advanced, deadline=EMBEDDING_DEADLINE
            )
        # closing a Milvus Lite database closes it for every thread: one at a time
        embedded = is_embedded(self._config.indexing.host)
        self._turn: AbstractContextManager[Any] = threading.Lock() if embedded else nullcontext()

    def require_open(self) -> None:
        """Look whether a case could be taken in.

        Raises:
            DeskClosed: it could not.
        """
        with explained(), self._reading():
            pass

    def submit(self, case: Case, *, is_different: bool = False) -> Outcome:
        """Take a case in.

        Args:
            case: what is reported.
            is_different: the customer has seen the open tickets and says that this is another problem.

        Raises:
            DeskClosed: it did not work, and may be tried again with the same case.
        """
        with explained(), self._reading() as records:
            vector = self._vector(case.text)
            organization = case.customer.organization_id
            if not is_different:
                asked = search.open_tickets_filter(organization, but=case.number)
                found = records.nearest(vector, asked, search.TICKET_FIELDS)
                tickets = search.same_problem(found, organization, self._thresholds.duplicate, MOST_TICKETS)
                if tickets:
                    return AlreadyOpen(tickets)
            # before the ticket is stored: once it is, nothing may fail
            found = records.nearest(vector, search.articles_filter(), search.ARTICLE_FIELDS)
            articles = search.helpful(found, self._thresholds.article, MOST_ARTICLES)
            number = self._free_number(case, records)
            self._store(ticket_of(case, number, datetime.now(timezone.utc)))
            return Received(number, articles)

    def _vector(self, text: str) -> Vector:
        [vector] = self._embedder.embed([text])
        if isinstance(vector, Refusal):
            raise ConfigError(f"The embedding model refuses the text: {vector.reason}.")
        return vector

    def _free_number(self, case: Case, records: _Records) -> int:
        """The case's own number, or another one where somebody else's ticket has it."""
        number = case.number
        while (holder := records.ticket(number)) is not None and not _is_same(holder, case):
            number = draw_number()
        return number

    def _store(self, ticket: Mapping[str, Json]) -> None:
        """A sync of one record. The state behind it comes back once the ticket is durable."""
        states: list[bytes] = []
        write_stream(self._config, CATALOG, io.BytesIO(_messages(ticket)), states.extend)
        if not states:
            raise TransientError("The ticket was not acknowledged.")

    @contextmanager
    def _reading(self) -> Iterator[_Records]:
        """The collection, found to be the right one and loaded; let go of afterwards."""
        with self._turn, ExitStack() as visit:
            try:
                reader = visit.enter_context(open_reader(self._config, self._embedder, timeout=CALL_TIMEOUT))
            except CollectionMissing as error:
                raise _nothing_yet(error) from error
            except TransientError as error:
                if is_embedded(self._config.indexing.host):
                    raise _busy(self._config.indexing.host) from error
                raise
            yield _Records(reader)


@dataclass(frozen=True, slots=True)
class _Records:
    """The two questions that the desk asks."""

    reader: Reader

    def nearest(self, vector: Vector, condition: str, fields: Sequence[str]) -> list[Near]:
        """The records nearest to a vector among those of a condition, nearest first."""
        found = self.reader.search(vector, filter=condition, fields=fields, limit=ROWS_SEARCHED)
        return search.nearest_rows(found, self.reader.collection.metric_type)

    def ticket(self, number: int) -> Mapping[str, Json] | None:
        """The stored ticket of a number."""
        wanted = records_filter(search.TICKETS, [digests.record_id(search.TICKETS, [number])])
        found = self.reader.query(wanted, ["subject", "description", "organization_id"], limit=1)
        return dict(found[0]) if found else None


def ticket_of(case: Case, number: int, now: datetime) -> dict[str, Json]:
    """The case as a record of Zendesk's `tickets`."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": number,
        "subject": case.subject,
        "description": case.description,
        "status": "new",
        "organization_id": case.customer.organization_id,
        "tags": ["support-form"],
        "created_at": moment,
        "updated_at": moment,
        "generated_timestamp": int(now.timestamp()),
    }


def _messages(ticket: Mapping[str, Json]) -> bytes:
    record = {"stream": search.TICKETS, "data": ticket, "emitted_at": ticket["generated_timestamp"] * 1000}
    state = {"stream_descriptor": {"name": search.TICKETS}, "stream_state": {}}
    messages = (
        {"type": "RECORD", "record": record},
        {"type": "STATE", "state": {"type": "STREAM", "stream": state}},
    )
    return b"".join(orjson.dumps(message) + b"\n" for message in messages)


def _is_same(stored: Mapping[str, Json], case: Case) -> bool:
    """Whether a stored ticket is this case, submitted before by an attempt whose answer got lost."""
    said = (case.subject, case.description, case.customer.organization_id)
    return (stored.get("subject"), stored.get("description"), stored.get("organization_id")) == said


# --- what went wrong, for the customer and for whoever runs the form --------------------------------------------------


def _nothing_yet(error: CollectionMissing) -> DeskClosed:
    return DeskClosed(
        "There is nothing to search yet",
        f"{error.named(VARIABLES)} Run `make demo` in a checkout of destination-milvus and start the form there, or "
        "set MILVUS_URL to where you have synced your own source, then try again.",
    )


def _busy(host: str) -> DeskClosed:
    return DeskClosed(
        "Our records are being updated",
        f"{described(host)} cannot be opened. It serves one process at a time: if the demo or another sync is running, "
        "wait until it has ended, then try again.",
    )


@contextmanager
def explained() -> Iterator[None]:
    """The destination's errors in the words of the form."""
    try:
        yield
    except DestinationError as error:
        logger.warning("%s", error.message)
        raise DeskClosed(_headline(error), error.named(VARIABLES)) from error


def _headline(error: DestinationError) -> str:
    if isinstance(error, ModelMismatch):
        return "This form and its records do not fit together"
    if isinstance(error, ConfigError):
        return "This form is not set up completely"
    return "We cannot reach our records right now"
