"""The table of newest versions, on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination_milvus.backfill.forms import Order
from destination_milvus.backfill.newest import NewestVersions, Version, newest_of
from destination_milvus.errors import TransientError

orders = st.builds(
    Order, st.integers(0, 2), st.sampled_from(["", "a", "ab", "b"]), st.integers(-2, 2) | st.just(2**63 - 1)
)
versions = st.builds(
    Version,
    st.sampled_from(["s", "s1"]),
    st.sampled_from(["1", "11", "2"]),
    orders,
    st.integers(0, 300),
    st.integers(1, 300),
)


@given(st.lists(versions, max_size=30))
def test_the_newest_version_of_each_record_and_no_other_is_known(given_versions: list[Version]) -> None:
    """By order, then by file and line; added in portions, in any sequence."""
    newest = {}
    for version in sorted(given_versions, key=lambda each: each[2:]):
        newest[version.stream, version.record_id] = version
    table = NewestVersions()
    try:
        table.add(given_versions[::2])
        table.add(given_versions[1::2])
        for version in given_versions:
            assert table.is_newest(version) == (newest[version[:2]][2:] == version[2:])
        assert table.repeats == (len(newest) < len(given_versions))
    finally:
        table.close()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewestVersions]:
    """A table in a folder of the test's own."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    table = NewestVersions()
    yield table
    table.close()


def many() -> Iterator[Version]:
    """Versions of as many records."""
    return (Version("s", str(number), Order(0, "", 0), 0, number + 1) for number in range(10_000))


def test_a_disk_that_fills_gets_a_sentence(table: NewestVersions, tmp_path: Path) -> None:
    """It names the folder, and the way out."""
    table._connection.execute("PRAGMA max_page_count = 50")
    with pytest.raises(TransientError, match=rf"{tmp_path} has no room .* Name another folder in TMPDIR"):
        table.add(many())


def test_nothing_is_left_behind(table: NewestVersions, tmp_path: Path) -> None:
    """The folder goes with the table."""
    table.add(many())
    assert list(tmp_path.iterdir())
    table.close()
    assert not list(tmp_path.iterdir())


def test_of_versions_that_lie_beside_each_other_the_newest_stay_in_their_order() -> None:
    """One of each record, whatever the order."""
    records = [b"a", b"b", b"a", b"c", b"a", b"b"]
    assert newest_of(records, [b"1", b"9", b"3", b"", b"2", b"8"]) == [1, 2, 3]
    assert newest_of([], []) == []
