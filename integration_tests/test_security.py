"""Planted secrets, hostile keys, and a server that demands certificates.

No secret and no record's text goes where it does not belong, no data widens a filter, no connection is unverified.
"""

from __future__ import annotations

import ast
import base64
import json
import random
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.config.secrets import secrets_in
from destination_milvus.config.specification import specification
from destination_milvus.errors import ConfigError, TransientError
from destination_milvus.milvus.connection import connect
from devtools.backends import Backend, config
from devtools.certificates import Authority
from devtools.connector import Finished, catalog, record, run, state, status, stream
from devtools.milvus_server import MilvusServer, NoBuildError, port_of_another
from devtools.openai_endpoint import serving
from integration_tests.shared import PLACES, SharedCollection, shared_collection

ROOT = Path(__file__).parents[1]

PLANTED = "PLANTEDsecret"
"""Letters only: what looks for words in an error finds one."""

KEY_TEXT = "PLANTEDtext"
"""Stands in records."""

TICKETS = catalog(stream("tickets"))

TALKATIVE = {
    "LOG_LEVEL": "DEBUG",
    "OPENAI_LOG": "debug",
    "GRPC_VERBOSITY": "DEBUG",
    "GRPC_TRACE": "http,api,call,secure_endpoint",
}
"""An environment in which every library says all that it can."""


@dataclass(frozen=True, slots=True)
class Job:
    """A command to run as a process."""

    command: str
    config: Mapping[str, Any]
    lines: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None


def run_all(folder: Path, jobs: Mapping[str, Job]) -> dict[str, Finished]:
    """All jobs, several at once: most of their time is waiting."""

    def one(name: str, job: Job) -> Finished:
        place = folder / name
        place.mkdir()
        configured = TICKETS if job.command == "write" else None
        environment = TALKATIVE if job.environment is None else job.environment
        return run(place, job.command, job.config, configured, job.lines, **environment)

    with ThreadPoolExecutor(4) as pool:
        running = {name: pool.submit(one, name, job) for name, job in jobs.items()}
        return {name: future.result() for name, future in running.items()}


def said(finished: Finished) -> str:
    """All that a process said, but for the states, which are the source's."""
    messages = [message for message in finished.messages if message["type"] != "STATE"]
    return json.dumps(messages, ensure_ascii=False) + finished.stderr


def assert_silent(finished: Finished, *secrets: str) -> None:
    """None of the secrets was said, neither plainly nor in base64, as headers carry them."""
    output = said(finished)
    for secret in secrets:
        forms = [secret, *(base64.b64encode(f"{user}{secret}".encode()).decode() for user in ("", "root:", "user:"))]
        for form in forms:
            assert form.rstrip("=") not in output, f"{secret} was said"
    assert finished.stderr == ""


# --- secrets ----------------------------------------------------------------------------------------------------------


