from __future__ import annotations

import io
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import pytest

from destination_milvus.errors import DestinationError, InternalError, TransientError
from destination_milvus.protocol.inbox import BLOCK_BYTES, QUEUED_BLOCKS, Inbox, blocks_of
from destination_milvus.protocol.messages import Message, Record

PATIENCE = 10.0


def line(number: int, size: int = 0) -> bytes:
    record = {"stream": "s", "data": {"id": number, "pad": "x" * size}, "emitted_at": 0}
    return json.dumps({"type": "RECORD", "record": record}).encode() + b"\n"


def ids(messages: list[Message]) -> list[int]:
    return [message.data["id"] for message in messages if isinstance(message, Record)]


def drained(inbox: Inbox) -> list[Message]:
    """What arrives before the end."""
    return list(itertools.chain.from_iterable(iter(partial(inbox.next_block, PATIENCE), None)))


def until_failure(inbox: Inbox, kind: type[DestinationError], words: str) -> list[Message]:
    """What arrives before an error."""
    messages: list[Message] = []
    with pytest.raises(kind, match=words):
        messages.extend(itertools.chain.from_iterable(iter(partial(inbox.next_block, PATIENCE), None)))
    return messages


class Pipe:
    """A pipe of the operating system, as the platform gives one."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        self.input: BinaryIO = os.fdopen(reader, "rb")
        self._threads: list[threading.Thread] = []

    def write(self, data: bytes) -> None:
        """Write all; blocks while the pipe is full."""
        while data:
            data = data[os.write(self._writer, data) :]

    def end(self) -> None:
        """The source is done."""
        os.close(self._writer)

    def in_background(self, action: Callable[[], None]) -> threading.Thread:
        """Act as the source does, beside the reader."""
        thread = threading.Thread(target=action)
        thread.start()
        self._threads.append(thread)
        return thread

    def close(self) -> None:
        """Once everything was read."""
        for thread in self._threads:
            thread.join()
        self.input.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_messages_arrive_in_blocks_as_they_are_written(pipe: Pipe) -> None:
    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    pipe.write(line(1) + line(2))
    first = inbox.next_block(PATIENCE)
    assert first is not None
    assert ids(list(first)) == [1, 2]
    pipe.write(line(3))
    second = inbox.next_block(PATIENCE)
    assert second is not None
    assert ids(list(second)) == [3]
    pipe.end()
    assert inbox.next_block(PATIENCE) is None


def test_nothing_within_the_time_is_an_empty_block_and_not_the_end(pipe: Pipe) -> None:
    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    assert inbox.next_block(0.01) == ()
    pipe.end()
    assert inbox.next_block(PATIENCE) is None


def test_half_a_line_waits_for_its_other_half(pipe: Pipe) -> None:
    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    whole = line(1)
    pipe.write(whole[:20])
    assert inbox.next_block(0.05) == ()
    pipe.write(whole[20:])
    pipe.end()
    assert ids(drained(inbox)) == [1]


def test_lines_of_any_size_come_whole_and_in_order(pipe: Pipe) -> None:
    sizes = [0, 70_000, 1, 65_536, 5_000_000, 0, 131_072]

    def source() -> None:
        for number, size in enumerate(sizes):
            pipe.write(line(number, size))
        pipe.end()

    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    pipe.in_background(source)
    messages = drained(inbox)
    assert ids(messages) == list(range(len(sizes)))
    assert [len(message.data["pad"]) for message in messages if isinstance(message, Record)] == sizes


def test_a_last_line_without_a_line_break_counts_when_it_is_whole() -> None:
    assert ids(drained(Inbox(blocks_of(io.BytesIO(line(1) + line(2).strip()))))) == [1, 2]


@pytest.mark.parametrize("end", [-3, -10, 30])
def test_a_last_line_that_was_cut_off_is_transient_and_comes_after_what_was_whole(end: int) -> None:
    """Also where it was cut behind an inner brace."""
    inbox = Inbox(blocks_of(io.BytesIO(line(1) + line(2)[:end])))
    assert ids(until_failure(inbox, TransientError, "ended in the middle of line 2")) == [1]


def test_a_last_line_cut_behind_an_inner_brace_is_not_taken_for_whole() -> None:
    cut = b'{"type":"RECORD","record":{"data":{}'
    inbox = Inbox(blocks_of(io.BytesIO(line(1) + cut)))
    assert ids(until_failure(inbox, TransientError, "line 2")) == [1]


def test_a_last_line_of_braces_without_end_is_cut_off_too() -> None:
    inbox = Inbox(blocks_of(io.BytesIO(b"[" * 100_000)))
    until_failure(inbox, TransientError, "line 1")


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n  \n", b"   "])
def test_an_input_of_nothing_ends_at_once(content: bytes) -> None:
    assert drained(Inbox(blocks_of(io.BytesIO(content)))) == []


def test_blank_lines_count_in_the_number_that_an_error_names() -> None:
    inbox = Inbox(blocks_of(io.BytesIO(b"\n\n" + line(1) + b"garbage\n" + line(2))))
    assert ids(until_failure(inbox, InternalError, "^Line 4 of the input")) == [1]


def test_an_error_arrives_after_the_messages_before_it_and_nothing_after(pipe: Pipe) -> None:
    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    pipe.write(line(1) + line(2) + b'{"type":"RECORD"}\n' + line(3))
    pipe.end()
    assert ids(until_failure(inbox, InternalError, "Line 3 of the input is not a valid Airbyte message")) == [1, 2]
    assert inbox.next_block(0.01) == ()


class Broken(io.RawIOBase):
    """An input that fails after its first block."""

    def __init__(self) -> None:
        self._blocks = iter([line(1)])

    def read1(self, _size: int, /) -> bytes:
        """A line, then an error of the operating system."""
        for block in self._blocks:
            return block
        raise OSError("gone")


def test_an_input_that_cannot_be_read_is_an_error_of_the_main_thread() -> None:
    inbox = Inbox(blocks_of(Broken()))
    assert ids(until_failure(inbox, InternalError, r"cannot be read \(OSError\)")) == [1]


def test_a_slow_destination_slows_the_source_down(pipe: Pipe) -> None:
    """The queue and the pipe hold a bounded number of blocks; then the source waits."""
    blocks = 3 * QUEUED_BLOCKS
    written = []

    def source() -> None:
        for number in range(blocks):
            pipe.write(line(number, BLOCK_BYTES))
            written.append(number)
        pipe.end()

    inbox = Inbox(blocks_of(pipe.input))  # type: ignore[arg-type]
    pipe.in_background(source)
    settled(written)
    assert len(written) <= QUEUED_BLOCKS + 4
    assert ids(drained(inbox)) == list(range(blocks))
    assert len(written) == blocks


def settled(written: list[int]) -> None:
    """Wait until the source has stopped."""
    before = -1
    while len(written) != before or not written:
        before = len(written)
        time.sleep(0.1)


def test_a_closed_inbox_reads_no_more() -> None:
    """A reader that waits for room, with more to come than anybody wants, ends."""
    taken = itertools.count()

    class Endless:
        def read1(self, _size: int, /) -> bytes:
            return line(next(taken))

    inbox = Inbox(blocks_of(Endless()))
    assert inbox.next_block(5)
    inbox.close()
    inbox._thread.join(5)
    assert not inbox._thread.is_alive()
