"""The connector as a process between two pipes: what the platform sees."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.milvus.connection import connect
from devtools.backends import Backend, config
from devtools.certificates import Authority
from devtools.connector import (
    arguments,
    catalog,
    entities,
    environment,
    record,
    run,
    state,
    stream,
)
from devtools.milvus_server import MilvusServer, port_of_another

HERE = Path(__file__).parent
TICKETS = catalog(stream("tickets"))
LITE = {"host": "./milvus.db", "collection": "zendesk", "auth": {"mode": "no_auth"}}


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """Milvus Lite in a folder of the test's own."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def test_spec_is_the_golden_copy(tmp_path: Path) -> None:
    """What Airbyte draws its form from changes only on purpose: `make spec` writes the copy anew."""
    finished = run(tmp_path, "spec")
    assert finished.exit_code == 0
    assert list(finished.messages) == [json.loads((HERE / "spec.json").read_text())]


def test_main_py_is_the_same_program(tmp_path: Path) -> None:
    """The image calls `python main.py`."""
    main = HERE.parent / "main.py"
    finished = subprocess.run([sys.executable, main, "spec"], capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(finished.stdout) == json.loads((HERE / "spec.json").read_text())


STOPPED_AT_ITS_FIRST_IMPORT = """
import os, runpy, signal, sys

class Stop:
    def find_spec(name, path=None, target=None):
        if name == "destination_milvus":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stop)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_main_py_hears_of_a_stop_before_it_has_imported_anything() -> None:
    """As process 1 of a container it would else be deaf for as long as the imports take."""
    command = [sys.executable, "-c", STOPPED_AT_ITS_FIRST_IMPORT, HERE.parent / "main.py"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 128 + signal.SIGTERM


def test_a_state_leaves_while_the_input_is_still_open(lite: Backend, tmp_path: Path) -> None:
    """On a pipe, without PYTHONUNBUFFERED: a durable state must not wait in a buffer until the end."""
    conf = config(lite, processing={"text_fields": ["subject"]})
    with subprocess.Popen(
        arguments(tmp_path, "write", conf, TICKETS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(state(7) + "\n")
        process.stdin.flush()
        received = next(line for line in process.stdout if '"STATE"' in line)
        assert process.poll() is None
        process.stdin.close()
        rest = process.stdout.read()
    assert json.loads(received)["state"]["id"] == 7
    assert process.returncode == 0, rest


def test_a_sync_over_pipes_ends_with_zero_and_only_protocol_messages(lite: Backend, tmp_path: Path) -> None:
    """Unknown messages and noise of the platform are passed over; a summary ends the log."""
    conf = config(lite, processing={"text_fields": ["subject"]})
    lines = [
        '{"type": "LOG", "log": {"level": "INFO", "message": "hello"}}',
        '{"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": 1, "estimate": {"name": "t"}}}',
        '{"type": "CONTROL", "control": {"type": "CONNECTOR_CONFIG", "emitted_at": 1}}',
        '{"type": "LOG", "log": {"level": "SHOUT", "message": "hello"}}',
        '{"type": "TRACE", "trace": {"type": "SOMETHING_NEW", "emitted_at": 1.5}, "unknown": 1}',
        '{"type": "SOMETHING_NEW", "something": {"deep": [1]}}',
        "",
        record({"id": 1, "subject": "one"}, meta={"changes": []}, unknown_key=True),
        state(1),
    ]
    finished = run(tmp_path, "write", conf, TICKETS, lines)
    assert finished.exit_code == 0, finished
    assert finished.stderr == ""
    assert [s["id"] for s in finished.states] == [1]
    assert any(line.startswith("Sync complete: 1 records read") for line in finished.logs)
    assert len(entities(lite, conf["indexing"]["collection"])) == 1


def test_broken_input_ends_with_a_sentence(lite: Backend, tmp_path: Path) -> None:
    """Exit 1, one TRACE ERROR with the failure type, nothing of the content, and what came before is kept."""
    conf = config(lite, processing={"text_fields": ["subject"]})
    good = [record({"id": 1, "subject": "kept"}), state(1)]
    cut = '{"type": "RECORD", "record": {"data": {"text": "PLANTED'
    for finished, kind, sentence in (
        (run(tmp_path, "write", conf, TICKETS, good, cut_off=cut), "transient_error", "ended in the middle of line 3"),
        (run(tmp_path, "write", conf, TICKETS, [*good, "{PLANTED}"]), "system_error", "Line 3 of the input is not"),
        (
            run(tmp_path, "write", conf, TICKETS, [*good, record({"subject": "PLANTED"})]),
            "config_error",
            "no value in its primary key (id)",
        ),
    ):
        assert finished.exit_code == 1
        assert sentence in finished.error["message"]
        assert finished.error["failure_type"] == kind
        assert "Traceback" not in finished.error["message"]
        assert "PLANTED" not in json.dumps(finished.messages) + finished.stderr
        assert [s["id"] for s in finished.states] == [1]
    assert len(entities(lite, conf["indexing"]["collection"])) == 1


def test_files_that_cannot_be_read_get_a_sentence(tmp_path: Path) -> None:
    """A missing file, broken JSON, JSON that is no object."""
    for content, sentence in ((None, "cannot be read"), ("{", "not valid JSON"), ("[]", "not a JSON object")):
        path = tmp_path / "config.json"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        command = [*arguments(tmp_path, "check", None, None), "--config", str(path)]
        finished = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert finished.returncode == 1
        assert sentence in json.loads(finished.stdout.splitlines()[-1])["trace"]["error"]["message"]


def failed_check(folder: Path, conf: dict[str, Any], **variables: str) -> str:
    """The sentence of a `check` that fails, as the platform wants it: a status and exit code 0."""
    finished = run(folder, "check", conf, **variables)
    assert finished.exit_code == 0, finished
    assert finished.check["status"] == "FAILED"
    return str(finished.check["message"])


def test_check_succeeds_and_changes_nothing(lite: Backend, tmp_path: Path) -> None:
    """Neither the collection nor the database of Milvus Lite is created."""
    finished = run(tmp_path, "check", config(lite))
    assert finished.check == {"status": "SUCCEEDED"}
    assert not Path(lite.host).exists()


def test_check_names_the_option_that_is_wrong(lite: Backend, tmp_path: Path) -> None:
    """Before anything is reached: options, folders and rules of Airbyte Cloud."""
    conf = config(lite)
    overlap = {**conf, "processing": {"chunk_size": 10, "chunk_overlap": 10}}
    assert "chunk_overlap" in failed_check(tmp_path, overlap)
    nowhere = {**conf, "indexing": {**conf["indexing"], "host": "/nowhere/milvus.db"}}
    assert "/nowhere" in failed_check(tmp_path, nowhere)
    assert "https" in failed_check(tmp_path, conf, DEPLOYMENT_MODE="cloud")
    closed = {**conf, "indexing": {**conf["indexing"], "host": "http://127.0.0.1:9"}}
    assert "cannot be reached" in failed_check(tmp_path, closed)


@pytest.mark.server
def test_credentials_databases_and_tls_of_a_server(tmp_path: Path) -> None:
    """Password, token and database work over verified TLS; each that is wrong is named, without the secret."""
    authority = Authority()
    authority.issue_to_server(tmp_path)
    server = MilvusServer(tmp_path / "data", port=port_of_another(4), auth=True, tls=tmp_path)
    (tmp_path / "data").mkdir()
    server.start()
    try:
        _use_secured_server(server, authority.certificate, tmp_path)
    finally:
        server.kill()


def _make_reader(root: dict[str, Any]) -> dict[str, str]:
    """A user who may look at the collection and not write to it."""
    with closing(connect(parse_config(root).indexing)) as client:
        client.create_user("reader", "Reader-1")
        client.create_role("readers")
        for kind, privilege in (
            ("Global", "DescribeCollection"),
            ("Global", "ShowCollections"),
            ("Collection", "Query"),
        ):
            client.grant_privilege("readers", kind, privilege, "*")
        for privilege in ("IndexDetail", "Load", "GetLoadState", "Search"):
            client.grant_privilege("readers", "Collection", privilege, "*")
        client.grant_role("reader", "readers")
    return {"mode": "username_password", "username": "reader", "password": "Reader-1"}


def _use_secured_server(server: MilvusServer, authority: str, folder: Path) -> None:
    password = {"mode": "username_password", "username": "root", "password": "Milvus"}
    backend = Backend("server", server.uri, password)
    tls = {"ca_certificate": authority}
    conf = config(backend, indexing={"auth": password, "tls": tls, "collection": "secured"})
    finished = run(folder, "write", conf, TICKETS, [record({"id": 1, "subject": "one"}), state(1)])
    assert finished.exit_code == 0, finished
    token = config(
        backend, indexing={"auth": {"mode": "token", "token": "root:Milvus"}, "tls": tls, "collection": "secured"}
    )
    assert run(folder, "check", token).check == {"status": "SUCCEEDED"}
    reader = _make_reader(token)
    wrong = {**password, "password": "PLANTED"}
    for indexing, sentence in (
        ({"auth": reader, "tls": tls}, "denies the user"),
        ({"auth": wrong, "tls": tls}, "credentials"),
        ({"auth": {"mode": "no_auth"}, "tls": tls}, "credentials"),
        ({"auth": password, "tls": tls, "db": "nowhere"}, "database"),
        ({"auth": password}, "cannot be reached"),  # the system does not know our authority
    ):
        failing = config(backend, indexing={**indexing, "collection": "secured"})
        if "auth" in indexing and indexing["auth"].get("mode") == "no_auth":
            failing["indexing"]["auth"] = {"mode": "no_auth"}
        message = failed_check(folder, failing)
        assert sentence in message, message
        assert "PLANTED" not in message
