"""Organizations and their users. They are edited now and then; none is new or deleted."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from source_zendesk_stub import phrases
from source_zendesk_stub.timeline import Life, Timeline, Version
from source_zendesk_stub.world import API_URL, World, organization_id, timestamp, user_id, without_nulls

_PLANS = ("crew", "company", "company", "enterprise")
_ZONES = (
    ("London", "Europe/London"),
    ("Berlin", "Europe/Berlin"),
    ("Eastern Time (US & Canada)", "America/New_York"),
    ("Nairobi", "Africa/Nairobi"),
    ("Sydney", "Australia/Sydney"),
    ("Brasilia", "America/Sao_Paulo"),
)
_LOCALE_ID = 1
_GROUP = 360_006_148_231


@dataclass(frozen=True, slots=True)
class Organizations:
    """The customers of a world."""

    world: World

    @property
    def timeline(self) -> Timeline:
        """One organization in sixteen changes a day."""
        return Timeline(self.world.settings.organizations, 0, interval=16, life=self.life, deletable=False)

    def life(self, _index: int) -> Life:
        """An organization is kept up for ever."""
        return Life(changes=None)

    def record(self, version: Version) -> dict[str, object]:
        """The organization as the API delivers it."""
        draw = self.world.draw("organizations", version.index)
        plan, seats = draw.choice(_PLANS), draw.randint(4, 400)
        name, number = phrases.company(version.index), organization_id(version.index)
        return without_nulls(
            {
                "id": number,
                "url": f"{API_URL}/organizations/{number}.json",
                "name": name,
                "domain_names": [domain(version.index)],
                "details": f"{phrases.site(draw)} and {draw.randint(1, 40)} more sites",
                "notes": f"Reviewed {version.revision} times with {phrases.person(draw)}."
                if version.revision
                else None,
                "group_id": _GROUP,
                "tags": [plan],
                "shared_tickets": draw.random() < 0.5,  # noqa: PLR2004 - every other one
                "shared_comments": False,
                "organization_fields": {"plan": plan, "seats": seats + version.revision},
                "created_at": timestamp(version.created),
                "updated_at": timestamp(version.updated),
            }
        )


@dataclass(frozen=True, slots=True)
class Users:
    """The agents and the customers' people of a world."""

    world: World

    @property
    def timeline(self) -> Timeline:
        """One user in twenty-five changes a day."""
        return Timeline(self.world.settings.users, 0, interval=25, life=self.life, deletable=False)

    def life(self, _index: int) -> Life:
        """A user is kept for ever."""
        return Life(changes=None)

    def record(self, version: Version) -> dict[str, object]:
        """The user as the API delivers it."""
        draw = self.world.draw("users", version.index)
        name, number = phrases.person(draw), user_id(version.index)
        organization = self.world.organization_of(version.index)
        zone, iana_zone = draw.choice(_ZONES)
        mail_domain = "tallyroost.example" if organization is None else domain(organization)
        return without_nulls(
            {
                "id": number,
                "url": f"{API_URL}/users/{number}.json",
                "name": name,
                "email": f"{_plain(name)}.{version.index}@{mail_domain}",
                "phone": f"+1555{version.index % 10_000_000:07d}" if draw.random() < 0.5 else None,  # noqa: PLR2004
                "role": "agent" if organization is None else "end-user",
                "organization_id": None if organization is None else organization_id(organization),
                "default_group_id": _GROUP if organization is None else None,
                "time_zone": zone,
                "iana_time_zone": iana_zone,
                "created_at": timestamp(version.created),
                "updated_at": timestamp(version.updated),
                "last_login_at": timestamp(version.updated) if version.revision else None,
            }
            | _STANDING
        )


_STANDING: dict[str, object] = {
    "active": True,
    "verified": True,
    "suspended": False,
    "shared": False,
    "shared_agent": False,
    "moderator": False,
    "chat_only": False,
    "restricted_agent": False,
    "only_private_comments": False,
    "permanently_deleted": False,
    "report_csv": False,
    "locale": "en-US",
    "locale_id": _LOCALE_ID,
    "tags": [],
    "user_fields": {},
}
"""What is alike for every user."""


def domain(organization: int) -> str:
    """The mail domain of an organization, under the top-level domain that is reserved for examples."""
    return f"{_plain(phrases.company(organization))}.example"


def _plain(name: str) -> str:
    """A name in the letters of an address: Bergström & Co becomes bergstrom-co."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
