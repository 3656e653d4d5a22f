"""Tickets: written problems, told by customers, on their way from new to closed.

Four tickets in a row tell one problem in four ways: two come from one organization, the others from two
more. So every organization has duplicates in other words, and every problem is known to several organizations.
The first tickets are exactly as written; once every problem was told, details tell the next ones apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_zendesk_stub import phrases, written
from source_zendesk_stub.timeline import Life, Timeline, Version
from source_zendesk_stub.world import (
    API_URL,
    World,
    organization_id,
    ticket_id,
    timestamp,
    user_id,
    without_nulls,
)

if TYPE_CHECKING:
    import random

TELLINGS = 4
"""How many tickets in a row tell the same problem."""

PATHS = (
    ("new", "open", "solved", "closed"),
    ("new", "open", "pending", "solved", "closed"),
    ("new", "open", "hold", "solved", "closed"),
    ("new", "pending", "open", "solved", "closed"),
)
"""The ways of a ticket. A closed ticket never changes again, as in Zendesk."""

_DELETED_AT = {60: 1, 45: 2, 30: 3}
"""Of every hundred tickets three are deleted, as spam or by request: by index modulo 100, at which change."""

_CHANNELS = ("web", "email", "email", "mobile_sdk", "api")
_GROUPS = (360_006_148_231, 360_006_148_252, 360_006_148_273)
_BRAND = 360_002_481_674
_FORM = 360_001_305_451
_CUSTOM_STATUS = {
    status: 6_481_274_110_991 + number
    for number, status in enumerate(("new", "open", "pending", "hold", "solved", "closed"))
}
_FIELD_TOPIC, _FIELD_PLATFORM, _FIELD_VERSION, _FIELD_SITE = (360_042_771_511 + number * 40 for number in range(4))


@dataclass(frozen=True, slots=True)
class Story:
    """What never changes about a ticket: who has which problem, and the way of its status.

    A ticket that already was under way when the world began was created so many `hours` before its first moment.
    """

    index: int
    problem: written.Problem
    telling: written.Telling
    organization: int
    path: tuple[str, ...]
    hours: int

    def status(self, revision: int) -> str:
        """The status after this many changes."""
        return self.path[min(revision, len(self.path) - 1)]


@dataclass(frozen=True, slots=True)
class Tickets:
    """The tickets of a world."""

    world: World

    @property
    def timeline(self) -> Timeline:
        """One ticket in twenty changes a day, and a few are new."""
        count = self.world.settings.tickets
        arrivals = max(2, count // 200) if count else 0
        return Timeline(count, arrivals, interval=20, life=self.life, most_changes=len(PATHS[1]) - 1)

    def life(self, index: int) -> Life:
        """A ticket changes until it is closed, or until it is deleted."""
        steps = len(self._story(index).path) - 1
        deleted_at = _DELETED_AT.get(index % 100)
        if deleted_at is None:
            return Life(changes=steps)
        return Life(changes=min(deleted_at, steps + 1), ends_in_deletion=True)

    def record(self, version: Version) -> dict[str, object]:
        """The ticket as the API delivers it."""
        story = self._story(version.index)
        if version.deleted:
            return _tombstone(version, story)
        draw = self.world.draw("ticket details", version.index)
        return without_nulls(
            _identity(version, story.status(version.revision), story.hours)
            | _words(story, draw)
            | self._people(story, version, draw)
            | _classification(story, version, draw)
            | _extras()
        )

    def _story(self, index: int) -> Story:
        draw = self.world.draw("tickets", index)
        group, place = divmod(index, TELLINGS)
        problem = _problem_of(group)
        path = self._path(index, place, draw)
        return Story(
            index=index,
            problem=problem,
            telling=problem.tellings[place % len(problem.tellings)],
            organization=self._organization(group, place),
            path=path,
            hours=0 if path[0] == "new" else draw.randint(1, 400),
        )

    def _organization(self, group: int, place: int) -> int:
        """The first two tellers of a problem are colleagues; the other two work elsewhere."""
        return (group + 1 + (0, 0, 1, 3)[place]) % self.world.settings.organizations

    def _path(self, index: int, place: int, draw: random.Random) -> tuple[str, ...]:
        """The rest of a ticket's way.

        Old tickets of day 1 are further on; the newest of them start at new, as later ones do.
        """
        path = draw.choice(PATHS)
        age = 1 - index / self.world.settings.tickets
        if age <= 0 or (age <= 1 / 8 and place < 2):  # noqa: PLR2004 - an eighth; two colleagues
            return path
        status = draw.choices(*_statuses_by_age(age))[0]
        start = path.index(status) if status in path else 1
        return path[start:]

    def _people(self, story: Story, version: Version, draw: random.Random) -> dict[str, object]:
        requester = user_id(self.world.member(story.organization, draw))
        assignee = user_id(draw.randrange(self.world.agents))
        watcher = user_id(draw.randrange(self.world.agents))
        return {
            "organization_id": organization_id(story.organization),
            "requester_id": requester,
            "submitter_id": requester,
            "assignee_id": None if story.status(version.revision) == "new" else assignee,
            "group_id": draw.choice(_GROUPS),
            "follower_ids": [watcher] if watcher != assignee else [],
            "collaborator_ids": [],
            "email_cc_ids": [],
        }


def _problem_of(group: int) -> written.Problem:
    """The problem that a group of tickets tells. Neighbours are of different topics; each round goes another way."""
    problems = written.problems()
    rounds, place = divmod(group, len(problems))
    return problems[(place * 13 + rounds * 5) % len(problems)]


def _statuses_by_age(age: float) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Statuses and their weights for a ticket of this age: 1 is the oldest of day 1, 0 the newest."""
    if age > 0.6:  # noqa: PLR2004
        return ("closed", "solved", "hold", "open"), (12, 5, 1, 2)
    if age > 0.3:  # noqa: PLR2004
        return ("closed", "solved", "pending", "hold", "open"), (3, 6, 3, 2, 6)
    return ("solved", "pending", "hold", "open", "new"), (2, 3, 2, 8, 5)


