"""Syncs as Airbyte's platform runs them, over pipes, each message judged by its rules as it passes.

What is in Milvus is read from outside at the moment a state arrives, so on the server: Milvus Lite lets one process in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import Backend, config
from devtools.connector import catalog, record, state, stream
from devtools.milvus_server import MilvusServer
from devtools.platform_rules import StoredRecord
from integration_tests.platform_script import Platform, SourceFailed, stored_records

ROOT = Path(__file__).parents[1]
ZENDESK = json.loads((ROOT / "examples" / "catalog.json").read_text())
PROCESSING = {
    "chunk_size": 60,
    "text_fields": ["subject", "description", "title", "body"],
    "metadata_fields": ["id", "status", "updated_at"],
}


@pytest.fixture
def platform(milvus_server: MilvusServer, tmp_path: Path) -> Iterator[Platform]:
    """A connection to a collection of its own on the server; Milvus is looked at whenever a state arrives."""
    backend = Backend("server", milvus_server.uri)
    conf = config(backend, processing=PROCESSING)
    with backend.client() as client:
        yield Platform(tmp_path, conf, look=partial(stored_records, client, conf["indexing"]["collection"]))
    backend.drop()


@pytest.fixture
def lite_platform(tmp_path: Path) -> Platform:
    """A connection to Milvus Lite."""
    lite = Backend("lite", str(tmp_path / "milvus.db"))
    return Platform(tmp_path, config(lite, processing=PROCESSING))


def stored(platform: Platform) -> list[StoredRecord]:
    """What is in Milvus once a sync has ended."""
    assert platform.look is not None
    return list(platform.look())


def generation(number: int, minimum: int, mode: str = "append_dedup", *names: str) -> dict[str, Any]:
    """A catalog of tickets and articles in one generation."""
    numbers = {"generation_id": number, "minimum_generation_id": minimum, "sync_id": number}
    return catalog(*(stream(name, mode, **numbers) for name in names or ("tickets", "articles")))


def failing(*lines: str) -> Iterator[str]:
    """A source that says this, and then fails."""
    yield from lines
    raise SourceFailed


def zendesk(number: int, minimum: int, mode: str) -> dict[str, Any]:
    """The stub's catalog in one generation."""
    numbers = {"generation_id": number, "minimum_generation_id": minimum, "sync_id": number}
    return catalog(*({**configured, "destination_sync_mode": mode, **numbers} for configured in ZENDESK["streams"]))


def tickets(*numbers: int, name: str = "tickets", version: str = "1") -> list[str]:
    """Records of one version."""
    return [record({"id": n, "subject": f"ticket {n}", "updated_at": version}, name) for n in numbers]


@pytest.mark.server
def test_days_of_the_stub_pass_every_rule(platform: Platform) -> None:
    """In a namespace: states return while the input is open, each when its records are in Milvus.

    What is saved of them is where the source goes on, the second day and on a day without news.
    """
    platform.namespace = "support"
    options = {"tickets": 300, "articles": 20, "organizations": 8, "users": 20, "seed": 7, "state_frequency": 64}
    first = platform.sync(ZENDESK, platform.read(ZENDESK, **options, day=1), wait=True)
    assert (first.exit_code, first.error) == (0, None)
    assert first.states_while_open > 0
    assert sum(came["destinationStats"]["recordCount"] for came in first.states) == 320
    assert {came["stream"]["stream_descriptor"]["namespace"] for came in first.states} == {"support"}
    assert {found.stream for found in stored(platform)} == {"support_tickets", "support_articles"}
    assert all(found.whole for found in stored(platform))

    second = platform.sync(ZENDESK, platform.read(ZENDESK, **options, day=2))
    travelled = sum(came["destinationStats"]["recordCount"] for came in second.states)
    assert 0 < travelled < 60, "a read that goes on from saved states brings what changed"
    after = stored(platform)

    third = platform.sync(ZENDESK, platform.read(ZENDESK, **options, day=2))
    assert sum(came["destinationStats"]["recordCount"] for came in third.states) == 0
    assert stored(platform) == after


