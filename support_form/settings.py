"""The environment → settings. Pure: the caller hands the environment in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr, ValidationError

from destination_milvus.config.embedding import MINILM, MULTILINGUAL
from destination_milvus.config.models import Config, parse_config
from destination_milvus.errors import ConfigError

LOCAL_MODELS: tuple[str, ...] = (MINILM, MULTILINGUAL)
DEFAULT_OPENAI_MODEL = "text-embedding-3-small"

MAX_DISTANCE = 4.0
"""Squared L2 distance between two unit vectors that point away from each other."""

DEMO = Path(".demo") / "milvus.db"
"""Where the demo keeps its collection, in the folder that it and the form are started in; of another local model in a
folder beside it, with the model's name."""

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


class Settings(BaseModel):
    """What the environment says, under the names of its variables."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    milvus_url: str = Field(alias="MILVUS_URL")
    milvus_token: SecretStr | None = Field(default=None, alias="MILVUS_TOKEN")
    milvus_database: str = Field(default="", alias="MILVUS_DATABASE")
    collection: str = Field(default="zendesk", alias="MILVUS_COLLECTION")
    embedding_model: str | None = Field(default=None, alias="EMBEDDING_MODEL")
    embedding_dimensions: int | None = Field(default=None, ge=1, alias="EMBEDDING_DIMENSIONS")
    openai_api_key: SecretStr | None = Field(default=None, alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(default=None, alias="OPENAI_BASE_URL")
    duplicate_distance: float | None = Field(default=None, ge=0, le=MAX_DISTANCE, alias="DUPLICATE_DISTANCE")
    article_distance: float | None = Field(default=None, ge=0, le=MAX_DISTANCE, alias="ARTICLE_DISTANCE")
    organizations: Json[dict[int, str]] | None = Field(default=None, alias="ORGANIZATIONS")
    """Names by id, for the sign-in stub."""

    @property
    def model(self) -> str:
        """The embedding model by name."""
        return self.embedding_model or DEFAULT_OPENAI_MODEL

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
        local = self.model in LOCAL_MODELS
        return parse_config(
            {
                "embedding": {"mode": "local", "model": self.model} if local else self._openai(),
                "processing": {**TEXT, **(LOCAL_CHUNKS if local else OPENAI_CHUNKS)},
                "indexing": {
                    "host": self.milvus_url,
                    "db": self.milvus_database,
                    "collection": self.collection,
                    "auth": self._auth(),
                },
                "advanced": {"concurrency": 1},  # one ticket
            }
        )

    def _openai(self) -> dict[str, Any]:
        if self.openai_api_key is None:
            raise ConfigError(
                f'The model "{self.model}" is OpenAI\'s, and OPENAI_API_KEY is not set. Set it, or set '
                f"EMBEDDING_MODEL={MINILM} for a collection that was filled with the local model."
            )
        return {
            "mode": "openai",
            "openai_key": self.openai_api_key.get_secret_value(),
            "model": self.embedding_model,
            "dimensions": self.embedding_dimensions,
            "base_url": self.openai_base_url,
        }

    def _auth(self) -> dict[str, str]:
        if self.milvus_token is None:
            return {"mode": "no_auth"}
        return {"mode": "token", "token": self.milvus_token.get_secret_value()}


def _first(value: float | None, default: float) -> float:
    return default if value is None else value


def read_settings(environment: Mapping[str, str], demo: Path = DEMO) -> Settings:
    """The settings of an environment; without MILVUS_URL those of the demo, whose model is local.

    Raises:
        ConfigError: names every variable that is wrong; values are not repeated.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    defaults = {} if "MILVUS_URL" in given else _of_demo(given.get("EMBEDDING_MODEL", MINILM), demo)
    try:
        return Settings.model_validate({**defaults, **given})
    except ValidationError as error:
        wrong = sorted({str(detail["loc"][0]) for detail in error.errors(include_url=False, include_input=False)})
        raise ConfigError("; ".join(_EXPECTED[name] for name in wrong) + ".") from None


def _of_demo(model: str, demo: Path) -> dict[str, str]:
    """Each local model has a collection of its own."""
    database = demo.parent / MULTILINGUAL / demo.name if model == MULTILINGUAL else demo
    return {"MILVUS_URL": str(database.absolute()), "EMBEDDING_MODEL": MINILM}


_EXPECTED = {
    "DUPLICATE_DISTANCE": "DUPLICATE_DISTANCE must be a number from 0 to 4",
    "ARTICLE_DISTANCE": "ARTICLE_DISTANCE must be a number from 0 to 4",
    "EMBEDDING_DIMENSIONS": "EMBEDDING_DIMENSIONS must be a whole number above 0",
    "ORGANIZATIONS": 'ORGANIZATIONS must be a JSON object of names by id, as in {"360033549136": "Harborline"}',
}
