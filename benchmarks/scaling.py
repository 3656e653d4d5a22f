"""`python -m benchmarks.scaling`: what a sync costs and what saturates first, from measured costs.

It writes the tables of docs/scaling.md.

Two calculations that check each other. `capacity` is arithmetic: each part's records a second, the least of them.
`simulate` plays the flow of batches through the same parts: processes that compute one batch at a time (Python's GIL),
a window of batches in flight, an endpoint with latency and a limit of tokens, Milvus with so many cores. It shows what
the arithmetic leaves out: waiting in line, and a window that is too small for the latency.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- made by python -m benchmarks.scaling -->", "<!-- end -->"

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
GIB = 1024**3


@dataclass(frozen=True)
class Costs:
    """Of a record of one chunk of 130 tokens and 1,536 dimensions, as docs/performance.md has them; seconds of CPU."""

    tokens: int = 130
    prepare: float = 100e-6
    """Parse, document, chunk, hash: before its embedding request."""
    finish: float = 190e-6
    """Decode the vector, pack and send the row, count: after it."""
    milvus: float = 1000e-6
    """Of a Milvus 2.3.5 standalone server in the course of a million rows: upsert, flushing, compaction, indexes."""
    vector_bytes: int = 1536 * 4
    row_bytes: int = 1500
    """Text and metadata of a row."""


@dataclass(frozen=True)
class Machines:
    """What a sync runs on; the defaults are one process with Milvus and the endpoint elsewhere."""

    processes: int = 1
    milvus_cores: int = 8
    tokens_per_minute: float = 10_000_000.0
    latency: float = 0.3
    """Seconds of one embedding request."""
    batches_in_flight: int = 8
    batch: int = 256

    def parts(self, costs: Costs) -> dict[str, float]:
        """Records a second of each part alone."""
        in_flight = self.processes * self.batches_in_flight * self.batch
        return {
            "connector": self.processes / (costs.prepare + costs.finish),
            "requests in flight": in_flight / (self.latency + self.batch * (costs.prepare + costs.finish)),
            "embedding limit": self.tokens_per_minute / MINUTE / costs.tokens,
            "Milvus": self.milvus_cores / costs.milvus,
        }


def capacity(machines: Machines, costs: Costs) -> tuple[str, float]:
    """The part that saturates first, and its records a second."""
    parts = machines.parts(costs)
    slowest = min(parts, key=lambda part: parts[part])
    return slowest, parts[slowest]


class Server:
    """A resource that serves whoever comes first, one at a time or `lanes` at a time."""

    def __init__(self, lanes: int = 1) -> None:
        self._free = [0.0] * lanes

    def serve(self, now: float, seconds: float) -> float:
        """When work that arrives now is done."""
        end = max(now, heapq.heappop(self._free)) + seconds
        heapq.heappush(self._free, end)
        return end


def simulate(machines: Machines, costs: Costs, batches: int = 400) -> float:
    """Records a second of so many batches a process, from the first to the last.

    An event is a batch that arrives at its next stage. Batches are taken back in order, so a process takes up another
    when the one at the front of its window is stored.
    """
    connectors = [Server() for _ in range(machines.processes)]
    limiter, milvus = Server(), Server(machines.milvus_cores)
    front, stored = [0] * machines.processes, [set[int]() for _ in range(machines.processes)]
    window = range(machines.batches_in_flight)
    events = [(0.0, 0, process, number) for process in range(machines.processes) for number in window]
    heapq.heapify(events)
    size, now = machines.batch, 0.0
    while events:
        now, stage, process, number = heapq.heappop(events)
        if stage == 0:
            done = connectors[process].serve(now, size * costs.prepare)
        elif stage == 1:
            done = limiter.serve(now, size * costs.tokens * MINUTE / machines.tokens_per_minute) + machines.latency
        elif stage == 2:
            done = connectors[process].serve(now, size * costs.finish)
        elif stage == 3:
            done = milvus.serve(now, size * costs.milvus)
        else:
            stored[process].add(number)
            while front[process] in stored[process]:
                following = front[process] + machines.batches_in_flight
                front[process] += 1
                if following < batches:
                    heapq.heappush(events, (now, 0, process, following))
            continue
        heapq.heappush(events, (done, stage + 1, process, number))
    return machines.processes * batches * size / now


# --- the page ---------------------------------------------------------------------------------------------------------


VOLUMES = {"1 million": 10**6, "100 million": 10**8, "10 billion": 10**10}


def costs_table(costs: Costs) -> str:
    """Tokens, requests, rows and memory of a first sync."""
    rows = [
        [
            name,
            _short(records * costs.tokens),
            _short(records / Machines().batch),
            _short(records),
            _bytes(records * costs.vector_bytes),
            _bytes(records * costs.row_bytes),
            _duration(records / capacity(Machines(), costs)[1]),
        ]
        for name, records in VOLUMES.items()
    ]
    head = ["records", "tokens", "requests", "rows", "vectors", "text and metadata", "at 10 M tokens a minute"]
    return _table(head, rows)


def growth_table(costs: Costs) -> str:
    """What a set-up sustains, by arithmetic and by simulation, and what holds it back."""
    setups: Mapping[str, Machines] = {
        "one process, 1 M tokens a minute": Machines(tokens_per_minute=1e6),
        "one process, 10 M tokens a minute": Machines(),
        "one process, an endpoint without a limit": Machines(tokens_per_minute=1e12),
        "the same, requests of 3 s": Machines(tokens_per_minute=1e12, latency=3.0),
        "the same, concurrency 32": Machines(tokens_per_minute=1e12, latency=3.0, batches_in_flight=32),
        "4 processes, no limit, Milvus on 8 cores": Machines(4, 8, 1e12),
        "16 processes, no limit, Milvus on 64 cores": Machines(16, 64, 1e12),
        "100 processes, no limit, Milvus on 400 cores": Machines(100, 400, 1e12),
    }
    rows = []
    for name, machines in setups.items():
        slowest, rate = capacity(machines, costs)
        simulated = simulate(machines, costs)
        rows.append([name, f"{rate:,.0f}", f"{simulated:,.0f}", slowest, _duration(10**8 / simulated)])
    return _table(["set-up", "records/s", "simulated", "held back by", "100 million records"], rows)


def tables(costs: Costs | None = None) -> str:
    """What stands between the marks of the page."""
    costs = costs or Costs()
    return f"{costs_table(costs)}\n\n{growth_table(costs)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(number: float) -> str:
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:,.3g} {name}"
    return f"{number:,.0f}"


def _bytes(number: float) -> str:
    return f"{number / GIB:,.2g} GiB" if number < 100 * GIB else f"{number / GIB / 1024:,.2g} TiB"


def _duration(seconds: float) -> str:
    for size, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:,.0f} s"


def page() -> str:
    """The page with its tables made anew."""
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def main() -> None:
    """Print the tables and write them into the page."""
    DOCUMENT.write_text(page())
    print(tables())


if __name__ == "__main__":
    main()
