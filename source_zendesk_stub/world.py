"""What the streams share: identifiers of Zendesk's shape, who belongs where, and seeded draws."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_zendesk_stub.config import Settings

API_URL = "https://tallyroost.zendesk.example/api/v2"
HELP_CENTER_URL = "https://support.tallyroost.example/hc"

_FIRST_ORGANIZATION = 360_033_549_136
_FIRST_USER = 380_411_902_812
_FIRST_ARTICLE = 360_051_774_993
_FIRST_TICKET = 10_401


@dataclass(frozen=True, slots=True)
class World:
    """The sizes and the seed that every record follows from."""

    settings: Settings

    def draw(self, stream: str, index: int) -> random.Random:
        """Randomness of each record's own: the same for the same seed, in whatever order they are read."""
        return random.Random(f"{self.settings.seed}/{stream}/{index}")

    @property
    def agents(self) -> int:
        """How many of the users, the first ones, are support agents."""
        return max(1, self.settings.users // 10)

    def organization_of(self, user: int) -> int | None:
        """The index of the organization a user belongs to; agents belong to none."""
        return None if user < self.agents else (user - self.agents) % self.settings.organizations

    def member(self, organization: int, draw: random.Random) -> int:
        """The index of a user of this organization, or of any customer where it has none."""
        customers = self.settings.users - self.agents
        members = range(organization, customers, self.settings.organizations) or range(customers)
        return self.agents + draw.choice(members)


def organization_id(index: int) -> int:
    """The id of an organization; the first one is 360033549136."""
    return _FIRST_ORGANIZATION + index * 1_187


def user_id(index: int) -> int:
    """The id of a user."""
    return _FIRST_USER + index * 331


def article_id(index: int) -> int:
    """The id of an article."""
    return _FIRST_ARTICLE + index * 743


def ticket_id(index: int) -> int:
    """The id of a ticket: Zendesk counts them."""
    return _FIRST_TICKET + index


def timestamp(second: int) -> str:
    """Epoch seconds as Zendesk writes a moment: 2026-01-02T00:00:24Z."""
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_nulls(record: dict[str, object]) -> dict[str, object]:
    """The record as Python sources emit it: a top-level field that is null is left out."""
    return {name: value for name, value in record.items() if value is not None}
