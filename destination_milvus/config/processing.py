"""The option `processing`: how records become chunks and metadata."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from destination_milvus.config.base import Model, order

MAX_CHUNK_SIZE = 8191
"""Tokens: OpenAI's embedding models read 8,192, and the existing connector's limit is one less."""


def _separator_text(value: str) -> str:
    try:
        separator = json.loads(value)
    except ValueError:
        separator = None
    if not isinstance(separator, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueError
            f'separators are JSON strings, written with their quotes, as in "\\n": {value} is not one'
        )
    return separator


class SeparatorSplitter(Model):
    """Split by a list of separators: the first that is near the limit wins."""

    model_config = ConfigDict(title="By separator")

    mode: Literal["separator"] = Field(default="separator", title="Mode", json_schema_extra=order(0))
    separators: list[str] = Field(
        default=['"\\n\\n"', '"\\n"', '" "', '""'],
        title="Separators",
        description=(
            "Separators to split at, the most important first, each written as a JSON string: "
            'for example "\\n" with its quotes for a line break.'
        ),
        json_schema_extra=order(1),
    )
    keep_separator: bool = Field(
        default=False,
        title="Keep separator",
        description="Whether the separator stays in the text of the chunks.",
        json_schema_extra=order(2),
    )

    @field_validator("separators")
    @classmethod
    def _are_json_strings(cls, separators: list[str]) -> list[str]:
        for separator in separators:
            _separator_text(separator)
        return separators

    @property
    def separator_texts(self) -> tuple[str, ...]:
        """The separators themselves, without their JSON quotes."""
        return tuple(_separator_text(separator) for separator in self.separators)


class MarkdownSplitter(Model):
    """Split at Markdown headings."""

    model_config = ConfigDict(title="By Markdown heading")

    mode: Literal["markdown"] = Field(default="markdown", title="Mode", json_schema_extra=order(0))
    split_level: int = Field(
        default=1,
        ge=1,
        le=6,
        title="Split level",
        description="Level of headings to split at: 1 splits at top-level headings only.",
        json_schema_extra=order(1),
    )


Language = Literal[
    "cpp", "go", "java", "js", "php", "proto", "python", "rst",
    "ruby", "rust", "scala", "swift", "markdown", "latex", "html", "sol",
]  # fmt: skip


class CodeSplitter(Model):
    """Split at the blocks of a programming language."""

    model_config = ConfigDict(title="By programming language")

    mode: Literal["code"] = Field(default="code", title="Mode", json_schema_extra=order(0))
    language: Language = Field(
        title="Language",
        description="Language of the text: its classes, functions and blocks are kept together.",
        json_schema_extra=order(1),
    )


TextSplitter = Annotated[SeparatorSplitter | MarkdownSplitter | CodeSplitter, Field(discriminator="mode")]


class FieldNameMapping(Model):
    """Another name for a field of the record."""

    from_field: str = Field(title="From field name", description="Name in the source.", json_schema_extra=order(0))
    to_field: str = Field(title="To field name", description="Name in Milvus.", json_schema_extra=order(1))


class Processing(Model):
    """How records become chunks."""

    chunk_size: int = Field(
        ge=1,
        le=MAX_CHUNK_SIZE,
        title="Chunk size",
        description=(
            "Most tokens (cl100k) of a chunk. 1,000 suits most models; the local all-MiniLM-L6-v2 reads some 200 of "
            "them."
        ),
        examples=[1000, 200],
        json_schema_extra=order(0),
    )
    chunk_overlap: int = Field(
        default=0,
        ge=0,
        title="Chunk overlap",
        description="Tokens that neighbouring chunks share, so that a sentence at a border is found. Below chunk size.",
        json_schema_extra=order(1),
    )
    text_fields: list[str] = Field(
        default=[],
        title="Text fields to embed",
        description=(
            "Fields whose text is embedded, as dotted paths; * stands for any name or list item, as in "
            "users.*.name. All fields if empty."
        ),
        examples=[["body", "title", "description", "subject"], ["users.*.name"]],
        json_schema_extra=order(2, always_show=True),
    )
    metadata_fields: list[str] = Field(
        default=[],
        title="Fields to store as metadata",
        description="Fields that can be filtered by and returned, as dotted paths; * as above. All fields if empty.",
        examples=[["id", "status", "organization_id", "html_url"]],
        json_schema_extra=order(3, always_show=True),
    )
    text_splitter: TextSplitter = Field(
        default=SeparatorSplitter(),
        title="Text splitter",
        description="Where texts longer than a chunk are cut.",
        json_schema_extra=order(4, type="object"),
    )
    field_name_mappings: list[FieldNameMapping] = Field(
        default=[],
        title="Field name mappings",
        description="Fields to rename on the way into Milvus.",
        json_schema_extra=order(5),
    )
    include_field_names: bool = Field(
        default=True,
        title="Include field names",
        description='Whether the embedded text says which field a text is from, as in "title: …".',
        json_schema_extra=order(6),
    )
    html_fields: list[str] = Field(
        default=[],
        title="HTML fields",
        description="Text fields to convert from HTML to Markdown before they are split, as dotted paths.",
        examples=[["body"]],
        json_schema_extra=order(7),
    )
    context_fields: list[str] = Field(
        default=[],
        title="Context fields",
        description="Fields repeated on top of every chunk, such as a title; they count in the chunk size.",
        examples=[["title", "subject"]],
        json_schema_extra=order(8),
    )

    def stored_name(self, path: str) -> str:
        """Name in Milvus of a field or path; the first mapping of it counts."""
        return next((mapping.to_field for mapping in self.field_name_mappings if mapping.from_field == path), path)

    @property
    def sources(self) -> dict[str, list[str]]:
        """Paths in the records, by the name in Milvus that they are mapped to."""
        sources: dict[str, list[str]] = {}
        for mapping in self.field_name_mappings:
            if self.stored_name(mapping.from_field) == mapping.to_field:
                sources.setdefault(mapping.to_field, []).append(mapping.from_field)
        return sources

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Processing:
        if self.chunk_overlap >= self.chunk_size:
            raise ValueError(f"chunk_overlap ({self.chunk_overlap}) must be below chunk_size ({self.chunk_size})")
        return self
