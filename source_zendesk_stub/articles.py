"""Help center articles: the written ones first, then variants for other platforms, versions and places.

Some of the written ones exist in other languages too. In Zendesk a translation has the id of its article, and an export
tells only of the article; here each is an article of its own, written in its locale, so that a stream with the primary
key `id` brings them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from source_zendesk_stub import phrases, written
from source_zendesk_stub.timeline import Life, Timeline, Version
from source_zendesk_stub.world import (
    API_URL,
    HELP_CENTER_URL,
    World,
    article_id,
    timestamp,
    user_id,
    without_nulls,
)

if TYPE_CHECKING:
    import random

_INTERVAL = 16
_DELETED_AT = {32: 1, 8: 2, 40: 3}
"""Of every 64 articles three are withdrawn: by index modulo 64, at which change."""

_FIRST_SECTION = 360_010_114_552
_PERMISSION_GROUP = 1_172_651
_LOCALE = "en-us"
_FIRST_ID_OF_LOCALE = {"de": 100_000_000_000, "zh-cn": 200_000_000_000}
"""What is added to an article's id, which leaves room for a million of them."""

_AREAS = (
    ("checkouts", "handing tools and kits out and taking them back"),
    ("counts", "counting what is in a yard"),
    ("jobs", "planning what a job needs and what it used"),
    ("kits", "things that travel together"),
    ("labels", "printing and scanning codes"),
    ("service", "inspections and repairs that are due"),
    ("transfers", "moving stock between yards"),
    ("vendors", "ordering and receiving"),
)
_AMENDMENTS = (
    "Since release {release} this step asks for a confirmation before anything is saved.",
    "From release {release} on, the button sits in the menu with the three dots instead of the toolbar.",
    "Release {release} made this faster: allow a minute rather than an hour before you look again.",
    "In release {release} we renamed this entry; older screenshots still show the former name.",
    "As of release {release}, managers of a yard may do this too, not only administrators.",
    "Release {release} writes every attempt to the activity log, where you can check who did what.",
    "With release {release} the setting applies to new devices only; change existing ones by hand.",
)
_PARAGRAPH = re.compile(r"</p>")


