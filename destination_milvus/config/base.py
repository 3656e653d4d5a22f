"""What all models of the configuration share: how they read JSON, and what the form is told of a field."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

FIELD_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
"""Milvus' rule for names of collections and fields: enforced by the server, not by Milvus Lite."""


class Model(BaseModel):
    """A part of the configuration."""

    # Unknown keys are ignored: configurations written for the existing connector may carry some.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_not_set(cls, raw: Any) -> Any:  # noqa: ANN401 - a validator sees raw input
        return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, dict) else raw


def secret(title: str, description: str, place: int, *, optional: bool = False, **extra: Any) -> Any:  # noqa: ANN401 - pydantic's fields are of any type
    """A field that holds a secret; `place` is where it stands in the form."""
    schema = {"airbyte_secret": True, "order": place, **extra}
    default: dict[str, Any] = {"default": SecretStr("")} if optional else {}
    return Field(title=title, description=description, json_schema_extra=schema, **default)


def order(place: int, **extra: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The place of a field in the form, and what else the form is told of it."""
    return {"order": place, **extra}
