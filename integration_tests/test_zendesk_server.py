"""The stub's REST server, over real connections: TLS, a proxy's tunnel, credentials, the rate limit, the command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.zendesk_server import CREDENTIALS, PROGRAM, SUBDOMAIN, serving
from source_zendesk_stub.api import MARK_OF_DELETION, Api
from source_zendesk_stub.certificates import Identity, issue
from source_zendesk_stub.config import Settings
from source_zendesk_stub.run import run
from source_zendesk_stub.server import Account, RateLimit, ZendeskServer
from source_zendesk_stub.world import World

ACCOUNT = Account(SUBDOMAIN, "agent@tallyroost.example", "stub-token")
TICKETS = "/api/v2/incremental/tickets/cursor.json?start_time=0"
SETTINGS = "/api/v2/account/settings.json"
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def identity() -> Identity:
    """Who the servers of this module are."""
    return issue([ACCOUNT.host, "localhost", "127.0.0.1"])


@pytest.fixture
def authority(identity: Identity, tmp_path: Path) -> str:
    """A file with what a client has to trust."""
    path = tmp_path / "ca.pem"
    path.write_text(identity.authority)
    return str(path)


@contextmanager
def running(identity: Identity, requests_per_minute: int | None = None) -> Iterator[ZendeskServer]:
    """A server in this process."""
    api = Api(World(Settings.from_config({})))
    with ZendeskServer(0, api, ACCOUNT, identity, RateLimit(requests_per_minute)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(identity: Identity) -> Iterator[ZendeskServer]:
    """One without a limit."""
    with running(identity) as server:
        yield server


def address(server: ZendeskServer, target: str) -> str:
    """The whole address of a target."""
    return f"https://localhost:{server.port}{target}"


def client(authority: str | Path) -> requests.Session:
    """A client with the right credentials, whatever the environment says of proxies and authorities."""
    session = requests.Session()
    session.trust_env = False
    session.auth, session.verify = CREDENTIALS, str(authority)
    return session


def records_of(day: int, position: str | None, folder: Path) -> list[dict[str, Any]]:
    """The tickets that the stub's own `read` delivers as a process, without its mark of deletions."""
    config, catalog, state = folder / "config.json", folder / "catalog.json", folder / "state.json"
    config.write_text(json.dumps({"day": day}))
    streams = json.loads((EXAMPLES / "catalog.json").read_text())["streams"]
    catalog.write_text(json.dumps({"streams": [item for item in streams if item["stream"]["name"] == "tickets"]}))
    content = {"stream_descriptor": {"name": "tickets"}, "stream_state": {"generated_timestamp": position}}
    state.write_text(json.dumps([{"type": "STREAM", "stream": content}] if position else []))
    command = [PROGRAM, "read", "--config", config, "--catalog", catalog, "--state", state]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    messages = map(json.loads, done.stdout.splitlines())
    records = [message["record"]["data"] for message in messages if message["type"] == "RECORD"]
    return [{name: value for name, value in record.items() if name != MARK_OF_DELETION} for record in records]


def test_a_client_and_the_stub_read_the_same_on_two_days(tmp_path: Path) -> None:
    """Page by page over HTTPS, then on from yesterday's cursor: exactly what `read` delivers, and its changes."""
    target = TICKETS
    position: str | None = None
    for day in (1, 2):
        found: list[dict[str, Any]] = []
        with serving(tmp_path, "--day", str(day)) as served, client(served.authority) as session:
            ended = False
            while not ended:
                page = session.get(served.address + target, timeout=20).json()
                assert page["after_url"].startswith(f"{served.address}/api/v2/")
                target, ended = page["after_url"].removeprefix(served.address), page["end_of_stream"]
                found += page["tickets"]
            assert len(served.requests) == {1: 2, 2: 1}[day]
        read = records_of(day, position, tmp_path)
        assert [{name: value for name, value in ticket.items() if value is not None} for ticket in found] == read
        assert len(read) == {1: 136, 2: 8}[day]
        position = str(read[-1]["generated_timestamp"])


def test_whoever_does_not_trust_the_authority_reads_nothing(server: ZendeskServer, authority: str) -> None:
    """The certificate is not of an authority that the world trusts; the server goes on serving those who do."""
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(address(server, SETTINGS), auth=CREDENTIALS, verify=True, timeout=20)
    assert requests.get(address(server, SETTINGS), auth=CREDENTIALS, verify=authority, timeout=20).ok


def test_plain_http_is_refused(server: ZendeskServer) -> None:
    """Credentials do not travel in the open, as with Zendesk."""
    answer = requests.get(f"http://localhost:{server.port}{SETTINGS}", auth=CREDENTIALS, timeout=20)
    assert (answer.status_code, answer.json()["error"]) == (403, "SSL is required")