@dataclass(frozen=True, slots=True)
class Articles:
    """The articles of a world."""

    world: World

    @property
    def timeline(self) -> Timeline:
        """One article in sixteen changes a day; one is new, or several in a very large help center."""
        count = self.world.settings.articles
        arrivals = max(1, count // 5000) if count else 0
        return Timeline(count, arrivals, _INTERVAL, self.life)

    def life(self, index: int) -> Life:
        """An article is kept up for ever, unless it is withdrawn."""
        deleted_at = _DELETED_AT.get(index % 64)
        return Life(changes=deleted_at, ends_in_deletion=deleted_at is not None)

    def record(self, version: Version) -> dict[str, object]:
        """The article as the API delivers it."""
        if version.deleted:
            return _tombstone(version)
        draw = self.world.draw("articles", version.index)
        article = _variant(version.index, draw)
        edits = _edits(version.index, version.revision)
        return without_nulls(
            _identity(version, article.title)
            | {"title": article.title, "name": article.title, "label_names": list(article.labels)}
            | {"body": _amended(article.body, edits, draw), "edited_at": timestamp(self._edited(version))}
            | _publication(article, version.revision - edits, draw)
            | {"author_id": user_id(draw.randrange(self.world.agents))}
        )

    def records(self, version: Version) -> list[dict[str, object]]:
        """Its translations into the locales of the settings, and behind them the article."""
        found = (self._translation(version, locale) for locale in self.world.settings.locales)
        return [*(record for record in found if record), self.record(version)]

    def _translation(self, version: Version, locale: str) -> dict[str, object] | None:
        """The article in another language, None where nobody wrote it; it is not edited, and so becomes outdated."""
        written_ones = written.articles()
        name = written_ones[version.index].name if version.index < len(written_ones) else ""
        translation = written.translations(locale).get(name)
        if translation is None:
            return None
        if version.deleted:
            return _tombstone(version, locale)
        outdated = _edits(version.index, version.revision) > 0
        return (
            self.record(version)
            | _identity(version, translation.title, locale)
            | {"title": translation.title, "name": translation.title, "body": translation.body, "outdated": outdated}
        )

    def _edited(self, version: Version) -> int:
        """When the text last changed: a change of votes or promotion is none."""
        latest = version.revision
        while latest and not _is_edit(version.index, latest):
            latest -= 1
        return version.updated if latest == version.revision else self.timeline.moment(version.index, latest)


def _is_edit(index: int, revision: int) -> bool:
    """Whether this change edits a paragraph; the others touch only votes and promotion. They take turns."""
    return (index // _INTERVAL + revision) % 2 == 1


def _edits(index: int, revision: int) -> int:
    """How many of the first `revision` changes edited a paragraph."""
    return (revision + 1 - index // _INTERVAL % 2) // 2


def _variant(index: int, draw: random.Random) -> written.Article:
    """A written article, or, once all are published, one of them told for one place and version."""
    articles = written.articles()
    rounds, place = divmod(index, len(articles))
    article = articles[place]
    if rounds == 0:
        return article
    site, version, platform = phrases.site(draw), phrases.app_version(draw), draw.choice(phrases.PLATFORMS)
    area, meaning = draw.choice(_AREAS)
    preface = (
        f"<p><em>Edition {rounds + 1}, written with the crew of {site}, for {platform} {version}.</em> "
        f"Where your screens differ, compare the version first.</p>\n"
    )
    appendix = (
        f"\n<h2>What this means for {area}</h2>\n<p>If you use Tallyroost mainly for {meaning}, the steps are the "
        f"same. Note that people at {site} reach the settings through <strong>{area.capitalize()}</strong>.</p>"
    )
    return written.Article(
        name=article.name,
        title=f"{article.title} ({area}, {platform} {version}, edition {rounds + 1})",
        section=article.section,
        labels=(*article.labels, area),
        body=preface + article.body + appendix,
    )


def _amended(body: str, edits: int, draw: random.Random) -> str:
    """The body after so many edits: one paragraph, always the same, ends in the newest amendment."""
    ends = [match.start() for match in _PARAGRAPH.finditer(body)]
    place = draw.choice(ends)
    if not edits:
        return body
    amendment = _AMENDMENTS[(edits + place) % len(_AMENDMENTS)].format(release=f"8.{edits}")
    return f"{body[:place]} {amendment}{body[place:]}"


def _identity(version: Version, title: str, locale: str = _LOCALE) -> dict[str, object]:
    number = article_id(version.index) + _FIRST_ID_OF_LOCALE.get(locale, 0)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")
    return {
        "id": number,
        "url": f"{API_URL}/help_center/{locale}/articles/{number}.json",
        "html_url": f"{HELP_CENTER_URL}/{locale}/articles/{number}-{slug}".rstrip("-"),
        "locale": locale,
        "source_locale": locale,
        "created_at": timestamp(version.created - 86_400 * (30 + version.index % 500)),
        "updated_at": timestamp(version.updated),
    }


def _publication(article: written.Article, touches: int, draw: random.Random) -> dict[str, object]:
    """Everything about the article but its text. `touches` counts the changes that were no edits."""
    votes = draw.randint(0, 40) + 3 * touches
    promoted = draw.random() < 0.1  # noqa: PLR2004 - one in ten
    return {
        "section_id": _FIRST_SECTION + written.sections().index(article.section) * 20,
        "permission_group_id": _PERMISSION_GROUP,
        "position": draw.randint(0, 30),
        "draft": draw.random() < 0.03,  # noqa: PLR2004 - a few
        "promoted": promoted != (touches % 2 == 1),
        "vote_count": votes,
        "vote_sum": votes - draw.randint(0, votes // 2),
        "comments_disabled": False,
        "outdated": False,
        "outdated_locales": [],
        "content_tag_ids": [],
    }


def _tombstone(version: Version, locale: str = _LOCALE) -> dict[str, object]:
    """A withdrawn article: what identifies it, and when it went."""
    return _identity(version, "withdrawn", locale) | {"_ab_cdc_deleted_at": timestamp(version.updated)}
