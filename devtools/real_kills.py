"""`python -m devtools.real_kills [--backend lite|server] [--kills N] [--seed N]`: kill syncs, and look.

Real processes over pipes, killed (SIGKILL) at any moment from their start to their exit, resumed at the last state that
came back, again and again. After each kill, what was acknowledged has to be there; after each sync that ends, exactly
what the source has. Exits with 1 on the first damage, and leaves the folder to look into.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from destination_milvus.config.models import parse_config
from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.milvus import connection, reader
from devtools.backends import SHORT_CHUNKS, Backend, config, make_auto_id_collection
from devtools.connector import arguments, catalog, environment
from devtools.kill_history import Damage, Rows, Stream, interleaved, positions
from devtools.milvus_server import MilvusServer

BEGINNINGS = {"commit": "Writing ", "sweep": "Sweeping ", "exit": "Sync complete"}
"""Phases of a sync by the line of the log that each begins with; before them comes the start."""

WEIGHTS = {"start": 1, "commit": 4, "sweep": 2, "exit": 3}
"""How often each is aimed at: most of the time goes into imports, which nothing depends on."""

KILLED = 0.8
"""How many of the syncs are to be killed."""

KILLS_A_HISTORY = 25
"""After so many, a new collection: creating one is to be hit too."""

ROW_FIELDS = ["_ab_stream", "_ab_chunk", "_ab_fingerprint", "id", "status", "text"]

DAMAGES: Sequence[Damage] = ("lost", "doubled", "stale")


@dataclass
class Tally:
    """What was done so far, and found."""

    kills: Counter[str] = field(default_factory=Counter)
    """By phase."""
    syncs: int = 0
    """That came to their end."""
    damage: Counter[Damage] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def killed(self, phase: str) -> None:
        """Count a kill; every tenth is told."""
        self.kills[phase] += 1
        if self.kills.total() % 10 == 0:
            print(f"{time.monotonic() - self.started:5.0f} s: {self.line()}", flush=True)

    def line(self) -> str:
        """In words."""
        phases = ", ".join(f"{self.kills[phase]} {phase}" for phase in WEIGHTS)
        return f"{self.kills.total()} kills ({phases}), {self.syncs} syncs to their end"


class Sync:
    """One process. Its output is read as it comes, and phases are noted with their times."""

    def __init__(self, command: Sequence[str], lines: Sequence[str], variables: Mapping[str, str]) -> None:
        self.output: list[bytes] = []
        self.began = {"start": time.monotonic()}
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(**variables),
        )
        data = "".join(line + "\n" for line in lines).encode()
        self._threads = [threading.Thread(target=self._feed, args=(data,)), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()

    def _feed(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(data)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
            phase = _phase(line)
            if phase is not None:
                self._note(phase)
        self._note("end")

    def _note(self, phase: str) -> None:
        with self._changed:
            self.began.setdefault(phase, time.monotonic())
            self._changed.notify_all()

    @property
    def phase(self) -> str:
        """What it is at, as far as it has said so."""
        return list(self.began)[-1]

    def wait_for(self, phase: str, seconds: float) -> None:
        """Wait until so many seconds after a phase has begun, or the end."""
        with self._changed:
            self._changed.wait_for(lambda: {phase, "end"} & self.began.keys())
            self._changed.wait_for(lambda: "end" in self.began, timeout=seconds)

    def end(self, *, kill: bool) -> tuple[int, str]:
        """Its exit code, and the phase that it was killed in or ended with."""
        phase = self.phase
        if kill:
            self._process.kill()
        try:
            code = self._process.wait()
        except BaseException:
            self._process.kill()  # the campaign itself is stopped
            raise
        ended = time.monotonic()
        for thread in self._threads:
            thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self.began["end"] = ended
        return code, phase


def _phase(line: bytes) -> str | None:
    if b'"LOG"' not in line:
        return None
    message = json.loads(line)["log"]["message"]
    return next((phase for phase, beginning in BEGINNINGS.items() if message.startswith(beginning)), None)


class History:
    """One collection from its creation on, through kills and ends."""

    def __init__(self, backend: Backend, folder: Path, random: Random, tally: Tally, *, auto_id: bool) -> None:
        self._backend = backend
        self._folder = folder
        self._random = random
        self._tally = tally
        self._conf = config(backend, processing=SHORT_CHUNKS)
        self._name: str = self._conf["indexing"]["collection"]
        if auto_id:
            make_auto_id_collection(backend, self._name, FakeEmbedder().dimensions)
        self._streams = [Stream("tickets", "append_dedup"), Stream("articles", "overwrite")]
        self._seconds: dict[str, list[float]] = {phase: [] for phase in WEIGHTS}

    def run(self, kills: int) -> list[str]:
        """Rounds until so many processes were killed, or until something is damaged: the sentences about that."""
        last = self._tally.kills.total() + kills
        damages: list[str] = []
        for _ in range(2):  # undisturbed: how long does it take? The first has nothing to be swept
            self._begin()
            damages += self._sync(kill=False)
        while not damages and self._tally.kills.total() < last:
            self._begin()
            ended = False
            while not damages and not ended:
                ends_before = self._tally.syncs
                is_enough = self._tally.kills.total() == last
                damages = self._sync(kill=not is_enough and self._random.random() < KILLED)
                ended = self._tally.syncs > ends_before
                if not ended and self._random.random() < 0.3:
                    for stream in self._streams:
                        stream.go_on(self._random, self._random.randint(1, 20))
        return damages

    def _begin(self) -> None:
        refreshes = self._random.random() < 0.3
        for stream in self._streams:
            stream.begin(self._random, refreshes=refreshes)

    def _sync(self, *, kill: bool) -> list[str]:
        command = arguments(self._folder, "write", self._conf, catalog(*(each.configured() for each in self._streams)))
        lines = interleaved([stream.messages() for stream in self._streams], self._random)
        sync = Sync(command, lines, self._variables())
        try:
            if kill:
                sync.wait_for(*self._moment())
        finally:
            code, phase = sync.end(kill=kill)
        for name, position in positions(sync.output).items():
            next(stream for stream in self._streams if stream.name == name).acknowledge(position)
        if code == 0:
            self._measure(sync.began)
            self._tally.syncs += 1
            return self._judge("at the end of a sync", at_the_end=True)
        if code == -signal.SIGKILL:
            self._tally.killed(phase)
            return self._judge(f"after a kill in the phase {phase}", at_the_end=False)
        return [f"A sync ended with {code}: {(sync.output or [b''])[-1].decode()}"]

    def _variables(self) -> dict[str, str]:
        """Now and then Milvus Lite flushes after every few rows, as it does after many thousand."""
        limit = self._random.choice(("60000", "300000", None))
        return {} if limit is None else {"MILVUS_LITE_MEMTABLE_MEMORY_LIMIT_BYTES": limit}

    def _moment(self) -> tuple[str, float]:
        [phase] = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return phase, self._random.uniform(0, 1.1 * statistics.median(self._seconds[phase]))

    def _measure(self, began: Mapping[str, float]) -> None:
        phases = [phase for phase in (*WEIGHTS, "end") if phase in began]
        for phase, following in itertools.pairwise(phases):
            self._seconds[phase].append(began[following] - began[phase])

    def _judge(self, when: str, *, at_the_end: bool) -> list[str]:
        rows, sentences = self._rows(), []
        for stream in self._streams:
            for damage, sentence in stream.damage_at_the_end(rows) if at_the_end else stream.damage_after_a_kill(rows):
                self._tally.damage[damage] += 1
                sentences.append(f"{damage} {when}: {sentence}")
        return sentences

    def _rows(self) -> Rows:
        """What somebody else finds. Of Milvus Lite's database a copy is opened: opening changes it."""
        conf = {**self._conf, "indexing": dict(self._conf["indexing"])}
        if self._backend.name == "lite":
            if not Path(self._backend.host).exists():
                return {}
            copy = Backend("lite", str(self._folder / "copy.db"))
            shutil.rmtree(copy.host, ignore_errors=True)
            shutil.copytree(self._backend.host, copy.host)
            conf["indexing"]["host"] = copy.host
            try:
                return _rows(conf)
            finally:
                copy.release()
        return _rows(conf)


