"""The cases: what is promised, measured against Airbyte's pipeline and against the slowest stage, in the same run.

Each case is a function that runs its jobs and yields rows; `CASES` is their table. Rows are ratios where the machine
would decide otherwise. Both connectors get the same input, except through `openai_compatible`, where the baseline would
take half an hour.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from benchmarks import backfills
from benchmarks.bench import STAGES, Bench, Job, Measured
from benchmarks.inputs import Articles, Tickets
from benchmarks.measure import Run, Spread, run
from benchmarks.rows import TIMES, Case, Row, at_least, at_most, none
from devtools.connector import PROGRAM

RECORDS = 10_000
IMPORTS = (
    "import gc; gc.disable(); import destination_milvus.run, destination_milvus.write, openai, pymilvus; gc.freeze()"
)
"""What a sync imports, as the console does it."""


def _runs(bench: Bench) -> int:
    return 5 if bench.full else 3


def _steady(runs: Sequence[Measured]) -> Spread:
    return Spread.of(runs, lambda measured: measured.steady)


# --- new records ------------------------------------------------------------------------------------------------------


def new_records_server(bench: Bench) -> Iterator[Row]:
    """10,000 new records of one chunk each, 100 ms an embedding request, into a Milvus server."""
    theirs, ours = yield from _new_records(bench, "server", steady=10, of_limit=0.7)
    wall, first = Spread.of(ours, lambda m: m.run.wall), Spread.of(ours, lambda m: m.first_request)
    ratio = Spread.of(theirs, lambda m: m.run.wall).median / wall.median
    yield at_least("whole process, against the baseline", ratio, 6)
    yield _in_imports("start to first embedding request", first, Spread.of(_imports(bench), lambda i: i.wall), 1.09)


def new_records_lite(bench: Bench) -> Iterator[Row]:
    """The same into Milvus Lite."""
    yield from _new_records(bench, "lite", steady=6, of_limit=0.85)


def _new_records(
    bench: Bench, name: Literal["server", "lite"], *, steady: float, of_limit: float
) -> Generator[Row, None, tuple[Sequence[Measured], Sequence[Measured]]]:
    """Rows; the runs of the baseline and ours are returned, for more of them."""
    source = Tickets(RECORDS).path()
    with bench.target(name) as target:
        theirs = [bench.baseline(target, Job(target.host(), source)) for _ in range(3 if bench.full else 1)]
        ours = [bench.ours(target, Job(target.host(), source)) for _ in range(_runs(bench))]
        limits = {stage: bench.limit(Job(target.host(), source), stage) for stage in STAGES}
    rate, base = _steady(ours), _steady(theirs)
    slowest = min(limits, key=lambda stage: limits[stage])
    yield at_least("steady state, against the baseline", rate.median / base.median, steady)
    against = rate.median / limits[slowest]
    yield at_least("steady state, against the slowest stage", against, of_limit, "", f" of {slowest}")
    yield Row("records/s, steady: ours", rate.text("{:,.0f}"))
    yield Row("records/s, steady: baseline", base.text("{:,.0f}"))
    yield Row("records/s of each stage alone", ", ".join(f"{stage} {limit:,.0f}" for stage, limit in limits.items()))
    one_after_the_other = 1 / sum(1 / limit for limit in limits.values())
    yield Row("records/s of the stages one after the other", f"{one_after_the_other:,.0f}")
    yield _cost("ours", ours)
    yield _cost("baseline", theirs)
    yield from _physical_limits(ours)
    return theirs, ours


def _cost(who: str, runs: Sequence[Measured]) -> Row:
    wall = Spread.of(runs, lambda m: m.run.wall).text()
    cpu = Spread.of(runs, lambda m: m.run.cpu).text()
    memory = Spread.of(runs, lambda m: m.run.peak_memory).text("{:.0f}")
    return Row(f"{who}, {RECORDS:,} records: wall, CPU, peak memory", f"{wall} s, {cpu} s, {memory} MB")


def _physical_limits(runs: Sequence[Measured]) -> Iterator[Row]:
    """What no arrangement of the work gets around: the imports before it, and the CPU of all who share the cores."""
    imports = run([sys.executable, "-c", IMPORTS], environment={"OPENBLAS_NUM_THREADS": "1"})
    yield Row("importing write, openai and pymilvus alone: wall, CPU", f"{imports.wall:.1f} s, {imports.cpu:.1f} s")
    connector = Spread.of(runs, lambda m: (m.run.cpu - imports.cpu) / RECORDS * 1e6)
    yield at_most("connector's CPU a record after the imports", connector.median, 190, connector.text("{:.0f}"), " µs")
    taken = {
        "connector": connector,
        "Milvus": Spread.of(runs, lambda m: m.server_cpu / RECORDS * 1e6),
        "endpoint": Spread.of(runs, lambda m: m.endpoint_cpu / RECORDS * 1e6),
    }
    each = ", ".join(f"{who} {cpu.text('{:.0f}')}" for who, cpu in taken.items())
    yield Row("CPU a record after the imports, in microseconds", each)
    cores = os.cpu_count() or 1
    most = cores * 1e6 / sum(min(cpu.values) for cpu in taken.values())
    yield Row(f"records/s if none of the {cores} cores ever waited", f"{most:,.0f}")


def compatible_endpoint(bench: Bench) -> Iterator[Row]:
    """Through `openai_compatible`, which the baseline serves text by text; also where the answers are floats."""
    source, few = Tickets(RECORDS).path(), Tickets(1000 if bench.full else 200).path()
    with bench.target("server") as target:
        theirs = bench.baseline(target, Job(target.host(), few, embedding="openai_compatible"))
        for what, floats in (("base64", False), ("floats", True)):
            ours = bench.ours(target, Job(target.host(), source, embedding="openai_compatible"), floats=floats)
            yield at_least(f"steady state, answers {what}", ours.steady / theirs.steady, 50)
    yield Row("records/s, steady: baseline", f"{theirs.steady:,.1f}")


# --- records that are there already -----------------------------------------------------------------------------------


def identical(bench: Bench) -> Iterator[Row]:
    """The same 10,000 records again."""
    source = Tickets(RECORDS).path()
    with bench.target("server") as target:
        job, their_job = Job(target.host(), source), Job(target.host(), source)
        bench.ours(target, job)
        bench.baseline(target, their_job)
        theirs = bench.baseline(target, their_job)
        ours = [bench.ours(target, job) for _ in range(_runs(bench))]
    yield none("embedding requests", max(measured.endpoint.requests for measured in ours))
    rate = _steady(ours)
    yield at_least("steady state, against the baseline", rate.median / theirs.steady, 20)
    yield Row("records/s, steady: ours", rate.text("{:,.0f}"))
    yield Row("records/s, steady: baseline", f"{theirs.steady:,.0f}")
    wall = Spread.of(ours, lambda m: m.run.wall)
    yield _in_imports("whole process", wall, Spread.of(_imports(bench), lambda i: i.wall), 1.88)


def changes(bench: Bench) -> Iterator[Row]:
    """5 % of the records with another text, then 50 % with other metadata: tokens that are embedded again."""
    first = Tickets(RECORDS)
    changing = replace(first, changed_text=0.05)
    with bench.target("server") as target:
        job = Job(target.host(), first.path())
        bench.ours(target, job)
        changed = bench.ours(target, replace(job, source=changing.path()))
        touched = bench.ours(target, replace(job, source=replace(changing, changed_metadata=0.5).path()))
        alone = bench.ours(target, Job(target.host(), replace(changing, only_changed_text=True).path()))
    share = changed.endpoint.tokens / alone.endpoint.tokens
    yield at_most("tokens embedded, against those of the 5 % that changed", share, 1.02, f"{share:.3f}")
    yield none("tokens embedded, 50 % with other metadata", touched.endpoint.tokens)
    yield Row("records/s, steady: text, metadata", f"{changed.steady:,.0f}, {touched.steady:,.0f}")


def articles(bench: Bench) -> Iterator[Row]:
    """Articles of about 20 chunks, one paragraph edited in each."""
    records = 500 if bench.full else 200
    with bench.target("server") as target:
        job = Job(target.host(), Articles(records).path(), stream="articles", chunk_size=200)
        first = bench.ours(target, job)
        edited = bench.ours(target, replace(job, source=Articles(records, edited=True).path()))
    chunks, touched = (len(measured.endpoint.texts) / records for measured in (first, edited))
    measured = f"{touched:.2f} of {chunks:.1f} chunks an article"
    yield at_most("chunks embedded for an edited paragraph", touched, 2, measured)


def states(bench: Bench) -> Iterator[Row]:
    """A STATE after every 10 records, against one at the end."""
    many = Tickets(RECORDS, state_every=10)
    with bench.target("server") as target:
        ratio = _ratio(
            _runs(bench),
            lambda: bench.ours(target, Job(target.host(), many.path())),
            lambda: bench.ours(target, Job(target.host(), replace(many, state_every=0).path())),
        )
    yield at_least("records/s with a STATE every 10, against one STATE", ratio, 0.9)


def _ratio(runs: int, one: Callable[[], Measured], other: Callable[[], Measured]) -> float:
    """How fast one is against the other. First the one and then the other begins: a fuller server is slower."""
    measured: dict[Callable[[], Measured], list[Measured]] = {one: [], other: []}
    for number in range(runs):
        for sync in (one, other) if number % 2 else (other, one):
            measured[sync].append(sync())
    return _steady(measured[one]).median / _steady(measured[other]).median


# --- difficult endpoints ----------------------------------------------------------------------------------------------


def limited_endpoint(bench: Bench) -> Iterator[Row]:
    """60 requests and 150,000 tokens a minute, which the configuration knows of or does not."""
    source = Tickets(6_000 if bench.full else 2_000).path()
    limits = {"requests_per_minute": 60, "tokens_per_minute": 150_000}
    with bench.target("server") as target:
        for what, advanced in (("configured", limits), ("found out", {})):
            measured = bench.ours(target, Job(target.host(), source, advanced=advanced), **limits)
            share, note = _share_of_limit(measured, 150_000), f", {measured.endpoint.refused} refusals"
            yield at_least(f"tokens, against what the limit allows; {what}", share, 0.95, "", note)


def _share_of_limit(measured: Measured, tokens_per_minute: float) -> float:
    """The allowance starts at nothing, so that it is all that can be had between the first request and the last."""
    endpoint = measured.endpoint
    assert endpoint.last_answer is not None
    assert endpoint.first_request is not None
    return endpoint.tokens / (tokens_per_minute / 60 * (endpoint.last_answer - endpoint.first_request))


FAILING = [*[None] * 4, "429 for a moment", *[None] * 4, "500"] * 1_000
"""One request in five."""


def failing_endpoint(bench: Bench) -> Iterator[Row]:
    """One request in five answered with 429 or 500: no failed sync, and no more time lost than the failures take."""
    source = Tickets(RECORDS).path()
    with bench.target("server") as target:
        ratio = _ratio(
            _runs(bench),
            lambda: bench.ours(target, Job(target.host(), source), faults=FAILING),
            lambda: bench.ours(target, Job(target.host(), source)),
        )
    yield at_least("records/s, against 80 % of those without failures", ratio / 0.8, 0.95, "", ", no failed sync")


# --- single parts -----------------------------------------------------------------------------------------------------


def chunking(bench: Bench) -> Iterator[Row]:
    """Splitting alone, against langchain-text-splitters with the same limits and vocabulary."""
    from benchmarks.chunkers import compare  # noqa: PLC0415 - loads langchain

    for size, overlap in ((1000, 50), (200, 0)):
        ours, theirs = zip(*(compare(size, overlap) for _ in range(_runs(bench))), strict=True)
        rate = Spread(ours).median
        what = f"MB/s, against langchain; {size} tokens, overlap {overlap}"
        yield at_least(what, rate / Spread(theirs).median, 2, note=f" ({rate:.1f} MB/s)")


def _imports(bench: Bench) -> Sequence[Run]:
    """The measure of a start: importing the CDK's destinations, which is what many connectors do first."""
    return [run([sys.executable, "-c", "import airbyte_cdk.destinations"]) for _ in range(_runs(bench))]


