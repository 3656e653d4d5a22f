"""What the stub's streams deliver, read in this process through the CDK's own read."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessageSerializer,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalogSerializer,
    Type,
)
from jsonschema import Draft7Validator

from source_zendesk_stub import written
from source_zendesk_stub.articles import Articles
from source_zendesk_stub.config import Settings
from source_zendesk_stub.source import SourceZendeskStub
from source_zendesk_stub.streams import CURSOR_FIELDS
from source_zendesk_stub.world import World

Record = dict[str, Any]

EXAMPLES = Path(__file__).parents[2] / "examples"
LOGGER = logging.getLogger("airbyte.test")
STREAMS = sorted(CURSOR_FIELDS)
DELETED = "_ab_cdc_deleted_at"


def messages(stream: str, state: Record | None = None, **config: Any) -> list[AirbyteMessage]:
    """The messages of one stream read by the CDK."""
    configured = {
        "stream": {"name": stream, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental",
        "destination_sync_mode": "append_dedup",
    }
    catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": [configured]})
    descriptor = {"stream_descriptor": {"name": stream}, "stream_state": state}
    states = [AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": descriptor})] if state else []
    return list(SourceZendeskStub().read(LOGGER, config, catalog, states))


def records_in(stream: list[AirbyteMessage]) -> list[Record]:
    return [dict(message.record.data) for message in stream if message.record]


def state_of(message: AirbyteMessage) -> Record:
    assert message.state
    assert message.state.stream
    return dict(vars(message.state.stream.stream_state))


def last_state(stream: list[AirbyteMessage]) -> Record:
    return [state_of(message) for message in stream if message.type == Type.STATE][-1]


def applied(world: dict[int, Record], records: list[Record]) -> dict[int, Record]:
    """What a destination holds that keeps the newest version by key and obeys deletions."""
    world = dict(world)
    for record in records:
        if DELETED in record:
            world.pop(record["id"], None)
        else:
            world[record["id"]] = record
    return world


@pytest.mark.parametrize("stream", STREAMS)
def test_every_record_fits_the_discovered_schema(stream: str) -> None:
    """All records of two days, deletions included, have declared fields of declared types and no top-level null."""
    catalog = SourceZendeskStub().discover(LOGGER, {})
    schema = next(found.json_schema for found in catalog.streams if found.name == stream)
    validator = Draft7Validator(schema)
    first = messages(stream, tickets=400, articles=100)
    second = messages(stream, last_state(first), tickets=400, articles=100, day=2)
    for record in records_in(first) + records_in(second):
        validator.validate(record)
        assert set(record) <= set(schema["properties"])
        assert None not in record.values()


def test_discover_offers_zendesks_keys_and_cursors() -> None:
    """Each stream offers both modes, the primary key id and a cursor of its own."""
    for stream in SourceZendeskStub().discover(LOGGER, {}).streams:
        assert stream.source_defined_primary_key == [["id"]]
        assert stream.source_defined_cursor
        assert stream.default_cursor_field == [CURSOR_FIELDS[stream.name]]
        assert [mode.value for mode in stream.supported_sync_modes] == ["full_refresh", "incremental"]


def test_the_example_catalog_is_what_discover_says() -> None:
    """The catalog in examples/ carries the schemas of this version."""
    example = json.loads((EXAMPLES / "catalog.json").read_text())
    schemas = {stream.name: stream.json_schema for stream in SourceZendeskStub().discover(LOGGER, {}).streams}
    assert [configured["stream"]["name"] for configured in example["streams"]] == ["tickets", "articles"]
    for configured in example["streams"]:
        assert configured["stream"]["json_schema"] == schemas[configured["stream"]["name"]]
        assert configured["destination_sync_mode"] == "append_dedup"
        assert configured["primary_key"] == [["id"]]


@pytest.mark.parametrize("stream", STREAMS)
def test_equal_configurations_make_equal_records(stream: str) -> None:
    """Two reads are byte-identical, the page and state sizes do not matter, and another seed makes other records."""
    first = json.dumps(records_in(messages(stream, day=3)))
    assert json.dumps(records_in(messages(stream, day=3))) == first
    assert json.dumps(records_in(messages(stream, day=3, page_size=7, state_frequency=3))) == first
    assert json.dumps(records_in(messages(stream, day=3, seed=8))) != first


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_runs_from_started_to_complete(stream: str) -> None:
    """The statuses come in order, and the counts on the states are left to the entry point."""
    read = messages(stream)
    traces = [message.trace for message in read if message.trace]
    statuses = [trace.stream_status.status for trace in traces if trace.stream_status]
    assert statuses == [AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING, AirbyteStreamStatus.COMPLETE]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("day", [1, 4])
def test_a_read_resumes_from_every_state(stream: str, day: int) -> None:
    """Cut at any state and resumed from it, a read ends with the same records, and repeats none."""
    sizes: Record = {"tickets": 60, "articles": 50, "organizations": 30, "users": 30, "state_frequency": 7, "day": day}
    whole = messages(stream, **sizes)
    expected = applied({}, records_in(whole))
    cuts = [place for place, message in enumerate(whole) if message.type == Type.STATE]
    assert len(cuts) > 3
    for cut in cuts:
        before = records_in(whole[:cut])
        after = records_in(messages(stream, state_of(whole[cut]), **sizes))
        assert applied(applied({}, before), after) == expected
        assert not {record["id"] for record in before} & {record["id"] for record in after}


@pytest.mark.parametrize("stream", STREAMS)
def test_days_read_one_by_one_add_up_to_the_world_of_the_last_day(stream: str) -> None:
    """A destination that followed 70 days holds exactly what a fresh read of day 70 delivers."""
    sizes: Record = {"tickets": 120, "articles": 70, "organizations": 9, "users": 30}
    read = messages(stream, **sizes)
    world = applied({}, records_in(read))
    for day in range(2, 71):
        read = messages(stream, last_state(read), **sizes, day=day)
        world = applied(world, records_in(read))
    assert world == applied({}, records_in(messages(stream, **sizes, day=70)))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_skipped_week_is_caught_up_at_once(stream: str) -> None:
    """From the state of day 2 straight to day 9 ends in the world of day 9; the final state then delivers nothing."""
    read = messages(stream, day=2)
    late = messages(stream, last_state(read), day=9)
    assert applied(applied({}, records_in(read)), records_in(late)) == applied({}, records_in(messages(stream, day=9)))
    assert records_in(messages(stream, last_state(late), day=9)) == []


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("day", [1, 2, 40])
def test_cursor_values_grow_and_never_repeat(stream: str, day: int) -> None:
    """Strictly growing cursors are what makes a state exact."""
    cursors = [record[CURSOR_FIELDS[stream]] for record in records_in(messages(stream, day=day, tickets=500))]
    assert cursors == sorted(set(cursors))


def test_states_are_epoch_seconds_in_a_string() -> None:
    """Both kinds of streams keep their state as Airbyte's source does."""
    for stream, cursor_field in (("tickets", "generated_timestamp"), ("articles", "updated_at")):
        state = last_state(messages(stream))
        assert list(state) == [cursor_field]
        assert re.fullmatch("17[0-9]{8}", state[cursor_field])


