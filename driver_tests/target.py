"""The far end of a driver's sync: what it is configured with, what it stored and what it had embedded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from devtools.backends import Backend, config
from devtools.connector import entities
from devtools.openai_endpoint import OpenAIEndpoint
from source_zendesk_stub.config import Settings
from source_zendesk_stub.feeds import feeds_of
from source_zendesk_stub.world import World

COLLECTION = "driven"
TEXT_FIELDS = ["body", "title", "subject", "description"]
"""Of tickets and articles."""

PROBE = "Does the connection to the embedding model work?"
"""What the destination's `check` has embedded."""


@dataclass(frozen=True)
class Target:
    """A collection in Milvus Lite, and the endpoint that makes its vectors."""

    backend: Backend
    endpoint: OpenAIEndpoint

    def config(self, text_fields: list[str] | None = None) -> dict[str, Any]:
        """The destination's configuration: every field is metadata that is not text."""
        return config(
            self.backend,
            embedding=self.endpoint.embedding(),
            processing={"chunk_size": 400, "text_fields": text_fields or TEXT_FIELDS, "html_fields": ["body"]},
            indexing={"collection": COLLECTION},
        )

    def rows(self) -> list[dict[str, Any]]:
        """All that is stored."""
        return entities(self.backend, COLLECTION)

    def heads(self) -> dict[str, dict[str, Any]]:
        """The first row of each record, by `_ab_record_id`."""
        return {row["_ab_record_id"]: row for row in self.rows() if row["_ab_chunk"] == 0}

    def take_embedded(self) -> list[str]:
        """The texts that syncs had embedded since the last call."""
        texts, self.endpoint.texts[:] = list(self.endpoint.texts), []
        return [text for text in texts if text != PROBE]


def stub_records(day: int, streams: Collection[str] = ("tickets", "articles")) -> dict[str, dict[str, object]]:
    """The records of the stub's world on a day, by the `_ab_record_id` that they have in Milvus."""
    feeds = feeds_of(World(Settings.from_config({"day": day})))
    return {
        f"{stream}_{record['id']}": record
        for stream in streams
        for version in feeds[stream].timeline.versions(day, -1, deletions=False)
        for record in [feeds[stream].record(version)]
    }


def assert_holds(target: Target, records: Mapping[str, Mapping[str, object]], fields: Collection[str]) -> None:
    """The collection has exactly these records, whole, with these of their fields, and no column of PyAirbyte's."""
    rows, heads = target.rows(), target.heads()
    assert heads.keys() == records.keys()
    assert Counter(row["_ab_record_id"] for row in rows) == {key: row["_ab_chunks"] for key, row in heads.items()}
    for key, record in records.items():
        stored, expected = heads[key], {name: record[name] for name in fields if name in record}
        assert {name: stored.get(name) for name in expected} == expected
    assert not [name for row in rows for name in row if name.startswith("_airbyte")]
