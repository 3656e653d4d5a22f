"""Airbyte's own Zendesk Support source reads from the stub's REST server, its code untouched, into the destination."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import PROGRAM as DESTINATION
from devtools.connector import Finished, environment
from devtools.environments import Environment
from devtools.zendesk_server import EMAIL, SUBDOMAIN, TOKEN, Served, serving
from driver_tests.environments import environment_of
from driver_tests.target import Target, assert_holds, stub_records

METADATA = ("id", "subject", "status", "tags", "organization_id", "title", "html_url", "created_at", "updated_at")
PROGRAM = "source-zendesk-support"


@pytest.fixture(scope="session")
def zendesk_support() -> Environment:
    """The source, as it is on PyPI."""
    return environment_of("source-zendesk-support")


@dataclass(frozen=True)
class Source:
    """The source, with a server that it takes for Zendesk."""

    environment: Environment
    served: Served
    folder: Path

    def command(self, *words: str | Path, token: str = TOKEN) -> list[str | Path]:
        """A command line with the account's configuration."""
        credentials = {"credentials": "api_token", "email": EMAIL, "api_token": token}
        config = {"subdomain": SUBDOMAIN, "start_date": "2025-06-01T00:00:00Z", "credentials": credentials}
        (self.folder / "config.json").write_text(json.dumps(config))
        return [self.environment.program(PROGRAM), *words, "--config", self.folder / "config.json"]

    @property
    def variables(self) -> dict[str, str]:
        """Where it goes, and whom it trusts: its HTTP client knows certifi's bundle only, so a copy of that leads."""
        trust = self.folder / "trust"
        shutil.rmtree(trust, ignore_errors=True)
        shutil.copytree(self.environment.package("certifi"), trust / "certifi")
        with (trust / "certifi" / "cacert.pem").open("a") as bundle:
            bundle.write(self.served.authority.read_text())
        return environment(HTTPS_PROXY=self.served.proxy, PYTHONPATH=str(trust))

    def run(self, *words: str | Path, token: str = TOKEN) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            self.command(*words, token=token), env=self.variables, capture_output=True, check=False, timeout=1800
        )
        return Finished(done.returncode, tuple(map(json.loads, done.stdout.splitlines())), done.stderr.decode())

    def catalog(self, *streams: str) -> Path:
        """A catalog of what it discovers: incremental, append and deduplicate."""
        (found,) = [message["catalog"] for message in self.run("discover").messages if message["type"] == "CATALOG"]
        configured = [
            {
                "stream": stream,
                "sync_mode": "incremental",
                "destination_sync_mode": "append_dedup",
                "cursor_field": stream["default_cursor_field"],
                "primary_key": stream["source_defined_primary_key"],
            }
            for stream in found["streams"]
            if stream["name"] in streams
        ]
        assert len(configured) == len(streams)
        path = self.folder / "catalog.json"
        path.write_text(json.dumps({"streams": configured}))
        return path


@pytest.fixture
def zendesk(zendesk_support: Environment, tmp_path: Path) -> Callable[[Served], Source]:
    """The source in front of a server."""
    return lambda served: Source(zendesk_support, served, tmp_path)