def test_the_second_day_brings_a_small_share_of_every_kind_of_change() -> None:
    """Of tickets: new ones, statuses, a deletion. Of articles: edits, mere metadata, a new one, a withdrawal."""
    first = {stream: messages(stream) for stream in ("tickets", "articles")}
    old = {stream: applied({}, records_in(read)) for stream, read in first.items()}
    changes = {stream: records_in(messages(stream, last_state(read), day=2)) for stream, read in first.items()}
    for stream, records in changes.items():
        assert 0.05 <= len(records) / len(old[stream]) <= 0.11
        assert sum(DELETED in record for record in records) == 1
        assert any(record["id"] not in old[stream] for record in records)
    known = [record for record in changes["tickets"] if record["id"] in old["tickets"] and DELETED not in record]
    for record in known:
        before = old["tickets"][record["id"]]
        assert record["status"] != before["status"]
        assert (record["subject"], record["description"]) == (before["subject"], before["description"])
    edited = [record for record in changes["articles"] if record["id"] in old["articles"] and DELETED not in record]
    same_body = [record["body"] == old["articles"][record["id"]]["body"] for record in edited]
    assert Counter(same_body) == {True: 1, False: 1}


def test_an_edit_changes_one_paragraph_and_keeps_the_rest() -> None:
    """An edited article differs from itself in a single line of its body."""
    first = messages("articles")
    old = applied({}, records_in(first))
    for record in records_in(messages("articles", last_state(first), day=2)):
        if "body" in record and record["id"] in old and record["body"] != old[record["id"]]["body"]:
            before, after = old[record["id"]]["body"].splitlines(), record["body"].splitlines()
            assert len(before) == len(after)
            assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_deletions_are_told_to_those_who_hold_a_state_and_to_nobody_else() -> None:
    """A fresh read leaves deleted records out; an incremental one delivers them with the moment and no content."""
    first = messages("tickets")
    gone = [record for record in records_in(messages("tickets", last_state(first), day=2)) if DELETED in record]
    assert gone
    assert all(record["status"] == "deleted" and "description" not in record for record in gone)
    assert all(record[DELETED] == record["updated_at"] for record in gone)
    fresh = {record["id"] for record in records_in(messages("tickets", day=2))}
    assert not fresh & {record["id"] for record in gone}


