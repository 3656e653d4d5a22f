"""The configuration: parsed once, here, and passed on as these models.

Every configuration of `airbyte/destination-milvus` 0.0.x validates unchanged; what is new is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from destination_milvus.config.base import Model, order
from destination_milvus.config.embedding import Embedding
from destination_milvus.config.indexing import Indexing
from destination_milvus.config.messages import problem
from destination_milvus.config.processing import Processing
from destination_milvus.errors import ConfigError


class Advanced(Model):
    """Limits and policies."""

    bad_records: Literal["fail", "skip"] = Field(
        default="fail",
        title="Bad records",
        description="What a record that cannot be stored does: end the sync, or be skipped and named in the log.",
        json_schema_extra=order(0),
    )
    concurrency: int = Field(
        default=8,
        ge=1,
        le=64,
        title="Concurrency",
        description="Batches in flight at once, and embedding requests at once.",
        json_schema_extra=order(1),
    )
    requests_per_minute: int | None = Field(
        default=None,
        ge=1,
        title="Requests per minute",
        description="Most embedding requests in a minute; as many as the endpoint takes if not set.",
        json_schema_extra=order(2),
    )
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        title="Tokens per minute",
        description="Most tokens sent to the embedding endpoint in a minute; as many as it takes if not set.",
        json_schema_extra=order(3),
    )


class Config(Model):
    """Configuration of the Milvus destination."""

    embedding: Embedding = Field(
        title="Embedding",
        description="How texts become vectors.",
        json_schema_extra={"group": "embedding", "type": "object", "order": 1},
    )
    processing: Processing = Field(title="Processing", json_schema_extra={"group": "processing", "order": 0})
    indexing: Indexing = Field(title="Indexing", json_schema_extra={"group": "indexing", "order": 2})
    omit_raw_text: bool = Field(
        default=False,
        title="Do not store raw text",
        description="Whether to leave the text out of Milvus and store only vector and metadata.",
        json_schema_extra={"group": "advanced", "order": 3},
    )
    advanced: Advanced = Field(
        default_factory=Advanced,  # not a default: the form's would hold nulls, which its own schema refuses
        title="Advanced",
        json_schema_extra={"group": "advanced", "order": 4},
    )

    @model_validator(mode="after")
    def _options_agree(self) -> Config:
        if self.indexing.full_text_search and self.omit_raw_text:
            raise ValueError(
                "indexing.full_text_search searches the stored text, which omit_raw_text leaves out: switch one of the "
                "two off"
            )
        stored = set(map(self.processing.stored_name, self.processing.metadata_fields))
        wanted = list(self.indexing.indexed_metadata_fields)
        if self.indexing.partition_field is not None:
            wanted.append(self.indexing.partition_field)
        if self.indexing.analyzer_field is not None:
            wanted.append(self.indexing.analyzer_field)
        for name in wanted:
            if stored and name not in stored:
                raise ValueError(
                    f'indexing asks for the metadata field "{name}", which processing.metadata_fields leaves out: add '
                    "it there, or take it out of indexing.indexed_metadata_fields, indexing.partition_key and "
                    "indexing.full_text_analyzer"
                )
        return self


def parse_config(raw: Mapping[str, Any]) -> Config:
    """The configuration as models.

    Raises:
        ConfigError: names every option that is wrong, and why; values are not repeated.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(problem(detail) for detail in error.errors(include_url=False, include_input=False))
        raise ConfigError(f"The configuration is not valid: {problems}.") from None
