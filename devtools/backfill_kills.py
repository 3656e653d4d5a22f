"""`python -m devtools.backfill_kills [--job backfill|reembed] [--engine local|ray] [--backend lite|server] …`.

Kill the job, and look: real processes, killed (SIGKILL) at any moment from their start to their exit, started again
until one ends; with `--engine ray` the driver, or one of the workers, which is then replaced. Then the rows have to be
those of an undisturbed `write`, or `reembed`, fingerprints included, and one more run may embed and write nothing.
Exits with 1 on the first damage, and leaves the folder to look into.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

import psutil

from devtools.airbyte_files import lines_of, write_lines
from devtools.backends import SHORT_CHUNKS, Backend, config
from devtools.connector import arguments, catalog, entities, environment, record, status, stream, write
from devtools.kill_history import BALLAST
from devtools.milvus_server import MilvusServer
from devtools.openai_endpoint import OpenAIEndpoint, serving

Job: TypeAlias = Literal["backfill", "reembed"]
Engine: TypeAlias = Literal["local", "ray"]

BEGINNINGS: Mapping[str, tuple[str, ...]] = {
    "look": ("Input: ",),
    "commit": ("Writing ",),
    "sweep": ("Sweeping ",),
    "exit": ("Backfill complete", "Re-embedding complete"),
}
"""Phases by the lines that each begins with; before them comes the start."""

WEIGHTS: Mapping[Job, Mapping[str, int]] = {
    "backfill": {"start": 1, "look": 1, "commit": 6, "sweep": 2, "exit": 2},
    "reembed": {"start": 1, "commit": 7, "exit": 2},
}
"""How often each is aimed at: most of the time goes into imports, which nothing depends on."""

WORKERS_SHARE = 0.5
"""Of the kills on a cluster; the others are of the driver."""

SECONDS_TO_DIE = 30
"""In which the workers of a cluster follow its driver."""

KEYS = 120
GENERATION = 2


class Campaign:
    """Rounds on one backend: files are loaded over an older generation, and killed; what is left is compared."""

    def __init__(
        self,
        backend: Backend,
        folder: Path,
        seed: int,
        *,
        job: Job = "backfill",
        endpoint: OpenAIEndpoint | None = None,
        engine: Engine = "local",
    ) -> None:
        self._job = job
        self._engine = engine
        self._weights = WEIGHTS[job]
        self._embedding = {"mode": "fake"} if endpoint is None else endpoint.embedding()
        self.kills: Counter[str] = Counter()
        """By phase."""
        self.rounds = 0
        self.damages: list[str] = []
        self._backend = backend
        self._folder = folder
        self._random = Random(seed)  # noqa: S311 - equal seeds, equal histories
        self._conf: dict[str, Any] = {}
        self._old: dict[str, Any] = {}
        ids: dict[str, Any] = {"generation_id": GENERATION, "minimum_generation_id": GENERATION, "sync_id": 2}
        self._catalog = catalog(stream("tickets", **ids))
        self._seconds: dict[str, list[float]] = {phase: [1.0] for phase in self._weights}
        self._history = list(self._changes())
        for day in range(3):
            part = self._history[day::3]
            lines = lines_of(part, "data", generation=GENERATION, first=1000 * day)
            write_lines(folder / "tickets" / f"{day}.jsonl.gz", lines)
        self._expected = self._undisturbed()

    def _changes(self) -> Iterator[str]:
        for number in range(2 * KEYS):
            data: dict[str, Any] = {"id": self._random.randrange(KEYS), "ballast": BALLAST}
            if self._random.random() < 0.1:
                data["_ab_cdc_deleted_at"] = "2026-01-01"
            else:
                data |= {"body": self._body(), "status": self._random.choice(["new", "open"])}
            yield record(data, emitted_at=1_767_312_000_000 + number)

    def _body(self) -> str:
        return "\n".join(f"line {self._random.randrange(50)} of text" for _ in range(self._random.randint(0, 4)))

    def _before(self, conf: Mapping[str, Any]) -> None:
        """What an older generation has left: some of it comes again, some is to be swept."""
        old = catalog(stream("tickets", generation_id=1, minimum_generation_id=0, sync_id=1))
        lines = [record({"id": key, "body": self._body()}) for key in range(0, 2 * KEYS, 3)]
        write(conf, old, [*lines, status("COMPLETE")])
        self._backend.release()

    def _undisturbed(self) -> list[dict[str, Any]]:
        conf = self._prepared()
        if self._job == "reembed":
            subprocess.run(self._command(conf), check=True, capture_output=True, env=environment())
        else:
            write(conf, self._catalog, [*self._history, status("COMPLETE")])
            self._backend.release()
        return self._rows(conf["indexing"]["collection"])

    def _prepared(self) -> dict[str, Any]:
        """What stands before a job: a collection of an older generation, or one of the old model beside it."""
        conf = config(self._backend, processing=SHORT_CHUNKS, embedding=self._embedding)
        if self._job == "backfill":
            self._before(conf)
            return conf
        self._old = config(self._backend, processing=SHORT_CHUNKS)
        write(self._old, self._catalog, [*self._history, status("COMPLETE")])
        self._backend.release()
        return conf

    def _command(self, conf: Mapping[str, Any], engine: Engine = "local") -> list[str]:
        cluster = ["--engine", "ray", "--workers", "2"] if engine == "ray" else []
        if self._job == "reembed":
            command = [*arguments(self._folder, "reembed", conf, None), "--from", self._old["indexing"]["collection"]]
        else:
            command = [
                *arguments(self._folder, "backfill", conf, self._catalog),
                "--input",
                str(self._folder / "tickets"),
            ]
        return [*command, *cluster]

    def _rows(self, collection: str) -> list[dict[str, Any]]:
        """All that decides: rows behind the head that did not change keep what the version that wrote them said."""
        rows = entities(self._backend, collection)
        for row in rows:
            row["vector"] = list(row["vector"])
            if row["_ab_chunk"]:
                del row["_ab_generation_id"], row["_ab_extracted_at"], row["_ab_chunks"]
        return rows

    def run(self, kills: int) -> None:
        """Rounds until so many processes were killed, or something is damaged."""
        last = self.kills.total() + kills
        self._round(0)  # undisturbed: how long does it take?
        while not self.damages and self.kills.total() < last:
            self._round(min(self._random.randint(1, 5), last - self.kills.total()))

    def _round(self, kills: int) -> None:
        self._conf = self._prepared()
        goal = self.kills.total() + kills
        while self.kills.total() < goal:
            self._start(kill=True)
        self._start(kill=False)
        if self._rows(self._conf["indexing"]["collection"]) != self._expected:
            self.damages.append("the rows are not those of an undisturbed sync")
        told = self._start(kill=False)
        if not any("; 0 chunks written, 0 texts embedded" in line for line in told):
            self.damages.append("a second complete run embeds or writes")
        self.rounds += 1
        self._backend.drop()

    def _start(self, *, kill: bool) -> Sequence[str]:
        process = Process(self._command(self._conf, self._engine))
        if kill:
            [phase] = self._random.choices(list(self._weights), list(self._weights.values()))
            process.wait_for(phase, self._random.uniform(0, 1.1 * statistics.median(self._seconds[phase])))
        is_worker = kill and self._engine == "ray" and self._random.random() < WORKERS_SHARE and process.kill_worker()
        code, phase = process.end(kill=kill and not is_worker)
        if code == -9 or (is_worker and code == 0):
            self.kills["worker" if is_worker else phase] += 1
            if process.left_behind:
                self.damages.append(f"{process.left_behind} workers outlive their driver")
            if self.kills.total() % 10 == 0:
                print(f"{self.line()}", flush=True)
        elif code != 0:
            self.damages.append(f"a run ended with {code}: {process.told[-1:]}")
        elif not kill:
            process.measure(self._seconds)
        return process.told

    def line(self) -> str:
        """In words."""
        phases = ", ".join(f"{self.kills[phase]} {phase}" for phase in (*self._weights, "worker"))
        return f"{self.kills.total()} kills ({phases}), {self.rounds} rounds, {len(self.damages)} damages"


class Process:
    """One run. What it says is read as it comes, and phases are noted with their times."""

    def __init__(self, command: Sequence[str]) -> None:
        self.told: list[str] = []
        self.left_behind = 0
        """Workers that are there after its end."""
        self._began = {"start": time.monotonic()}
        self._changed = threading.Condition()
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.told.append(line)
            for phase, beginning in BEGINNINGS.items():
                if line.startswith(beginning):
                    self._note(phase)
        self._note("end")

    def _note(self, phase: str) -> None:
        with self._changed:
            self._began.setdefault(phase, time.monotonic())
            self._changed.notify_all()

    def wait_for(self, phase: str, seconds: float) -> None:
        """Wait until so many seconds after a phase has begun, or the end."""
        with self._changed:
            self._changed.wait_for(lambda: {phase, "end"} & self._began.keys())
            self._changed.wait_for(lambda: "end" in self._began, timeout=seconds)

    def _workers(self) -> list[psutil.Process]:
        """The actors that write. Ray's own agents take a minute to notice that their cluster is gone."""
        found = []
        with suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if "MapWorker(MapBatches(Worker))" in " ".join(process.cmdline()):
                        found.append(process)
        return found

    def kill_worker(self) -> bool:
        """End one of the actors that write; False where there is none."""
        for process in self._workers():
            with suppress(psutil.Error):
                process.kill()
                return True
        return False

    def end(self, *, kill: bool) -> tuple[int, str]:
        """Its exit code, and the phase that it was killed in or ended with."""
        phase = list(self._began)[-1]
        workers = self._workers()
        if kill:
            self._process.kill()
        try:
            code = self._process.wait()
        finally:
            _, left = psutil.wait_procs(workers, SECONDS_TO_DIE)
            self.left_behind = len(left)
            self._process.kill()
            self._thread.join()
            assert self._process.stderr is not None
            self._process.stderr.close()
        return code, phase

    def measure(self, seconds: Mapping[str, list[float]]) -> None:
        """Add how long each phase took."""
        phases = [phase for phase in (*seconds, "end") if phase in self._began]
        for phase, following in itertools.pairwise(phases):
            seconds[phase].append(self._began[following] - self._began[phase])


