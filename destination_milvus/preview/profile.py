"""What fields hold: metadata by type, with what was cut or renamed; text by what is no words. Pure.

Looks at the first records of a stream and at some of those behind them, and knows so many names of fields.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from destination_milvus.documents.builder import DocumentBuilder
from destination_milvus.fields import META_CHANGES, SYSTEM_FIELDS
from destination_milvus.model import Document, Json

EXACT = 200
"""Records that are looked at one by one."""

EVERY = 32
"""Of the records behind them, one in so many is."""

MOST_NAMES = 200
"""Fields that are told apart; of others nothing is told."""

MOST_EXAMPLE = 40
"""Characters of an example."""

_LOOKED_AT = 20_000
"""Characters of a text in which HTML is looked for."""

_HTML = re.compile(
    r"</?(?:p|br|div|span|a|ul|ol|li|h[1-6]|table|tr|td|th|img|strong|em|b|i|code|pre|blockquote|html|body)\b[^<>]*>",
    re.IGNORECASE,
)
_LINK = re.compile(r"https?://\S+")
_NUMBER = re.compile(r"[+-]?\d[\d.,:TZ+\-\s]*")
"""Numbers, dates and times."""


@dataclass
class MetadataProfile:
    """A metadata field, by its name in Milvus."""

    seen: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """How often it was a text, a number, a boolean, a list or an object."""
    cut: Counter[str] = field(default_factory=Counter)
    """How often it lost something, by what: NULLED or TRUNCATED, and Airbyte's reason."""
    example: str = ""
    """The beginning of a value that was cut, else of the first one."""
    renamed_from: str | None = None
    """Its name in the record, where Milvus' own fields have that name."""


@dataclass
class TextProfile:
    """A text field, by its path as configured."""

    seen: int = 0
    html: int = 0
    """Values with tags of HTML."""
    numbers: int = 0
    """Values that are a number, a date, or true or false."""
    links: int = 0
    """Values that are a web address and nothing else."""


@dataclass
class Profile:
    """The fields of a stream."""

    metadata: dict[str, MetadataProfile] = field(default_factory=dict)
    texts: dict[str, TextProfile] = field(default_factory=dict)
    records: int = 0
    looked_at: int = 0

    def add(self, data: Mapping[str, Json], document: Document, builder: DocumentBuilder) -> None:
        """Look at a record, and at the document that it became."""
        self.records += 1
        if self.records > EXACT and self.records % EVERY:
            return
        self.looked_at += 1
        self._add_metadata(data, document.metadata, builder)
        for name, value in _text_values(data, builder):
            if value is not None and (name in self.texts or len(self.texts) < MOST_NAMES):
                _add_text(self.texts.setdefault(name, TextProfile()), value)

    def _add_metadata(self, data: Mapping[str, Json], metadata: Mapping[str, Json], builder: DocumentBuilder) -> None:
        for name, value in metadata.items():
            if name not in SYSTEM_FIELDS and (profile := self._metadata(name)) is not None:
                profile.seen += 1
                profile.kinds[kind_of(value)] += 1
                profile.example = profile.example or shown(value)
                original = name.rstrip("_")
                if name not in data and original in builder.reserved:
                    profile.renamed_from = original
        for change in metadata.get(META_CHANGES) or ():
            name = change.get("field", "")
            if (profile := self._metadata(name)) is not None:
                profile.cut[f"{change.get('change', '')} {change.get('reason', '')}"] += 1
                profile.example = shown(data.get(name, metadata.get(name)))

    def _metadata(self, name: str) -> MetadataProfile | None:
        if name not in self.metadata and len(self.metadata) >= MOST_NAMES:
            return None
        return self.metadata.setdefault(name, MetadataProfile())


def kind_of(value: Json) -> str:
    """The type of a value, in a word."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def shown(value: Json) -> str:
    """The beginning of a value, on one line, without what a terminal would act upon."""
    text = str(value)[: 2 * MOST_EXAMPLE]
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MOST_EXAMPLE else line[: MOST_EXAMPLE - 1] + "…"


def _text_values(data: Mapping[str, Json], builder: DocumentBuilder) -> Iterator[tuple[str, Json]]:
    if builder.text_fields:
        for path in builder.text_fields:
            for _, value in path.select(data):
                yield path.path, value
        return
    for name, value in data.items():
        if not name.startswith(("_airbyte_", "_ab_cdc_")):
            yield name, value


def _add_text(profile: TextProfile, value: Json) -> None:
    profile.seen += 1
    if not isinstance(value, str):
        profile.numbers += isinstance(value, bool | int | float | Decimal)
        return
    stripped = value.strip()
    profile.links += _LINK.fullmatch(stripped) is not None
    profile.numbers += _NUMBER.fullmatch(stripped) is not None
    profile.html += "<" in value and _HTML.search(value, 0, _LOOKED_AT) is not None
