"""The environment → settings. Pure: the caller hands the environment in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, Json

from destination_milvus.config.embedding import MINILM, MULTILINGUAL
from destination_milvus.config.environment import DEMO, EXPECTED, Environment, read_environment
from destination_milvus.config.models import Config
from destination_milvus.errors import ConfigError

MAX_DISTANCE = 4.0
"""Squared L2 distance between two unit vectors that point away from each other."""

TEXT = {
    "text_fields": ["body", "title", "description", "subject"],
    "metadata_fields": [
        "id", "subject", "description", "status", "priority", "organization_id", "requester_id", "tags",
        "title", "html_url", "label_names", "locale", "created_at", "updated_at",
    ],
    "html_fields": ["body"],
    "context_fields": ["title", "subject"],
}  # fmt: skip
"""How the examples' configurations make text and metadata of records: a submitted ticket is stored alike."""

LOCAL_CHUNKS = {"chunk_size": 200, "chunk_overlap": 20}
OPENAI_CHUNKS = {"chunk_size": 1000, "chunk_overlap": 50}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How near is near enough, as squared L2 distance between unit vectors: 0 is equal, 2 unrelated."""

    duplicate: float
    """Below it an open ticket tells the same problem."""
    article: float
    """Below it an article may help."""


THRESHOLDS: Mapping[str, Thresholds] = {
    # measured on the stub's texts: docs/support-form.md
    MINILM: Thresholds(1.0, 1.2),
    MULTILINGUAL: Thresholds(1.05, 1.35),
    # the tutorial's
    "text-embedding-ada-002": Thresholds(0.35, 0.362),
    # estimates: the vectors of these models spread wider than ada's; measure your own with support_form.measure
    "text-embedding-3-small": Thresholds(0.7, 1.1),
    "text-embedding-3-large": Thresholds(0.7, 1.1),
}


class Settings(Environment):
    """What the environment says, under the names of its variables."""

    duplicate_distance: float | None = Field(default=None, ge=0, le=MAX_DISTANCE, alias="DUPLICATE_DISTANCE")
    article_distance: float | None = Field(default=None, ge=0, le=MAX_DISTANCE, alias="ARTICLE_DISTANCE")
    organizations: Json[dict[int, str]] | None = Field(default=None, alias="ORGANIZATIONS")
    """Names by id, for the sign-in stub."""

    @property
    def thresholds(self) -> Thresholds:
        """Those of the environment, else those of the model.

        Raises:
            ConfigError: neither are known.
        """
        known = THRESHOLDS.get(self.model)
        duplicate = self.duplicate_distance if known is None else _first(self.duplicate_distance, known.duplicate)
        article = self.article_distance if known is None else _first(self.article_distance, known.article)
        if duplicate is None or article is None:
            raise ConfigError(
                f'How near is near enough is not known for the model "{self.model}": set DUPLICATE_DISTANCE and '
                "ARTICLE_DISTANCE."
            )
        return Thresholds(duplicate, article)

    @property
    def destination(self) -> Config:
        """The destination's configuration for this collection, to read and to write it with.

        Raises:
            ConfigError: a value is not one that the destination takes, or a key is missing.
        """
        return self.config({**TEXT, **(LOCAL_CHUNKS if self.is_local else OPENAI_CHUNKS)})


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


def read_settings(environment: Mapping[str, str], demo: Path = DEMO) -> Settings:
    """The settings of an environment; without MILVUS_URL those of the demo, whose model is local.

    Raises:
        ConfigError: names every variable that is wrong; values are not repeated.
    """
    return read_environment(Settings, environment, _EXPECTED, demo)


_EXPECTED = {
    **EXPECTED,
    "DUPLICATE_DISTANCE": "DUPLICATE_DISTANCE must be a number from 0 to 4",
    "ARTICLE_DISTANCE": "ARTICLE_DISTANCE must be a number from 0 to 4",
    "ORGANIZATIONS": 'ORGANIZATIONS must be a JSON object of names by id, as in {"360033549136": "Harborline"}',
}
