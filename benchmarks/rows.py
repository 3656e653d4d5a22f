"""Rows of the table: what was promised, what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.bench import Bench

TIMES = " \N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    """None where nothing was promised."""

    def cells(self) -> tuple[str, str, str, str]:
        """As the table has them."""
        return self.what, self.target, self.measured, {True: "yes", False: "**no**", None: ""}[self.met]


Case = Callable[[Bench], Iterator[Row]]


def at_least(what: str, value: float, target: float, unit: str = TIMES, note: str = "") -> Row:
    return Row(what, f"{value:.2f}{unit}{note}", f"≥ {target:g}{unit}", value >= target)


def at_most(what: str, value: float, target: float, measured: str, unit: str = "") -> Row:
    return Row(what, f"{measured}{unit}", f"≤ {target:g}{unit}", value <= target)


def none(what: str, value: int) -> Row:
    return Row(what, f"{value}", "0", value == 0)