def _in_imports(what: str, taken: Spread, imports: Spread, target: float) -> Row:
    """Seconds, held against those of `_imports`."""
    ratio = taken.median / imports.median
    measured = f"{ratio:.2f}{TIMES} ({taken.text('{:.2f}')} s)"
    return at_most(f"{what}, against importing airbyte_cdk.destinations", ratio, target, measured)


def small_sync(bench: Bench) -> Iterator[Row]:
    """What runs every hour: `spec`, `check`, ten records that have not changed; Milvus Lite, the fake embedder."""
    with bench.target("lite") as target:
        job = Job(target.host(), Tickets(10).path(), embedding="fake")
        bench.ours(target, job)
        runs = 2 + _runs(bench)
        specs = [run([PROGRAM, "spec"]) for _ in range(runs)]
        checks = [bench.check(job) for _ in range(runs)]
        writes = [bench.ours(target, job).run for _ in range(runs)]
    imports = Spread.of(_imports(bench), lambda i: i.cpu)
    for what, taken, target_ in (
        ("spec", specs, 0.25),
        ("check", checks, 0.83),
        ("10 unchanged records", writes, 0.85),
    ):
        yield _in_imports(f"{what}: CPU", Spread.of(taken, lambda r: r.cpu), imports, target_)
    memory = Spread.of(writes, lambda w: w.peak_memory)
    yield at_most("10 unchanged records: peak memory", memory.median, 185, memory.text("{:.0f}"), " MB")


