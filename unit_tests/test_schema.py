"""What a server can, and what the description of a collection says; the schemas themselves are tested on Milvus."""

from __future__ import annotations

import logging

import pytest

from destination_milvus.config import Config, parse
from destination_milvus.schema import Server, computed_fields, full_text_field, warn_without_full_text


def config(**indexing: object) -> Config:
    """A configuration with these keys of `indexing`."""
    return parse(
        {
            "embedding": {"mode": "fake"},
            "processing": {"chunk_size": 1000},
            "indexing": {"host": "http://h:19530", "collection": "c", "auth": {"mode": "no_auth"}, **indexing},
        }
    )


def server(version: str) -> Server:
    """A server of a version."""
    return Server("Milvus at h:19530", version)


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ("v2.3.5", False),
        ("2.4.15", False),
        ("v2.5.0-beta", True),
        ("2.10.1", True),
        ("3.0.0", True),
        ("milvus_lite-3.2.2", True),
        ("Zilliz Cloud Vector Database(Compatible with Milvus 2.4)", False),
        ("Zilliz Cloud Vector Database(Compatible with Milvus 2.5)", True),
        ("master-20251101-0c5ba1e", False),
        ("", False),
    ],
)
def test_full_text_search_begins_with_2_5(version: str, can: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A server that cannot, or does not tell its version, has a collection without it and one line that says why."""
    wanted = config(full_text_search=True)
    assert full_text_field(wanted, server(version)) == ("sparse" if can else None)
    assert len(caplog.messages) == (0 if can else 1)
    assert can or (version or "unknown") in caplog.text


def test_nobody_hears_of_a_search_that_nobody_wants(caplog: pytest.LogCaptureFixture) -> None:
    """Off by default, on any server and in any collection, without a word."""
    caplog.set_level(logging.DEBUG)
    assert full_text_field(config(), server("v2.6.1")) is None
    assert full_text_field(config(), server("v2.3.5")) is None
    warn_without_full_text(config(), "c", None)
    warn_without_full_text(config(full_text_search=True), "c", "sparse")
    assert not caplog.messages


def test_computed_fields_are_found_by_function_and_by_flag() -> None:
    """Servers describe functions; the flag of a field counts where a description has no functions."""
    fields = [{"name": "pk"}, {"name": "text"}, {"name": "sparse", "is_function_output": True}]
    bm25 = {"name": "f", "input_field_names": ["text"], "output_field_names": ["sparse"]}
    assert computed_fields({"fields": fields}) == {"sparse": ()}
    assert computed_fields({"fields": fields, "functions": [bm25]}) == {"sparse": ("text",)}
    assert computed_fields({"fields": fields[:2], "functions": []}) == {}
