"""When records are created, changed and deleted: plain arithmetic, so that any day is reached at once.

Every record has an index. The first `count` exist on day 1; each later day brings `arrivals` more. A record
changes every `interval` days, on the days d with (d - 2 - index) divisible by the interval, until its life ends.
Nothing is remembered: which version of a record stands on a given day, and when it came to be, follows from the
index alone. So a world of a million records needs no more memory than one of ten.

Every change has a second of its own, and changes are told in the order of their seconds. Hence a state that
holds the second of the last delivered record is exact: "later than the state" loses nothing, repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST_DAY_ENDS = 1_767_225_600
"""2026-01-01T00:00:00Z, in epoch seconds: the end of day 1 and of the history before it."""

SECONDS_OF_A_DAY = 86_400
HISTORY = 90 * SECONDS_OF_A_DAY
"""The records of day 1 were last updated within this many seconds."""


@dataclass(frozen=True, slots=True)
class Life:
    """How often a record changes (None: for ever), and whether the last change deletes it."""

    changes: int | None
    ends_in_deletion: bool = False

    def capped(self, revision: int) -> int:
        """The revision that stands after `revision` occasions to change."""
        return revision if self.changes is None else min(revision, self.changes)

    def deleted_by(self, revision: int) -> bool:
        """Whether this revision is the deletion."""
        return self.ends_in_deletion and revision == self.changes


_UNCHANGED = Life(changes=0)
"""A record's life before its first occasion to change: asking for the real one would cost a draw."""


@dataclass(frozen=True, slots=True)
class Version:
    """One record as it stands on a day; revision 0 is as it was created. Times are epoch seconds."""

    index: int
    revision: int
    created: int
    updated: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """The history of one stream.

    `most_changes` is an upper limit of every life's changes; without one, only deletions end a life, and only where
    records are `deletable`. Either way a read knows which days it need not look at, which keeps its cost even.
    """

    count: int
    arrivals: int
    interval: int
    life: Callable[[int], Life]
    most_changes: int | None = None
    deletable: bool = True

    def versions(self, day: int, after: int, *, deletions: bool) -> Iterator[Version]:
        """The records as of `day` whose last change came later than `after`, in the order of these changes.

        A record that was deleted appears as its deletion, or not at all without `deletions`.
        """
        for past in range(self._first_day(day, after, deletions=deletions), day + 1):
            for index in self._touched(past):
                revision, latest = self._occasions(index, past), self._occasions(index, day)
                updated = self.moment(index, revision)
                if updated <= after:
                    continue
                life = self.life(index) if latest else _UNCHANGED
                if revision != life.capped(latest):
                    continue  # it changed again since, or its life was over before
                deleted = life.deleted_by(revision)
                if deletions or not deleted:
                    yield Version(index, revision, self.moment(index, 0), updated, deleted)

    def moment(self, index: int, revision: int) -> int:
        """The second in which the record got this revision, unique in its stream."""
        day = self._born(index)
        if revision == 0 and day == 1:
            return FIRST_DAY_ENDS - (self.count - index) * (HISTORY // (self.count + 1))
        if revision == 0:
            position = len(self._changing(day)) + index - self._existing(day - 1)
        else:
            day += 1 + (index + 2 - day - 1) % self.interval + (revision - 1) * self.interval
            position = self._changing(day).index(index)
        changes = len(self._changing(day)) + self.arrivals
        return _start_of(day) + (position + 1) * (SECONDS_OF_A_DAY // (changes + 1))

    def _first_day(self, day: int, after: int, *, deletions: bool) -> int:
        """The earliest day to look at: what changes for ever changed within the last interval."""
        first = _day_of(after)
        if self.most_changes is None and not (deletions and self.deletable):
            return max(first, day - self.interval)
        return first

    def _touched(self, day: int) -> Iterator[int]:
        """The indices that change on this day and those that are new, in the order of their moments."""
        yield from self._changing(day)
        yield from range(self._existing(day - 1), self._existing(day))

    def _changing(self, day: int) -> range:
        """The indices that have an occasion to change on this day."""
        oldest = 0 if self.most_changes is None else self._existing(day - 1 - self.interval * self.most_changes)
        first = oldest + (day - 2 - oldest) % self.interval
        return range(first, self._existing(day - 1), self.interval)

    def _occasions(self, index: int, day: int) -> int:
        """How many occasions to change the record had by the end of this day."""
        return (day - 2 - index) // self.interval - (self._born(index) - 2 - index) // self.interval

    def _born(self, index: int) -> int:
        """The day on which the record is created."""
        return 1 if index < self.count else 2 + (index - self.count) // self.arrivals

    def _existing(self, day: int) -> int:
        """How many records were ever created by the end of this day."""
        return 0 if day < 1 else self.count + (day - 1) * self.arrivals


def _start_of(day: int) -> int:
    return FIRST_DAY_ENDS + (day - 2) * SECONDS_OF_A_DAY


def _day_of(second: int) -> int:
    """The day in which the second falls; the history before day 1 belongs to day 1."""
    return max(1, 2 + (second - FIRST_DAY_ENDS) // SECONDS_OF_A_DAY)