@pytest.mark.server
def test_what_nobody_knows_yet_is_passed_over_and_every_kind_of_state_comes_back(platform: Platform) -> None:
    """Keys of tomorrow; states of streams, of all streams and of old sources. Other messages are not forwarded."""
    positions = {"stream_states": [{"stream_descriptor": {"name": "tickets"}, "stream_state": {"é": 1.5}}]}
    global_state = {"type": "GLOBAL", "global": {"shared_state": {"lsn": 2**64 + 1}, **positions}}
    lines = [
        '{"type": "SOMETHING_NEW", "something": {"deep": [1]}}',
        '{"type": "TRACE", "trace": {"type": "SOMETHING_NEW", "emitted_at": 1.5}, "unknown": 1}',
        '{"type": "LOG", "log": {"level": "SHOUT", "message": "hello"}}',
        *tickets(1, 2),
        json.dumps({**json.loads(state(0)), "unknown": {"kept": [1, 1.0, True, None, 2**70]}}),
        record({"id": 3, "subject": "three", "updated_at": "1"}, meta={"unknown": {}}, unknown_key=True),
        json.dumps({"type": "STATE", "state": global_state}),
        *tickets(1, version="2"),
        '{"type": "STATE", "state": {"data": {"cursor": "2026-01-01"}}}',
    ]
    outcome = platform.sync(catalog(stream("tickets", unknown_setting=1)), lines)
    assert (outcome.exit_code, len(outcome.states)) == (0, 3)
    assert {found.record_id: found.version for found in stored(platform)} == {
        "tickets_1": "2",
        "tickets_2": "1",
        "tickets_3": "1",
    }


@pytest.mark.server
def test_a_reset_empties_its_stream_and_no_other(platform: Platform) -> None:
    """The platform clears a stream by an overwrite that brings nothing and is complete."""
    lines = [*tickets(1, 2), *tickets(1, name="articles"), *tickets(1, name="users")]
    assert platform.sync(generation(1, 0, "append_dedup", "tickets", "articles", "users"), lines).exit_code == 0
    outcome = platform.sync(generation(2, 2, "overwrite", "tickets"), [state(0)])
    assert (outcome.exit_code, len(outcome.states)) == (0, 1)
    assert [found.record_id for found in stored(platform)] == ["articles_1", "users_1"]
    assert platform.sync(generation(2, 2, "overwrite", "articles"), []).exit_code == 0
    assert [found.record_id for found in stored(platform)] == ["users_1"]


@pytest.mark.server
def test_a_refresh_that_breaks_off_is_resumed_and_then_truncates(platform: Platform) -> None:
    """The source fails: what came is stored and acknowledged, older records stay, a transient error.

    The second attempt of the same generation ends it, and only then do older ones go.
    """
    platform.namespace = "support"
    first = [*tickets(1, 2, 3), *tickets(1, name="articles"), state(0)]
    assert platform.sync(generation(1, 0), first).exit_code == 0

    broken = platform.sync(generation(2, 2), failing(*tickets(1, version="2"), state(0)))
    assert (broken.exit_code, len(broken.states)) == (1, 1)
    assert broken.error is not None
    assert broken.error["failure_type"] == "transient_error"
    assert broken.error["stream_descriptor"] == {"name": "tickets", "namespace": "support"}
    versions = {found.record_id: found.version for found in stored(platform)}
    old = {"support_articles_1": "1", "support_tickets_2": "1", "support_tickets_3": "1"}
    assert versions == {"support_tickets_1": "2", **old}

    assert platform.sync(generation(2, 2), [*tickets(2, version="2"), state(0)]).exit_code == 0
    versions = {found.record_id: found.version for found in stored(platform)}
    assert versions == {"support_tickets_1": "2", "support_tickets_2": "2"}


