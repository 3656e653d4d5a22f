"""What breaks for real: endpoints, servers, disks, pipes, the process itself; and that the next sync repairs it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.errors import ConfigError, DestinationError, TransientError
from destination_milvus.milvus.connection import connect
from devtools.backends import Backend, config, make_auto_id_collection
from devtools.connector import (
    arguments,
    catalog,
    entities,
    environment,
    record,
    run,
    state,
    status,
    stream,
    write,
)
from devtools.milvus_server import MilvusServer, port_of_another
from devtools.openai_endpoint import OpenAIEndpoint, serving

TICKETS = catalog(stream("tickets"))
RECORDS = 600
"""More than two batches."""


@pytest.fixture
def endpoint() -> Iterator[OpenAIEndpoint]:
    """An embedding endpoint of the test's own."""
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Backend]:
    """Milvus Lite in a folder of the test's own."""
    backend = Backend("lite", str(tmp_path / "milvus.db"))
    yield backend
    backend.release()


def configured(backend: Backend, endpoint: OpenAIEndpoint) -> dict[str, Any]:
    """A configuration with one chunk a record, made by the endpoint."""
    processing = {"text_fields": ["t"], "metadata_fields": ["id"], "include_field_names": False}
    return config(backend, embedding=endpoint.embedding(), processing=processing)


def tickets(version: str, count: int = RECORDS, every: int = 50) -> list[str]:
    """So many records, a state after every few."""
    lines = []
    for number in range(count):
        lines.append(record({"id": number, "t": f"text {number} of {version}"}))
        if (number + 1) % every == 0:
            lines.append(state(number + 1))
    return lines


def stored(backend: Backend, conf: dict[str, Any]) -> dict[int, str]:
    """Text by id; fails where a record has more than one row, or a row that vouches for nothing."""
    rows = entities(backend, conf["indexing"]["collection"])
    assert len({row["_ab_record_id"] for row in rows}) == len(rows)
    assert all(row["_ab_fingerprint"] for row in rows)
    return {row["id"]: row["text"] for row in rows}


def expected(version: str, count: int = RECORDS) -> dict[int, str]:
    return {number: f"text {number} of {version}" for number in range(count)}


# --- the embedding endpoint -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "429",
        "429 with Retry-After",
        "500",
        "503",
        "half a body",
        "nothing at all",
        "the wrong number of vectors",
        "another order",
    ],
)
def test_a_passing_fault_of_the_endpoint_is_survived(lite: Backend, endpoint: OpenAIEndpoint, fault: str) -> None:
    """The sync ends well, every record has the vector of its own text, and no text is answered twice."""
    conf = configured(lite, endpoint)
    endpoint.faults = [fault, fault]
    states = write(conf, TICKETS, tickets("one", 300))
    assert states[-1]["id"] == 300
    assert stored(lite, conf) == expected("one", 300)
    assert sorted(endpoint.texts) == sorted(expected("one", 300).values())


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("quota", ConfigError, "quota"),
        ("revoked", ConfigError, "key"),
        ("the wrong dimension", ConfigError, "dimensions"),
    ],
)
def test_a_lasting_fault_leaves_the_old_versions_searchable(
    lite: Backend, endpoint: OpenAIEndpoint, fault: str, kind: type[DestinationError], sentence: str
) -> None:
    """The error is of the right type and says what to do; nothing was replaced; the next sync completes."""
    conf = configured(lite, endpoint)
    write(conf, TICKETS, tickets("one", 300))
    endpoint.always = fault
    with pytest.raises(kind, match=sentence) as caught:
        write(conf, TICKETS, tickets("two", 300))
    assert "PLANTED" not in caught.value.message
    assert stored(lite, conf) == expected("one", 300)
    endpoint.always = None
    write(conf, TICKETS, tickets("two", 300))
    assert stored(lite, conf) == expected("two", 300)


def test_a_key_revoked_in_mid_sync_acknowledges_what_is_durable(lite: Backend, endpoint: OpenAIEndpoint) -> None:
    """The states that came out are those of stored records, and the sync ends as a configuration error."""
    conf = {**configured(lite, endpoint), "advanced": {"concurrency": 1}}
    states: list[dict[str, Any]] = []
    endpoint.fail_after(2, "revoked")
    with pytest.raises(ConfigError, match="key"):
        write(conf, TICKETS, tickets("one"), states)
    assert states
    assert set(range(states[-1]["id"])) <= set(stored(lite, conf))
    endpoint.fail_after(None, "")
    write(conf, TICKETS, tickets("one"))
    assert stored(lite, conf) == expected("one")