def test_a_start_date_leaves_older_records_out() -> None:
    """Records last updated before the start date are not delivered, those at or after it are all delivered."""
    whole = records_in(messages("tickets"))
    late = records_in(messages("tickets", start_date="2025-12-01"))
    assert late == [record for record in whole if record["updated_at"] >= "2025-12-01"]
    assert 0 < len(late) < len(whole)


@pytest.mark.parametrize("day", [1, 2])
def test_the_demo_finds_duplicates_in_other_words(day: int) -> None:
    """The organization of the documentation has two new tickets on one problem, told differently, and is not alone."""
    tickets = {record["id"]: record for record in records_in(messages("tickets", day=day))}
    pair = [tickets[10525], tickets[10526]]
    others = [tickets[10527], tickets[10528]]
    problem = next(problem for problem in written.problems() if problem.key == "authenticator-lost")
    assert {ticket["organization_id"] for ticket in pair} == {360033549136}
    assert {ticket["status"] for ticket in pair} == {"new"}
    assert 360033549136 not in {ticket["organization_id"] for ticket in others}
    subjects = [telling.subject for telling in problem.tellings]
    assert [ticket["subject"] for ticket in pair + others] == subjects
    assert any("authenticator" in record["title"] for record in records_in(messages("articles", day=day)))


def test_tickets_are_in_every_status_and_of_every_topic() -> None:
    """The default world has all six statuses, and each of the written problems once in each of its tellings."""
    tickets = records_in(messages("tickets"))
    assert {ticket["status"] for ticket in tickets} == {"new", "open", "pending", "hold", "solved", "closed"}
    tellings = {telling.subject for problem in written.problems() for telling in problem.tellings}
    assert {ticket["subject"] for ticket in tickets} == tellings


def test_requesters_exist_and_belong_to_the_tickets_organization() -> None:
    """Tickets, users and organizations point at each other consistently."""
    users = {user["id"]: user for user in records_in(messages("users"))}
    organizations = {organization["id"] for organization in records_in(messages("organizations"))}
    for ticket in records_in(messages("tickets")):
        assert users[ticket["requester_id"]]["organization_id"] == ticket["organization_id"]
        assert ticket["organization_id"] in organizations
        assert ticket["created_at"] <= ticket["updated_at"]


def test_ten_thousand_tickets_differ() -> None:
    """Large worlds retell the written texts: no description comes twice, and few subjects do."""
    tickets = records_in(messages("tickets", tickets=10_000))
    assert len({ticket["description"] for ticket in tickets}) == 10_000
    assert len({ticket["subject"] for ticket in tickets}) > 9_500
    articles = records_in(messages("articles", articles=1_000))
    assert len({article["title"] for article in articles}) == 1_000
    assert len({article["body"] for article in articles}) == 1_000


def test_the_written_texts_are_plentiful_and_real() -> None:
    """At least 120 tickets on 15 topics, 30 articles with one for each problem, long guides, and no filler."""
    problems, articles = written.problems(), written.articles()
    tellings = [telling for problem in problems for telling in problem.tellings]
    assert len({problem.topic for problem in problems}) >= 15
    assert len({telling.description for telling in tellings}) >= 120
    assert len(articles) >= 30
    assert {problem.key for problem in problems} <= {article.name for article in articles}
    assert sum(len(article.body.split()) > 650 for article in articles) >= 6
    text = " ".join([telling.description for telling in tellings] + [article.body for article in articles]).lower()
    assert "lorem" not in text
    assert not re.findall(r"https?://(?![a-z.]*\.example\b)", text)


