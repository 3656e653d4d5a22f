"""What the cases measure with: the endpoint, a Milvus, the connector and the baseline as processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks import inputs, installing
from benchmarks.endpoint import Remote, Stats
from benchmarks.measure import Run, Spread, cpu_seconds, run
from devtools.milvus_server import MilvusServer

ROOT = Path(__file__).parents[1]
CONNECTOR = Path(sys.executable).with_name("destination-milvus")
PORT = 23530
STAGES = ("parse", "chunk", "embed", "store")

TEXT_FIELDS = {"tickets": ["subject", "description"], "articles": ["body"]}
METADATA_FIELDS = {
    "tickets": ["id", "status", "priority", "type", "organization_id", "requester_id", "tags", "url", "created_at"],
    "articles": ["id", "title", "updated_at"],
}


@dataclass(frozen=True)
class Target:
    """Where rows go: a Milvus server, or Milvus Lite in the connector's process."""

    name: Literal["server", "lite"]
    folder: Path
    uri: str = ""
    pid: int | None = None
    """Of the server."""

    def host(self) -> str:
        """As in `indexing.host`; a database of its own each time on Milvus Lite."""
        return self.uri or str(self.folder / f"{uuid.uuid4().hex}.db")


@dataclass(frozen=True)
class Job:
    """One sync to measure."""

    host: str
    source: Path
    stream: str = "tickets"
    embedding: Mapping[str, Any] = field(default_factory=lambda: {"mode": "openai"})
    chunk_size: int = 1000
    advanced: Mapping[str, Any] = field(default_factory=dict)
    collection: str = field(default_factory=lambda: f"bench_{uuid.uuid4().hex}")


@dataclass(frozen=True)
class Measured:
    """A run, and what the endpoint and the server saw of it."""

    run: Run
    endpoint: Stats
    records: int
    server_cpu: float

    @property
    def steady(self) -> float:
        """Records a second from the first record to the last STATE."""
        return self.records / self.run.steady(self.endpoint.first_request)

    @property
    def whole(self) -> float:
        """Records a second of the whole process."""
        return self.records / self.run.wall

    @property
    def first_request(self) -> float:
        """Seconds from the start of the process to its first embedding request."""
        assert self.endpoint.first_request is not None
        return self.endpoint.first_request - self.run.started


class Bench:
    """Runs jobs."""

    def __init__(self, endpoint: Remote, folder: Path, *, full: bool) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.full = full

    @contextmanager
    def target(self, name: Literal["server", "lite"]) -> Iterator[Target]:
        """A fresh Milvus; its data are gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as data:
            if name == "lite":
                yield Target("lite", Path(data))
                return
            server = MilvusServer(Path(data), port=PORT)
            server.start()
            try:
                yield Target("server", Path(data), server.uri, server.pid)
            finally:
                server.stop()

    def warm_up(self) -> None:
        """Let both connectors compile their modules."""
        with self.target("lite") as target:
            job = Job(target.host(), inputs.Tickets(300).path())
            self.ours(target, job)
            self.baseline(target, replace(job, host=target.host()))

    def ours(self, target: Target, job: Job, **behaviour: Any) -> Measured:
        """Sync with this connector."""
        config = self._config(job)
        command = [CONNECTOR, "write", "--config", config, "--catalog", inputs.catalog(job.stream)]
        return self._measure(command, target, job, behaviour, {})

    def baseline(self, target: Target, job: Job, **behaviour: Any) -> Measured:
        """Sync with Airbyte's pipeline."""
        config = self._config(job)
        command = [installing.baseline_python(), installing.BASELINE / "connector.py", "write"]
        command += ["--config", config, "--catalog", inputs.catalog(job.stream)]
        return self._measure(command, target, job, behaviour, {"OPENAI_API_BASE": self.endpoint.base_url})

    def limit(self, job: Job, stage: str, **behaviour: Any) -> float:
        """Records a second of one stage alone."""
        self.endpoint.configure(**behaviour)
        command = [sys.executable, "-m", "benchmarks.stages", stage, self._config(job)]
        command += [inputs.catalog(job.stream), job.source]
        done = subprocess.run(
            [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode:
            raise RuntimeError(f"The stage {stage} failed:\n{done.stderr[-2000:]}")
        measured = json.loads(done.stdout.splitlines()[-1])
        return float(measured["records"] / measured["seconds"])

    def filtered_searches(self, target: Target, key: str, entities: int) -> dict[str, float]:
        """Milliseconds of a search for each filter, in a collection with this partition key."""
        command = [sys.executable, "-m", "benchmarks.filters", target.host(), key, str(entities)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
        if done.returncode:
            raise RuntimeError(f"The searches with the partition key {key} failed:\n{done.stderr[-2000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def _measure(
        self,
        command: Sequence[Any],
        target: Target,
        job: Job,
        behaviour: Mapping[str, Any],
        environment: dict[str, str],
    ) -> Measured:
        self.endpoint.configure(**behaviour)
        before = cpu_seconds(target.pid) if target.pid else 0.0
        records = _records(job.source)
        # the slowest that was seen, the baseline on Milvus Lite, still stores 60 records a second
        finished = run(command, job.source, environment=environment, timeout=900 + records / 60)
        after = cpu_seconds(target.pid) if target.pid else 0.0
        return Measured(finished, self.endpoint.stats(), records, after - before)

    def _config(self, job: Job) -> Path:
        config = {
            "embedding": self._embedding(job.embedding),
            "processing": {
                "chunk_size": job.chunk_size,
                "text_fields": TEXT_FIELDS[job.stream],
                "metadata_fields": METADATA_FIELDS[job.stream],
            },
            "indexing": {"host": job.host, "collection": job.collection, "auth": {"mode": "no_auth"}},
            "advanced": dict(job.advanced),
        }
        path = self.folder / f"{job.collection}.json"
        path.write_text(json.dumps(config))
        return path

    def _embedding(self, embedding: Mapping[str, Any]) -> dict[str, Any]:
        if embedding["mode"] == "openai":
            return {"openai_key": "none", "base_url": self.endpoint.base_url, **embedding}
        if embedding["mode"] == "openai_compatible":
            model = {"model_name": "text-embedding-3-small", "dimensions": 1536}
            return {"api_key": "none", "base_url": self.endpoint.base_url, **model, **embedding}
        return dict(embedding)


def _records(source: Path) -> int:
    with source.open("rb") as lines:
        return sum(line.startswith(b'{"type":"RECORD"') for line in lines)


def again(job: Job, source: Path) -> Job:
    """The next sync into the same collection."""
    return replace(job, source=source)


def spread(runs: Sequence[Any], value: Callable[[Any], float]) -> Spread:
    """One number of several runs."""
    return Spread(tuple(map(value, runs)))


def clean(folder: Path) -> None:
    """Remove what runs left."""
    shutil.rmtree(folder, ignore_errors=True)
