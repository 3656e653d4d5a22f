"""`--engine ray`: a cluster of several processes leaves the rows that one process leaves, whatever dies meanwhile."""

from __future__ import annotations

import json
import logging
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from destination_milvus.backfill import model_change
from destination_milvus.backfill.commands import backfill
from destination_milvus.backfill.display import PlainOutput
from destination_milvus.backfill.on_ray import cluster
from destination_milvus.config.models import parse_config
from destination_milvus.errors import BadRecord, ConfigError, TransientError
from destination_milvus.fields import CHUNK, FINGERPRINT
from devtools.airbyte_files import lines_of, streams_of, write_lines
from devtools.backends import SHORT_CHUNKS, Backend, config, make_auto_id_collection
from devtools.connector import arguments, catalog, entities, environment, record, status, stream, write
from devtools.openai_endpoint import serving
from devtools.ray_cluster import ray_cluster
from integration_tests.shared import SharedCollection, shared_collection
from integration_tests.test_backfill import HISTORIES, NOW, TICKETS, history, summary

pytestmark = [
    pytest.mark.server,
    # Ray's own, of what it starts and leaves to be collected
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"),
]


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""For the object storage of a test."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The cluster that all tests here share."""
    before = os.environ.get("RAY_AUTH_MODE")
    os.environ["RAY_AUTH_MODE"] = "disabled"  # read once, when Ray is imported
    with ray_cluster(cpus=3, **CREDENTIALS) as address:
        yield address
    if before is None:
        del os.environ["RAY_AUTH_MODE"]


