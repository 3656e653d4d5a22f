"""PyAirbyte as the platform: it moves a source of Airbyte's and the stub into the destination, more than once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import PROGRAM, environment
from devtools.environments import Environment
from devtools.zendesk_server import PROGRAM as STUB
from driver_tests.environments import environment_of
from driver_tests.outside import Outside, closed
from driver_tests.target import Target, assert_holds, stub_records

HERE = Path(__file__).parent
METADATA = ("id", "subject", "status", "tags", "organization_id", "title", "html_url", "promoted", "vote_sum")
"""Fields that are stored alike whether or not PyAirbyte's cache rewrote the record: no dates, no objects."""

STREAMS = ("tickets", "articles")

CACHED = [False, True]
"""Without PyAirbyte's cache the records go straight through; with it they come out of its DuckDB."""


@pytest.fixture(scope="session")
def pyairbyte() -> Environment:
    """PyAirbyte."""
    return environment_of("pyairbyte")


@pytest.fixture
def outside() -> Iterator[Outside]:
    """The way out of the machine: nothing may take it."""
    with closed() as outside:
        yield outside
        assert outside.attempts == []


@dataclass(frozen=True)
class Driver:
    """PyAirbyte, running, with the destination of a test."""

    process: subprocess.Popen[str]
    folder: Path
    target: Target

    def sync(
        self, source: dict[str, Any], *streams: str, cached: bool = False, strategy: str = "merge",
        keeps_state: bool = False, checks: bool = False, text_fields: list[str] | None = None,
    ) -> int:  # fmt: skip
        """Move streams; returns how many records PyAirbyte says it moved."""
        config = self.target.config(text_fields)
        asked = {
            "source": source,
            "destination": {"name": "destination-milvus", "program": str(PROGRAM), "config": config},
            "streams": streams,
            "cache": str(self.folder / "cache") if cached else None,
            "keeps_state": keeps_state,
            "strategy": strategy,
            "checks": checks,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if found := re.match(r"processed: (\d+)$", line):
                return int(found[1])
        raise AssertionError((self.folder / "stderr").read_text()[-5000:])


@pytest.fixture
def variables(tmp_path: Path, outside: Outside) -> dict[str, str]:
    """PyAirbyte's environment: it is asked to stay offline, and would be seen if it did not."""
    return environment(
        **outside.environment,
        AIRBYTE_OFFLINE_MODE="1",
        DO_NOT_TRACK="1",
        AIRBYTE_LOGGING_ROOT=str(tmp_path / "logs"),
        HOME=str(tmp_path),
    )


@pytest.fixture
def driver(pyairbyte: Environment, tmp_path: Path, target: Target, variables: dict[str, str]) -> Iterator[Driver]:
    """PyAirbyte in a folder of the test's own."""
    with (
        (tmp_path / "stderr").open("w") as stderr,
        subprocess.Popen(
            [pyairbyte.program("python"), HERE / "pyairbyte_syncs.py"], cwd=tmp_path, env=variables, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
        ) as process,
    ):  # fmt: skip
        yield Driver(process, tmp_path, target)


def stub(day: int) -> dict[str, Any]:
    """The stub as PyAirbyte is told of it."""
    return {"name": "source-zendesk-stub", "program": str(STUB), "config": {"day": day}}


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the moment of their extraction, which is another one in each sync."""
    return [{name: value for name, value in row.items() if name != "_ab_extracted_at"} for row in rows]


@pytest.mark.parametrize("cached", CACHED, ids=["direct", "cached"])
def test_the_stub_moves_and_only_what_changes_is_embedded(driver: Driver, *, cached: bool) -> None:
    """A day, the same day again without one embedding, and the next day with the texts that are new."""
    assert driver.sync(stub(1), *STREAMS, cached=cached) == 176
    assert_holds(driver.target, stub_records(1), METADATA)
    first = driver.target.rows()
    assert sorted(driver.target.take_embedded()) == sorted({row["text"] for row in first})

    driver.sync(stub(1), *STREAMS, cached=cached)
    assert driver.target.take_embedded() == []
    assert without_times(driver.target.rows()) == without_times(first)

    driver.sync(stub(2), *STREAMS, cached=cached)
    # with its cache PyAirbyte keeps a state, and a source with a state tells what was deleted
    assert_holds(driver.target, stub_records(2) if cached else {**stub_records(1), **stub_records(2)}, METADATA)
    new = {row["text"] for row in driver.target.rows()} - {row["text"] for row in first}
    assert sorted(driver.target.take_embedded()) == sorted(new)
    assert 0 < len(new) < 10


def test_with_its_state_kept_only_what_changed_travels(driver: Driver) -> None:
    """Without a cache of records but with one of states: what the destination gave back resumes the source."""
    assert driver.sync(stub(1), *STREAMS, keeps_state=True) == 176
    driver.target.take_embedded()
    assert driver.sync(stub(2), *STREAMS, keeps_state=True) == 12
    assert_holds(driver.target, stub_records(2), METADATA)
    assert 0 < len(driver.target.take_embedded()) < 10


@pytest.mark.parametrize("cached", CACHED, ids=["direct", "cached"])
def test_airbytes_faker_moves_twice_and_the_second_time_nothing_is_embedded(driver: Driver, *, cached: bool) -> None:
    """Its records come with another `updated_at` each time, which is metadata here."""
    faker = {
        "name": "source-faker",
        "program": str(environment_of("source-faker").program("source-faker")),
        "config": {"count": 100, "seed": 1, "parallelism": 1},  # several workers make other people each time
    }
    text_fields = ["name", "title", "occupation", "make", "model"]
    for turn in ("first", "second"):
        driver.sync(faker, "users", "products", cached=cached, checks=turn == "first", text_fields=text_fields)
        rows = driver.target.rows()
        assert {row["_ab_record_id"] for row in rows} == {
            *(f"users_{number}" for number in range(1, 101)),
            *(f"products_{number}" for number in range(1, 101)),
        }
        assert all(row["_ab_chunks"] == 1 for row in rows)
        assert all("updated_at" in row and "_airbyte_raw_id" not in row for row in rows)
        expected = {row["text"] for row in rows} if turn == "first" else set()
        assert sorted(driver.target.take_embedded()) == sorted(expected)


def test_a_second_replace_is_taken_for_the_same_refresh_resumed(driver: Driver) -> None:
    """PyAirbyte names generation 1 each time: what changed is replaced, what the source no longer has stays."""
    driver.sync(stub(1), *STREAMS, strategy="replace")
    assert_holds(driver.target, stub_records(1), METADATA)
    driver.target.take_embedded()
    driver.sync(stub(2), *STREAMS, strategy="replace")
    assert len(stub_records(1).keys() - stub_records(2).keys()) == 2
    assert_holds(driver.target, {**stub_records(1), **stub_records(2)}, METADATA)
    assert 0 < len(driver.target.take_embedded()) < 10


def test_whoever_leaves_the_machine_is_seen(
    pyairbyte: Environment, variables: dict[str, str], outside: Outside
) -> None:
    """What the other tests rest on: PyAirbyte's HTTP client goes where the tests see it, and gets no further."""
    telemetry = "import requests; requests.post('https://api.segment.io/v1/track', timeout=9)"
    done = subprocess.run(
        [pyairbyte.program("python"), "-c", telemetry], env=variables, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert [line.split(" ")[1] for line in outside.attempts] == ["api.segment.io:443"]
    outside.attempts.clear()