def slow_endpoint(bench: Bench) -> Iterator[Row]:
    """190 short texts at an endpoint that takes 0.2 s for each, as a model on one core does: one batch."""
    source = Tickets(190, state_every=0).path()
    with bench.target("server") as target:
        job = Job(target.host(), source, embedding="openai_compatible")
        measured = bench.ours(target, job, latency=0.0, latency_a_text=0.2)
    endpoint = measured.endpoint
    assert endpoint.last_answer is not None
    assert endpoint.first_request is not None
    seconds = endpoint.last_answer - endpoint.first_request
    note = f" ({seconds:.1f} s, {endpoint.requests} requests)"
    yield at_least("against text by text", 190 * 0.2 / seconds, 6, note=note)


def filters(bench: Bench) -> Iterator[Row]:
    """Searches for ten rows with a filter; 100,000 entities with --full, else 20,000."""
    entities = 100_000 if bench.full else 20_000
    for name in ("lite", "server"):
        with bench.target(name) as target:
            flat, parts = (bench.filtered_searches(target, key, entities) for key in ("none", "organization_id"))
        yield Row(f"{name}: ms of a search among {entities:,} entities, no filter", f"{flat['none']:.1f}")
        for what, taken, field in (
            ("organization", flat, "organization"),
            ("status", flat, "status"),
            ("organization and its partition", parts, "organization"),
        ):
            both = f"{taken[f'{field}, dynamic']:.1f}, {taken[f'{field}, column']:.1f}"
            yield Row(f"{name}: ms, {what}: dynamic field, column with index", both)