@pytest.fixture(scope="module", params=[("server", "own")], ids=["server"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedCollection]:
    """A collection on the server."""
    yield from shared_collection(request, tmp_path_factory)


@dataclass(frozen=True)
class Runner:
    """The commands in this process, on the shared cluster."""

    address: str | None
    workers: int = 2

    def arguments(self, **options: Any) -> Namespace:
        """Of the command line."""
        engine = {"engine": "ray", "ray_address": self.address, "workers": self.workers}
        return Namespace(**{**engine, "stream": None, "generation": None, "dry_run": False, **options})

    def backfill(
        self, conf: Mapping[str, Any], configured: Mapping[str, Any], *inputs: Path | str, **options: Any
    ) -> None:
        """A backfill."""
        arguments = self.arguments(input=list(map(str, inputs)), **options)
        backfill(arguments, parse_config(conf), configured, PlainOutput())

    def reembed(self, conf: Mapping[str, Any], source: str) -> None:
        """A change of the model."""
        arguments = self.arguments(source=source, alias=None)
        model_change.reembed(arguments, parse_config(conf), {}, PlainOutput())


@pytest.fixture
def on_ray(address: str) -> Runner:
    """Two workers."""
    return Runner(address)


def settings(shared: SharedCollection, processing: Mapping[str, Any] = SHORT_CHUNKS, **options: Any) -> dict[str, Any]:
    """A configuration for the shared collection."""
    return config(shared.backend, processing=processing, indexing={"collection": shared.name}, **options)


def fingerprints(shared: SharedCollection) -> list[str]:
    """Of all records."""
    return sorted(row[FINGERPRINT] for row in shared.rows() if row[CHUNK] == 0)


# --- the same rows ----------------------------------------------------------------------------------------------------


def by_processing() -> dict[str, list[Path]]:
    """The conformance streams that are histories, by the settings that they are for."""
    found = defaultdict(list)
    for folder in HISTORIES:
        own = folder / "processing.json"
        found[own.read_text() if own.exists() else "{}"].append(folder)
    return found


GROUPS = by_processing()


def renamed(text: str, folder: Path) -> str:
    """A history under names of its own, so that many can be loaded at once. As text: numbers have many digits."""
    names = {each["stream"]["name"] for each in json.loads((folder / "catalog.json").read_text())["streams"]}
    for name in names:
        text = re.sub(rf'("(?:stream|name)": *)"{re.escape(name)}"', rf'\1"{folder.name}_{name}"', text)
    return text


@pytest.mark.parametrize("processing", GROUPS, ids=lambda text: f"{len(GROUPS[text])} of {GROUPS[text][0].name}")
def test_a_backfill_leaves_the_rows_of_write(
    shared: SharedCollection, on_ray: Runner, processing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Fingerprints included, of the conformance streams that are histories; a second one embeds and writes nothing.

    All that have the same settings are loaded by one command.
    """
    caplog.set_level(logging.INFO, "airbyte")
    own = {**SHORT_CHUNKS, **json.loads(processing)}
    streams, number = [], 0
    for folder in GROUPS[processing]:
        configured = json.loads(renamed((folder / "catalog.json").read_text(), folder))
        streams += configured["streams"]
        for day, path in enumerate(sorted(folder.glob("*.jsonl")), 1):
            messages = renamed(path.read_text(), folder).splitlines()
            assert shared.sync(configured, messages, own).error is None
            for (name, namespace), lines in streams_of(messages).items():
                place = tmp_path / (namespace or "") / name / f"2026_01_{day:02}_{NOW}_0.jsonl.gz"
                write_lines(place, lines_of(lines, "data", first=number))
                number += len(lines)
    expected, marks = shared.records(), fingerprints(shared)
    shared.wipe()
    for time_ in ("first", "second") if len(GROUPS[processing]) > 4 else ("first",):
        on_ray.backfill(settings(shared, own), {"streams": streams}, tmp_path)
        assert [json.dumps(each) for each in shared.records()] == [json.dumps(each) for each in expected]
        assert fingerprints(shared) == marks
        assert ("0 chunks written, 0 texts embedded" in summary(caplog)) == (time_ == "second")


def shuffled_files(folder: Path, lines: Sequence[str], seed: int) -> Path:
    """A history in three files whose records do not come in order."""
    shuffled = list(enumerate(lines))
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - equal seeds, equal files
    for number in range(3):
        part = [lines_of([line], "data", first=place)[0] for place, line in shuffled[number::3]]
        write_lines(folder / "tickets" / f"{number}.jsonl.gz", part)
    return folder / "tickets"


def test_a_generated_history_leaves_the_rows_of_write(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With repeated keys and deletions, in files that are not in order; then a sync embeds and writes nothing."""
    caplog.set_level(logging.INFO, "airbyte")
    lines = history(1, 400)
    assert shared.sync(TICKETS, lines).error is None
    expected, marks = shared.records(), fingerprints(shared)
    shared.wipe()
    on_ray.backfill(settings(shared), TICKETS, shuffled_files(tmp_path, lines, 1))
    assert shared.records() == expected
    assert fingerprints(shared) == marks
    assert "380 older versions of records" in caplog.text
    newest = {json.loads(line)["record"]["data"]["id"]: line for line in lines}
    assert shared.sync(TICKETS, newest.values()).error is None
    assert "0 new or changed" in summary(caplog)
    assert "0 texts embedded" in summary(caplog)


def test_object_storage_is_read_by_the_tasks(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each opens it by itself, with the address and the credentials of its own environment."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for variable, value in CREDENTIALS.items():
            monkeypatch.setenv(variable, value)
        storage = fs.S3FileSystem(endpoint_override=f"http://{host}:{port}", allow_bucket_creation=True)
        storage.create_dir("lake")
        for day in (1, 2):
            lines = lines_of([record({"id": key, "body": f"day {day}"}) for key in (day, 3)], "data", first=2 * day)
            content = write_lines(tmp_path / "of_a_day.gz", lines).read_bytes()
            with storage.open_output_stream(f"lake/public/tickets/{day}.jsonl.gz", compression=None) as stored:
                stored.write(content)
        on_ray.backfill(settings(shared), TICKETS, f"s3://lake/public/*/*.gz?endpoint_override=http://{host}:{port}")
    finally:
        server.stop()
    assert [each["chunks"] for each in shared.records()] == [["day 1"], ["day 2"], ["day 2"]]


def test_messages_and_streams_without_a_key_take_the_same_way(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that appends beside one that deduplicates, and what a source says at its end."""
    generations = {"generation_id": 2, "minimum_generation_id": 2, "sync_id": 1}
    configured = catalog(stream("tickets", **generations), stream("events", "append"))
    old = catalog(stream("tickets", **{**generations, "generation_id": 1, "minimum_generation_id": 0}))
    assert shared.sync(old, [record({"id": 9, "body": "old"}), status("COMPLETE")]).error is None
    lines = [record({"id": 1, "body": "first"}), *[record({"body": "same"}, "events")] * 2]
    first = write_lines(tmp_path / "1.jsonl", [*lines, record({"id": 1, "body": "last"})])
    with pytest.raises(TransientError, match='did not complete: "tickets"'):
        on_ray.backfill(settings(shared), configured, first, write_lines(tmp_path / "2.jsonl", [status("RUNNING")]))
    assert [each["chunks"] for each in shared.records()] == [["same"], ["same"], ["last"], ["old"]]
    assert "so are those that a worker was at when it died" in caplog.text
    whole = write_lines(tmp_path / "3.jsonl", [status("COMPLETE"), status("COMPLETE", "events")])
    on_ray.backfill(settings(shared), configured, first, whole)
    assert [each["chunks"] for each in shared.records()] == [*[["same"]] * 4, ["last"]]


# --- what dies --------------------------------------------------------------------------------------------------------


def workers() -> list[psutil.Process]:
    """The actors that write, of any cluster of this machine that runs below this process."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if "MapWorker(MapBatches(Worker))" in _title(each)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it is gone
        return ""


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost_or_doubled(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed twice, while requests are under way; what the dead one had stored is not embedded again."""
    lines = [record({"id": number, "body": f"text {number}"}, emitted_at=NOW + number) for number in range(1_500)]
    path = write_lines(tmp_path / "tickets/1.jsonl", lines_of(lines, "data"))
    with serving(latency=1.0, dimensions=1536) as endpoint:
        conf = settings(shared, embedding=endpoint.embedding(), advanced={"concurrency": 1})
        name = shared.backend.make_collection_name()
        conf = {**conf, "indexing": {**conf["indexing"], "collection": name}}
        killed: list[int] = []

        def kill_some() -> None:
            while len(killed) < 2:
                living = [each for each in workers() if each.pid not in killed]
                if endpoint.requests > 1 + 2 * len(killed) and living:
                    victim = living[0]
                    killed.append(victim.pid)
                    os.kill(victim.pid, signal.SIGKILL)
                time.sleep(0.2)

        killer = threading.Thread(target=kill_some, daemon=True)
        killer.start()
        on_ray.backfill(conf, TICKETS, path)
        killer.join(1)
        assert len(killed) == 2
        assert "A worker has died and was replaced" in caplog.text
        found = entities(shared.backend, name)
        assert sorted(row["text"] for row in found) == sorted(f"text {number}" for number in range(1_500))
        assert all(row[FINGERPRINT] for row in found)
        embedded = len(endpoint.texts)
        on_ray.backfill(conf, TICKETS, path)
        assert len(endpoint.texts) == embedded


# --- what cannot be ---------------------------------------------------------------------------------------------------

GOOD = lines_of([record({"id": number, "body": f"text {number}"}) for number in (1, 2)], "data")
TEXT = "PLANTED-TEXT"
"""Stands in files, and in no message."""


def test_what_a_worker_or_a_task_meets_is_the_sentence_of_one_process(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken line, before anything is written; a record without its key; a service that refuses."""
    caplog.set_level(logging.INFO, "airbyte")
    broken = write_lines(tmp_path / "broken/tickets/1.jsonl", [*GOOD, f'{{"{TEXT}'])
    with pytest.raises(ConfigError, match=r"1\.jsonl, line 3, is no JSON object") as raised:
        on_ray.backfill(settings(shared), TICKETS, broken)
    assert shared.records() == []
    lines = lines_of([record({"id": None, "body": TEXT})], "data", first=2)
    bad = write_lines(tmp_path / "tickets/1.jsonl", [*GOOD, *lines])
    with pytest.raises(BadRecord, match=r'1\.jsonl, line 3: Stream "tickets", a record without a key') as raised:
        on_ray.backfill(settings(shared), TICKETS, bad)
    assert raised.value.stream == ("tickets", None)
    on_ray.backfill(settings(shared, advanced={"bad_records": "skip"}), TICKETS, bad)
    assert "Skipped a record. " in caplog.text
    assert caplog.text.count("1.jsonl, line 3: ") == 1
    assert "2 committed" in summary(caplog)
    with serving(dimensions=1536) as endpoint:
        endpoint.always = "revoked"
        conf = settings(shared, embedding=endpoint.embedding())
        conf["indexing"]["collection"] = shared.backend.make_collection_name()
        with pytest.raises(ConfigError, match="API key"):
            on_ray.backfill(conf, TICKETS, write_lines(tmp_path / "good/tickets/1.jsonl", GOOD))
    assert TEXT not in caplog.text


def test_most_records_of_a_stream_being_bad_stops_it(shared: SharedCollection, on_ray: Runner, tmp_path: Path) -> None:
    """As in a sync: then not they are at fault."""
    lines = lines_of([record({"key": number, "body": "x"}) for number in range(300)], "data")
    path = write_lines(tmp_path / "tickets/1.jsonl", lines)
    with pytest.raises(ConfigError, match=r"of \d+ records cannot be stored"):
        on_ray.backfill(settings(shared, advanced={"bad_records": "skip"}), TICKETS, path)


def test_an_engine_that_cannot_be_gets_a_sentence(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More workers than there is room or requests for; nobody at the address; Milvus Lite; keys of Milvus' own."""
    monkeypatch.setattr(cluster, "NODES_SECONDS", 0)
    path = write_lines(tmp_path / "tickets/1.jsonl", GOOD)
    conf = settings(shared)
    write_lines(tmp_path / "empty/tickets/1.jsonl", [])
    on_ray.backfill(conf, TICKETS, tmp_path / "empty")  # there is nothing to do, and no error in it

    def refused(words: str, conf: Mapping[str, Any] = conf, **options: Any) -> None:
        with pytest.raises(ConfigError, match=words):
            on_ray.backfill(conf, TICKETS, path, **options)

    refused(r"--workers 40: the Ray cluster has 3 CPUs, where there is room for 10: each claims 0\.2", workers=40)
    refused("--workers is 0: at least 1", workers=0)
    limited = settings(shared, advanced={"requests_per_minute": 1})
    refused("--workers is 2, and advanced.requests_per_minute 1: .* Start at most 1", limited)
    refused(r"--ray-address 127\.0\.0\.1:1 cannot be reached", ray_address="127.0.0.1:1")
    refused("is no host:port", ray_address="somewhere")
    refused("submit the command as a job", ray_address="ray://127.0.0.1:10001")
    refused("--workers is for --engine ray", engine="local", ray_address=None)
    refused("Milvus Lite, which serves one process", config(Backend("lite", str(tmp_path / "milvus.db"))))
    own = shared.backend.make_collection_name()
    make_auto_id_collection(shared.backend, own, 1536)
    refused("has primary keys that Milvus makes", {**conf, "indexing": {**conf["indexing"], "collection": own}})
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    refused(r"run pip install 'airbyte-destination-milvus\[ray\]'")


def test_each_worker_gets_its_share_of_the_limits(shared: SharedCollection) -> None:
    """So that all of them together keep to what the account allows."""
    advanced = {"requests_per_minute": 7, "tokens_per_minute": 1000}
    shared_out = cluster.shared_out(parse_config(settings(shared, advanced=advanced)), 3).advanced
    assert (shared_out.requests_per_minute, shared_out.tokens_per_minute) == (2, 333)


# --- another model ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_auto_id", [False, True], ids=["own", "auto_id"])
def test_a_change_of_the_model_leaves_what_one_process_leaves(
    shared: SharedCollection, on_ray: Runner, is_auto_id: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """From a collection in either layout; a second run embeds what has changed, and takes out what is gone."""
    caplog.set_level(logging.INFO, "airbyte")
    backend = shared.backend
    old = config(backend, processing=SHORT_CHUNKS)
    name = old["indexing"]["collection"]
    if is_auto_id:
        make_auto_id_collection(backend, name, 1536)
    bodies = {key: "\n".join(f"line {part} of {key}" for part in range(1 + key % 4)) for key in range(60)}
    write(old, TICKETS, [record({"id": key, "body": body}) for key, body in bodies.items()])
    with serving() as endpoint:
        made, rewritten = [], ""
        for rewrite in (on_ray.reembed, in_one_process):
            endpoint.texts.clear()
            conf = config(backend, processing=SHORT_CHUNKS, embedding=endpoint.embedding())
            rewrite(conf, name)
            assert sorted(endpoint.texts) == sorted(row["text"] for row in entities(backend, name))
            made.append(entities(backend, conf["indexing"]["collection"]))
            rewritten = rewritten or conf["indexing"]["collection"]
        first, second = ([{**row, "vector": list(row["vector"])} for row in rows] for rows in made)
        assert first == second
        if is_auto_id:
            return  # what was rewritten is in our layout by now
        conf["indexing"]["collection"] = rewritten
        endpoint.texts.clear()
        gone = {"id": 1, "_ab_cdc_deleted_at": "2026-01-02"}
        write(old, TICKETS, [record({"id": 0, "body": "quite new"}), record(gone)])
        on_ray.reembed(conf, name)
        assert endpoint.texts == ["quite new"]
        assert "1 new or changed, 58 unchanged, 1 removed" in caplog.text
        texts = [row["text"] for row in entities(backend, conf["indexing"]["collection"])]
        assert sorted(texts) == sorted(row["text"] for row in entities(backend, name))


def in_one_process(conf: Mapping[str, Any], source: str) -> None:
    """The local engine."""
    arguments = Namespace(source=source, alias=None, engine="local", ray_address=None, workers=None)
    model_change.reembed(arguments, parse_config(conf), {}, PlainOutput())


# --- as a process -----------------------------------------------------------------------------------------------------


def alone(**variables: str) -> dict[str, str]:
    """The environment of a command that starts a cluster of its own, and makes a token for it."""
    return {name: value for name, value in environment(**variables).items() if name != "RAY_AUTH_MODE"}


def command(folder: Path, conf: Mapping[str, Any], *options: str) -> list[str]:
    """A backfill on a cluster of its own."""
    written = arguments(folder, "backfill", conf, TICKETS)
    return [*map(str, written), "--input", str(folder / "tickets"), "--engine", "ray", "--workers", "1", *options]


def test_it_speaks_to_people_and_leaves_nothing_behind(shared: SharedCollection, tmp_path: Path) -> None:
    """Its own sentences and none of Ray's, also while a worker dies; no file at home or in the temporary folder."""
    lines = [record({"id": number, "body": f"text {number}"}) for number in range(600)]
    write_lines(tmp_path / "tickets/1.jsonl.gz", lines_of(lines, "data"))
    home, temporary = tmp_path / "home", Path(tempfile.mkdtemp(prefix="t-"))
    home.mkdir()
    with serving(latency=1.0, dimensions=1536) as endpoint:
        conf = settings(shared, embedding=endpoint.embedding(), advanced={"concurrency": 1})
        conf["indexing"]["collection"] = shared.backend.make_collection_name()
        variables = alone(HOME=str(home), TMPDIR=str(temporary))
        with subprocess.Popen(
            command(tmp_path, conf), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables
        ) as process:
            while not endpoint.requests:
                time.sleep(0.1)
            (worker,) = workers()
            worker.kill()
            said, told = process.communicate(timeout=120)
    assert (process.returncode, said) == (0, ""), told
    beginnings = ("Input: ", "Created ", "Writing ", "Progress: ", "Warning: A worker has died and was replaced, ")
    beginnings += ("Backfill complete: 600 records read; 600 committed", "Embedded ")
    assert [line for line in told.splitlines() if not line.startswith(beginnings)] == []
    assert "Warning: " in told
    assert list(home.iterdir()) == []
    assert list(temporary.glob("dm-*")) == []


def test_a_stop_ends_it_and_its_workers(shared: SharedCollection, tmp_path: Path) -> None:
    """Within seconds, while a request hangs."""
    write_lines(tmp_path / "tickets/1.jsonl", GOOD)
    with serving(latency=60, dimensions=1536) as endpoint:
        conf = settings(shared, embedding=endpoint.embedding())
        conf["indexing"]["collection"] = shared.backend.make_collection_name()
        with subprocess.Popen(command(tmp_path, conf), text=True, stderr=subprocess.PIPE, env=alone()) as process:
            while not endpoint.requests:
                time.sleep(0.1)
            (worker,) = workers()
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, told = process.communicate(timeout=30)
            assert process.returncode == 143, told
            assert time.monotonic() - began < 10
            worker.wait(30)
    assert "The same command goes on from there." in told
    assert "Traceback" not in told


def test_a_disk_that_fills_while_shuffling_gets_a_sentence(
    shared: SharedCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray takes the disk for full, whatever it has; nothing was written, since the shuffle has to have all."""
    monkeypatch.setattr(cluster, "OBJECT_STORE_BYTES", 80_000_000)
    monkeypatch.setenv("RAY_local_fs_capacity_threshold", "0.0001")
    chance = random.Random(1)  # noqa: S311 - bytes that no compression makes fewer
    lines = (record({"id": number, "ballast": chance.randbytes(200_000).hex()}) for number in range(800))
    path = write_lines(tmp_path / "tickets/1.jsonl", lines_of(lines, "data"))
    with pytest.raises(TransientError, match="has no room left for what is being shuffled"):
        Runner(address=None, workers=1).backfill(settings(shared), TICKETS, path)
    assert shared.records() == []


def test_a_killed_driver_takes_its_workers_along_and_the_same_command_goes_on(
    shared: SharedCollection, on_ray: Runner, tmp_path: Path
) -> None:
    """What is stored is not embedded again. `make backfill-kills ARGS="--engine ray"` kills at any moment."""
    lines = [record({"id": number, "body": f"text {number}"}) for number in range(1_500)]
    path = write_lines(tmp_path / "tickets/1.jsonl", lines_of(lines, "data"))
    with serving(latency=0.5, dimensions=1536) as endpoint:
        conf = settings(shared, embedding=endpoint.embedding(), advanced={"concurrency": 1})
        conf["indexing"]["collection"] = name = shared.backend.make_collection_name()
        with subprocess.Popen(command(tmp_path, conf), stderr=subprocess.DEVNULL, env=alone()) as process:
            while endpoint.requests < 4:
                time.sleep(0.1)
            (worker,) = workers()
            process.kill()
        worker.wait(30)
        stored = [row["text"] for row in entities(shared.backend, name)]
        assert 0 < len(stored) < 1_500
        endpoint.texts.clear()
        on_ray.backfill(conf, TICKETS, path)
        assert sorted([*stored, *endpoint.texts]) == sorted(f"text {number}" for number in range(1_500))
        found = entities(shared.backend, name)
        assert sorted(row["text"] for row in found) == sorted(f"text {number}" for number in range(1_500))
        assert all(row[FINGERPRINT] for row in found)
