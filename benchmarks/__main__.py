"""`python -m benchmarks [--full] [--case NAME ...]`: run the cases, print their table, write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import inputs, installing, report
from benchmarks.bench import Bench
from benchmarks.cases import CASES
from benchmarks.endpoint import serving


def main() -> int:
    """Run what was asked for; 1 where a case did not finish."""
    arguments = _arguments()
    installing.baseline_python()
    inputs.Tickets(10_000).path()
    names = arguments.case or list(CASES)
    with serving() as endpoint, tempfile.TemporaryDirectory(dir=installing.work_folder()) as folder:
        bench = Bench(endpoint, Path(folder), full=arguments.full)
        bench.warm_up()
        results = [_run(name, bench) for name in names]
    report.write(report.stored_results())
    print(report.table([row for result in results for row in result.rows]))
    print(f"\nWritten to {report.DOCUMENT.name}.")
    return int(any(result.error for result in results))


def _run(name: str, bench: Bench) -> report.Result:
    """One case; its failure is its result, and the others are run all the same."""
    started, load, rows, error = time.monotonic(), report.load(), [], ""
    print(f"{name} ...", file=sys.stderr, flush=True)
    try:
        for row in CASES[name](bench):
            rows.append(row)  # noqa: PERF402 - what was measured before a failure is kept
    except Exception as failure:  # noqa: BLE001 - as above
        error = f"{type(failure).__name__}: {failure}"
        print(error, file=sys.stderr)
    print(f"{report.table(rows)}\n{name}: {time.monotonic() - started:.0f} s\n", file=sys.stderr, flush=True)
    result = report.result(name, full=bench.full, load=load, rows=rows, error=error)
    report.save(result)
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more runs and records, a million of them in the last case")
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="only this one; may be given several times"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
