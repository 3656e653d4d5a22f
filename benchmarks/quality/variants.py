"""What is compared: the connector's `processing` section, one value changed at a time, and ways of searching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from destination_milvus.config.embedding import MINILM, MULTILINGUAL, LocalModelName

Search = Literal["dense", "BM25", "hybrid, RRF", "hybrid, RRF 3:1"]

DENSE: tuple[Search, ...] = ("dense",)
ALL: tuple[Search, ...] = ("dense", "BM25", "hybrid, RRF", "hybrid, RRF 3:1")

RECOMMENDED: Mapping[str, Any] = {
    "chunk_size": 1000,
    "text_fields": ["title", "body"],
    "metadata_fields": ["id", "source"],
    "html_fields": ["body"],
    "context_fields": ["title"],
    "include_field_names": False,
}
"""What docs/search-quality.md advises."""

READ_WHOLE = 200
"""Tokens of the largest chunks that the local model reads to their end, more or less."""


@dataclass(frozen=True)
class Variant:
    """A configuration to measure."""

    name: str
    """Also of its database; unique."""
    processing: Mapping[str, Any]
    searches: tuple[Search, ...] = DENSE
    model: LocalModelName = MINILM
    indexing: Mapping[str, Any] = field(default_factory=dict)
    """Options beside the collection and `full_text_search`."""

    @property
    def full_text(self) -> bool:
        """Whether the collection needs an index of words."""
        return self.searches != DENSE


def _chunks(
    size: int, overlap: int = 0, searches: tuple[Search, ...] = DENSE, model: LocalModelName = MINILM
) -> Variant:
    changes = {"chunk_size": size, "chunk_overlap": overlap}
    words = ", with full-text search" if searches != DENSE else ""
    other = f", {model}" if model != MINILM else ""
    return Variant(f"chunks of {size}/{overlap}{words}{other}", {**RECOMMENDED, **changes}, searches, model)


def _small_chunks(name: str, **changes: Any) -> Variant:
    """Articles in several chunks, where it shows what a change does to a chunk that is not the first."""
    return Variant(f"{READ_WHOLE}/0, {name}", {**RECOMMENDED, "chunk_size": READ_WHOLE, **changes})


VARIANTS = (
    _chunks(1000, searches=ALL),
    _chunks(READ_WHOLE, searches=ALL),
    _chunks(1000),
    _chunks(500),
    _chunks(READ_WHOLE),
    _chunks(150),
    _chunks(100),
    _chunks(READ_WHOLE, 50),
    _small_chunks("field names", include_field_names=True),
    _small_chunks("title in the first chunk only", context_fields=[]),
    _small_chunks("title in the first chunk only, field names", context_fields=[], include_field_names=True),
    _small_chunks("no title", context_fields=[], text_fields=["body"]),
    _small_chunks("HTML kept, title in the first chunk only", context_fields=[], html_fields=[]),
    Variant(
        "no title, not chunked", {**RECOMMENDED, "context_fields": [], "text_fields": ["body"], "chunk_size": 8191}
    ),
    Variant("nothing set but chunk_size: all fields, HTML, field names, 1000/0", {"chunk_size": 1000}),
    _chunks(1000, searches=ALL, model=MULTILINGUAL),
    _chunks(READ_WHOLE, searches=ALL, model=MULTILINGUAL),
)