def sync(source: Source, target: Target, catalog: Path, states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Source, pipe, destination; returns the states that came back, as the platform keeps them in a file."""
    config, state = source.folder / "destination.json", source.folder / "state.json"
    config.write_text(json.dumps(target.config()))
    state.write_text(json.dumps(states))
    read = source.command("read", "--catalog", catalog, "--state", state)
    write = [DESTINATION, "write", "--config", config, "--catalog", catalog]
    with subprocess.Popen(read, env=source.variables, stdout=subprocess.PIPE) as reader:
        writer = subprocess.run(
            write, stdin=reader.stdout, env=environment(), capture_output=True, check=False, timeout=1800
        )
    assert (reader.returncode, writer.returncode) == (0, 0), writer.stdout.decode()[-3000:]
    messages = map(json.loads, writer.stdout.splitlines())
    return [message["state"] for message in messages if message["type"] == "STATE"]


def last_of_each_stream(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the platform hands to the next sync."""
    return list({state["stream"]["stream_descriptor"]["name"]: state for state in states}.values())


def travelled(states: list[dict[str, Any]]) -> dict[str, int]:
    """How many records each stream's states acknowledge."""
    counts: dict[str, int] = defaultdict(int)
    for state in states:
        counts[state["stream"]["stream_descriptor"]["name"]] += int(state["destinationStats"]["recordCount"])
    return dict(counts)


def test_check_accepts_the_server_and_refuses_a_wrong_token(
    zendesk: Callable[[Served], Source], tmp_path: Path
) -> None:
    """The source asks the account's settings, with Zendesk's credentials."""
    with serving(tmp_path) as served:
        source = zendesk(served)
        assert source.run("check").check["status"] == "SUCCEEDED"
        assert served.requests == ["/api/v2/account/settings.json"]
        assert source.run("check", token="another").check["status"] == "FAILED"  # noqa: S106 - it is refused


def test_two_days_of_tickets_and_articles(zendesk: Callable[[Served], Source], tmp_path: Path, target: Target) -> None:
    """The first sync brings the world; from its states the second brings what changed, and embeds what is new."""
    with serving(tmp_path, "--day", "1") as served:
        source = zendesk(served)
        catalog = source.catalog("tickets", "articles")
        states = sync(source, target, catalog, [])
    assert travelled(states) == {"tickets": 136, "articles": 40}
    assert_holds(target, stub_records(1), METADATA)
    first = target.rows()
    assert sorted(target.take_embedded()) == sorted({row["text"] for row in first})

    with serving(tmp_path, "--day", "2") as served:
        source = zendesk(served)
        states = sync(source, target, catalog, last_of_each_stream(states))
        assert sorted(served.requests) == [
            "/api/v2/help_center/incremental/articles?start_time=1767035942",
            "/api/v2/help_center/incremental/articles?start_time=1767294720",
            "/api/v2/incremental/tickets/cursor.json?start_time=1767168841",
        ]
    # Zendesk's export of tickets begins with the one at the start time, and tells of no withdrawn article
    assert travelled(states) == {"tickets": 8 + 1, "articles": 4 - 1}
    withdrawn = {key: record for key, record in stub_records(1, ["articles"]).items() if key not in stub_records(2)}
    assert len(withdrawn) == 1
    assert_holds(target, {**stub_records(2), **withdrawn}, METADATA)
    new = {row["text"] for row in target.rows()} - {row["text"] for row in first}
    assert sorted(target.take_embedded()) == sorted(new)
    assert 0 < len(new) < 10

    with serving(tmp_path, "--day", "2") as served:
        source = zendesk(served)
        again = sync(source, target, catalog, last_of_each_stream(states))
    assert travelled(again) == {"tickets": 1, "articles": 0}
    assert target.take_embedded() == []


def test_it_waits_where_the_server_tells_it_to(zendesk: Callable[[Served], Source], tmp_path: Path) -> None:
    """Past a limit of requests a minute, all four streams arrive complete, record by record what the stub delivers."""
    streams = ("articles", "organizations", "tickets", "users")
    with serving(tmp_path, "--rate-limit", "30") as served:
        source = zendesk(served)
        finished = source.run("read", "--catalog", source.catalog(*streams))
        assert finished.exit_code == 0, finished.stderr
        refused = [line for line in served.log.read_text().splitlines() if " 429 " in line]
    assert refused
    records = [message["record"] for message in finished.messages if message["type"] == "RECORD"]
    found = {f"{record['stream']}_{record['data']['id']}": record["data"] for record in records}
    assert len(records) == len(found)
    assert found == stub_records(1, streams)
