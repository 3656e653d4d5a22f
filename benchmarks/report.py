"""Rows as a table for the terminal, as `docs/performance.md`, and as a chart drawn by hand."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from html import escape
from importlib.metadata import version
from pathlib import Path

from benchmarks.cases import CASES, TIMES, Row
from benchmarks.installing import work_folder

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
CHART = DOCUMENT.parent / "images" / "performance.svg"

MET = {True: "yes", False: "**no**", None: ""}

INTRODUCTION = """# Performance

What the connector costs and how fast it is, next to two others on the same input, endpoint and server, in the same
run:

- **the baseline**: Airbyte's own pipeline, `airbyte_cdk.destinations.vector_db_based` from PyPI, in an environment
  of its own, with a small Milvus indexer of ours that does what Airbyte's connector does (look up and delete by
  `_ab_record_id`, insert, batches of 128, flush at every STATE). Its tokenizer is given the vocabulary that this
  connector ships, so that it runs offline.
- **the limit**: each stage alone at full speed on the same data (parse, chunk, embed at the endpoint's concurrency,
  store). Nothing that consists of them is faster than the slowest.

Everything runs on loopback: a stand-in for OpenAI's endpoint as a process of its own (1,536 dimensions, 100 ms a
request unless a case says otherwise), a real Milvus 2.3.5 server, Milvus Lite. Records are tickets of about 100
words of real text, articles have 20 chunks of 200 tokens; both are from Debian's `linux-doc-6.1` (3,185 HTML
pages). A STATE follows every 500 records unless a case says otherwise.

*Steady state* runs from the first record (the moment a connector is set up, or sends its first embedding request)
to the last STATE; *whole process* from its start to its end. Medians, in brackets the least and the most of several
runs. Through `openai_compatible` the baseline embeds text by text and would take half an hour: it gets fewer
records there, and rates are compared.

Client, endpoint and Milvus share the cores of one machine: read the ratios, not the seconds.

    make bench          some minutes
    make bench-full     more runs, more records, a million of them in the last case

The first call installs the baseline's environment and downloads the text (35 MB), into `.bench/`.
"""

MISSED = """## Where a target is not met

- **Steady state on the server, against the baseline and against the slowest stage.** Connector, endpoint and Milvus
  share two cores, and for most of a sync neither is idle. "Records/s if none of the cores ever waited" is the least CPU
  that each of the three was seen to take for a record, added up: no arrangement of the work gets beyond that on this
  machine, and ten times the baseline lies beyond it. A stage alone has both cores to itself, so that its rate is no
  limit of a sync that runs all of them at once. Where Milvus and the endpoint have cores of their own, the connector's
  share is what counts ([scaling.md](scaling.md)).
- **Milvus Lite, against the slowest stage.** Milvus Lite is Python in the connector's process: all stages share one
  GIL, and what they can reach together is "the stages one after the other".
- **The whole process, against the baseline.** 10,000 records take less time than starting and ending: the imports of
  airbyte_cdk, openai and pymilvus (which brings pandas) are seconds of CPU that nothing can overlap with under the GIL,
  and they come before the first record can be looked up.
"""


@dataclass(frozen=True)
class Result:
    """A case that was run."""

    name: str
    date: str
    full: bool
    load: float
    """Processes that wanted to run in the minute before: above 1, somebody else was at work."""
    rows: tuple[Row, ...]
    error: str = ""


def result(name: str, *, full: bool, load: float, rows: Iterable[Row], error: str = "") -> Result:
    """The result of a case that has just been run."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")
    return Result(name, date, full, load, tuple(rows), error)


def load() -> float:
    """Load of the last minute."""
    return os.getloadavg()[0]


def save(new: Result) -> None:
    """Keep a result; the one before of the same case goes."""
    stored = {item.name: item for item in stored_results()}
    stored[new.name] = new
    _file().write_text(json.dumps([asdict(item) for item in stored.values()], indent=1))


