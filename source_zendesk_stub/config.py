"""The configuration: one table of options makes both the specification and the sentences of refusal."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airbyte_cdk.sources.utils.schema_helpers import split_config

from source_zendesk_stub import written
from source_zendesk_stub.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RECORDS = 1_000_000
"""The changes of a day still fit into its seconds, so that every cursor value is unique."""

_START_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$"


@dataclass(frozen=True, slots=True)
class NumberOption:
    """An option that is a whole number from `minimum` to `maximum`, both included."""

    name: str
    title: str
    default: int
    minimum: int
    maximum: int
    description: str

    def json_schema(self, order: int) -> dict[str, Any]:
        """The option as a property of the connector's specification."""
        return {
            "type": "integer",
            "title": self.title,
            "description": self.description,
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "order": order,
        }

    def read(self, config: Mapping[str, Any]) -> int:
        """The option's value in `config`, or its default; anything that is no such number is refused."""
        value = config.get(self.name, self.default)
        if _is_whole(value) and self.minimum <= value <= self.maximum:
            return int(value)
        raise refusal(
            f"The option '{self.name}' must be a whole number from {self.minimum} to {self.maximum}, "
            f"but it is {_shown(value)}."
        )


NUMBER_OPTIONS = (
    NumberOption("tickets", "Tickets", 136, 0, MOST_RECORDS, "How many tickets there are on day 1."),
    NumberOption("articles", "Articles", 40, 0, MOST_RECORDS, "How many help center articles there are on day 1."),
    NumberOption("organizations", "Organizations", 8, 1, MOST_RECORDS, "How many customers' organizations there are."),
    NumberOption("users", "Users", 40, 2, MOST_RECORDS, "How many users there are; one in ten is a support agent."),
    NumberOption("seed", "Seed", 7, 0, 2**31 - 1, "The same seed and sizes make the same records."),
    NumberOption(
        "day",
        "Day",
        1,
        1,
        1000,
        "The day on which the data is looked at. Each day after the first brings new tickets, changed statuses, "
        "edited articles and deletions; a read with the state of the day before delivers only these.",
    ),
    NumberOption("page_size", "Page size", 100, 1, 10_000, "How many records are made at a time, like an API's page."),
    NumberOption(
        "state_frequency",
        "State frequency",
        50,
        1,
        MOST_RECORDS,
        "How many records go by between two states.",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that was found to be good. `start_date` is in epoch seconds (UTC)."""

    tickets: int
    articles: int
    organizations: int
    users: int
    seed: int
    day: int
    page_size: int
    state_frequency: int
    locales: tuple[str, ...]
    start_date: int | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read the user's configuration; the first thing wrong in it is refused with a sentence."""
        own, _ = split_config(config)  # the CDK's own keys, such as _limit, are none of the user's options
        _refuse_unknown_options(own)
        numbers = {option.name: option.read(own) for option in NUMBER_OPTIONS}
        return cls(**numbers, locales=_read_locales(own), start_date=_read_start_date(own))


def connection_specification() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    properties = {option.name: option.json_schema(order) for order, option in enumerate(NUMBER_OPTIONS)}
    properties["locales"] = {
        "type": "array",
        "items": {"type": "string", "enum": list(written.LOCALES)},
        "uniqueItems": True,
        "title": "Locales",
        "description": "Other languages that a dozen of the articles are delivered in, besides all of them in English.",
        "default": [],
        "order": len(NUMBER_OPTIONS),
    }
    properties["start_date"] = {
        "type": "string",
        "title": "Start date",
        "description": "Records that were last updated before this moment (UTC) are not delivered.",
        "pattern": _START_DATE,
        "examples": ["2025-12-01", "2025-12-01T00:00:00Z"],
        "order": len(NUMBER_OPTIONS) + 1,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Zendesk stub",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [],
    }


def _refuse_unknown_options(config: Mapping[str, Any]) -> None:
    known = [*(option.name for option in NUMBER_OPTIONS), "locales", "start_date"]
    unknown = [name for name in config if name not in known]
    if unknown:
        raise refusal(
            f"The configuration has an option that this source does not know: {_shown(unknown[0])}. "
            f"It knows {', '.join(known)}."
        )


def _read_locales(config: Mapping[str, Any]) -> tuple[str, ...]:
    value = config.get("locales", [])
    if isinstance(value, list) and all(locale in written.LOCALES for locale in value) and len(set(value)) == len(value):
        return tuple(value)
    raise refusal(
        f"The option 'locales' must be a list of {' and '.join(written.LOCALES)}, each once at most, but it is "
        f"{_shown(value)}."
    )


def _read_start_date(config: Mapping[str, Any]) -> int | None:
    if "start_date" not in config:
        return None
    value = config["start_date"]
    try:
        if isinstance(value, str) and re.search(_START_DATE, value):
            return int(datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:  # the right pattern, but no such day: the 31st of February
        pass
    raise refusal(
        f"The option 'start_date' must be a date such as 2025-12-01 or 2025-12-01T00:00:00Z, but it is {_shown(value)}."
    )


def _is_whole(value: object) -> bool:
    """Whether JSON Schema calls the value an integer: 5.0 is one, true is not."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _shown(value: object) -> str:
    """The value as the user wrote it in JSON, cut to a length that fits a sentence."""
    text = json.dumps(value)
    longest = 60
    return text if len(text) <= longest else f"{text[:longest]}…"
