"""Run a connector as a process and take down what it cost: wall time, CPU time, peak memory, and when what came out."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.installing import work_folder

SAMPLE_SECONDS = 0.1
READY = "Writing "
"""How the log line begins with which a connector says that it is set up."""


@dataclass(frozen=True)
class Run:
    """One run of a process; moments are seconds after its start, memory in MB."""

    wall: float
    cpu: float
    peak_memory: float
    exit_code: int
    ready: float | None
    """When it said that it was set up."""
    first_state: float | None
    last_state: float | None
    states: int
    started: float
    """Seconds since the epoch."""
    memory: Sequence[tuple[float, float]]
    """Resident memory over time."""
    state_times: Sequence[float]
    errors: str

    def steady(self, first_request: float | None = None) -> float:
        """Seconds from the first record to the last STATE.

        The first record counts as taken up once the connector is set up, or when it sends its first embedding
        request (given as seconds since the epoch) if that comes before.
        """
        assert self.last_state is not None, self.errors
        begins = [self.ready] if self.ready is not None else []
        if first_request is not None:
            begins.append(first_request - self.started)
        return self.last_state - min(begins)


@dataclass
class _Output:
    """What is noted while a process runs."""

    ready: float | None = None
    states: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class RunFailedError(Exception):
    """A measured process failed or did not end in time."""


def run(
    command: Sequence[str | Path],
    source: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    timeout: float = 900.0,
) -> Run:
    """Run a command with a file as its input.

    Raises:
        RunFailedError: it ends with another code than 0, or not at all.
    """
    started = time.time()
    output, memory = _Output(), list[tuple[float, float]]()
    with (source or Path(os.devnull)).open("rb") as stdin:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(environment or {}),
            start_new_session=True,
        )
    ended = threading.Event()
    peak = [0.0]
    threads = [
        threading.Thread(target=_read, args=(process, output, started), daemon=True),
        threading.Thread(target=_drain, args=(process, output), daemon=True),
        threading.Thread(target=_sample, args=(process.pid, ended, started, memory, peak), daemon=True),
    ]
    for thread in threads:
        thread.start()
    timer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
        ended.set()
    wall = time.time() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    for thread in threads:
        thread.join(10)
    result = Run(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_memory=peak[0],
        exit_code=process.returncode,
        ready=output.ready,
        first_state=output.states[0] if output.states else None,
        last_state=output.states[-1] if output.states else None,
        states=len(output.states),
        started=started,
        memory=memory,
        state_times=output.states,
        errors="\n".join(output.errors[-12:]),
    )
    if result.exit_code:
        raise RunFailedError(f"{command[0]} ended with {result.exit_code} after {wall:.0f} s:\n{result.errors}")
    return result


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """That of an installed image: output is buffered, and modules were compiled before (by a run that does not count).

    The compiled modules have a folder of their own, so that the environments stay as they are.
    """
    hidden = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    inherited = {key: value for key, value in os.environ.items() if key not in hidden}
    return {**inherited, "PYTHONPYCACHEPREFIX": str(work_folder() / "compiled"), **variables}


def _read(process: subprocess.Popen[bytes], output: _Output, started: float) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        now = time.time() - started
        try:
            message = json.loads(line)
        except ValueError:
            continue
        kind = message.get("type")
        if kind == "STATE":
            output.states.append(now)
        elif kind == "LOG" and output.ready is None and message["log"]["message"].startswith(READY):
            output.ready = now
        elif kind == "TRACE" or (kind == "LOG" and message["log"]["level"] in {"WARN", "ERROR", "FATAL"}):
            output.errors.append(line.decode(errors="replace")[:600])


def _drain(process: subprocess.Popen[bytes], output: _Output) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        output.errors.append(line.decode(errors="replace").rstrip()[:300])


def _sample(
    pid: int, ended: threading.Event, started: float, memory: list[tuple[float, float]], peak: list[float]
) -> None:
    """`VmHWM` is the kernel's own high-water mark: nothing between two samples is missed but the last moments."""
    status = Path(f"/proc/{pid}/status")
    while not ended.wait(SAMPLE_SECONDS):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            return
        if "VmRSS" in lines:
            memory.append((time.time() - started, int(lines["VmRSS"].split()[0]) / 1024))
            peak[0] = max(peak[0], int(lines["VmHWM"].split()[0]) / 1024)


def cpu_seconds(pid: int) -> float:
    """CPU time of a running process so far, its threads included."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spread:
    """Several runs of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def text(self, form: str = "{:.1f}") -> str:
        """The median, with the least and the most where there are several."""
        if len(self.values) == 1:
            return form.format(self.values[0])
        return f"{form.format(self.median)} ({form.format(min(self.values))}-{form.format(max(self.values))})"
