"""`backfill` as people start it: a process, its words and exit codes; object storage; what is left of a killed one."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from moto import settings
from moto.server import ThreadedMotoServer
from pyarrow import fs

from devtools.airbyte_files import lines_of, write_lines
from devtools.backends import Backend, config
from devtools.backfill_kills import Campaign
from devtools.connector import PROGRAM, arguments, catalog, entities, environment, record, stream
from devtools.openai_endpoint import serving

TICKETS = catalog(stream("tickets"))
GOOD = lines_of([record({"id": number, "body": f"text {number}"}) for number in (1, 2)], "data")
TEXT = "PLANTED-TEXT"
"""Stands in files, and in no message."""


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    """Milvus Lite in a folder of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    yield backend
    backend.release()


def run(
    folder: Path, conf: dict[str, Any], *inputs: Path | str, options: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    command = [*arguments(folder, "backfill", conf, TICKETS), *options]
    command += [word for each in inputs for word in ("--input", str(each))]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=environment(**variables), cwd=folder
    )


def test_a_backfill_speaks_to_people(lite: Backend, tmp_path: Path) -> None:
    """Sentences on standard error, nothing on standard output, 0 at the end."""
    write_lines(tmp_path / "tickets/1.jsonl.gz", GOOD)
    done = run(tmp_path, config(lite), "tickets/*.gz")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("Input: 1 file of ")
    assert "\nBackfill complete: 2 records read; 2 committed (2 new or changed, 0 unchanged, 0 removed)" in done.stderr


def test_what_is_wrong_is_a_sentence_and_an_exit_code(lite: Backend, tmp_path: Path) -> None:
    """Never a traceback, a record's text or a secret."""
    bad = write_lines(tmp_path / "tickets/1.jsonl", [*GOOD, f'{{"{TEXT}'])
    endpoint = {"mode": "openai_compatible", "base_url": "http://127.0.0.1:1", "api_key": TEXT, "model_name": "m"}
    conf = config(lite, embedding={**endpoint, "dimensions": 8})
    for done, code, beginning in (
        (run(tmp_path, conf, bad), 1, f"Error: {bad}, line 3, is no JSON object"),
        (run(tmp_path, conf, "nothing.*"), 1, "Error: --input nothing.* matches no file."),
        (run(tmp_path, conf), 2, "usage: destination-milvus backfill"),
        (run(tmp_path, {**conf, "indexing": {}}, bad), 1, "Error: The configuration is not valid"),
    ):
        assert done.returncode == code
        assert beginning in done.stderr
        assert "Traceback" not in done.stderr
        assert TEXT not in done.stderr
        assert done.stdout == ""


def test_help_explains_and_imports_nothing_that_costs() -> None:
    """Forms of input, an example, exit codes."""
    done = subprocess.run([PROGRAM, "backfill", "--help"], capture_output=True, text=True, check=True, timeout=60)
    for words in ("JSON lines", "Parquet", "--dry-run", "s3://", "exit codes"):
        assert words in done.stdout
    listed = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "backfill" in listed


