"""What the streams of a world deliver, whoever reads it: the source's streams or the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from source_zendesk_stub.articles import Articles
from source_zendesk_stub.people import Organizations, Users
from source_zendesk_stub.tickets import Tickets

if TYPE_CHECKING:
    from source_zendesk_stub.timeline import Timeline, Version
    from source_zendesk_stub.world import World


class Feed(Protocol):
    """What a stream delivers: when its records change, and what they look like then."""

    @property
    def timeline(self) -> Timeline:
        """The history of the records."""

    def record(self, version: Version) -> dict[str, object]:
        """One version of one record."""


def records_of(feed: Feed, version: Version) -> list[dict[str, object]]:
    """All that one change of a stream delivers, at the same moment: of an article its translations too, before it."""
    return feed.records(version) if isinstance(feed, Articles) else [feed.record(version)]


def feeds_of(world: World) -> dict[str, Feed]:
    """The feeds of a world by the names of their streams."""
    return {
        "articles": Articles(world),
        "organizations": Organizations(world),
        "tickets": Tickets(world),
        "users": Users(world),
    }