@pytest.mark.server
@pytest.mark.parametrize("mode", ["overwrite", "append_dedup"])
def test_a_source_that_is_killed_takes_nothing_out(platform: Platform, mode: str) -> None:
    """Before its first record and in the middle, of an overwrite and of a refresh; then it runs well, and truncates."""
    options = {"tickets": 60, "articles": 20, "organizations": 4, "users": 8, "seed": 7, "state_frequency": 16}
    assert platform.sync(zendesk(1, 0, mode), platform.read(ZENDESK, **options, day=1)).exit_code == 0
    before = {found.record_id for found in stored(platform)}
    assert len(before) == 80

    platform.saved_states = []  # so a refresh begins
    for killed_after in (0, 40):
        read = platform.read(ZENDESK, **options, day=2, killed_after=killed_after)
        outcome = platform.sync(zendesk(2, 2, mode), read)
        assert outcome.exit_code == 1
        assert outcome.error is not None
        assert outcome.error["failure_type"] == "transient_error"
        assert "The source did not complete" in outcome.error["message"]
        assert before <= {found.record_id for found in stored(platform)}
    assert platform.saved_states, "what came of it was acknowledged, and the next attempt goes on from there"

    assert platform.sync(zendesk(2, 2, mode), platform.read(ZENDESK, **options, day=2)).exit_code == 0
    platform.saved_states = []
    whole = [json.loads(line) for line in platform.read(ZENDESK, **options, day=2)]
    records = [message["record"] for message in whole if message["type"] == "RECORD"]
    expected = {(f"{each['stream']}_{each['data']['id']}", each["data"]["updated_at"]) for each in records}
    assert {(found.record_id, found.version) for found in stored(platform)} == expected


@pytest.mark.server
def test_a_sync_that_is_terminated_goes_on_where_its_last_state_was(platform: Platform) -> None:
    """SIGTERM: exit 143 and a transient error; every state that came was true, and the next sync completes."""
    numbers = range(300)
    lines = [*tickets(*numbers[:256]), state(0), *tickets(*numbers[256:])]
    outcome = platform.sync(catalog(stream("tickets")), lines, wait=True, end="terminate")
    assert (outcome.exit_code, len(outcome.states)) == (143, 1)
    assert outcome.error is not None
    assert outcome.error["failure_type"] == "transient_error"
    assert len(stored(platform)) >= 256
    assert platform.sync(catalog(stream("tickets")), [*tickets(*numbers), state(0)]).exit_code == 0
    assert len(stored(platform)) == 300


@pytest.mark.parametrize(
    ("configured", "lines", "kind", "words", "named"),
    [
        (catalog({"stream": {"name": "tickets"}, "primary_key": ["id"]}), [], "config_error", "Stream number 1", None),
        (catalog(stream("tickets", "update")), [], "config_error", 'asks for the sync mode "update"', "tickets"),
        (catalog(stream()), tickets(1, name="users"), "system_error", "not in the configured catalog", "users"),
        (catalog(stream()), [record({"subject": "no key"})], "config_error", "no value in its primary key", "tickets"),
    ],
    ids=["broken catalog", "sync mode", "unknown stream", "bad record"],
)
def test_a_failure_has_the_kind_that_the_platform_acts_upon_and_names_the_stream(
    lite_platform: Platform, configured: dict[str, Any], lines: list[str], kind: str, words: str, named: str | None
) -> None:
    """Exit 1 and one error; a stream in a namespace is named with it, not by the identifier in the collection."""
    lite_platform.namespace = "support"
    outcome = lite_platform.sync(configured, lines)
    assert outcome.exit_code == 1
    assert outcome.error is not None
    assert outcome.error["failure_type"] == kind
    assert words in outcome.error["message"]
    descriptor = None if named is None else {"name": named, "namespace": "support"}
    assert outcome.error.get("stream_descriptor") == descriptor