def test_numbers_that_are_none_are_a_bad_record(lite: Backend, endpoint: OpenAIEndpoint) -> None:
    """A vector of NaN is never stored: the record is named, or skipped where the policy says so."""
    conf = configured(lite, endpoint)
    endpoint.faults = ["NaN"]
    with pytest.raises(DestinationError, match='record "tickets_0"'):
        write(conf, TICKETS, tickets("one", 1))
    endpoint.faults = ["NaN"]
    states = write({**conf, "advanced": {"bad_records": "skip"}}, TICKETS, [*tickets("one", 1), state(1)])
    assert states[-1]["destinationStats"] == {"recordCount": 0.0, "rejectedRecordCount": 1.0}
    assert stored(lite, conf) == {}


# --- the process ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(
    folder: Path, conf: dict[str, Any], configured: dict[str, Any] | None = TICKETS, command: str = "write"
) -> Iterator[subprocess.Popen[bytes]]:
    """The connector as a process, which is killed at the end if it still runs."""
    process = subprocess.Popen(
        arguments(folder, command, conf, configured), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def feed(process: subprocess.Popen[bytes], lines: list[str]) -> None:
    """Write lines to the process without closing its input."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write("".join(line + "\n" for line in lines).encode())
        process.stdin.flush()


def wait_for_state(process: subprocess.Popen[bytes]) -> int:
    """The id of the next state that comes out."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message["type"] == "STATE":
            return int(message["state"]["id"])
    raise AssertionError("the process ended without a state")


def test_a_killed_process_is_repaired_by_the_next_sync(lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """SIGKILL in the middle: what was acknowledged is there, and the same sync again ends as an undisturbed one."""
    conf = {**configured(lite, endpoint), "advanced": {"concurrency": 2}}
    endpoint.latency = 0.1
    with running(tmp_path, conf) as process:
        feed(process, tickets("one"))
        acknowledged = wait_for_state(process)
        process.kill()
    assert set(range(acknowledged)) <= set(stored_loosely(lite, conf))
    endpoint.latency = 0.0
    write(conf, TICKETS, tickets("one"))
    assert stored(lite, conf) == expected("one")


KILLED_IN_ITS_FLUSH = """
import os, sys
from milvus_lite.storage.wal import WAL
from destination_milvus.run import run

WAL.close_and_delete = lambda log: os._exit(9)
sys.argv[0] = "destination-milvus"
run()
"""
"""The connector, ended where a flush of Milvus Lite has committed its manifest and not yet removed its log."""


@pytest.mark.parametrize("layout", ["own", "full_text", "auto_id"])
@pytest.mark.parametrize("syncs_before", [0, 3], ids=["alone", "before a compaction"])
def test_rows_that_milvus_lite_shows_twice_are_mended_by_who_opens_it(
    lite: Backend, tmp_path: Path, layout: str, syncs_before: int
) -> None:
    """Killed inside a flush, its rows are in a segment and in the log: opened by `connect`, each is shown once.

    With a fourth small segment, opening compacts, and a flush does not mend it.
    """
    processing = {"text_fields": ["t"], "metadata_fields": ["id"], "include_field_names": False}
    conf = config(lite, processing=processing, indexing={"full_text_search": layout == "full_text"})
    collection = conf["indexing"]["collection"]
    if layout == "auto_id":
        make_auto_id_collection(lite, collection, FakeEmbedder().dimensions)
    for number in range(syncs_before):
        write(conf, TICKETS, [record({"id": 1000 + number, "t": "before"})])
        lite.release()
    lines = tickets("one", 20)
    arguments_ = arguments(tmp_path, "write", conf, TICKETS)[1:]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_ITS_FLUSH, *arguments_],
        input="".join(line + "\n" for line in lines).encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert killed.returncode == 9, killed
    copy = Backend("lite", str(tmp_path / "copy.db"))
    shutil.copytree(lite.host, copy.host)
    assert len(entities(copy, collection)) == 40 + syncs_before, "Milvus Lite shows them once: nothing is to be mended"

    for again in range(2):
        with closing(connect(parse_config(conf).indexing)) as client:
            client.load_collection(collection)
            shown = client.query(collection, filter='_ab_stream != ""', output_fields=["id"])
            vector = list(FakeEmbedder().embed(["text 1"])[0])
            found = client.search(collection, data=[vector], anns_field="vector", limit=100)[0]
        lite.release()
        assert len(shown) == len(found) == 20 + syncs_before, f"opened {again + 1} times"
    write(conf, TICKETS, lines)
    before = {1000 + number: "before" for number in range(syncs_before)}
    assert stored(lite, conf) == before | expected("one", 20)


def stored_loosely(backend: Backend, conf: dict[str, Any]) -> dict[int, str]:
    """Text by id, of whatever is there."""
    return {row["id"]: row["text"] for row in entities(backend, conf["indexing"]["collection"])}


def test_sigterm_acknowledges_what_is_durable_and_ends_at_once(
    lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path
) -> None:
    """Exit is prompt and not zero, although a request hangs; the error is transient."""
    conf = {**configured(lite, endpoint), "advanced": {"concurrency": 2}}
    with running(tmp_path, conf) as process:
        feed(process, tickets("one", 256, every=64))
        assert wait_for_state(process) == 64
        endpoint.latency = 60
        feed(process, tickets("two", 300))
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        output, _ = process.communicate(timeout=10)
        assert time.monotonic() - started < 5
        assert process.returncode == 128 + signal.SIGTERM
    trace = json.loads(output.splitlines()[-1])["trace"]["error"]
    assert trace["failure_type"] == "transient_error"
    assert stored(lite, conf) == expected("one", 256)


STOPPED_WITHIN = 10.0
"""Seconds after which Docker kills what it has asked to stop."""


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """Ask the process to stop, once, and see that it does."""
    process.send_signal(how)
    assert process.wait(STOPPED_WITHIN) == 128 + how


def test_a_stop_ends_a_sync_whose_output_nobody_reads(lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """The pipe is full and a write hangs: one SIGTERM ends the process all the same."""
    with running(tmp_path, configured(lite, endpoint)) as process:
        feed(process, [large_state(number) for number in range(8)])
        wait_until_full(process)
        stop(process)


def test_a_stop_gives_a_slow_reader_every_durable_state(
    lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path
) -> None:
    """SIGTERM in a write, and another one: the line is finished, what is durable follows, the error is last."""
    endpoint.latency = 1.0  # all batches are under way before the first is done
    with running(tmp_path, configured(lite, endpoint)) as process:
        for batch in range(4):
            feed(process, [*tickets("one", 256, every=1_000), large_state(batch)])
        wait_until_full(process)
        time.sleep(3)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        output, _ = process.communicate(timeout=STOPPED_WITHIN)
        assert process.returncode == 128 + signal.SIGTERM
    messages = [json.loads(line) for line in output.splitlines()]
    assert [message["state"]["id"] for message in messages if message["type"] == "STATE"] == [0, 1, 2, 3]
    assert messages[-1]["trace"]["error"]["failure_type"] == "transient_error"


def large_state(number: int) -> str:
    """A state of a whole pipe's size."""
    message = json.loads(state(number))
    message["state"]["stream"]["stream_state"]["filling"] = "x" * 65_536
    return json.dumps(message)


def wait_until_full(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process's output takes nothing more."""
    assert process.stdout is not None
    deadline = time.monotonic() + 30
    waiting = array("i", [0])
    while waiting[0] < 65_536 - 4_096:
        assert time.monotonic() < deadline, "the output does not fill up"
        time.sleep(0.1)
        fcntl.ioctl(process.stdout, termios.FIONREAD, waiting)
    time.sleep(0.5)


@pytest.mark.parametrize(("fault", "latency"), [("503", 0.0), (None, 60.0)], ids=["between retries", "hung request"])
def test_a_stop_ends_what_waits_for_an_embedding(
    lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path, fault: str | None, latency: float
) -> None:
    """`write` and `check`, in the pause before a retry and in a request that hangs."""
    endpoint.always, endpoint.latency = fault, latency
    for command, catalog_ in (("write", TICKETS), ("check", None)):
        arrived = endpoint.requests
        with running(tmp_path, configured(lite, endpoint), catalog_, command) as process:
            if command == "write":
                feed(process, tickets("one"))
            deadline = time.monotonic() + 30
            while endpoint.requests < arrived + (1 if fault is None else 3):
                assert time.monotonic() < deadline, "nothing was asked of the endpoint"
                time.sleep(0.05)
            stop(process)


def test_an_interrupt_of_the_keyboard_is_a_stop_too(lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """Control-C: what is durable is acknowledged, exit code 130, and no traceback."""
    with running(tmp_path, configured(lite, endpoint)) as process:
        feed(process, tickets("one", 64, every=64))
        assert wait_for_state(process) == 64
        stop(process, signal.SIGINT)
        assert process.stdout is not None
        *_, last = process.stdout
    assert "SIGINT" in json.loads(last)["trace"]["error"]["message"]


def test_a_closed_output_ends_the_process_quietly(lite: Backend, endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """Nobody reads the states any more: exit 1, nothing on standard error, and the next sync embeds nothing again."""
    conf = configured(lite, endpoint)
    process = subprocess.Popen(
        arguments(tmp_path, "write", conf, TICKETS),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    feed(process, tickets("one", 100))
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert complaint == b""
    write(conf, TICKETS, tickets("one", 100))
    assert stored(lite, conf) == expected("one", 100)


def test_a_full_disk_gets_a_sentence(endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """Milvus Lite on a full disk: a transient error that says so; with room, the next sync completes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: " + mounted.stderr.decode().strip())
    backend = Backend("lite", str(disk / "milvus.db"))
    try:
        conf = configured(backend, endpoint)
        finished = run(tmp_path, "write", conf, TICKETS, tickets("a long text " * 100, 2000))
        assert finished.exit_code == 1
        assert "disk" in finished.error["message"], finished.error
        assert finished.error["failure_type"] == "transient_error"
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        again = run(tmp_path, "write", conf, TICKETS, tickets("a long text " * 100, 2000))
        assert again.exit_code == 0, again
        assert len(stored(backend, conf)) == 2000
    finally:
        backend.release()
        subprocess.run(["umount", str(disk)], check=True)


# --- the Milvus server ------------------------------------------------------------------------------------------------


@pytest.mark.server
def test_a_server_that_dies_or_hangs_in_mid_sync_is_survived(endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """SIGKILL and restart, and a pause of the whole server: the sync waits, and ends with every record stored once."""
    data = tmp_path / "data"
    data.mkdir()
    server = MilvusServer(data, port=port_of_another(3))
    server.start()
    try:
        conf = configured(Backend("server", server.uri), endpoint)
        endpoint.latency = 0.5
        for version, disturb in (("one", server.restart), ("two", lambda: _paused(server, 5))):
            with running(tmp_path, conf) as process:
                feed(process, tickets(version))
                wait_for_state(process)
                disturb()
                output, _ = process.communicate(timeout=200)
                assert process.returncode == 0, output.decode()[-3000:]
            assert stored(Backend("server", server.uri), conf) == expected(version)
    finally:
        server.kill()


REFRESH = catalog(stream("tickets", generation_id=2, minimum_generation_id=2, sync_id=2))


@pytest.mark.server
def test_a_stop_ends_a_sync_that_a_hung_or_dead_server_holds(endpoint: OpenAIEndpoint, tmp_path: Path) -> None:
    """While it connects, in a commit, in the sweep, and in the pause before a retry: exit 143 within seconds."""
    data = tmp_path / "data"
    data.mkdir()
    server = MilvusServer(data, port=port_of_another(1))
    server.start()
    try:
        backend = Backend("server", server.uri)
        with contextlib.ExitStack() as processes:

            def started(name: str, *, sweeps: bool = False) -> subprocess.Popen[bytes]:
                folder = tmp_path / name
                folder.mkdir()
                conf = configured(backend, endpoint)
                if sweeps:  # of a stream that was empty there is nothing to be swept
                    write(conf, TICKETS, tickets("zero", 1))
                return processes.enter_context(running(folder, conf, REFRESH))

            commits = started("commits")
            sweeps, retries = (started(name, sweeps=True) for name in ("sweeps", "retries"))
            for process in (commits, sweeps, retries):
                feed(process, tickets("one", 32, every=32))
            for process in (commits, sweeps, retries):
                assert wait_for_state(process) == 32
            server.pause()
            connects = started("connects")
            feed(commits, tickets("two", 64))
            complete(sweeps)
            wait_for_handlers(connects)
            time.sleep(2)
            for process in (commits, sweeps, connects):
                stop(process)
            server.kill()
            complete(retries)
            time.sleep(3)
            stop(retries)
    finally:
        server.kill()


def complete(process: subprocess.Popen[bytes]) -> None:
    """Let the source end well, and wait until the sweep begins."""
    feed(process, [status("COMPLETE")])
    assert process.stdin is not None
    process.stdin.close()
    wait_for_log(process, "Sweeping")


def wait_for_handlers(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process has been imported and handles signals; until then they are the system's."""
    if sys.platform != "linux":
        time.sleep(5)
        return
    caught = 0
    while not caught & 1 << (signal.SIGTERM - 1):
        time.sleep(0.1)
        [caught] = (
            int(line.split()[1], 16)
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if line.startswith("SigCgt:")
        )


def wait_for_log(process: subprocess.Popen[bytes], beginning: str) -> None:
    """Read the output up to a line of the log."""
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message["type"] == "LOG" and message["log"]["message"].startswith(beginning):
            return
    raise AssertionError("the process ended before")


def _paused(server: MilvusServer, seconds: float) -> None:
    server.pause()
    time.sleep(seconds)
    server.resume()


def test_a_server_that_never_answers_gets_a_sentence(tmp_path: Path) -> None:
    """`check` of a port that accepts and says nothing ends in seconds, as a transient error's sentence."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as listener:
        conf = config(Backend("server", f"http://127.0.0.1:{listener.getsockname()[1]}"))
        started = time.monotonic()
        finished = run(tmp_path, "check", conf)
        assert finished.check["status"] == "FAILED"
        assert time.monotonic() - started < 60
    assert os.linesep not in finished.check["message"]
    assert issubclass(TransientError, DestinationError)
