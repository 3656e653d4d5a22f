"""Who may see a chunk: permissions as metadata, and a filter that quotes them; docs/reading.md has the recipe."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.milvus.filters import all_of, contains_any, equals
from destination_milvus.milvus.reader import Reader, open_reader
from devtools.backends import SHORT_CHUNKS, Backend, config
from devtools.connector import catalog, record, state, stream, write

ARTICLES = catalog(stream("articles"))
HOSTILE = 'x"] or json_contains_any(allowed_groups, ["board"'
FIELDS = ["id", "allowed_groups", "organization_id"]
BODY = "one two three\nfour five six"
"""Two chunks."""


def seen(reader: Reader, groups: list[str], organization: int = 7) -> list[int]:
    """Ids of the articles that somebody finds: by vector, one for each chunk."""
    [vector] = FakeEmbedder().embed([BODY.splitlines()[0]])
    allowed = all_of(equals("organization_id", organization), contains_any("allowed_groups", groups))
    hits = reader.search(vector, filter=allowed, fields=["id"], limit=20)
    assert len(reader.query(allowed, ["id"])) == len(hits)
    return sorted(hit.entity["id"] for hit in hits)


def article(number: int, **access: Any) -> str:
    """A record with two chunks."""
    return record({"id": number, "body": BODY, **access}, "articles")


def test_a_change_of_access_embeds_nothing_and_is_visible_at_once(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    """Every chunk follows, in both directions. Who has no groups sees nothing, and nobody what names none."""
    raw = config(backend, processing={**SHORT_CHUNKS, "metadata_fields": FIELDS})
    first = [
        article(1, allowed_groups=["staff", "board"], organization_id=7),
        article(2, allowed_groups=["board"], organization_id=7),
        article(3, allowed_groups=["staff"], organization_id=8),
        article(4, organization_id=7),
        article(5, allowed_groups=[], organization_id=7),
        article(6, allowed_groups=[HOSTILE], organization_id=7),
    ]
    write(raw, ARTICLES, [*first, state(1, "articles")])
    backend.release()
    parsed = parse_config(raw)
    with open_reader(parsed, FakeEmbedder()) as reader:
        assert seen(reader, ["staff"]) == [1, 1]
        assert seen(reader, ["staff"], organization=8) == [3, 3]
        assert seen(reader, ["board", "guests"]) == [1, 1, 2, 2]
        assert seen(reader, [HOSTILE]) == [6, 6]
        assert seen(reader, ["guests"]) == seen(reader, []) == []
    caplog.set_level(logging.INFO)
    changed = [
        article(1, allowed_groups=["board"], organization_id=7),
        article(2, allowed_groups=["staff", "board"], organization_id=7),
        article(3, allowed_groups=["staff"], organization_id=7),
    ]
    write(raw, ARTICLES, [*changed, state(2, "articles")])
    assert "3 committed (3 new or changed, 0 unchanged, 0 removed); 6 chunks written, 0 texts embedded" in caplog.text
    backend.release()
    with open_reader(parsed, FakeEmbedder()) as reader:
        assert seen(reader, ["staff"]) == [2, 2, 3, 3]
        assert seen(reader, ["staff"], organization=8) == []
