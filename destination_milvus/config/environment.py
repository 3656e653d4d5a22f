"""Variables of the environment → the configuration of a program that reads the collection. Pure.

The support form and the playground are told by the same variables where the collection is and which model filled it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from destination_milvus.config.embedding import MINILM, MULTILINGUAL
from destination_milvus.config.models import Config, parse_config
from destination_milvus.errors import ConfigError

LOCAL_MODELS: tuple[str, ...] = (MINILM, MULTILINGUAL)
DEFAULT_OPENAI_MODEL = "text-embedding-3-small"

DEMO = Path(".demo") / "milvus.db"
"""Where the demo keeps its collection, in the folder that it and a program on its data are started in; of another local
model in a folder beside it, with the model's name."""

VARIABLES = {
    "indexing.host": "MILVUS_URL",
    "indexing.auth": "MILVUS_TOKEN",
    "indexing.db": "MILVUS_DATABASE",
    "indexing.collection": "MILVUS_COLLECTION",
    "embedding": "EMBEDDING_MODEL",
    "embedding.model": "EMBEDDING_MODEL",
    "embedding.openai_key": "OPENAI_API_KEY",
    "embedding.base_url": "OPENAI_BASE_URL",
    "embedding.dimensions": "EMBEDDING_DIMENSIONS",
}
"""What the environment calls the destination's options, for `DestinationError.named`."""


class Environment(BaseModel):
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

    @property
    def model(self) -> str:
        """The embedding model by name."""
        return self.embedding_model or DEFAULT_OPENAI_MODEL

    @property
    def is_local(self) -> bool:
        """Whether the model is a bundled one."""
        return self.model in LOCAL_MODELS

    def config(self, processing: Mapping[str, Any], *, with_model: bool = True) -> Config:
        """The destination's configuration for this collection.

        Args:
            processing: as in the configuration; who only reads needs a `chunk_size` and nothing more.
            with_model: False for a reader without an embedder, which needs no key.

        Raises:
            ConfigError: a value is not one that the destination takes, or a key is missing.
        """
        return parse_config(
            {
                "embedding": self._embedding() if with_model else {"mode": "fake"},
                "processing": dict(processing),
                "indexing": {
                    "host": self.milvus_url,
                    "db": self.milvus_database,
                    "collection": self.collection,
                    "auth": self._auth(),
                },
                "advanced": {"concurrency": 1},  # somebody waits for one text
            }
        )

    def _embedding(self) -> dict[str, Any]:
        if self.is_local:
            return {"mode": "local", "model": self.model}
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


EXPECTED = {"EMBEDDING_DIMENSIONS": "EMBEDDING_DIMENSIONS must be a whole number above 0"}
"""What a variable takes, for those that can be wrong by themselves."""

E = TypeVar("E", bound=Environment)


def read_environment(
    kind: type[E], environment: Mapping[str, str], expected: Mapping[str, str] = EXPECTED, demo: Path = DEMO
) -> E:
    """What an environment says; without MILVUS_URL it is the demo, whose model is local.

    Args:
        kind: what is read.
        environment: as `os.environ`; variables of blanks count as not set.
        expected: a clause for each variable that can be wrong by itself.
        demo: the demo's database.

    Raises:
        ConfigError: names every variable that is wrong; values are not repeated.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    defaults = {} if "MILVUS_URL" in given else _of_demo(given.get("EMBEDDING_MODEL", MINILM), demo)
    try:
        return kind.model_validate({**defaults, **given})
    except ValidationError as error:
        wrong = sorted({str(detail["loc"][0]) for detail in error.errors(include_url=False, include_input=False)})
        raise ConfigError("; ".join(expected[name] for name in wrong) + ".") from None


def _of_demo(model: str, demo: Path) -> dict[str, str]:
    """Each local model has a collection of its own."""
    database = demo.parent / MULTILINGUAL / demo.name if model == MULTILINGUAL else demo
    return {"MILVUS_URL": str(database.absolute()), "EMBEDDING_MODEL": MINILM}
