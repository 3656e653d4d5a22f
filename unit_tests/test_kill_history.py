"""The judge of the campaign of kills: each kind of damage is seen, and what a kill may leave is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest

from devtools.kill_history import RECORDS, Rows, Stream, Version, interleaved, positions

RANDOM = Random(1)  # noqa: S311 - nobody guesses it
OLD, NEW = Version(("old", "second"), 1), Version(("new",), 2)


def rows_of(version: Version, **changes: Any) -> list[dict[str, Any]]:
    return [
        {"_ab_chunk": number, "text": text, "status": version.status, "_ab_fingerprint": "f", **changes}
        for number, text in enumerate(version.lines)
    ]


def at(key: int, rows: Sequence[dict[str, Any]]) -> Rows:
    return {("tickets", key): rows} if rows else {}


def kinds(damage: Iterable[tuple[str, str]]) -> list[str]:
    return [kind for kind, _ in damage]


@pytest.mark.parametrize(
    ("rows", "damage"),
    [
        (rows_of(OLD), []),
        ([], ["lost"]),
        (rows_of(OLD)[:1], ["lost"]),
        (rows_of(OLD, _ab_fingerprint=""), ["lost"]),
        ([*rows_of(OLD), *rows_of(OLD)[1:]], ["doubled"]),
        ([*rows_of(OLD), {**rows_of(OLD)[0], "_ab_chunk": 2}], ["stale"]),
        (rows_of(OLD, text="other"), ["stale"]),
        (rows_of(OLD, status=7), ["stale"]),
    ],
)
def test_a_record_that_is_not_exactly_its_version_is_damaged(rows: list[dict[str, Any]], damage: list[str]) -> None:
    """After a kill, where nothing was on the way to it, as well as at the end of a sync."""
    stream = Stream("tickets", "append_dedup", before={3: OLD})
    assert kinds(stream.damage_at_the_end(at(3, rows))) == damage
    assert kinds(stream.damage_after_a_kill(at(3, rows))) == damage


def test_what_was_acknowledged_must_be_there_and_what_was_not_may_be_there() -> None:
    """A record that a change was on the way to may be in either version, or in neither, but may be no hole."""
    stream = Stream("tickets", "append_dedup", before={3: OLD}, log=[(3, NEW)])
    for rows in (rows_of(OLD), rows_of(NEW), rows_of(OLD, _ab_fingerprint="")):
        assert kinds(stream.damage_after_a_kill(at(3, rows))) == []
    assert kinds(stream.damage_after_a_kill({})) == ["lost"]
    stream.acknowledge(1)
    assert kinds(stream.damage_after_a_kill(at(3, rows_of(OLD)))) == ["stale"]
    assert kinds(stream.damage_after_a_kill(at(3, rows_of(NEW)))) == []


def test_records_may_be_missing_only_where_they_are_deleted_or_swept() -> None:
    """A deletion on the way; and, in a refresh, what it does not bring, once a sweep may have begun."""
    assert kinds(Stream("tickets", "append_dedup", before={3: OLD}, log=[(3, None)]).damage_after_a_kill({})) == []
    refresh = Stream("tickets", "overwrite", before={3: OLD}, log=[(4, NEW)], refreshes=True)
    assert kinds(refresh.damage_after_a_kill(at(4, rows_of(NEW)))) == ["lost"]
    refresh.acknowledge(1)
    assert kinds(refresh.damage_after_a_kill(at(4, rows_of(NEW)))) == []
    assert kinds(refresh.damage_at_the_end({**at(3, rows_of(OLD)), **at(4, rows_of(NEW))})) == ["stale"]


def test_a_stream_goes_on_at_the_last_state_and_ends_complete() -> None:
    """What was acknowledged is not sent again; the last state is that of the whole log, before the status."""
    stream = Stream("tickets", "append_dedup")
    stream.begin(RANDOM, refreshes=False)
    stream.acknowledge(7)
    messages = [json.loads(line) for line in interleaved([stream.messages()], RANDOM)]
    keys = [message["record"]["data"]["id"] for message in messages if message["type"] == "RECORD"]
    assert keys == [key for key, _ in stream.log[7:]]
    assert messages[-1]["trace"]["stream_status"]["status"] == "COMPLETE"
    output = [json.dumps(message).encode() + b"\n" for message in messages]
    assert positions(output) == {"tickets": len(stream.log)}
    assert positions([*output[:8], output[-2][:-9]]) == {"tickets": 14}


def test_a_refresh_brings_most_records_again_in_a_new_generation() -> None:
    """What it leaves out is gone at its end."""
    stream = Stream("tickets", "append_dedup", before={}, log=[(key, OLD) for key in range(RECORDS)])
    stream.begin(RANDOM, refreshes=True)
    assert stream.configured()["minimum_generation_id"] == stream.configured()["generation_id"] == 1
    assert set(stream.after()) < set(stream.before)