def stored_results() -> list[Result]:
    """All results that were kept, in the order of the cases."""
    if not _file().exists():
        return []
    found = [
        Result(**{**item, "rows": tuple(Row(**{**row, "bar": _pair(row["bar"])}) for row in item["rows"])})
        for item in json.loads(_file().read_text())
    ]
    order = list(CASES)
    return sorted((item for item in found if item.name in CASES), key=lambda item: order.index(item.name))


def _file() -> Path:
    return work_folder() / "results.json"


def _pair(value: Sequence[float] | None) -> tuple[float, float] | None:
    return None if value is None else (value[0], value[1])


def table(rows: Sequence[Row]) -> str:
    """For the terminal."""
    cells = [("case", "what", "target", "measured", "met")]
    cells += [(row.case, row.what, row.target, row.measured, MET[row.met].strip("*")) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def write(results: Sequence[Result]) -> None:
    """Write the document and its chart."""
    CHART.parent.mkdir(parents=True, exist_ok=True)
    CHART.write_text(chart([row for item in results for row in item.rows]))
    DOCUMENT.write_text("\n".join(_document(results)))


def _document(results: Sequence[Result]) -> Iterator[str]:
    yield INTRODUCTION
    yield "![Ratios reached, against their targets](images/performance.svg)\n"
    yield f"{_machine()}\n"
    yield "| case | what | target | measured | met |"
    yield "|---|---|---|---|---|"
    for item in results:
        for row in item.rows:
            yield f"| {row.case} | {row.what} | {row.target} | {row.measured} | {MET[row.met]} |"
        if item.error:
            yield f"| {item.name} | | | did not finish ({item.error.split(':')[0]}) | **no** |"
    yield (
        "\nRuns: "
        + "; ".join(f"{item.name} {item.date} UTC (load before: {item.load:.1f})" for item in results)
        + ".\n"
    )
    yield MISSED


def _machine() -> str:
    packages: Mapping[str, str] = {name: version(name) for name in ("pymilvus", "milvus-lite", "openai", "airbyte-cdk")}
    named = ", ".join(f"{name} {number}" for name, number in packages.items())
    return f"Measured on {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {named}."


# --- the chart --------------------------------------------------------------------------------------------------------

_LEFT, _WIDTH, _LINE = 430, 380, 24
_DECADES = (-1.0, 2.2)


def chart(rows: Sequence[Row]) -> str:
    """A bar a ratio, on a logarithmic scale, with a mark at its target."""
    bars = [row for row in rows if row.bar is not None]
    height = 40 + _LINE * len(bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}">',
        "<style>text {font-family: sans-serif; font-size: 12px}</style>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
    ]
    for number in (0.1, 1, 10, 100):
        x = _x(number)
        lines.append(f'<line x1="{x:.0f}" y1="24" x2="{x:.0f}" y2="{height}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x:.0f}" y="16" text-anchor="middle" fill="#555555">{number:g} {TIMES}</text>')
    for index, row in enumerate(bars):
        lines += _bar(row, 30 + index * _LINE)
    return "\n".join([*lines, "</svg>\n"])


def _bar(row: Row, y: float) -> Iterator[str]:
    assert row.bar is not None
    value, target = row.bar
    label = escape(f"{row.case}: {row.what.split(';')[0]}"[:70])
    start = _x(0.1)
    colour = "#2f7d4f" if row.met else "#c2571a"
    yield f'<text x="{_LEFT - 10}" y="{y + 13}" text-anchor="end" fill="#222222">{label}</text>'
    yield f'<rect x="{start:.0f}" y="{y}" width="{max(1, _x(value) - start):.0f}" height="16" fill="{colour}"/>'
    mark = f'x1="{_x(target):.0f}" y1="{y - 3}" x2="{_x(target):.0f}" y2="{y + 19}"'
    yield f'<line {mark} stroke="#000000" stroke-width="2"/>'
    yield f'<text x="{max(_x(value), _x(target)) + 6:.0f}" y="{y + 13}" fill="#222222">{value:.2f}</text>'


def _x(value: float) -> float:
    low, high = _DECADES
    position = (math.log10(max(value, 0.1)) - low) / (high - low)
    return _LEFT + _WIDTH * min(position, 1)
