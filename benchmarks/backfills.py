"""Cases of `backfill`: one process beside a sync, workers of a cluster at a slow endpoint, memory of a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from benchmarks.bench import Bench, Job, Loaded
from benchmarks.inputs import Files, Tickets
from benchmarks.measure import Spread
from benchmarks.rows import Row, at_least, at_most

RECORDS = 20_000
SLOW = 6.0
"""Seconds of a request: writers wait, so that two cores can show what more of them gain."""

RAY = ("--engine", "ray", "--workers")


def one_process(bench: Bench) -> Iterator[Row]:
    """20,000 records as files and as messages of a sync, 100 ms an embedding request, into a Milvus server."""
    files, messages = Files(RECORDS).path(), Tickets(RECORDS).path()
    syncs, loads = [], []
    with bench.target("server") as target:
        for number in range(5 if bench.full else 3):

            def sync() -> None:
                syncs.append(bench.ours(target, Job(target.host(), messages)))

            def load() -> None:
                loads.append(bench.backfill(target, Job(target.host(), files)))

            for one in (sync, load) if number % 2 else (load, sync):
                one()
    rates = [
        len(each.endpoint.texts)
        / ((each.endpoint.last_answer or 0) - (each.endpoint.first_request or 0) - each.endpoint.latency)
        for each in syncs
    ]
    ours, theirs = Spread.of(loads, Loaded.rate), Spread(tuple(rates))
    note = f" ({ours.text('{:,.0f}')} records/s against {theirs.text('{:,.0f}')})"
    yield at_least("backfill, first answer to last, against write", ours.median / theirs.median, 0.95, note=note)
    wall = Spread.of(loads, lambda m: m.run.wall).text(), Spread.of(syncs, lambda m: m.run.wall).text()
    yield Row("whole process: backfill, write", f"{wall[0]} s, {wall[1]} s")


def workers(bench: Bench) -> Iterator[Row]:
    """60,000 records at an endpoint that takes 6 s a request, by 1, 2 and 4 workers on a cluster of this machine."""
    records = 60_000 if bench.full else 30_000
    source = Files(records).path()
    loaded = {}
    for count in (1, 2, 4):
        with bench.target("server") as target:  # a fuller server is slower
            loaded[count] = bench.backfill(target, Job(target.host(), source), *RAY, str(count), latency=SLOW)
    rates = {count: each.rate() for count, each in loaded.items()}
    yield Row(
        f"{records:,} records, records/s of 1, 2, 4 workers", ", ".join(f"{rate:,.0f}" for rate in rates.values())
    )
    yield at_least("2 workers, first answer to last, against 1", rates[2] / rates[1], 1.8)
    yield at_least("4 workers, first answer to last, against 1", rates[4] / rates[1], 3)
    one = loaded[1]
    yield Row(
        "start to the first worker, to the first request", f"{one.family.worker_ready or 0:.0f} s, {one.asked:.0f} s"
    )
    memory = [memory for each in loaded.values() for memory in each.family.workers.values()]
    yield Row("memory of a worker, of the driver", f"{max(memory):.0f} MB, {one.family.driver:.0f} MB")
    taken = {kind: seconds / records * 1e6 for kind, seconds in one.family.cpu.items()}
    phrases = ", ".join(f"{kind} {value:.0f}" for kind, value in taken.items())
    yield Row("CPU a record, one worker, in microseconds", phrases)


def memory(bench: Bench) -> Iterator[Row]:
    """Two versions of each of many records, made-up vectors, two workers; 1,000,000 records with --full."""
    few, many = (100_000, 1_000_000) if bench.full else (20_000, 100_000)
    loaded = {}
    for records in (few, many):
        with bench.target("server") as target:
            job = Job(target.host(), Files(records, files=32, repeated=True).path(), embedding="fake")
            loaded[records] = bench.backfill(target, job, *RAY, "2")
        each = loaded[records]
        sys.stderr.write(f"{records:,}: {each.family}\n")
    for what, most in (
        ("driver", lambda each: each.family.driver),
        ("a worker", lambda each: max(each.family.workers.values())),
        ("a task of reading and shuffling", lambda each: max(each.family.tasks.values())),
    ):
        before, after = most(loaded[few]), most(loaded[many])
        measured = f"{after / before:.2f} ({before:.0f} MB, {after:.0f} MB)"
        yield at_most(f"memory of {what}: {many:,} records against {few:,}", after / before, 1.25, measured)
    for records, each in loaded.items():
        yield Row(f"{records:,} records: whole process", f"{each.run.wall:,.0f} s")
