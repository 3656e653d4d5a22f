"""The REST API of the stub, page by page, against what the stub's own streams deliver."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer
from hypothesis import given
from hypothesis import strategies as st

from source_zendesk_stub.api import MARK_OF_DELETION, Api
from source_zendesk_stub.config import Settings
from source_zendesk_stub.source import SourceZendeskStub
from source_zendesk_stub.streams import CURSOR_FIELDS
from source_zendesk_stub.world import World

Record = dict[str, Any]

ORIGIN = "https://localhost:8443"
PATHS = {
    "articles": "/api/v2/help_center/incremental/articles",
    "organizations": "/api/v2/incremental/organizations",
    "tickets": "/api/v2/incremental/tickets/cursor.json",
    "users": "/api/v2/incremental/users/cursor.json",
}


def api(**config: Any) -> Api:
    """The API over a world."""
    return Api(World(Settings.from_config(config)))


def get(served: Api, target: str) -> Record:
    """The body of a good answer, as it looks after its way through JSON."""
    answer = served.answer(target, ORIGIN)
    assert answer.status == 200, answer.body
    body = json.loads(json.dumps(answer.body))
    assert isinstance(body, dict)
    return body


def export(served: Api, stream: str, start_time: int = 0) -> tuple[list[Record], Record, int]:
    """All records from a start time on, the last page, and how many pages there were."""
    target: str | None = f"{PATHS[stream]}?start_time={start_time}"
    records: list[Record] = []
    pages, page = 0, {}
    while target is not None:
        page = get(served, target)
        pages += 1
        records += page[stream]
        following = page["after_url"] if "after_url" in page else page["next_page"]
        target = None if page.get("end_of_stream") or following is None else following.removeprefix(ORIGIN)
    return records, page, pages


def read(stream: str, position: int | None = None, **config: Any) -> list[Record]:
    """What the stub's own stream delivers from a state on."""
    configured = {
        "stream": {"name": stream, "json_schema": {}, "supported_sync_modes": ["full_refresh", "incremental"]},
        "sync_mode": "incremental",
        "destination_sync_mode": "append_dedup",
    }
    state = {"stream_descriptor": {"name": stream}, "stream_state": {CURSOR_FIELDS[stream]: str(position)}}
    states = [] if position is None else [AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": state})]
    catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": [configured]})
    messages = SourceZendeskStub().read(logging.getLogger("airbyte.test"), config, catalog, states)
    return [dict(message.record.data) for message in messages if message.record]


def told_by_zendesk(stream: str, position: int, **config: Any) -> list[Record]:
    """What the stub reads after a position, less what Zendesk does not tell: marks, and withdrawn articles."""
    records = read(stream, position, **config)
    kept = [record for record in records if stream != "articles" or MARK_OF_DELETION not in record]
    return [{name: value for name, value in record.items() if name != MARK_OF_DELETION} for record in kept]


def without_nulls(records: list[Record]) -> list[Record]:
    """As a source of Airbyte passes the API's records on."""
    return [{name: value for name, value in record.items() if value is not None} for record in records]


def each_once(records: list[Record]) -> list[Record]:
    """Without the repetitions that pages by time have at their edges."""
    return list({json.dumps(record): record for record in records}.values())


@pytest.mark.parametrize("stream", PATHS)
@pytest.mark.parametrize("day", [1, 40])
@pytest.mark.parametrize("page_size", [1, 7, 1000])
def test_the_pages_add_up_to_what_the_stub_reads(stream: str, day: int, page_size: int) -> None:
    """Whatever the size of a page: the same records in the same order, deleted tickets among them."""
    sizes: Record = {"tickets": 60, "articles": 50, "organizations": 9, "users": 30, "day": day}
    records, _, pages = export(api(**sizes, page_size=page_size), stream)
    assert each_once(without_nulls(records)) == told_by_zendesk(stream, 0, **sizes)
    assert pages >= len(records) / max(2, page_size)


@pytest.mark.parametrize("page_size", [1, 7])
def test_articles_in_other_languages_are_exported_too(page_size: int) -> None:
    records, _, _ = export(api(locales=["zh-cn", "de"], page_size=page_size, day=2), "articles")
    assert each_once(without_nulls(records)) == told_by_zendesk("articles", 0, locales=["zh-cn", "de"], day=2)
    assert sum(record["locale"] == "zh-cn" for record in records) == 12


def test_every_field_is_there_and_null_where_it_has_no_value() -> None:
    """As Zendesk writes records; the mark of a deletion is not Zendesk's."""
    schemas = {
        stream.name: stream.json_schema for stream in SourceZendeskStub().discover(logging.getLogger(), {}).streams
    }
    for stream in PATHS:
        records, _, _ = export(api(day=2), stream)
        for record in records:
            assert set(record) == set(schemas[stream]["properties"]) - {MARK_OF_DELETION}
    tickets, _, _ = export(api(day=2), "tickets")
    (deleted,) = [ticket for ticket in tickets if ticket["status"] == "deleted"]
    assert deleted["subject"] is deleted["description"] is None


@pytest.mark.parametrize("stream", ["tickets", "users"])
def test_a_cursor_of_yesterday_brings_what_changed_today(stream: str) -> None:
    """A cursor is exact, also the one behind the last page, on the next day or on the same one."""
    records, page, _ = export(api(), stream)
    target = page["after_url"].removeprefix(ORIGIN)
    assert get(api(), target)[stream] == []
    changed = get(api(day=2), target)[stream]
    position = max(int(record["generated_timestamp"]) for record in records) if stream == "tickets" else 1_767_035_942
    assert 0 < len(changed) < len(records) / 5
    assert without_nulls(changed) == told_by_zendesk(stream, position, day=2)


@pytest.mark.parametrize("stream", ["tickets", "articles"])
def test_a_start_time_of_yesterday_brings_what_changed_today(stream: str) -> None:
    """The state that Airbyte's source keeps is a start time: inclusive but for articles, so one ticket comes again."""
    position = {"tickets": 1_767_168_841, "articles": 1_767_035_942}[stream]
    yesterday = told_by_zendesk(stream, position - 1)
    assert len(yesterday) == 1
    records, _, _ = export(api(day=2), stream, position)
    again = yesterday if stream == "tickets" else []
    assert without_nulls(records) == again + told_by_zendesk(stream, position, day=2)


def test_articles_end_with_a_page_that_names_no_next_one() -> None:
    """As Zendesk's export of articles does, which has no mark of its end."""
    _, page, pages = export(api(), "articles")
    assert pages == 2
    assert page == {"articles": [], "count": 0, "end_time": None, "next_page": None}


def test_pages_by_time_repeat_the_record_at_their_edge() -> None:
    """As Zendesk documents it: its end time is the inclusive start of the next page."""
    records, page, pages = export(api(organizations=9, page_size=4), "organizations")
    assert pages == 3
    assert len(records) == 11
    assert len(each_once(records)) == 9
    assert page["next_page"] == f"{ORIGIN}{PATHS['organizations']}?start_time={page['end_time']}"


def test_a_start_date_of_the_configuration_holds_here_too() -> None:
    """Records that were last updated before it are not served."""
    records, _, _ = export(api(start_date="2025-12-01"), "tickets")
    assert without_nulls(records) == read("tickets", start_date="2025-12-01")


def test_the_account_has_what_airbytes_connection_test_asks_for() -> None:
    """Access to organizations, under either spelling of the path."""
    settings = get(api(), "/api/v2/account/settings.json")
    assert settings["settings"]["active_features"]["organization_access_enabled"] is True
    assert get(api(), "/api/v2/account/settings") == settings


@pytest.mark.parametrize(
    ("target", "status", "sentence"),
    [
        ("/api/v2/tickets.json", 404, "Not found"),
        ("/", 404, "Not found"),
        (PATHS["tickets"], 400, "start_time must be given in epoch seconds"),
        (f"{PATHS['articles']}?start_time=yesterday", 400, "start_time must be given in epoch seconds"),
        (f"{PATHS['tickets']}?cursor=MTIz", 400, "cursor must be one that a page before this one gave"),
        (f"{PATHS['users']}?cursor=%C3%A9", 400, "cursor must be one that a page before this one gave"),
    ],
)
def test_what_cannot_be_answered_gets_a_sentence(target: str, status: int, sentence: str) -> None:
    """In Zendesk's form, an error and a description."""
    answer = api().answer(target, ORIGIN)
    assert answer.status == status
    assert sentence in str(answer.body["description"])


@given(st.text(max_size=20))
def test_no_parameter_breaks_it(text: str) -> None:
    """Whatever a client writes is an answer or a refusal."""
    for target in (f"{PATHS['tickets']}?cursor={text}", f"{PATHS['articles']}?start_time={text}", text):
        assert api(tickets=1, articles=1).answer(target, ORIGIN).status in (200, 400, 404)
