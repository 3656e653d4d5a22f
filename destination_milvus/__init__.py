"""Airbyte destination that keeps records searchable by meaning in Milvus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from destination_milvus.destination import DestinationMilvus as DestinationMilvus

__all__ = ["DestinationMilvus"]


def __getattr__(name: str) -> object:
    """The connector where Airbyte's tools look for it, loaded when asked for: other modules do not wait for the CDK."""
    if name == "DestinationMilvus":
        from destination_milvus.destination import DestinationMilvus  # noqa: PLC0415

        return DestinationMilvus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