@contextmanager
def _backend(name: str, folder: Path) -> Iterator[Backend]:
    if name == "lite":
        yield Backend("lite", str(folder / "milvus.db"))
        return
    server = MilvusServer(folder / "server")
    server.start()
    try:
        yield Backend("server", server.uri)
    finally:
        server.kill()


def main() -> int:
    """The campaign."""
    parser = argparse.ArgumentParser(prog="python -m devtools.backfill_kills", description=__doc__)
    parser.add_argument("--job", choices=("backfill", "reembed"), default="backfill")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--backend", choices=("lite", "server"), default="lite")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    given = parser.parse_args()
    if given.engine == "ray":
        given.backend = "server"
    folder = Path(tempfile.mkdtemp(prefix="backfill-kills-"))
    print(f"seed {given.seed}, {folder}", flush=True)
    with _backend(given.backend, folder) as backend, serving() as endpoint:
        new_model = endpoint if given.job == "reembed" else None
        campaign = Campaign(backend, folder, given.seed, job=given.job, endpoint=new_model, engine=given.engine)
        campaign.run(given.kills)
    print(campaign.line())
    for damage in campaign.damages:
        print(f"DAMAGE: {damage}")
    return bool(campaign.damages)


if __name__ == "__main__":
    sys.exit(main())