@pytest.mark.parametrize(
    "credentials",
    [None, ("agent@tallyroost.example", "stub-token"), ("agent@tallyroost.example/token", "wrong"), ("é/token", "é")],
)
def test_wrong_credentials_are_refused(
    server: ZendeskServer, authority: str, credentials: tuple[str, str] | None
) -> None:
    """Whatever is asked for, without a word of what is there."""
    for target in (TICKETS, "/nowhere"):
        answer = requests.get(address(server, target), auth=credentials, verify=authority, timeout=20)
        assert (answer.status_code, answer.json()) == (401, {"error": "Couldn't authenticate you"})


def test_too_many_requests_are_told_how_long_to_wait(identity: Identity, authority: str) -> None:
    """429 with Retry-After, and after so many seconds an answer."""
    with running(identity, requests_per_minute=20) as server, client(authority) as session:
        answers = [session.get(address(server, SETTINGS), timeout=20) for _ in range(5)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert answers[0].ok
        assert refused
        wait = int(refused[-1].headers["Retry-After"])
        assert 1 <= wait <= 3
        time.sleep(wait)
        assert session.get(address(server, SETTINGS), timeout=20).ok


def test_as_a_proxy_it_is_the_accounts_host_and_leads_nowhere_else(server: ZendeskServer, authority: str) -> None:
    """Under Zendesk's own name, pages and all; a tunnel to any other host is refused."""
    with client(authority) as session:
        session.proxies = {"https": f"http://127.0.0.1:{server.port}"}
        first = session.get(f"https://{ACCOUNT.host}{TICKETS}", timeout=20).json()
        assert first["after_url"].startswith(f"https://{ACCOUNT.host}/api/v2/incremental/tickets/cursor.json?cursor=")
        assert len(session.get(first["after_url"], timeout=20).json()["tickets"]) == 36
        for elsewhere in ("https://other.zendesk.com/", "https://example.com/", f"https://{ACCOUNT.host}:8443/"):
            with pytest.raises(requests.exceptions.ProxyError, match="403"):
                session.get(elsewhere, timeout=20)


def test_a_client_that_says_nothing_keeps_nobody_waiting(server: ZendeskServer, authority: str) -> None:
    """A connection is looked at in a thread of its own, its first byte too."""
    with closing(socket.create_connection(("127.0.0.1", server.port))):
        assert requests.get(address(server, SETTINGS), auth=CREDENTIALS, verify=authority, timeout=20).ok


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str]]:
    """Run the command with options that end it at once, in this process: what it ended with, and what it said."""

    def run_command(*options: str | Path) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["source-zendesk-stub", "serve", *map(str, options)])
        with pytest.raises(SystemExit) as end:
            run()
        captured = capsys.readouterr()
        return end.value.code, captured.out + captured.err

    return run_command


def test_help_tells_every_option_and_how_to_reach_it(refused: Callable[..., tuple[Any, str]]) -> None:
    """With the defaults that the examples rely on."""
    code, text = refused("--help")
    assert code == 0
    for word in ("--port", "--config", "--day", "--subdomain", "--token", "--rate-limit", "--ca-file", "HTTPS_PROXY"):
        assert word in text
    assert "stub-token" in text


def test_what_it_cannot_serve_is_refused_in_a_line(tmp_path: Path, refused: Callable[..., tuple[Any, str]]) -> None:
    """Each sentence names the option: the parser's come with its exit code 2, the stub's own are the exit's message."""
    bad, ca_file = tmp_path / "bad.json", tmp_path / "ca.pem"
    bad.write_text('{"tickets": -1}')
    for options, sentence in (
        (("--port", "99999"), "99999 is no port"),
        (("--rate-limit", "0"), "0 is no limit"),
        (("--subdomain", "a.b"), "a.b is no subdomain"),
    ):
        code, text = refused(*options)
        assert code == 2
        assert sentence in text
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        for options, sentence in (
            (("--ca-file", tmp_path / "no" / "ca.pem"), "--ca-file cannot be written: No such file or directory."),
            (("--config", bad), "The option 'tickets' must be a whole number from 0 to 1000000, but it is -1."),
            (
                ("--config", tmp_path / "none"),
                "The configuration file none cannot be opened: No such file or directory.",
            ),
            (("--day", "0"), "The option 'day' must be a whole number from 1 to 1000, but it is 0."),
            (("--port", port), f"Port {port} cannot be listened on: Address already in use. Choose another --port."),
        ):
            code, text = refused("--port", "0", "--ca-file", ca_file, *options)
            assert sentence in str(code)
            assert text == ""
            assert not ca_file.exists(), "it may be the file of a server that runs"


def test_it_ends_quietly_when_it_is_stopped(tmp_path: Path) -> None:
    """Control-C is how a server in a terminal is meant to end."""
    line = [PROGRAM, "serve", "--port", "0", "--ca-file", tmp_path / "ca.pem"]
    # tests that run in the background of a shell ignore the signal, and so would the server
    terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=terminal,  # noqa: PLW1509 - one call that takes no lock
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Serving day 1 of tallyroost.zendesk.com on https://localhost:")
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, stderr) == (0, "")
