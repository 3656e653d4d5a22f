"""What the cases measure with: an endpoint, a Milvus, the connector and the baseline as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks import inputs, installing
from benchmarks.measure import Family, Run, cpu_seconds, run, run_family
from devtools.connector import PROGRAM
from devtools.environments import ROOT
from devtools.milvus_server import MilvusServer
from devtools.openai_endpoint import OpenAIEndpoint, serving

PORT = 23530
DIMENSIONS = 1536
LATENCY = 0.1
STAGES = ("parse", "chunk", "embed", "store")

TEXT_FIELDS = {"tickets": ["subject", "description"], "articles": ["body"]}
METADATA_FIELDS = {
    "tickets": ["id", "status", "priority", "type", "organization_id", "requester_id", "tags", "url", "created_at"],
    "articles": ["id", "title", "updated_at"],
}


@dataclass(frozen=True)
class Target:
    """Where rows go: a Milvus server, or Milvus Lite in the connector's process."""

    folder: Path
    server: MilvusServer | None = None

    def host(self) -> str:
        """As in `indexing.host`; a database of its own each time on Milvus Lite."""
        return self.server.uri if self.server else str(self.folder / f"{uuid.uuid4().hex}.db")


@dataclass(frozen=True)
class Job:
    """One sync to measure."""

    host: str
    source: Path
    stream: str = "tickets"
    embedding: Literal["openai", "openai_compatible", "fake"] = "openai"
    chunk_size: int = 1000
    advanced: Mapping[str, Any] = field(default_factory=dict)
    collection: str = field(default_factory=lambda: f"bench_{uuid.uuid4().hex}")


@dataclass(frozen=True)
class Measured:
    """A run, and what the endpoint and the server saw of it."""

    run: Run
    endpoint: OpenAIEndpoint
    records: int
    server_cpu: float
    endpoint_cpu: float
    """With what taking the figures down cost."""

    @property
    def steady(self) -> float:
        """Records a second from the first record to the last STATE."""
        return self.records / self.run.steady(self.endpoint.first_request)

    @property
    def first_request(self) -> float:
        """Seconds from the start of the process to its first embedding request."""
        assert self.endpoint.first_request is not None
        return self.endpoint.first_request - self.run.started


@dataclass(frozen=True)
class Loaded:
    """A backfill, and what the endpoint saw of it."""

    run: Run
    endpoint: OpenAIEndpoint
    family: Family
    server_cpu: float

    @property
    def asked(self) -> float:
        """Seconds from the start of the process to its first embedding request."""
        assert self.endpoint.first_request is not None
        return self.endpoint.first_request - self.run.started

    def rate(self) -> float:
        """Texts a second from the first answer to the last."""
        endpoint = self.endpoint
        assert endpoint.first_request is not None
        assert endpoint.last_answer is not None
        return len(endpoint.texts) / (endpoint.last_answer - endpoint.first_request - endpoint.latency)


class Bench:
    """Runs jobs."""

    def __init__(self, folder: Path, *, full: bool) -> None:
        self.folder = folder
        self.full = full

    @contextmanager
    def target(self, name: Literal["server", "lite"]) -> Iterator[Target]:
        """A fresh Milvus; its data are gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as data:
            if name == "lite":
                yield Target(Path(data))
                return
            server = MilvusServer(Path(data), port=PORT)
            server.start()
            try:
                yield Target(Path(data), server)
            finally:
                server.stop()

    def warm_up(self) -> None:
        """Let both connectors compile their modules."""
        with self.target("lite") as target:
            job = Job(target.host(), inputs.Tickets(300).path())
            self.ours(target, job)
            self.baseline(target, replace(job, host=target.host()))

    def ours(self, target: Target, job: Job, **behaviour: Any) -> Measured:
        """Sync with this connector, by an endpoint that behaves so."""
        with _endpoint(**behaviour) as endpoint:
            return self._measure([PROGRAM], target, job, endpoint)

    def backfill(self, target: Target, job: Job, *options: str, **behaviour: Any) -> Loaded:
        """Load files with this connector, by an endpoint that behaves so."""
        with _endpoint(**behaviour) as endpoint:
            command = [PROGRAM, "backfill", "--config", self._config(job, endpoint)]
            command += ["--catalog", inputs.catalog(job.stream), "--input", job.source, *options]
            server = target.server.pid if target.server else None
            before = cpu_seconds(server)
            measured, family = run_family(command)
            return Loaded(measured, endpoint, family, cpu_seconds(server) - before)

    def baseline(self, target: Target, job: Job) -> Measured:
        """Sync with Airbyte's pipeline."""
        program = [installing.baseline_python(), installing.BASELINE / "connector.py"]
        with _endpoint() as endpoint:
            return self._measure(program, target, job, endpoint, OPENAI_API_BASE=endpoint.base_url)

    def check(self, job: Job) -> Run:
        """Check a configuration whose embedder is in the process."""
        return run([PROGRAM, "check", "--config", self._config(job)])

    def limit(self, job: Job, stage: str) -> float:
        """Records a second of one stage alone."""
        with _endpoint() as endpoint:
            config = self._config(job, endpoint)
            measured = _result("benchmarks.stages", stage, config, inputs.catalog(job.stream), job.source)
        return float(measured["records"] / measured["seconds"])

    def filtered_searches(self, target: Target, key: str, entities: int) -> dict[str, float]:
        """Milliseconds of a search for each filter, in a collection with this partition key."""
        return _result("benchmarks.filters", target.host(), key, entities)

    def _measure(
        self, program: Sequence[Path], target: Target, job: Job, endpoint: OpenAIEndpoint, **environment: str
    ) -> Measured:
        config = self._config(job, endpoint)
        command = [*program, "write", "--config", config, "--catalog", inputs.catalog(job.stream)]
        records, pid = _records(job.source), target.server.pid if target.server else None
        before, own_before = cpu_seconds(pid), time.process_time()
        # the slowest that was seen, the baseline on Milvus Lite, still stores 60 records a second
        finished = run(command, job.source, environment, timeout=900 + records / 60)
        after, own_after = cpu_seconds(pid), time.process_time()
        return Measured(finished, endpoint, records, after - before, own_after - own_before)

    def _config(self, job: Job, endpoint: OpenAIEndpoint | None = None) -> Path:
        config = {
            "embedding": _embedding(job.embedding, endpoint),
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


def _endpoint(latency: float = LATENCY, **behaviour: Any) -> AbstractContextManager[OpenAIEndpoint]:
    return serving(dimensions=DIMENSIONS, latency=latency, **behaviour)


def _embedding(mode: str, endpoint: OpenAIEndpoint | None) -> dict[str, Any]:
    if endpoint is None:
        return {"mode": "fake"}
    if mode == "openai":
        return {"mode": mode, "openai_key": "none", "base_url": endpoint.base_url}
    return endpoint.embedding() if mode == "openai_compatible" else {"mode": mode}


def _result(module: str, *arguments: Any) -> dict[str, float]:
    """What a module prints that measures in a process of its own."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{module} {arguments[0]} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _records(source: Path) -> int:
    with source.open("rb") as lines:
        return sum(line.startswith(b'{"type": "RECORD"') for line in lines)
