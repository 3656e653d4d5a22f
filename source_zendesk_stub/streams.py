"""A stream whose records are made while they are read, and the state that remembers how far."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.sources.streams.core import CheckpointMixin

from source_zendesk_stub.errors import refusal
from source_zendesk_stub.feeds import records_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from airbyte_cdk.models import SyncMode

    from source_zendesk_stub.config import Settings
    from source_zendesk_stub.feeds import Feed
    from source_zendesk_stub.timeline import Version

CURSOR_FIELDS = {
    "articles": "updated_at",
    "organizations": "updated_at",
    "tickets": "generated_timestamp",
    "users": "updated_at",
}
"""The streams and their cursors, as in Airbyte's Zendesk Support source."""


class GeneratedStream(Stream, CheckpointMixin):
    """A stream whose records are made while they are read.

    The state is the moment of the last delivered change in epoch seconds, as a string, under the cursor's
    name. No two changes of a stream share a second and they are read in order: a read from a state is exact.
    """

    primary_key = "id"

    def __init__(self, name: str, feed: Feed, settings: Settings) -> None:
        """A stream called `name` over `feed`, as of `settings.day`."""
        self.name = name
        self._feed = feed
        self._settings = settings
        self._position: int | None = None

    @property
    def cursor_field(self) -> str:
        """The field whose value orders the records."""
        return CURSOR_FIELDS[self.name]

    @property
    def state_checkpoint_interval(self) -> int:
        """How many records go by between two states."""
        return self._settings.state_frequency

    @property
    def state(self) -> MutableMapping[str, Any]:
        """The position after the record that was delivered last; empty before the first one."""
        return {} if self._position is None else {self.cursor_field: str(self._position)}

    @state.setter
    def state(self, value: MutableMapping[str, Any]) -> None:
        self._position = position_in(value, self.name)

    def read_records(
        self,
        sync_mode: SyncMode,  # noqa: ARG002 - the CDK's signature
        cursor_field: list[str] | None = None,  # noqa: ARG002
        stream_slice: Mapping[str, Any] | None = None,  # noqa: ARG002
        stream_state: Mapping[str, Any] | None = None,  # noqa: ARG002 - the state property holds it
    ) -> Iterable[Mapping[str, Any]]:
        """The records that changed since the state, a page at a time.

        The position moves before a record is handed out, because the CDK asks for the state right after it; of several
        records of one moment, before the last one: a read that resumes between them brings all of them again.
        """
        for page in self._pages():
            for updated, records in page:
                *others, last = records
                yield from others
                self._position = updated
                yield last

    def _pages(self) -> Iterator[list[tuple[int, list[dict[str, object]]]]]:
        """Records with their moments, in pages as an API gives them."""
        changes = ((version.updated, records_of(self._feed, version)) for version in self._versions())
        while page := list(islice(changes, self._settings.page_size)):
            yield page

    def _versions(self) -> Iterator[Version]:
        """The versions to deliver. Without a state there is nothing yet that a deletion could concern."""
        start = self._settings.start_date
        after = max(-1 if start is None else start - 1, -1 if self._position is None else self._position)
        return self._feed.timeline.versions(self._settings.day, after, deletions=self._position is not None)


def position_in(state: Mapping[str, Any], stream: str) -> int | None:
    """The epoch second that a stream's state holds, None for an empty state; anything else is refused."""
    if not state:
        return None
    cursor_field = CURSOR_FIELDS[stream]
    value = str(state.get(cursor_field, ""))
    if re.fullmatch(r"[0-9]{1,12}", value):
        return int(value)
    raise refusal(
        f"The state of the stream '{stream}' cannot be read: it must hold epoch seconds under '{cursor_field}', "
        f'such as {{"{cursor_field}": "1767312024"}}. Reset the stream to read it from the beginning.'
    )