def _identity(version: Version, status: str, hours: int) -> dict[str, object]:
    number = ticket_id(version.index)
    return {
        "id": number,
        "url": f"{API_URL}/tickets/{number}.json",
        "status": status,
        "custom_status_id": _CUSTOM_STATUS[status],
        "created_at": timestamp(version.created - hours * 3600),
        "updated_at": timestamp(version.updated),
        "generated_timestamp": version.updated,
    }


def _words(story: Story, draw: random.Random) -> dict[str, object]:
    """Subject and description: as written in the first round, told apart by details in the later ones."""
    subject, description = story.telling.subject, story.telling.description
    if story.index >= TELLINGS * len(written.problems()):
        subject, description = phrases.retold(subject, description, story.index, draw)
    return {"subject": subject, "raw_subject": subject, "description": description}


def _classification(story: Story, version: Version, draw: random.Random) -> dict[str, object]:
    status = story.status(version.revision)
    priority = draw.choice(("low", "normal", "normal", "normal", "high", "urgent"))
    channel = draw.choice(_CHANNELS)
    fields = [
        {"id": _FIELD_TOPIC, "value": story.problem.topic},
        {"id": _FIELD_PLATFORM, "value": draw.choice(phrases.PLATFORMS)},
        {"id": _FIELD_VERSION, "value": phrases.app_version(draw)},
        {"id": _FIELD_SITE, "value": draw.choice((None, phrases.site(draw)))},
    ]
    rating = draw.choice(("offered", "good", "good", "bad"))
    return {
        "type": draw.choice(("question", "incident", "problem", "task")),
        "priority": None if status == "new" and priority == "low" else priority,
        "tags": [story.problem.topic, channel] + (["reviewed"] if version.revision else []),
        "via": _via(channel),
        "recipient": "support@tallyroost.example" if channel == "email" else None,
        "fields": fields,
        "custom_fields": fields,
        "satisfaction_rating": {"score": rating if status in ("solved", "closed") else "unoffered"},
    }


def _via(channel: str) -> dict[str, object]:
    return {"channel": channel, "source": {"from": {}, "to": {}, "rel": None}}


def _extras() -> dict[str, object]:
    return {
        "is_public": True,
        "has_incidents": False,
        "brand_id": _BRAND,
        "ticket_form_id": _FORM,
        "allow_channelback": False,
        "allow_attachments": True,
        "followup_ids": [],
        "sharing_agreement_ids": [],
        "from_messaging_channel": False,
    }


def _tombstone(version: Version, story: Story) -> dict[str, object]:
    """A deleted ticket, as the incremental export tells of it: status `deleted` and no content."""
    return _identity(version, "closed", story.hours) | {
        "status": "deleted",
        "_ab_cdc_deleted_at": timestamp(version.updated),
    }