def test_two_tellings_of_a_problem_share_few_words() -> None:
    """Duplicates are in other words: colleagues share less than a third of their longer words."""
    for problem in written.problems():
        one, other = (set(re.findall(r"[a-z]{6,}", telling.description.lower())) for telling in problem.tellings[:2])
        assert len(one & other) <= len(one | other) / 3


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("day", [1, 900])
def test_a_million_records_begin_at_once(stream: str, day: int) -> None:
    """Records are made while they are read: the first ten of a million cost next to nothing, on a late day too."""
    million = {"tickets": 10**6, "articles": 10**6, "organizations": 10**6, "users": 10**6, "day": day, "page_size": 10}
    found = next(found for found in SourceZendeskStub().streams(million) if found.name == stream)
    timeline = found._feed.timeline  # type: ignore[attr-defined]
    newest = timeline.moment(timeline.count - 1, 0)
    found.state = {CURSOR_FIELDS[stream]: str(newest)} if day > 1 else {}  # type: ignore[attr-defined]
    assert len(list(islice(found.read_records(None), 10))) == 10


# --- other languages --------------------------------------------------------------------------------------------------


def test_articles_in_other_languages_come_beside_those_in_english() -> None:
    """A dozen each, of the same topics; all else is byte for byte what it is without them."""
    locales = ["de", "zh-cn"]
    plain, records = records_in(messages("articles")), records_in(messages("articles", locales=locales))
    assert [record for record in records if record["locale"] == "en-us"] == plain
    assert Counter(record["locale"] for record in records) == {"en-us": 40, "de": 12, "zh-cn": 12}
    assert len({record["id"] for record in records}) == 64
    titles = {(record["locale"], record["title"]): record for record in records}
    chinese = titles["zh-cn", "装有验证器应用的手机丢失了怎么办"]
    english = titles["en-us", "You lost the phone with your authenticator app"]
    assert chinese["id"] == english["id"] + 200_000_000_000
    assert chinese["updated_at"] == english["updated_at"]
    assert "恢复码" in chinese["body"]
    assert chinese["html_url"].endswith(f"/zh-cn/articles/{chinese['id']}")
    schema = next(found for found in SourceZendeskStub().discover(LOGGER, {}).streams if found.name == "articles")
    for record in records:
        Draft7Validator(schema.json_schema).validate(record)


def test_translations_are_of_articles_and_tell_as_much() -> None:
    """The same topics in every locale, in prose that is no stub, under a title of its own."""
    assert {len(written.translations(locale)) for locale in written.LOCALES} == {12}
    names = {article.name for article in written.articles()}
    assert written.translations("de").keys() == written.translations("zh-cn").keys() <= names
    for locale, least in (("de", 700), ("zh-cn", 250)):
        bodies = [translation.body for translation in written.translations(locale).values()]
        assert min(map(len, bodies)) > least
        assert all("<p>" in body for body in bodies)
        assert len({translation.title for translation in written.translations(locale).values()}) == 12


@pytest.mark.parametrize("frequency", [1, 2, 7])
def test_a_read_that_stops_between_an_article_and_its_translations_loses_none(frequency: int) -> None:
    """They have one moment: a state between them stands before all of them."""
    config: Record = {"locales": ["de", "zh-cn"], "state_frequency": frequency}
    whole = {record["id"]: record for record in records_in(messages("articles", **config))}
    read = messages("articles", **config)
    for place, message in enumerate(read):
        if message.type == Type.STATE and state_of(message):
            before = applied({}, records_in(read[:place]))
            rest = records_in(messages("articles", state_of(message), **config))
            assert applied(before, rest) == whole


def test_an_edited_article_outdates_its_translations() -> None:
    state = last_state(messages("articles", locales=["de"]))
    changes = records_in(messages("articles", state, day=40, locales=["de"]))
    assert any(record["outdated"] for record in changes if record["locale"] == "de")


def test_a_withdrawn_article_takes_its_translations_along() -> None:
    """None of those that are translated is withdrawn as days go by: here one is."""
    feed = Articles(World(Settings.from_config({"locales": ["zh-cn", "de"]})))
    [version] = [version for version in feed.timeline.versions(1, -1, deletions=False) if version.index == 2]
    gone = feed.records(replace(version, deleted=True))
    assert [record["locale"] for record in gone] == ["zh-cn", "de", "en-us"]
    assert all(record[DELETED] and "body" not in record for record in gone)
    assert [record["id"] for record in gone] == [record["id"] for record in feed.records(version)]
