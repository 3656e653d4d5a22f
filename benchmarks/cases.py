"""The cases: what is promised, measured against Airbyte's pipeline and against the slowest stage, in the same run.

Each case is a function that runs its jobs and yields rows; `CASES` is their table. Rows are ratios where the machine
would decide otherwise. Both connectors get the same input, except through `openai_compatible`, where the baseline would
take half an hour.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.bench import CONNECTOR, STAGES, Bench, Job, Measured, again, spread
from benchmarks.inputs import Articles, Tickets, without_states
from benchmarks.measure import Spread, run

MINUTE = 60.0
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: str
    what: str
    target: str
    measured: str
    met: bool | None
    """None where nothing was promised."""
    bar: tuple[float, float] | None = None
    """Value and target, for the chart; only for ratios of which more is better."""


Case = Callable[[Bench], Iterator[Row]]


@dataclass(frozen=True)
class Size:
    """How much of a case is run."""

    runs: int
    baseline_runs: int
    records: int = 10_000


def _size(bench: Bench) -> Size:
    return Size(5, 3) if bench.full else Size(3, 1)


def _at_least(case: str, what: str, value: float, target: float, unit: str = TIMES, note: str = "") -> Row:
    return Row(
        case,
        what,
        f"≥ {target:g} {unit}".rstrip(),
        f"{value:.2f} {unit}".rstrip() + note,
        value >= target,
        (value, target),
    )


def _at_most(case: str, what: str, spread_: Spread, target: float, unit: str) -> Row:
    return Row(case, what, f"≤ {target:g} {unit}", f"{spread_.text('{:.2f}')} {unit}", spread_.median <= target)


def _info(case: str, what: str, measured: str) -> Row:
    return Row(case, what, "", measured, None)


# --- new records ------------------------------------------------------------------------------------------------------


def new_records_server(bench: Bench) -> Iterator[Row]:
    """10,000 new records of one chunk each, 100 ms an embedding request, into a Milvus server."""
    yield from _new_records(bench, "server", steady=10, whole=6, of_limit=0.7)


def new_records_lite(bench: Bench) -> Iterator[Row]:
    """The same into Milvus Lite."""
    yield from _new_records(bench, "lite", steady=6, whole=None, of_limit=0.85)


def _new_records(
    bench: Bench, name: Literal["server", "lite"], *, steady: float, whole: float | None, of_limit: float
) -> Iterator[Row]:
    case, size = f"new records, {name}", _size(bench)
    source = Tickets(size.records).path()
    with bench.target(name) as target:
        theirs = [bench.baseline(target, Job(target.host(), source)) for _ in range(size.baseline_runs)]
        ours = [bench.ours(target, Job(target.host(), source)) for _ in range(size.runs)]
        limits = {stage: bench.limit(Job(target.host(), source), stage) for stage in STAGES}
    rate, base = spread(ours, lambda m: m.steady), spread(theirs, lambda m: m.steady)
    yield _at_least(case, "steady state, against the baseline", rate.median / base.median, steady)
    slowest = min(limits, key=lambda stage: limits[stage])
    note = f" of {slowest}"
    yield _at_least(case, "steady state, against the slowest stage", rate.median / limits[slowest], of_limit, "", note)
    theirs_whole, ours_whole = spread(theirs, lambda m: m.run.wall), spread(ours, lambda m: m.run.wall)
    if whole is not None:
        yield _at_least(case, "whole process, against the baseline", theirs_whole.median / ours_whole.median, whole)
        yield _at_most(case, "start to first embedding request", spread(ours, lambda m: m.first_request), 4, "s")
    yield _info(case, "records/s, steady: ours", rate.text("{:,.0f}"))
    yield _info(case, "records/s, steady: baseline", base.text("{:,.0f}"))
    alone = ", ".join(f"{stage} {limit:,.0f}" for stage, limit in limits.items())
    yield _info(case, "records/s of each stage alone", alone)
    one_after_the_other = 1 / sum(1 / limit for limit in limits.values())
    yield _info(case, "records/s of the stages one after the other", f"{one_after_the_other:,.0f}")
    yield from _costs(case, "ours", ours)
    yield from _costs(case, "baseline", theirs)
    yield from _physical_limits(case, ours)


def _physical_limits(case: str, runs: Sequence[Measured]) -> Iterator[Row]:
    """What no arrangement of the work gets around: the imports before it, and the CPU of all who share the cores."""
    imports = run([sys.executable, "-c", "import airbyte_cdk, openai, pymilvus"])
    took = f"{imports.wall:.1f} s, {imports.cpu:.1f} s"
    yield _info(case, "importing airbyte_cdk, openai and pymilvus alone: wall, CPU", took)
    records = runs[0].records
    ours = spread(runs, lambda m: (m.run.cpu - imports.cpu) / records * 1e6)
    milvus = spread(runs, lambda m: m.server_cpu / records * 1e6)
    endpoint = spread(runs, lambda m: m.endpoint.cpu / records * 1e6)
    each = f"connector {ours.text('{:.0f}')}, Milvus {milvus.text('{:.0f}')}, endpoint {endpoint.text('{:.0f}')}"
    yield _info(case, "CPU a record after the imports, in microseconds", each)
    cores = os.cpu_count() or 1
    most = cores * 1e6 / sum(min(taken.values) for taken in (ours, milvus, endpoint))
    yield _info(case, f"records/s if none of the {cores} cores ever waited", f"{most:,.0f}")


def _costs(case: str, who: str, runs: Sequence[Measured]) -> Iterator[Row]:
    wall = spread(runs, lambda m: m.run.wall).text()
    cpu = spread(runs, lambda m: m.run.cpu).text()
    memory = spread(runs, lambda m: m.run.peak_memory).text("{:.0f}")
    records = f"{runs[0].records:,}"
    yield _info(case, f"{who}, {records} records: wall, CPU, peak memory", f"{wall} s, {cpu} s, {memory} MB")


def compatible_endpoint(bench: Bench) -> Iterator[Row]:
    """Through `openai_compatible`, which the baseline serves text by text; also where the answers are floats."""
    size = _size(bench)
    source, few = Tickets(size.records).path(), Tickets(1000 if bench.full else 200).path()
    compatible = {"mode": "openai_compatible"}
    with bench.target("server") as target:
        theirs = bench.baseline(target, Job(target.host(), few, embedding=compatible))
        for floats in (False, True):
            job = Job(target.host(), source, embedding=compatible)
            ours = bench.ours(target, job, floats=floats)
            what = "answers floats" if floats else "answers base64"
            yield _at_least("openai_compatible", f"steady state, {what}", ours.steady / theirs.steady, 50)
    yield _info("openai_compatible", "records/s, steady: baseline", f"{theirs.steady:,.1f}")


# --- records that are there already -----------------------------------------------------------------------------------


def identical(bench: Bench) -> Iterator[Row]:
    """The same 10,000 records again."""
    case, size = "identical re-sync", _size(bench)
    source = Tickets(size.records).path()
    with bench.target("server") as target:
        job, their_job = Job(target.host(), source), Job(target.host(), source)
        bench.ours(target, job)
        bench.baseline(target, their_job)
        theirs = bench.baseline(target, their_job)
        ours = [bench.ours(target, job) for _ in range(size.runs)]
    requests = max(m.endpoint.requests for m in ours)
    yield Row(case, "embedding requests", "0", f"{requests}", requests == 0)
    rate = spread(ours, lambda m: m.steady)
    yield _at_least(case, "steady state, against the baseline", rate.median / theirs.steady, 20)
    yield _info(case, "records/s, steady: ours", rate.text("{:,.0f}"))
    yield _info(case, "records/s, steady: baseline", f"{theirs.steady:,.0f}")


def changes(bench: Bench) -> Iterator[Row]:
    """5 % of the records with another text, then 50 % with other metadata: tokens that are embedded again."""
    records = _size(bench).records
    first = Tickets(records)
    with bench.target("server") as target:
        job = Job(target.host(), first.path())
        bench.ours(target, job)
        changing = replace(first, changed_text=0.05)
        changed = bench.ours(target, again(job, changing.path()))
        touched = bench.ours(target, again(job, replace(changing, changed_metadata=0.5).path()))
        alone = bench.ours(target, Job(target.host(), replace(changing, only_changed_text=True).path()))
    share = changed.endpoint.tokens / alone.endpoint.tokens
    what = "tokens embedded, against those of the 5 % that changed"
    yield Row("changed records", what, "≤ 1.02", f"{share:.3f}", share <= 1.02)
    tokens = touched.endpoint.tokens
    yield Row("changed records", "tokens embedded, 50 % with other metadata", "0", f"{tokens}", tokens == 0)
    yield _info("changed records", "records/s, steady: text, metadata", f"{changed.steady:,.0f}, {touched.steady:,.0f}")


def articles(bench: Bench) -> Iterator[Row]:
    """Articles of about 20 chunks, one paragraph edited in each."""
    records = 500 if bench.full else 200
    with bench.target("server") as target:
        job = Job(target.host(), Articles(records).path(), stream="articles", chunk_size=200)
        first = bench.ours(target, job)
        edited = bench.ours(target, again(job, Articles(records, edited=True).path()))
    chunks, touched = first.endpoint.texts / records, edited.endpoint.texts / records
    measured = f"{touched:.2f} of {chunks:.1f} chunks an article"
    yield Row("edited articles", "chunks embedded for an edited paragraph", "≤ 2", measured, touched <= 2)


def states(bench: Bench) -> Iterator[Row]:
    """A STATE after every 10 records, against one at the end."""
    runs, tickets = _size(bench).runs, Tickets(_size(bench).records, state_every=10)
    with bench.target("server") as target:
        few, many = _by_turns(
            runs,
            lambda: bench.ours(target, Job(target.host(), without_states(tickets).path())),
            lambda: bench.ours(target, Job(target.host(), tickets.path())),
        )
    ratio = spread(many, lambda m: m.steady).median / spread(few, lambda m: m.steady).median
    yield _at_least("states", "records/s with a STATE every 10, against one STATE", ratio, 0.9)


def _by_turns(
    runs: int, one: Callable[[], Measured], other: Callable[[], Measured]
) -> tuple[list[Measured], list[Measured]]:
    """Each of the two so often, first the one and then the other begins: a server that has stored more is slower."""
    measured: dict[Callable[[], Measured], list[Measured]] = {one: [], other: []}
    for number in range(runs):
        for sync in (one, other) if number % 2 == 0 else (other, one):
            measured[sync].append(sync())
    return measured[one], measured[other]


# --- difficult endpoints ----------------------------------------------------------------------------------------------


def limited_endpoint(bench: Bench) -> Iterator[Row]:
    """60 requests and 150,000 tokens a minute, which the configuration knows of or does not."""
    source = Tickets(6_000 if bench.full else 2_000).path()
    limits = {"requests_per_minute": 60, "tokens_per_minute": 150_000}
    with bench.target("server") as target:
        for what, advanced in (("configured", limits), ("found out", {})):
            measured = bench.ours(target, Job(target.host(), source, advanced=advanced), **limits)
            share = _share_of_limit(measured, 150_000)
            note = f", {measured.endpoint.refused} refusals"
            yield _at_least("limited endpoint", f"tokens, against what the limit allows; {what}", share, 0.95, "", note)


def _share_of_limit(measured: Measured, tokens_per_minute: float) -> float:
    """The allowance starts at nothing, so that it is all that can be had between the first request and the last."""
    stats = measured.endpoint
    assert stats.last_answer is not None
    assert stats.first_request is not None
    allowed = tokens_per_minute / MINUTE * (stats.last_answer - stats.first_request)
    return stats.tokens / allowed


def failing_endpoint(bench: Bench) -> Iterator[Row]:
    """One request in five answered with 429 or 500: no failed sync, and no more time lost than the failures take."""
    runs, source = _size(bench).runs, Tickets(_size(bench).records).path()
    with bench.target("server") as target:
        good, bad = _by_turns(
            runs,
            lambda: bench.ours(target, Job(target.host(), source)),
            lambda: bench.ours(target, Job(target.host(), source), error_rate=0.2),
        )
    ratio = spread(bad, lambda m: m.steady).median / spread(good, lambda m: m.steady).median
    failed = bad[0].endpoint.failed
    case, note = "failing endpoint", f" ({failed} of {bad[0].endpoint.requests} requests failed, no sync)"
    yield _at_least(case, "records/s, against 80 % of those without failures", ratio / 0.8, 0.95, "", note)


# --- single parts -----------------------------------------------------------------------------------------------------


def chunking(bench: Bench) -> Iterator[Row]:
    """Splitting alone, against langchain-text-splitters with the same limits and vocabulary."""
    from benchmarks.chunkers import compare  # noqa: PLC0415 - loads langchain

    for size, overlap in ((1000, 50), (200, 0)):
        ours, theirs = zip(*(compare(size, overlap) for _ in range(5 if bench.full else 3)), strict=True)
        ratio = Spread(ours).median / Spread(theirs).median
        note = f" ({Spread(ours).median:.1f} MB/s)"
        what = f"MB/s, against langchain; {size} tokens, overlap {overlap}"
        yield _at_least("chunking", what, ratio, 2, TIMES, note)


def specification(bench: Bench) -> Iterator[Row]:
    """CPU time of `spec`, against a process that only imports airbyte_cdk."""
    importing = [sys.executable, "-c", "import airbyte_cdk"]
    pairs = [(run([CONNECTOR, "spec"]).cpu, run(importing).cpu) for _ in range(7 if bench.full else 5)]
    more = Spread(tuple(ours - theirs for ours, theirs in pairs))
    yield _at_most("spec", "CPU beyond importing airbyte_cdk", more, 0.3, "s")


def filters(bench: Bench) -> Iterator[Row]:
    """Searches for ten rows with a filter; 100,000 entities with --full, else 20,000."""
    entities = 100_000 if bench.full else 20_000
    for name in ("lite", "server"):
        with bench.target(name) as target:
            flat, parts = (bench.filtered_searches(target, key, entities) for key in ("none", "organization_id"))
        case = f"filters, {name}"
        yield _info(case, f"ms of a search among {entities:,} entities, no filter", f"{flat['none']:.1f}")
        for field in ("organization", "status"):
            dynamic, column = flat[f"{field}, dynamic"], flat[f"{field}, column"]
            yield _info(case, f"ms, {field}: dynamic field, column with index", f"{dynamic:.1f}, {column:.1f}")
        dynamic, column = parts["organization, dynamic"], parts["organization, column"]
        yield _info(case, "ms, organization and its partition: the same", f"{dynamic:.1f}, {column:.1f}")


def million(bench: Bench) -> Iterator[Row]:
    """Many records with made-up vectors: memory from 100,000 on; 1,000,000 with --full, else 150,000."""
    records, settled = (1_000_000, 100_000) if bench.full else (150_000, 50_000)
    source = Tickets(records, state_every=1000).path()
    with bench.target("server") as target:
        measured = bench.ours(target, Job(target.host(), source, embedding={"mode": "fake"}))
    finished = measured.run
    reached = finished.state_times[settled // 1000]
    early = max(memory for moment, memory in finished.memory if moment <= reached)
    late = max(memory for moment, memory in finished.memory if moment > reached)
    case = f"{records:,} records"
    yield Row(case, "peak memory", "< 400 MB", f"{finished.peak_memory:.0f} MB", finished.peak_memory < 400)
    growth = late / early
    yield Row(case, f"peak memory after {settled:,} records, against before", "≤ 1.05", f"{growth:.2f}", growth <= 1.05)
    yield _info(case, "records/s, steady", f"{measured.steady:,.0f}")
    yield _info(case, "Milvus' CPU a record, in microseconds", f"{measured.server_cpu / records * 1e6:.0f}")


CASES: Mapping[str, Case] = {
    "spec": specification,
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
    "failing": failing_endpoint,
    "million": million,
}
