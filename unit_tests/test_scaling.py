"""The arithmetic and the simulation of docs/scaling.md, against each other and against what can be told by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scaling import DOCUMENT, Costs, Machines, capacity, page, simulate

NO_LIMIT = 1e15


def test_the_page_has_the_tables_that_the_code_makes() -> None:
    assert DOCUMENT.read_text() == page(), "run: python -m benchmarks.scaling"


def test_the_limit_of_tokens_is_what_an_account_gets() -> None:
    """1.3 million tokens a minute, 130 a record: 10,000 records a minute."""
    assert capacity(Machines(tokens_per_minute=1.3e6), Costs()) == ("embedding limit", pytest.approx(10_000 / 60))
    assert simulate(Machines(tokens_per_minute=1.3e6), Costs()) == pytest.approx(10_000 / 60, rel=0.02)


def test_one_batch_at_a_time_takes_the_sum_of_its_stages() -> None:
    """A window of one: nothing overlaps."""
    costs, batches = Costs(prepare=0.001, finish=0.001, milvus=0.002), 50
    alone = Machines(milvus_cores=1, tokens_per_minute=NO_LIMIT, latency=0.1, batches_in_flight=1, batch=100)
    assert simulate(alone, costs, batches) == pytest.approx(100 / (0.1 + 0.1 + 0.1 + 0.2))


def test_a_wide_window_hides_the_latency() -> None:
    """What is left is the slowest part, here the connector."""
    costs = Costs(prepare=0.001, finish=0.001, milvus=0.0001)
    hidden = Machines(tokens_per_minute=NO_LIMIT, latency=0.1, batches_in_flight=8, batch=100)
    assert simulate(hidden, costs, 200) == pytest.approx(500, rel=0.03)


@given(
    processes=st.integers(1, 6),
    cores=st.integers(1, 16),
    tokens=st.floats(1e5, 1e9),
    latency=st.floats(0, 5),
    window=st.integers(1, 32),
)
def test_no_set_up_is_faster_than_its_slowest_part(
    processes: int, cores: int, tokens: float, latency: float, window: int
) -> None:
    machines = Machines(processes, cores, tokens, latency, window)
    assert simulate(machines, Costs(), batches=60) <= 1.0001 * capacity(machines, Costs())[1]
