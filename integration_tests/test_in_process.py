"""`DestinationMilvus.write`, as programs in Python call it: an iterator of messages in, an iterator of states out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, ConfiguredAirbyteCatalogSerializer

from destination_milvus import DestinationMilvus
from destination_milvus.errors import BadRecord, InternalError
from destination_milvus.flow.batch import BatchLimits
from devtools.backends import Backend, config
from devtools.connector import catalog, entities, record, run, state, stream

LIMITS = BatchLimits()
TICKETS = ConfiguredAirbyteCatalogSerializer.load(catalog(stream("tickets")))


@pytest.fixture
def lite(tmp_path: Path) -> Backend:
    """A Milvus Lite of its own, that this process does not hold."""
    return Backend("lite", str(tmp_path / "milvus.db"))


def message(line: str) -> AirbyteMessage:
    return AirbyteMessageSerializer.load(json.loads(line))


def ticket(number: int, **data: Any) -> AirbyteMessage:
    return message(record({"id": number, "text": f"ticket {number}", **data}))


def cursor(answer: AirbyteMessage) -> int:
    """The cursor of a state that came back."""
    return int(AirbyteMessageSerializer.dump(answer)["state"]["stream"]["stream_state"]["cursor"])


def reader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(("reader", "commit"))]


def gone(threads: list[threading.Thread]) -> bool:
    """Whether these threads end, in good time."""
    for thread in threads:
        thread.join(20)
    return not any(thread.is_alive() for thread in threads)


def others_can_open(conf: dict[str, Any], folder: Path) -> bool:
    """Whether another process may have the database now."""
    return run(folder, "check", conf).check["status"] == "SUCCEEDED"


def test_states_come_while_the_input_is_open(lite: Backend, tmp_path: Path) -> None:
    """A state leaves once it is durable, however long the input goes on: it may be days."""
    conf = config(lite)
    durable = threading.Event()

    def source() -> Iterator[AirbyteMessage]:
        yield from map(ticket, range(LIMITS.records))  # a whole batch, which waits for no other record
        yield message(state(1))
        assert durable.wait(60), "the first state waits for the end of the input"
        yield ticket(1_000)
        yield message(state(2))

    states = iter(DestinationMilvus().write(conf, TICKETS, source()))
    assert cursor(next(states)) == 1
    assert not durable.is_set()
    durable.set()
    assert [cursor(answer) for answer in states] == [2]
    assert gone(reader_threads())
    assert others_can_open(conf, tmp_path)
    assert len(entities(lite, conf["indexing"]["collection"])) == LIMITS.records + 1


@pytest.mark.parametrize(
    ("broken", "error"), [("source", InternalError), ("record", BadRecord)], ids=["the source", "a record"]
)
def test_what_was_durable_comes_before_the_error(
    lite: Backend, tmp_path: Path, broken: str, error: type[Exception]
) -> None:
    """States that the input brought before it broke reach the caller first, then the error, on the caller's thread."""
    conf = config(lite)

    def source() -> Iterator[AirbyteMessage]:
        for number in range(1, 4):
            yield ticket(number)
            yield message(state(number))
        if broken == "source":
            raise OSError("gone")
        yield message(record({"text": "without a key"}))
        yield message(state(4))

    cursors: list[int] = []
    states = iter(DestinationMilvus().write(conf, TICKETS, source()))
    with pytest.raises(error):
        cursors.extend(map(cursor, states))
    assert cursors == [1, 2, 3]
    assert gone(reader_threads())
    assert others_can_open(conf, tmp_path)


def test_a_caller_that_stops_leaves_nothing_behind(lite: Backend, tmp_path: Path) -> None:
    """No thread reads on or writes on, and another process can have the database at once."""
    conf = config(lite)
    taken = 0

    def source() -> Iterator[AirbyteMessage]:
        nonlocal taken
        while True:  # a source without an end
            taken += 1
            yield ticket(taken)
            if taken % 100 == 0:
                yield message(state(taken))

    states = iter(DestinationMilvus().write(conf, TICKETS, source()))
    first = cursor(next(states))
    states.close()  # type: ignore[attr-defined]
    assert gone(reader_threads())
    stopped = taken
    time.sleep(0.5)
    assert taken == stopped
    assert others_can_open(conf, tmp_path)
    assert len(entities(lite, conf["indexing"]["collection"])) >= first


def test_a_database_that_the_caller_has_open_stays_open(lite: Backend) -> None:
    """Who reads what is written, in the same process and at the same time, goes on reading."""
    conf = config(lite)
    with lite.client() as client:
        assert [
            cursor(answer) for answer in DestinationMilvus().write(conf, TICKETS, [ticket(1), message(state(1))])
        ] == [1]
        [row] = client.query(conf["indexing"]["collection"], filter="id == 1", output_fields=["id"], timeout=20)
        assert row["id"] == 1