def secret_paths(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of the configuration's secrets, as the specification tells them; an option's `mode` before its name."""
    if not isinstance(node, dict):
        return
    for option in node.get("oneOf", []):
        yield from secret_paths(option, (*path, f"mode={option['properties']['mode']['const']}"))
    for name, value in node.get("properties", {}).items():
        if value.get("airbyte_secret"):
            yield (*path, name)
        yield from secret_paths(value, (*path, name))


SECRETS = list(secret_paths(specification()))


def test_every_secret_of_the_configuration_is_tested() -> None:
    """A new one is found in the specification; a field whose name says secret is marked as one."""
    assert {path[-1] for path in SECRETS} == {"openai_key", "api_key", "cohere_key", "token", "password", "client_key"}
    fields = json.dumps(specification()).lower()
    assert "secret_" not in fields


def planted(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A configuration that is whole but for this value."""
    raw: dict[str, Any] = {
        "embedding": {"mode": "fake"},
        "processing": {"chunk_size": 1000},
        "indexing": {"host": "http://127.0.0.1:9", "collection": "c", "auth": {"mode": "no_auth"}},
    }
    node = raw
    for step in path[:-1]:
        if step.startswith("mode="):
            node.clear()
            node["mode"] = step.removeprefix("mode=")
        else:
            node = node.setdefault(step, {})
    node[path[-1]] = value
    return raw


WRONG = [[PLANTED], {"x": PLANTED}, {PLANTED: 1}, [[PLANTED, 7]], 714_714_714]


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_a_secret_of_the_wrong_type_is_refused_and_not_quoted(path: tuple[str, ...]) -> None:
    """The sentence names the option; the log would leave out what stands there, whatever its shape."""
    for value in WRONG:
        with pytest.raises(ConfigError, match=path[-1]) as caught:
            parse_config(planted(path, value))
        assert PLANTED not in caught.value.message
        assert "714" not in caught.value.message
        if value != {PLANTED: 1}:
            assert {PLANTED, "714714714"} & set(secrets_in(planted(path, value)))


def test_what_the_log_leaves_out_is_found_in_any_configuration() -> None:
    """Longest first, so that no rest of a longer secret stays; a key of several lines line by line."""
    raw = planted(("indexing", "tls", "client_key"), "-----BEGIN-----\nline of a key\nend\n")
    raw["embedding"] = {"mode": "openai", "openai_key": " ab", "model": "no secret"}
    raw["indexing"]["auth"] = {"token": ["abc", None, True, 7]}
    assert secrets_in(raw) == sorted(secrets_in(raw), key=len, reverse=True)
    assert {"ab", "abc", "7", "line of a key"} <= set(secrets_in(raw))
    assert not {"no secret", "end", ""} & set(secrets_in(raw))
    assert secrets_in({"embedding": "x", "indexing": [1]}) == []


@contextmanager
def echoing() -> Iterator[str]:
    """The address of a service that refuses every request and quotes all of it, key and texts, in its error."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            key = self.headers.get("api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
            error = {"message": f"{dict(self.headers)} {asked}", "code": key, "type": key, "param": key}
            body = json.dumps({"error": error}).encode()
            self.send_response(401, key)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-request-id", key)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_no_failing_run_says_a_secret_or_a_text(tmp_path: Path) -> None:
    """Wrong keys that a service quotes back, keys that are none, passwords in addresses, secrets of the wrong type."""
    lite = Backend("lite", str(tmp_path / "milvus.db"))
    lines = (record({"id": 1, "text": KEY_TEXT}), state(1))

    def conf(**overrides: Any) -> dict[str, Any]:
        return config(lite, **overrides)

    def milvus(**indexing: Any) -> dict[str, Any]:
        return conf(indexing=indexing)

    token, trace = {"mode": "token", "token": PLANTED}, {**TALKATIVE, "LOG_LEVEL": "TRACE"}
    with echoing() as address:
        openai = {"mode": "openai", "openai_key": PLANTED, "base_url": address}
        azure = {"mode": "azure_openai", "openai_key": PLANTED, "api_base": address, "deployment": "d"}
        finished = run_all(
            tmp_path,
            {
                "openai": Job("check", conf(embedding=openai)),
                "azure": Job("write", conf(embedding=azure), lines),
                "cohere": Job("check", conf(embedding={"mode": "cohere", "cohere_key": f"{PLANTED}\nkey"})),
                "address": Job("write", milvus(host=f"http://user:{PLANTED}@127.0.0.1:9", auth=token), lines, trace),
                "scheme": Job("check", milvus(host=f"ftp://user:{PLANTED}@127.0.0.1:9")),
                "type": Job("write", milvus(auth={"mode": "token", "token": {"x": [PLANTED]}}), lines),
            },
        )
    for name, end in finished.items():
        assert_silent(end, PLANTED, KEY_TEXT)
        is_check = end.messages[-1]["type"] == "CONNECTION_STATUS"
        assert end.exit_code == (0 if is_check else 1), end
        sentence = end.check["message"] if is_check else end.error["message"]
        expected = {
            "openai": "embedding.openai_key",
            "azure": "embedding.openai_key",
            "address": "Milvus at 127.0.0.1:9 cannot be reached",
            "cohere": "embedding.cohere_key",
            "scheme": "indexing.host is no address",
            "type": "indexing.auth.token",
        }
        assert expected[name] in sentence


@pytest.mark.parametrize("level", ["DEBUG", "nonsense"])
def test_no_successful_run_says_a_secret_or_a_text(tmp_path: Path, level: str) -> None:
    """Also with retries, a skipped record and libraries that are asked to talk; no word for the level ends a sync."""
    lines = (
        record({"id": 1, "text": KEY_TEXT, "metadata": KEY_TEXT}),
        record({"text": f"{KEY_TEXT} without a key"}),
        record({"id": 2, "text": f"{KEY_TEXT} \ud800 half", "n": 2**70}),
        state(1),
    )
    lite = Backend("lite", str(tmp_path / "milvus.db"))
    with serving() as endpoint:
        endpoint.faults = ["503"]
        embedding = {**endpoint.embedding(), "api_key": PLANTED}
        conf = config(lite, embedding=embedding, advanced={"bad_records": "skip"})
        job = Job("write", conf, lines, {**TALKATIVE, "LOG_LEVEL": level})
        (finished,) = run_all(tmp_path, {"write": job}).values()
    assert finished.exit_code == 0, finished
    assert_silent(finished, PLANTED, KEY_TEXT, "PLANTED-TEXT")
    assert finished.states[0]["destinationStats"] == {"recordCount": 2.0, "rejectedRecordCount": 1.0}
    assert {message["type"] for message in finished.messages} == {"LOG", "STATE"}
    levels = {message["log"]["level"] for message in finished.messages if message["type"] == "LOG"}
    assert levels <= {"DEBUG", "INFO", "WARN"}
    assert any(line.startswith("Sync complete") for line in finished.logs)
    assert any(line.startswith("Skipped a record") for line in finished.logs)


def test_a_name_with_half_a_character_does_not_cost_the_user_the_message(tmp_path: Path) -> None:
    """It is escaped, as JSON can: the sync ends with its sentence, not without a word."""
    lite = Backend("lite", str(tmp_path / "milvus.db"))
    finished = run(tmp_path, "write", config(lite), TICKETS, [record({"id": 1}, name="half \ud83d")])
    assert finished.exit_code == 1
    assert "which is not in the configured catalog" in finished.error["message"]


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"indexing": {"host": "./milvus.db"}}, "Milvus Lite"),
        ({"indexing": {"host": "http://milvus.example.com"}}, "indexing.host must begin with https://"),
        ({"indexing": {"host": "milvus.example.com:19530"}}, "indexing.host must begin with https://"),
        ({"indexing": {"host": "tcp://milvus.example.com:19530"}}, "indexing.host must begin with https://"),
        ({"indexing": {"auth": {"mode": "no_auth"}}}, "indexing.auth must be"),
        ({"indexing": {"auth": {"mode": "token", "token": " "}}}, "indexing.auth must be"),
        ({"indexing": {"auth": {"mode": "username_password", "username": "u", "password": ""}}}, "indexing.auth must"),
        (
            {"embedding": {"mode": "openai", "openai_key": PLANTED, "base_url": "http://gateway.example.com"}},
            "embedding.base_url must begin with https://",
        ),
        (
            {
                "embedding": {
                    "mode": "azure_openai",
                    "openai_key": PLANTED,
                    "api_base": "http://example.com",
                    "deployment": "d",
                }
            },
            "embedding.api_base must begin with https://",
        ),
        (
            {"embedding": {"mode": "openai_compatible", "base_url": "http://example.com/v1", "dimensions": 8}},
            "embedding.base_url must begin with https://",
        ),
    ],
)
def test_on_airbyte_cloud_only_https_and_authenticated_servers_are_reached(
    monkeypatch: pytest.MonkeyPatch, overrides: Mapping[str, Any], sentence: str
) -> None:
    """`check` and `write` refuse before anything is sent, and say which option is meant."""
    from destination_milvus.check import check_configuration  # noqa: PLC0415 - 2 s
    from destination_milvus.write import write_stream  # noqa: PLC0415 - 2 s

    base = Backend("server", "https://127.0.0.1:9", {"mode": "token", "token": PLANTED})
    conf = config(base, **overrides)
    monkeypatch.setenv("DEPLOYMENT_MODE", "CLOUD")
    with pytest.raises(ConfigError, match=sentence):
        check_configuration(conf)
    with pytest.raises(ConfigError, match=sentence):
        write_stream(parse_config(conf), TICKETS, Unread(), pytest.fail)


class Unread:
    """Standard input from which nothing may be taken."""

    def read1(self, size: int, /) -> bytes:
        """Fail."""
        raise AssertionError(size)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Signs the certificates of server and client."""
    return Authority()


@pytest.fixture(scope="module")
def demanding(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A server that demands a client's certificate and a password."""
    folder = tmp_path_factory.mktemp("mutual")
    authority.issue_to_server(folder)
    (folder / "ca.pem").write_text(authority.certificate)
    demands = {"COMMON_SECURITY_TLSMODE": "2", "TLS_CAPEMPATH": str(folder / "ca.pem")}
    (folder / "data").mkdir()
    server = MilvusServer(folder / "data", port=port_of_another(5), auth=True, tls=folder, settings=demands)
    try:
        server.start()
    except NoBuildError as no_build:
        pytest.skip(f"no real Milvus server: {no_build}")
    yield Backend("server", server.uri, {"mode": "username_password", "username": "root", "password": "Milvus"})
    server.kill()


def to(backend: Backend, tls: Mapping[str, str], **auth: str) -> dict[str, Any]:
    """A configuration for a server with TLS."""
    return config(backend, indexing={"auth": {**backend.auth, **auth}, "tls": tls, "collection": "mutual"})


@pytest.mark.server
def test_a_server_that_demands_certificates_is_written_to_and_learns_who_it_was(
    demanding: Backend, authority: Authority, tmp_path: Path
) -> None:
    """Mutual TLS works; without the certificate, or with the wrong password, there is a sentence and no secret."""
    certificate, key = authority.issue("client")
    ours = {"client_certificate": certificate, "client_key": key}
    tls = {"ca_certificate": authority.certificate}
    finished = run_all(
        tmp_path,
        {
            "write": Job("write", to(demanding, {**tls, **ours}), (record({"id": 1, "text": KEY_TEXT}), state(1))),
            "password": Job("check", to(demanding, {**tls, **ours}, password=PLANTED)),
            "nobody": Job("check", to(demanding, tls)),
        },
    )
    for end in finished.values():
        assert_silent(end, PLANTED, KEY_TEXT, *key.splitlines()[1:-1])
    assert [s["id"] for s in finished["write"].states] == [1]
    assert "refused the credentials" in finished["password"].check["message"]
    assert "cannot be reached" in finished["nobody"].check["message"]
    assert "TLS" in finished["nobody"].check["message"]


@pytest.mark.server
def test_a_server_is_verified_without_being_asked_to(
    demanding: Backend, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the configured authority, else by those of the system, and by its name; the client shows who it is to both."""
    stranger = Authority("a stranger")

    def connected(tls: Mapping[str, str], signer: Authority = authority) -> bool:
        certificate, key = signer.issue("client")
        mutual = {**tls, "client_certificate": certificate, "client_key": key}
        try:
            connect(parse_config(to(demanding, mutual)).indexing, timeout=3).close()
        except TransientError:
            return False
        return True

    trusted = {"ca_certificate": authority.certificate}
    assert connected(trusted)
    assert not connected(trusted, signer=stranger)
    assert not connected({"ca_certificate": stranger.certificate})
    assert not connected({**trusted, "server_name": "milvus.example.com"})
    assert not connected({}), "the system's authorities do not know ours"
    (tmp_path / "ca.pem").write_text(authority.certificate)
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(tmp_path / "ca.pem"))
    assert connected({}), "now they do"


# --- filters ----------------------------------------------------------------------------------------------------------

HOSTILE = ['"', "'", "\\", '\\"', ") or (", "]", '" or 1 == 1 or "', "%", "_", "\n", "{x}", "*", "/", "é", "😀", "a"]
"""What a filter that forgets its quotes would take for its own."""


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection for these tests, on each backend in each layout."""
    yield from shared_collection(request, tmp_path_factory)


MAKERS = [ROOT / "destination_milvus" / "milvus" / "filters.py", ROOT / "support_form" / "search.py"]
SAFE = re.compile(
    r"[A-Z_.a-z]*[A-Z_]{2,}|(literals?|older|stream_filter|_plain)\(.*\)|', '\.join\(.*literal\(.*\)"
    r"|generation|minimum|stale|key_field"
)
"""What may stand in a filter: names of fields, quoted literals, filters, and numbers by type."""


def test_every_filter_is_made_where_literals_are_quoted() -> None:
    """In two modules, out of names of fields and quoted values; all others pass on what came from there."""
    for path in MAKERS:
        filters = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)]
        filters = [node for node in filters if re.search(r" (==|!=|<|>|in|exists) ", ast.unparse(node))]
        parts = [part.value for node in filters for part in node.values if isinstance(part, ast.FormattedValue)]
        assert parts
        assert [part for part in map(ast.unparse, parts) if not SAFE.fullmatch(part)] == []
    for path in [
        path for name in ("destination_milvus", "support_form", "playground") for path in ROOT.glob(f"{name}/**/*.py")
    ]:
        keywords = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.keyword)]
        passed = [keyword.value for keyword in keywords if keyword.arg in {"filter", "expr"}]
        assert all(isinstance(value, ast.Name | ast.Constant) or "_filter(" in ast.unparse(value) for value in passed)


