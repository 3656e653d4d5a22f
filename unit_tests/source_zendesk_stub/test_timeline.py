"""The arithmetic of changes against a history that is simulated day by day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from source_zendesk_stub.articles import Articles
from source_zendesk_stub.config import MOST_RECORDS, Settings
from source_zendesk_stub.tickets import Tickets
from source_zendesk_stub.timeline import Life, Timeline
from source_zendesk_stub.world import World

SETTLING = st.integers(0, 4).map(Life)
DELETED = st.integers(1, 4).map(lambda changes: Life(changes, ends_in_deletion=True))
ENDLESS = st.just(Life(None))


def timelines(
    life: st.SearchStrategy[Life], *, most_changes: int | None, deletable: bool
) -> st.SearchStrategy[Timeline]:
    """Small timelines whose records take turns at a few lives."""
    return st.builds(
        lambda count, arrivals, interval, lives: Timeline(
            count, arrivals, interval, lambda index: lives[index % len(lives)], most_changes, deletable
        ),
        st.integers(0, 30),
        st.integers(1, 4),
        st.integers(1, 9),
        st.lists(life, min_size=1, max_size=7),
    )


TIMELINES = st.one_of(
    timelines(SETTLING | DELETED, most_changes=4, deletable=True),
    timelines(ENDLESS | DELETED, most_changes=None, deletable=True),
    timelines(ENDLESS, most_changes=None, deletable=False),
)


def simulated(timeline: Timeline, last_day: int) -> dict[int, int]:
    """The revision of each record at the end of a day, found by living through all days before."""
    revisions = dict.fromkeys(range(timeline.count), 0)
    for day in range(2, last_day + 1):
        for index, revision in revisions.items():
            changes = timeline.life(index).changes
            if (day - 2 - index) % timeline.interval == 0 and (changes is None or revision < changes):
                revisions[index] += 1
        revisions |= dict.fromkeys(range(len(revisions), len(revisions) + timeline.arrivals), 0)
    return revisions


@given(TIMELINES, st.integers(1, 50))
def test_every_record_stands_where_living_through_all_days_brings_it(timeline: Timeline, day: int) -> None:
    """The versions of a day are those of the simulation, each record once, in the order of unique moments."""
    versions = list(timeline.versions(day, -1, deletions=True))
    assert {version.index: version.revision for version in versions} == simulated(timeline, day)
    moments = [version.updated for version in versions]
    assert moments == sorted(set(moments))
    assert all(version.created <= version.updated for version in versions)


@given(TIMELINES, st.integers(1, 40), st.integers(0, 20))
def test_what_comes_after_a_day_is_what_changed_since(timeline: Timeline, day: int, later: int) -> None:
    """From the last moment of a day on, exactly the records with another revision, and the new ones, are told."""
    before = {version.index: version for version in timeline.versions(day, -1, deletions=True)}
    after = max((version.updated for version in before.values()), default=-1)
    told = {version.index: version for version in timeline.versions(day + later, after, deletions=True)}
    then, now = simulated(timeline, day), simulated(timeline, day + later)
    assert {index: version.revision for index, version in told.items()} == {
        index: revision for index, revision in now.items() if then.get(index) != revision
    }


@given(TIMELINES, st.integers(1, 40))
def test_without_deletions_the_deleted_are_simply_absent(timeline: Timeline, day: int) -> None:
    """Leaving deletions out drops them and nothing else."""
    with_them = list(timeline.versions(day, -1, deletions=True))
    without = list(timeline.versions(day, -1, deletions=False))
    assert without == [version for version in with_them if not version.deleted]


def test_the_largest_worlds_fit_into_the_seconds_of_a_day() -> None:
    """A million tickets and articles have room for each change on every day that can be configured."""
    world = World(Settings.from_config({"tickets": MOST_RECORDS, "articles": MOST_RECORDS}))
    for timeline in (Tickets(world).timeline, Articles(world).timeline):
        for day in range(2, 1001):
            assert len(timeline._changing(day)) + timeline.arrivals < 86_400
