"""The two kinds of Milvus that the integration tests run on, and a configuration for either."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pymilvus import MilvusClient

NO_AUTH: Mapping[str, str] = {"mode": "no_auth"}

SHORT_CHUNKS: Mapping[str, Any] = {
    "chunk_size": 6,
    "text_splitter": {"mode": "separator", "separators": ['"\\n"']},
    "text_fields": ["body"],
    "metadata_fields": ["id", "status"],
    "include_field_names": False,
}
"""Options of `processing` under which two lines of three words do not fit into one chunk."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A Milvus to test on."""

    name: Literal["lite", "server"]
    host: str
    """As in `indexing.host`: the path of a database for Milvus Lite, the address of a server."""
    auth: Mapping[str, str] = field(default_factory=lambda: NO_AUTH)
    made: list[str] = field(default_factory=list)
    """Names of collections that were given out, to be dropped after the test."""

    def make_collection_name(self) -> str:
        """A name that nothing else uses."""
        self.made.append(f"test_{uuid.uuid4().hex}")
        return self.made[-1]

    @contextmanager
    def client(self) -> Iterator[MilvusClient]:
        """A client of its own. Milvus Lite is let go of afterwards: one process at a time may hold a database."""
        from pymilvus import MilvusClient  # noqa: PLC0415 - 2 s that tests without Milvus need not pay

        credentials = {key: value for key, value in self.auth.items() if key != "mode"}
        if "username" in credentials:
            credentials["user"] = credentials.pop("username")
        client = MilvusClient(uri=self.host, dedicated=True, timeout=20, **credentials)
        try:
            yield client
        finally:
            client.close()
            self.release()

    def release(self) -> None:
        """Let go of a Milvus Lite database that this process holds, so that another one can open it."""
        if self.name == "lite":
            from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 - as above

            server_manager_instance.release_server(self.host)

    def drop(self) -> None:
        """Drop the collections that were given out. Milvus Lite's go with their folder."""
        if self.name == "server" and self.made:
            with self.client() as client:
                for name in self.made:
                    client.drop_collection(name, timeout=60)  # an unknown one is no error
        self.made.clear()
        self.release()


def config(backend: Backend, **overrides: Any) -> dict[str, Any]:
    """A destination configuration for a backend, with a collection name of its own.

    Args:
        backend: where to.
        **overrides: replace a top-level key; a mapping is merged into the one it meets, except that another `mode`
            replaces it, since keys of one mode mean nothing in another.
    """
    base = {
        "embedding": {"mode": "fake"},
        "processing": {"chunk_size": 1000},
        "indexing": {"host": backend.host, "auth": dict(backend.auth)},
    }
    merged = _merged(base, overrides)
    if "collection" not in merged["indexing"]:
        merged["indexing"]["collection"] = backend.make_collection_name()
    return merged


def _merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        before = merged.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping) and "mode" not in value:
            merged[key] = _merged(before, value)
        else:
            merged[key] = value
    return merged


def make_auto_id_collection(backend: Backend, name: str, dimensions: int) -> None:
    """A collection as Airbyte's own connector asks its users to make."""
    from pymilvus import DataType, MilvusClient  # noqa: PLC0415

    schema = MilvusClient.create_schema(auto_id=True, enable_dynamic_field=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="L2")
    with backend.client() as client:
        client.create_collection(name, schema=schema, index_params=index)
