"""Several processes write disjoint slices of a stream into one collection: how a sync grows beyond one process."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import Backend, config
from devtools.connector import Finished, catalog, entities, record, run, state, status, stream
from devtools.milvus_server import MilvusServer

PROCESSES = 4
RECORDS = 300
"""Of each process: two batches."""
CHUNKS = 3
"""Of each record."""
PARAGRAPHS = "\n\n".join(f"Paragraph {number} has words of its own." for number in range(3))

pytestmark = pytest.mark.server


def slices(folder: Path, conf: dict[str, Any], generation: int, records: int) -> list[Finished]:
    """A slice of the stream for each process, all at once; none of them sweeps (minimum generation 0)."""
    configured = catalog(stream(generation_id=generation, minimum_generation_id=0, sync_id=generation))

    def write(number: int) -> Finished:
        home = folder / f"{generation}-{number}"
        home.mkdir()
        keys = range(number, PROCESSES * records, PROCESSES)
        lines = [record({"id": key, "body": f"Ticket {key}.\n\n{PARAGRAPHS}", "slice": number}) for key in keys]
        half = len(lines) // 2
        return run(
            home, "write", conf, configured, [*lines[:half], state(1), *lines[half:], state(2), status("COMPLETE")]
        )

    with ThreadPoolExecutor(PROCESSES) as threads:
        return list(threads.map(write, range(PROCESSES)))


def sweep(folder: Path, conf: dict[str, Any], generation: int) -> Finished:
    """One process for the stream, when all slices are done: nothing but the COMPLETE that its sweep waits for."""
    configured = catalog(stream(generation_id=generation, minimum_generation_id=generation, sync_id=generation))
    return run(folder, "write", conf, configured, [status("COMPLETE")])


def test_four_processes_share_one_collection_and_one_of_them_sweeps(
    milvus_server: MilvusServer, tmp_path: Path
) -> None:
    """They race to create it, each record has its chunks; a refresh embeds nothing and leaves the rest to the sweep.

    A sweep by a process whose slice is done would take out what others have yet to renew.
    """
    backend = Backend("server", milvus_server.uri)
    conf = config(backend, processing={"chunk_size": 12, "text_fields": ["body"], "include_field_names": False})
    collection, fields = conf["indexing"]["collection"], ["_ab_stream", "_ab_record_id", "_ab_chunk", "slice"]
    try:
        first = slices(tmp_path, conf, 1, RECORDS)
        assert [finished.exit_code for finished in first] == [0] * PROCESSES, [finished.logs for finished in first]
        assert [[s["id"] for s in finished.states] for finished in first] == [[1, 2]] * PROCESSES
        rows = entities(backend, collection, fields)
        assert Counter(row["_ab_record_id"] for row in rows) == chunks_of(PROCESSES * RECORDS)
        assert Counter(row["slice"] for row in rows) == dict.fromkeys(range(PROCESSES), CHUNKS * RECORDS)

        refreshed = slices(tmp_path, conf, 2, RECORDS // 3)
        assert all(" 0 texts embedded" in finished.logs[-2] for finished in refreshed)
        assert len(entities(backend, collection, fields)) == PROCESSES * RECORDS * CHUNKS
        swept = sweep(tmp_path, conf, 2)
        assert f"{PROCESSES * (RECORDS - RECORDS // 3)} records of older generations swept" in swept.logs[-2]
        rows = entities(backend, collection, fields)
        assert Counter(row["_ab_record_id"] for row in rows) == chunks_of(PROCESSES * (RECORDS // 3))
    finally:
        backend.drop()


def chunks_of(records: int) -> dict[str, int]:
    return {f"tickets_{key}": CHUNKS for key in range(records)}