def million(bench: Bench) -> Iterator[Row]:
    """Many records with made-up vectors: memory from 100,000 on; 1,000,000 with --full, else 150,000."""
    records, settled = (1_000_000, 100_000) if bench.full else (150_000, 50_000)
    source = Tickets(records, state_every=1000).path()
    with bench.target("server") as target:
        measured = bench.ours(target, Job(target.host(), source, embedding="fake"))
    finished = measured.run
    reached = finished.states[settled // 1000]
    early = max(memory for moment, memory in finished.memory if moment <= reached)
    late = max(memory for moment, memory in finished.memory if moment > reached)
    peak = finished.peak_memory
    yield Row(f"{records:,} records: peak memory", f"{peak:.0f} MB", "< 400 MB", peak < 400)
    what = f"peak memory after {settled:,} records, against before"
    yield at_most(what, late / early, 1.05, f"{late / early:.2f}")
    yield Row("records/s, steady", f"{measured.steady:,.0f}")
    yield Row("Milvus' CPU a record, in microseconds", f"{measured.server_cpu / records * 1e6:.0f}")


CASES: Mapping[str, Case] = {
    "small": small_sync,
    "chunking": chunking,
    "server": new_records_server,
    "lite": new_records_lite,
    "compatible": compatible_endpoint,
    "identical": identical,
    "changes": changes,
    "articles": articles,
    "states": states,
    "filters": filters,
    "limited": limited_endpoint,
    "slow": slow_endpoint,
    "failing": failing_endpoint,
    "million": million,
    "backfill": backfills.one_process,
    "workers": backfills.workers,
    "shuffle": backfills.memory,
}
