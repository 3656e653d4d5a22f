"""Run a connector as a process and take down what it cost: wall time, CPU time, peak memory, and when what came out."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.installing import work_folder
from devtools import connector

SAMPLE_SECONDS = 0.05
READY = "Writing "
"""How the log line begins with which a connector says that it is set up."""

T = TypeVar("T")


class RunFailedError(Exception):
    """A measured process failed or did not end in time."""


@dataclass
class Run:
    """One run of a process; moments are seconds after its start, memory in MB."""

    started: float
    """Seconds since the epoch."""
    ready: float | None = None
    """When it said that it was set up."""
    states: list[float] = field(default_factory=list)
    """When they came out."""
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Resident memory over time."""
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def peak_memory(self) -> float:
        """The most that was seen."""
        return max(memory for _, memory in self.memory)

    def steady(self, first_request: float | None = None) -> float:
        """Seconds from the first record to the last STATE.

        The first record counts as taken up once the connector is set up, or when it sends its first embedding
        request (given as seconds since the epoch) if that comes before.
        """
        asked = None if first_request is None else first_request - self.started
        return self.states[-1] - min(moment for moment in (self.ready, asked) if moment is not None)


def run(
    command: Sequence[str | Path],
    source: Path = Path(os.devnull),
    environment: Mapping[str, str] | None = None,
    timeout: float = 900.0,
) -> Run:
    """Run a command with a file as its input.

    Raises:
        RunFailedError: it ends with another code than 0, or not at all.
    """
    with source.open("rb") as stdin, tempfile.TemporaryFile() as stderr:
        measured = Run(time.time())
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=_environment(environment or {})
        )
        threading.Thread(target=_sample, args=(process.pid, measured), daemon=True).start()
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        try:
            said = _read(process, measured)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            process.kill()
        measured.wall = time.time() - measured.started
        measured.cpu = usage.ru_utime + usage.ru_stime
        if process.returncode:
            stderr.seek(0)
            errors = "\n".join([*said, stderr.read().decode(errors="replace")])
            raise RunFailedError(f"{command[0]} ended with {process.returncode}: {errors[-3000:]}")
    return measured


@dataclass
class Family:
    """What a process and those that it starts have taken; memory in MB, of each process what it alone holds."""

    driver: float = 0.0
    """Most memory of the process itself."""
    workers: dict[int, float] = field(default_factory=dict)
    """Most memory of each worker that writes, by process id."""
    tasks: dict[int, float] = field(default_factory=dict)
    """The same of processes that read and shuffle."""
    cpu: dict[str, float] = field(default_factory=dict)
    """Seconds, by what a process is: `worker`, `task`, or `cluster` for all else of Ray's."""
    worker_ready: float | None = None
    """Seconds from the start to the first worker."""


WORKER = "MapWorker(MapBatches(Worker))"
"""In the title of an actor that writes, as Ray names it."""


def run_family(command: Sequence[str | Path], timeout: float = 3600.0) -> tuple[Run, Family]:
    """Run a command for people, and watch all that it starts.

    Raises:
        RunFailedError: as `run`.
    """
    measured, family, over = Run(time.time()), Family(), threading.Event()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment({})
    )
    watcher = threading.Thread(target=_watch_family, args=(process.pid, measured, family, over), daemon=True)
    watcher.start()
    try:
        _, errors = process.communicate(timeout=timeout)
    finally:
        over.set()
        process.kill()
        watcher.join()
    measured.wall = time.time() - measured.started
    if process.returncode:
        raise RunFailedError(f"{command[1]} ended with {process.returncode}: {errors.decode()[-3000:]}")
    return measured, family


def _watch_family(pid: int, measured: Run, family: Family, over: threading.Event) -> None:
    driver = psutil.Process(pid)
    seconds: dict[int, tuple[str, float]] = {}
    while not over.wait(0.5):
        for process in (driver, *_descendants(driver)):
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
                kind = _kind(title)
                taken = process.cpu_times()
                alone = process.memory_full_info().uss / 2**20
                if process.pid == pid:
                    family.driver = max(family.driver, alone)
                    measured.cpu = taken.user + taken.system
                    continue
                # a process that was a task becomes an idle one: what it was stays in the books
                kind = kind if kind != "idle" else seconds.get(process.pid, ("task", 0.0))[0]
                seconds[process.pid] = kind, taken.user + taken.system
                if kind in {"worker", "task"}:
                    most = family.workers if kind == "worker" else family.tasks
                    most[process.pid] = max(most.get(process.pid, 0.0), alone)
                if kind == "worker" and family.worker_ready is None:
                    family.worker_ready = time.time() - measured.started
        family.cpu = {
            kind: sum(taken for each, taken in seconds.values() if each == kind)
            for kind in ("worker", "task", "cluster")
        }


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _kind(title: str) -> str:
    if WORKER in title:
        return "worker"
    if title.startswith("ray::IDLE"):
        return "idle"
    return "task" if title.startswith(("ray::MapBatches", "ray::_shuffle", "ray::HashShuffle")) else "cluster"


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """That of an installed image: output is buffered, and modules were compiled before (by a run that does not count).

    The compiled modules have a folder of their own, so that the environments stay as they are.
    """
    compiled = str(work_folder() / "compiled")
    return connector.environment(**{"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled, **variables})


def _read(process: subprocess.Popen[bytes], measured: Run) -> list[str]:
    """Note when a process says what, to its end; the last lines that are neither states nor progress."""
    assert process.stdout is not None
    others: list[str] = []
    with process.stdout as lines:
        for line in lines:
            now = time.time() - measured.started
            message = json.loads(line) if line.startswith(b"{") else {}
            if message.get("type") == "STATE":
                measured.states.append(now)
            elif measured.ready is None and message.get("log", {}).get("message", "").startswith(READY):
                measured.ready = now
            else:
                others = [*others[-10:], line.decode(errors="replace")[:600]]
    return others


def _sample(pid: int, measured: Run) -> None:
    try:
        process = psutil.Process(pid)
        while resident := process.memory_info().rss:  # nothing once it has ended
            measured.memory.append((time.time() - measured.started, resident / 2**20))
            time.sleep(SAMPLE_SECONDS)
    except psutil.NoSuchProcess:
        pass


def cpu_seconds(pid: int | None) -> float:
    """CPU time of a running process so far, its threads included; 0 where there is none."""
    if pid is None:
        return 0.0
    taken = psutil.Process(pid).cpu_times()
    return float(taken.user + taken.system)


@dataclass(frozen=True)
class Spread:
    """Several runs of one thing."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, runs: Iterable[T], value: Callable[[T], float]) -> Spread:
        """One number of several runs."""
        return cls(tuple(map(value, runs)))

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def text(self, form: str = "{:.1f}") -> str:
        """The median, with the least and the most where there are several."""
        if len(self.values) == 1:
            return form.format(self.values[0])
        return f"{form.format(self.median)} ({form.format(min(self.values))}-{form.format(max(self.values))})"
