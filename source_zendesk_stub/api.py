"""Zendesk's REST API over a world: what is asked for comes in as a path with a query, and an answer goes out.

It answers what Airbyte's Zendesk Support source asks for tickets, articles, organizations and users, in the two ways
of Zendesk's incremental exports: by cursor (tickets, users), where a cursor is exact, and by time (organizations,
articles), where the end time of one page is the start time of the next. As in Zendesk, a start time is inclusive for
all of them but articles; a deleted ticket is told with the status `deleted`; and nothing tells of a withdrawn article.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from source_zendesk_stub.feeds import feeds_of, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from source_zendesk_stub.world import World

MARK_OF_DELETION = "_ab_cdc_deleted_at"
"""The field that the source stub adds to a deleted record. Zendesk has no such field."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, and its body as JSON values."""

    status: HTTPStatus
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the address without its query, and the query's parameters."""

    address: str
    parameters: Mapping[str, str]

    def with_parameters(self, **parameters: object) -> str:
        """The same address with another query."""
        return f"{self.address}?{urlencode(parameters)}"


@dataclass(frozen=True, slots=True)
class Page:
    """Records in the order of their changes. `end` is the second of the last one, or where the page began."""

    records: tuple[Mapping[str, object], ...]
    end: int
    is_last: bool


class UnusableParameterError(ValueError):
    """A parameter that is missing or cannot be read; the message is the sentence for the client."""


@dataclass(frozen=True, slots=True)
class Api:
    """The REST API of an account that holds a world."""

    world: World

    def answer(self, target: str, origin: str) -> Answer:
        """The response to a GET of `target`; addresses in it begin with `origin`, such as https://localhost:8443."""
        parts = urlsplit(target)
        parameters = {name: values[0] for name, values in parse_qs(parts.query).items()}
        respond = _ROUTES.get(parts.path.removesuffix(".json"))
        if respond is None:
            return Answer(HTTPStatus.NOT_FOUND, {"error": "InvalidEndpoint", "description": "Not found"})
        try:
            return Answer(HTTPStatus.OK, respond(self, Request(f"{origin}{parts.path}", parameters)))
        except UnusableParameterError as error:
            return Answer(HTTPStatus.BAD_REQUEST, {"error": "InvalidValue", "description": str(error)})

    def page(self, stream: str, after: int, *, size: int, deletions: bool) -> Page:
        """What changed later than the second `after`, up to `size` records of it."""
        settings = self.world.settings
        if settings.start_date is not None:
            after = max(after, settings.start_date - 1)
        feed = feeds_of(self.world)[stream]
        versions = list(islice(feed.timeline.versions(settings.day, after, deletions=deletions), size + 1))
        on_page = versions[:size]
        return Page(
            records=tuple(
                _as_zendesk_writes(stream, record) for version in on_page for record in records_of(feed, version)
            ),
            end=on_page[-1].updated if on_page else after,
            is_last=len(versions) <= size,
        )


def _account_settings(_api: Api, _request: Request) -> dict[str, object]:
    """The one setting that Airbyte's connection test looks at, and its neighbours."""
    active = {"organization_access_enabled": True, "customer_satisfaction": True, "insights": False}
    return {
        "settings": {"active_features": active, "api": {"accepted_api_agreement": True, "api_token_access": "true"}}
    }


def _tickets(api: Api, request: Request) -> dict[str, object]:
    return _cursor_export(api, request, "tickets")


def _users(api: Api, request: Request) -> dict[str, object]:
    return _cursor_export(api, request, "users")


def _cursor_export(api: Api, request: Request, stream: str) -> dict[str, object]:
    """A page by cursor: the cursor is the position behind it, and stays good for the next export."""
    cursor = request.parameters.get("cursor")
    after = _start_time(request) - 1 if cursor is None else _position(cursor)
    page = api.page(stream, after, size=api.world.settings.page_size, deletions=True)
    following = _cursor(page.end)
    return {
        stream: page.records,
        "after_url": request.with_parameters(cursor=following),
        "after_cursor": following,
        "before_url": None,
        "before_cursor": None,
        "end_of_stream": page.is_last,
    }


def _organizations(api: Api, request: Request) -> dict[str, object]:
    """A page by time. The next one begins with the last record of this one: of less than two there would be no end."""
    page = api.page(
        "organizations", _start_time(request) - 1, size=max(2, api.world.settings.page_size), deletions=True
    )
    return {
        "organizations": page.records,
        "count": len(page.records),
        "end_time": page.end,
        "next_page": request.with_parameters(start_time=page.end),
        "end_of_stream": page.is_last,
    }


def _articles(api: Api, request: Request) -> dict[str, object]:
    """A page by time: what changed after the start time. The end is a page without articles and without a next one."""
    page = api.page("articles", _start_time(request), size=api.world.settings.page_size, deletions=False)
    return {
        "articles": page.records,
        "count": len(page.records),
        "end_time": page.end if page.records else None,
        "next_page": request.with_parameters(start_time=page.end) if page.records else None,
    }


_ROUTES: Mapping[str, Callable[[Api, Request], Mapping[str, object]]] = {
    "/api/v2/account/settings": _account_settings,
    "/api/v2/incremental/tickets/cursor": _tickets,
    "/api/v2/incremental/users/cursor": _users,
    "/api/v2/incremental/organizations": _organizations,
    "/api/v2/help_center/incremental/articles": _articles,
}
"""What is answered, by the path without the `.json` that Zendesk lets one write or leave out."""


def _start_time(request: Request) -> int:
    text = request.parameters.get("start_time", "")
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    raise UnusableParameterError("The parameter start_time must be given in epoch seconds, such as 1767225600.")


def _cursor(second: int) -> str:
    """A position as an opaque text."""
    return base64.urlsafe_b64encode(f"{second}||".encode()).decode()


def _position(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii")
    except ValueError:  # no base64, or of other bytes
        text = ""
    if re.fullmatch(r"-?[0-9]{1,12}\|\|", text):
        return int(text.removesuffix("||"))
    raise UnusableParameterError("The parameter cursor must be one that a page before this one gave.")


def _as_zendesk_writes(stream: str, record: Mapping[str, object]) -> dict[str, object]:
    """The record with a null for every field that has no value, and without what only an Airbyte source adds."""
    return {name: record.get(name) for name in _fields(stream)}


@cache
def _fields(stream: str) -> tuple[str, ...]:
    """The fields of a stream's records, by its schema."""
    schema = json.loads((Path(__file__).parent / "schemas" / f"{stream}.json").read_text(encoding="utf-8"))
    return tuple(name for name in schema["properties"] if name != MARK_OF_DELETION)
