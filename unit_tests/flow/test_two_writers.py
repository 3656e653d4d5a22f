"""A worker that is thought dead and is not: it goes on with its batch beside the one that repeats it.

Both commit the same versions, call by call in any interleaving, and the first may end anywhere. Its announcement may
land behind the head of the other and leave a record unvouched for, so whoever shares work out ends with a look for
such heads, once the writers are gone, and commits their records again. Then all is as one writer leaves it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from destination_milvus.fields import CHUNK, CHUNKS, FINGERPRINT
from destination_milvus.flow.commit import Committer
from destination_milvus.model import PENDING, Change, Delete, Document, RecordKey, Upsert
from unit_tests.fakes import BarChunker, CountingEmbedder, Crash, Entity, FakeStore, Fault, texts_of

KEYS = [RecordKey("s", f"s_{number}") for number in range(2)]

texts = st.sampled_from(["", "a", "b", "a|b", "b|a", "a|b|c", "c|a", "a|a|a|a"])
versions = st.none() | st.tuples(texts, st.integers(0, 1))


def change(key: RecordKey, version: tuple[str, int] | None) -> Change:
    """What a record now looks like; None deletes it."""
    if version is None:
        return Delete(key)
    text, status = version
    return Upsert(key, 1, Document(text, "", {"status": status}, 0))


def committer(store: FakeStore) -> Committer:
    """A writer of its own, as another process has it."""
    return Committer(store, CountingEmbedder(), BarChunker(), "format", skip_bad_records=False)


class Turns:
    """Lets two threads make their calls one after the other, in a sequence that is given; then as they come."""

    def __init__(self, sequence: Sequence[int]) -> None:
        self._sequence = list(sequence)
        self._running = {0, 1}
        self._changed = threading.Condition()

    def wait(self, who: int) -> None:
        """Until it is this one's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._next() in (who, None), timeout=10)
            if self._sequence:
                self._sequence.pop(0)
            self._changed.notify_all()

    def _next(self) -> int | None:
        while self._sequence and self._sequence[0] not in self._running:
            self._sequence.pop(0)
        return self._sequence[0] if self._sequence else None

    def leave(self, who: int) -> None:
        """This one makes no more calls."""
        with self._changed:
            self._running.discard(who)
            self._changed.notify_all()


def meaning(entities: Mapping[str, Entity]) -> dict[RecordKey, Any]:
    """What decides about each record: which rows there are, what they say, and whether a head vouches for them."""
    return {
        key: (sorted(rows), list(texts_of(rows)), {row["status"] for row in rows.values()}, head(rows))
        for key, rows in FakeStore(dict(entities)).records().items()
    }


def head(rows: Mapping[int, Entity]) -> tuple[Any, Any] | None:
    """Fingerprint and count of a record's head."""
    return (rows[0][FINGERPRINT], rows[0][CHUNKS]) if 0 in rows else None


def run(changes: Sequence[Change], entities: dict[str, Entity], turns: Turns, end: Fault) -> None:
    """Both writers commit the same changes; the first ends as the fault says, if it comes to it."""
    stores = [
        FakeStore(entities, faults=[end], rows_a_call=2, pause=lambda: turns.wait(0)),
        FakeStore(entities, rows_a_call=2, pause=lambda: turns.wait(1)),
    ]

    def work(who: int) -> None:
        try:
            committer(stores[who]).commit(changes)
        except Crash:
            pass  # it is dead now
        finally:
            turns.leave(who)

    threads = [threading.Thread(target=work, args=(who,)) for who in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def repair(changes: Sequence[Change], entities: dict[str, Entity]) -> None:
    """The look at the end, and what follows from it."""
    pending = {
        key
        for key, rows in FakeStore(entities).records().items()
        if any(row[CHUNK] == 0 and row[FINGERPRINT] == PENDING for row in rows.values())
    }
    committer(FakeStore(entities)).commit([each for each in changes if each.key in pending])


@settings(max_examples=400)
@given(
    st.lists(versions, min_size=2, max_size=2),
    st.lists(versions, min_size=2, max_size=2),
    st.lists(st.integers(0, 1), max_size=40),
    st.builds(Fault, st.integers(0, 20), st.integers(0, 15), st.just(Crash())),
)
def test_a_batch_that_two_writers_commit_is_as_one_writer_leaves_it(
    before: list[tuple[str, int] | None], after: list[tuple[str, int] | None], sequence: list[int], end: Fault
) -> None:
    """After the look at the end, in every interleaving, wherever the first of them dies."""
    stored: dict[str, Entity] = {}
    committer(FakeStore(stored)).commit(list(map(change, KEYS, before)))
    changes = list(map(change, KEYS, after))
    expected = dict(stored)
    committer(FakeStore(expected)).commit(changes)
    run(changes, stored, Turns(sequence), end)
    repair(changes, stored)
    assert meaning(stored) == meaning(expected)


def test_without_the_look_a_late_announcement_leaves_a_record_unvouched_for() -> None:
    """Why there is one: the first reads, the second does all, the first announces and dies."""
    stored: dict[str, Entity] = {}
    committer(FakeStore(stored)).commit([change(KEYS[0], ("a|b", 0))])
    changes = [change(KEYS[0], ("a|c", 0))]
    run(changes, stored, Turns([0, 0, *[1] * 20, 0]), Fault(3, 0, Crash()))
    assert [rows[0][FINGERPRINT] for rows in FakeStore(stored).records().values()] == [PENDING]
    repair(changes, stored)
    assert [list(texts_of(rows)) for rows in FakeStore(stored).records().values()] == [["a", "c"]]