def _rows(conf: Mapping[str, Any]) -> Rows:
    parsed = parse_config(conf)
    with closing(connection.connect(parsed.indexing)) as client:
        found = reader.find_collection(client, parsed)
        if found is None or not found.metric_type:
            return {}
        client.load_collection(found.name, timeout=300)
        query = {"filter": '_ab_stream != ""', "output_fields": ROW_FIELDS, "consistency_level": "Strong"}
        rows: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for row in client.query(found.name, timeout=60, **query):
            rows.setdefault((row["_ab_stream"], row["id"]), []).append(row)
        return rows


def main() -> int:
    """Run what was asked for; 1 where something was damaged."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    tally, random = Tally(), Random(asked.seed)  # noqa: S311 - nobody guesses it
    print(f"Seed {asked.seed}, on {asked.backend}.", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="real-kills-"))
    with _milvus(asked.backend, folder) as address:
        while tally.kills.total() < asked.kills:
            number = tally.kills.total() // KILLS_A_HISTORY
            here = folder / f"history-{number}"
            here.mkdir()
            backend = Backend(asked.backend, address or str(here / "milvus.db"))
            kills = min(KILLS_A_HISTORY, asked.kills - tally.kills.total())
            damages = History(backend, here, random, tally, auto_id=number % 3 == 2).run(kills)
            if damages:
                print("\n".join(damages[:20]), f"\nSeed {asked.seed}; look into {here}.", flush=True)
                break
            backend.drop()
            shutil.rmtree(here)
    print(_table(tally))
    if tally.damage or damages:
        return 1
    shutil.rmtree(folder)
    return 0


@contextmanager
def _milvus(name: str, folder: Path) -> Iterator[str]:
    """The address of a server while it is needed; none for Milvus Lite, which has a database a history."""
    if name == "lite":
        yield ""
        return
    (folder / "server").mkdir()
    server = MilvusServer(folder / "server")
    server.start()
    try:
        yield server.uri
    finally:
        server.kill()


def _table(tally: Tally) -> str:
    titles = ["kills", *(f"in {phase}" for phase in WEIGHTS), "syncs to their end", *DAMAGES]
    numbers = [tally.kills.total(), *(tally.kills[phase] for phase in WEIGHTS), tally.syncs]
    numbers += [tally.damage[damage] for damage in DAMAGES]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (titles, ["---"] * len(titles), numbers))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devtools.real_kills", description=__doc__)
    parser.add_argument("--backend", choices=("lite", "server"), default="lite")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
