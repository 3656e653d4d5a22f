"""Which files a pattern means, and which stream their paths name."""

from __future__ import annotations

import pytest

from destination_milvus.backfill.patterns import (
    chosen_stream,
    is_hidden,
    matches,
    scheme_of,
    shown,
    stream_of,
    without_wildcards,
)
from destination_milvus.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("lake/public/tickets/1.jsonl", "lake/public/tickets/*.jsonl", True),
        ("lake/public/tickets/1.jsonl", "/lake/public/tickets/1.jsonl/", True),
        ("lake/public/tickets/1.jsonl", "lake/*/1.jsonl", False),
        ("lake/public/tickets/1.jsonl", "lake/**/1.jsonl", True),
        ("lake/1.jsonl", "lake/**/1.jsonl", True),
        ("lake/1.jsonl", "lake/**", True),
        ("lake/a/b", "lake/*", False),
        ("lake/2026_01.jsonl", "lake/2026_0[1-3].jsonl", True),
        ("lake/Tickets.jsonl", "lake/tickets.jsonl", False),
    ],
)
def test_a_star_stays_inside_a_name_and_two_are_any_folders(path: str, pattern: str, expected: bool) -> None:
    assert matches(path, pattern) is expected


@pytest.mark.parametrize(
    ("pattern", "folder", "options"),
    [
        ("s3://lake/public/tickets/*.gz", "s3://lake/public/tickets", ""),
        ("s3://lake/public/*/1.gz?region=eu-central-1", "s3://lake/public", "?region=eu-central-1"),
        ("s3://lake/2026_0[12]/x", "s3://lake", ""),
        ("s3://lake/tickets/", "s3://lake/tickets/", ""),
    ],
)
def test_a_remote_pattern_is_looked_for_below_its_last_plain_folder(pattern: str, folder: str, options: str) -> None:
    assert without_wildcards(pattern) == (folder, options)


def test_addresses_are_shown_without_what_is_secret() -> None:
    assert shown("s3://KEY:SECRET@lake/a/*.gz?endpoint_override=x&secret=y") == "s3://lake/a/*.gz"
    assert shown("s3://KEY:SECRET@lake") == "s3://lake"
    assert shown("data/a@b?.jsonl") == "data/a@b?.jsonl"


def test_schemes_are_those_of_pyarrow_and_this_machine() -> None:
    assert [scheme_of(each) for each in ("S3://a/b", "abfs://c@a/b", "file:///a", "a/b")] == ["s3", "abfs", None, None]
    with pytest.raises(ConfigError, match=r"--input https://lake/a: https:// cannot be read"):
        scheme_of("https://user:password@lake/a")


STREAMS = [("tickets", None), ("tickets", "eu"), ("articles", None)]


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("s3://lake/eu/tickets/2026_01_01_0.jsonl.gz", ("tickets", "eu")),
        ("s3://lake/us/tickets/2026_01_01_0.jsonl.gz", ("tickets", None)),
        ("tickets/1.jsonl", ("tickets", None)),
        ("articles/tickets/1.jsonl", ("tickets", None)),
        ("tickets/2026/01/1.jsonl", ("tickets", None)),
        ("/local/_airbyte_raw_articles.jsonl", ("articles", None)),
        ("tickets.jsonl", None),
        ("users/1.jsonl", None),
    ],
)
def test_the_innermost_folder_that_is_named_like_a_stream_says_which_it_is(
    path: str, stream: tuple[str, str | None] | None
) -> None:
    assert stream_of(path, STREAMS) == stream


def test_a_stream_is_chosen_by_its_name() -> None:
    assert chosen_stream("articles", STREAMS) == ("articles", None)
    assert chosen_stream("eu.tickets", STREAMS) == ("tickets", "eu")
    with pytest.raises(ConfigError, match=r'"tickets" is the name of several streams .* one of tickets, eu\.tickets'):
        chosen_stream("tickets", STREAMS)
    with pytest.raises(ConfigError, match=r'"users" is not in the catalog, which has tickets, eu\.tickets, articles'):
        chosen_stream("users", STREAMS)
    with pytest.raises(ConfigError, match="which has no stream"):
        chosen_stream("users", [])


def test_names_that_begin_with_a_point_are_no_data_of_a_folder() -> None:
    assert is_hidden("lake/.part-0.crc")
    assert not is_hidden("lake/_airbyte_raw_tickets.jsonl")
