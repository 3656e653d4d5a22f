"""`python -m benchmarks [--full] [--case NAME ...]`: run the cases, and put their rows into docs/performance.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.cases import CASES
from benchmarks.installing import work_folder
from devtools import tables
from devtools.environments import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
PACKAGES = ("pymilvus", "milvus-lite", "openai", "airbyte-cdk")


def main() -> int:
    """Run what was asked for; 1 where a case did not finish."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        bench = Bench(Path(folder), full=arguments.full)
        bench.warm_up()
        finished = [_run(name, bench) for name in arguments.case or CASES]
    return int(not all(finished))


def _run(name: str, bench: Bench) -> bool:
    """One case, and whether it finished; its failure is a row, and the others are run all the same."""
    started, load, rows, finished = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M}", os.getloadavg()[0], [], True
    try:
        for row in CASES[name](bench):
            rows.append((name, *row.cells()))
            print(tables.line(rows[-1]), flush=True)
    except Exception as failure:  # noqa: BLE001 - what was measured before a failure is kept
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        rows.append((name, "", "", f"did not finish ({type(failure).__name__})", "**no**"))
        finished = False
    tables.fill(DOCUMENT, "results", rows)
    tables.fill(DOCUMENT, "runs", [(name, started, f"{load:.1f}", _machine())])
    return finished


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more runs and records, a million of them in the last case")
    parser.add_argument("--case", action="append", choices=list(CASES), help="only this; may be given several times")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