def test_a_terminal_shows_a_bar(lite: Backend, tmp_path: Path) -> None:
    """With the share, and lines above it; it is gone at the end."""
    lines = lines_of([record({"id": number, "body": f"text {number}"}) for number in range(3_000)], "data")
    path = write_lines(tmp_path / "tickets/1.jsonl", lines)
    ours, theirs = pty.openpty()
    command = [*arguments(tmp_path, "backfill", config(lite), TICKETS), "--input", str(path)]
    with subprocess.Popen(command, stderr=theirs, env=environment(TERM="xterm", COLUMNS="120")) as process:
        os.close(theirs)
        told = b""
        while chunk := _read(ours):
            told += chunk
        assert process.wait(60) == 0
    os.close(ours)
    assert "%" in told.decode()
    assert "records" in told.decode()
    assert "Backfill complete: 3,000 records read" in told.decode()
    assert "Progress: " not in told.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux says so where the other end is closed
        return b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_ends_it_within_seconds(lite: Backend, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Also while a request for embeddings hangs; the sentence says how to go on."""
    write_lines(tmp_path / "tickets/1.jsonl", GOOD)
    with serving(latency=60) as endpoint:
        embedding = {"mode": "openai_compatible", "base_url": endpoint.base_url, "api_key": "k", "model_name": "m"}
        conf = config(lite, embedding={**embedding, "dimensions": 8})
        command = [*arguments(tmp_path, "backfill", conf, TICKETS), "--input", str(tmp_path / "tickets")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stderr is not None
            told = [next(process.stderr) for _ in range(3)]
            assert told[-1].startswith("Writing ")
            time.sleep(0.5)
            process.send_signal(number)
            began = time.monotonic()
            rest = process.stderr.read()
            assert process.wait(30) == code
            assert time.monotonic() - began < 8
    assert "The same command goes on from there." in rest


# --- object storage ---------------------------------------------------------------------------------------------------

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": TEXT,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of an S3 of the test's own, with a bucket `lake`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    storage = fs.S3FileSystem(endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True)
    storage.create_dir("lake")
    file = tmp_path / "of_a_day.gz"
    for day in (1, 2):
        lines = lines_of([record({"id": key, "body": f"day {day}"}) for key in (day, 3)], "data", first=2 * day)
        with storage.open_output_stream(f"lake/public/tickets/2026_01_0{day}_0.jsonl.gz", compression=None) as stored:
            stored.write(write_lines(file, lines).read_bytes())
    yield f"http://{host}:{port}"
    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    server.stop()


def test_object_storage_is_read_as_files_are(lite: Backend, tmp_path: Path, s3: str) -> None:
    """By pattern and by folder; the address may stand in the environment or behind a question mark."""
    conf = config(lite, processing={"text_fields": ["body"], "include_field_names": False})
    done = run(tmp_path, conf, f"s3://lake/public/*/*.gz?endpoint_override={s3}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Input: 2 files of ")
    again = run(tmp_path, conf, "s3://lake/public/tickets/", AWS_ENDPOINT_URL=s3)
    assert "3 unchanged" in again.stderr
    assert "1 older versions of records" in again.stderr
    one = run(
        tmp_path, conf, "s3://lake/public/tickets/2026_01_01_0.jsonl.gz", options=("--dry-run",), AWS_ENDPOINT_URL=s3
    )
    assert one.stderr.startswith("Input: 1 file of ")
    texts = [row["text"] for row in entities(lite, conf["indexing"]["collection"])]
    assert texts == ["day 1", "day 2", "day 2"]


def test_storage_that_refuses_or_is_away_gets_a_sentence(lite: Backend, tmp_path: Path, s3: str) -> None:
    """Wrong keys, none at all, nobody there, no such bucket."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0  # from now on it looks at keys
    conf = config(lite)
    wrong = run(tmp_path, conf, "s3://lake/public/*", AWS_ENDPOINT_URL=s3)
    with refusing() as address:
        none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
        missing = run(tmp_path, conf, "s3://lake/public/*", AWS_ENDPOINT_URL=address, **none)
    away = run(tmp_path, conf, "s3://KEY:SECRET@lake/public/*", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    for done in (wrong, missing):
        assert "Error: s3://lake/public/* may not be read: the credentials are missing or wrong" in done.stderr
    assert "Error: s3://lake/public/* cannot be read now (the storage or the network failed)." in away.stderr
    for done in (wrong, missing, away):
        assert done.returncode == 1
        assert TEXT not in done.stderr
        assert "SECRET@" not in done.stderr
        assert "Traceback" not in done.stderr


class _Refusal(BaseHTTPRequestHandler):
    """What S3 answers who shows no credentials, or such as may not read."""

    def do_GET(self) -> None:
        body = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def refusing() -> Iterator[str]:
    """The address of an S3 that refuses everybody."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def test_a_killed_backfill_is_completed_by_the_same_command(backend: Backend, tmp_path: Path) -> None:
    """A few of the kills of `make backfill-kills`."""
    campaign = Campaign(backend, tmp_path, seed=15)
    campaign.run(kills=4)
    assert campaign.kills.total() == 4
    assert campaign.damages == []


def test_a_killed_reembedding_is_completed_by_the_same_command(lite: Backend, tmp_path: Path) -> None:
    """As above: nothing that was stored is embedded again."""
    with serving() as endpoint:
        campaign = Campaign(lite, tmp_path, seed=15, job="reembed", endpoint=endpoint)
        campaign.run(kills=3)
        assert campaign.damages == []
