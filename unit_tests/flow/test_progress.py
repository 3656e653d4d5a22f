from __future__ import annotations

import logging
import time

import pytest

from destination_milvus.errors import BadRecord
from destination_milvus.flow import progress
from destination_milvus.flow.commit import Committed
from destination_milvus.flow.progress import Progress

LOGGER = "airbyte.sync"


def bad(number: int) -> BadRecord:
    return BadRecord("it has no vector", stream="tickets", key=f"tickets_{number}")


def test_the_sentence_counts_everything_that_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 12.0)
    counts = Progress(started=10.0, read=5_000)
    counts.count(4_000, Committed(written=3_000, removed=10, unchanged=990, chunks=7_000, embedded=6_000))
    counts.count(500, Committed(written=500, chunks=500, embedded=500))
    assert counts.sentence() == (
        "5,000 records read; 4,500 committed (3,500 new or changed, 990 unchanged, 10 removed); "
        "7,500 chunks written, 6,500 texts embedded; 2,250 records/s"
    )


def test_bad_and_swept_records_are_told_where_there_are_any() -> None:
    counts = Progress(swept=3)
    counts.skip(bad(1))
    assert "; 1 bad records skipped; 3 records of older generations swept; " in counts.sentence()


def test_a_sync_of_no_time_at_all_has_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    assert Progress(started=10.0).sentence().endswith("; 0 records/s")


def test_the_first_bad_records_are_named_and_the_others_counted(caplog: pytest.LogCaptureFixture) -> None:
    counts = Progress()
    with caplog.at_level(logging.WARNING, LOGGER):
        for number in range(25):
            counts.skip(bad(number))
    assert counts.bad == 25
    assert len(caplog.messages) == progress.NAMED_BAD_RECORDS + 1
    assert caplog.messages[0] == 'Skipped a record. Stream "tickets", record "tickets_0": it has no vector.'
    assert caplog.messages[-1] == "Further skipped records are counted and not named."


def test_a_line_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    counts = Progress(started=100.0, _last_line=100.0)
    with caplog.at_level(logging.INFO, LOGGER):
        for now[0] in (100.0, 109.9, 110.0, 119.9, 120.0):
            counts.tick()
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith("Progress: 0 records read; ")