def hostile_names(count: int) -> list[str]:
    """Different names out of what is hostile, the same in every run."""
    chance = random.Random(7)  # noqa: S311 - no secret
    names = {"".join(chance.choices(HOSTILE, k=chance.randint(1, 4))) for _ in range(3 * count)}
    return sorted(names)[:count]


def test_no_key_touches_another_record(place: SharedCollection) -> None:
    """Hostile keys and stream names: each is updated, deleted and swept alone."""
    place.wipe()
    keys = hostile_names(60)
    streams = ["tickets", 'x" or _ab_stream != "', "x' or 1 == 1 or '", "back\\slash", '"']

    def sync(mode: str, generation: int, chosen: list[str], changes: Mapping[str, Mapping[str, Any]]) -> None:
        settings = {"generation_id": generation, "minimum_generation_id": generation if mode == "refresh" else 0}
        configured = catalog(*(stream(name, **settings) for name in chosen))
        lines = [record({"id": key, **data}, name=name) for name in chosen for key, data in changes.items()]
        assert place.sync(configured, [*lines, *(status("COMPLETE", name) for name in chosen)]).error is None

    def stored() -> dict[tuple[str, str], str]:
        return {(found["stream"], found["record_id"]): found["chunks"][0] for found in place.records()}

    gone = {"_ab_cdc_deleted_at": "2026-01-02"}
    sync("update", 1, streams, {key: {"body": "old"} for key in keys})
    expected = {(name, key): "old" for name in streams for key in keys}
    assert len(stored()) == len(expected)
    sync("update", 1, streams[:2], {key: {"body": "new"} for key in keys[::3]} | dict.fromkeys(keys[1::3], gone))
    for name in streams[:2]:
        expected |= {(name, key): "new" for key in keys[::3]}
        for key in keys[1::3]:
            del expected[name, key]
    assert sorted(stored().values()) == sorted(expected.values())
    assert _by_key(stored()) == expected
    sync("refresh", 2, streams[1:3], {keys[0]: {"body": "fresh"}})
    expected = {at: text for at, text in expected.items() if at[0] not in streams[1:3]}
    expected |= {(name, keys[0]): "fresh" for name in streams[1:3]}
    assert _by_key(stored()) == expected


def _by_key(stored: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """By the key as the source has it: one that begins with a quote stands in JSON."""
    keys = {}
    for (name, record_id), text in stored.items():
        key = record_id.removeprefix(f"{name}_")
        keys[name, json.loads(key) if key.startswith('"') else key] = text
    return keys
