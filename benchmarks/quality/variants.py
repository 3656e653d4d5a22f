"""What is compared: the connector's `processing` section, one value changed at a time, and ways of searching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Search = Literal["dense", "BM25", "hybrid, RRF", "hybrid, RRF 3:1"]

DENSE: tuple[Search, ...] = ("dense",)
ALL: tuple[Search, ...] = ("dense", "BM25", "hybrid, RRF", "hybrid, RRF 3:1")

RECOMMENDED: Mapping[str, Any] = {
    "chunk_size": 200,
    "text_fields": ["title", "body"],
    "metadata_fields": ["id", "source"],
    "html_fields": ["body"],
    "context_fields": ["title"],
    "include_field_names": False,
}
"""What docs/search-quality.md advises for the local model."""


@dataclass(frozen=True)
class Variant:
    """A configuration to measure."""

    name: str
    """Also of its database; unique."""
    processing: Mapping[str, Any]
    searches: tuple[Search, ...] = DENSE

    @property
    def full_text(self) -> bool:
        """Whether the collection needs an index of words."""
        return self.searches != DENSE


def _changed(name: str, **changes: Any) -> Variant:
    return Variant(name, {**RECOMMENDED, **changes})


VARIANTS = (
    Variant("recommended: title as context, Markdown, no field names, 200/0", RECOMMENDED),
    Variant("the same, with full-text search", RECOMMENDED, ALL),
    _changed("field names", include_field_names=True),
    _changed("chunks of 500/0", chunk_size=500),
    _changed("chunks of 1000/0", chunk_size=1000),
    _changed("title in the first chunk only", context_fields=[]),
    _changed("title in the first chunk only, field names", context_fields=[], include_field_names=True),
    _changed("no title", context_fields=[], text_fields=["body"]),
    _changed("no title, not chunked", context_fields=[], text_fields=["body"], chunk_size=8191),
    _changed("HTML kept, title in the first chunk only", context_fields=[], html_fields=[]),
    _changed("chunks of 200/50", chunk_overlap=50),
    _changed("chunks of 100/0", chunk_size=100),
    Variant("nothing set but chunk_size: all fields, HTML, field names, 1000/0", {"chunk_size": 1000}),
)
