"""The reader thread: blocks of messages, as of standard input, in a bounded queue.

Reading ahead lets parsing overlap with embedding and writing; the bound makes a slow Milvus slow the source down
instead of filling the memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from destination_milvus.errors import DestinationError, InternalError, TransientError
from destination_milvus.protocol.exact_json import read_exactly
from destination_milvus.protocol.messages import Message, parse_line

BLOCK_BYTES = 64 * 1024
"""What a pipe holds on Linux: one read takes no more."""

QUEUED_BLOCKS = 16
"""1 MiB of ordinary messages; with a 5 MB record in every block, 80 MB."""


class ByteStream(Protocol):
    """What is read of a binary standard input."""

    def read1(self, size: int, /) -> bytes:
        """Up to `size` bytes, as soon as there are any; b"" at the end."""


class Inbox:
    """Messages as they arrive, read ahead by a thread of its own."""

    def __init__(self, blocks: Iterable[Sequence[Message]]) -> None:
        self._source = blocks
        self._blocks: queue.Queue[Sequence[Message] | BaseException | None] = queue.Queue(QUEUED_BLOCKS)
        self._closed = False
        # daemon: a source that never closes its end must not keep a failed sync alive
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def next_block(self, timeout: float) -> Sequence[Message] | None:
        """The next messages; none when nothing came within `timeout` seconds, None at the end of the input.

        Raises:
            DestinationError: the input is broken at this place; everything before it was delivered.
        """
        try:
            block = self._blocks.get(timeout=timeout)
        except queue.Empty:
            return ()
        if isinstance(block, BaseException):
            raise block
        return block

    def close(self) -> None:
        """Drop what was read ahead, and read no more: the thread ends once the stream gives way."""
        self._closed = True
        while not self._blocks.empty():  # it may wait for room; nobody else takes blocks out
            self._blocks.get_nowait()

    def _read(self) -> None:
        try:
            for messages in self._source:
                if self._closed:
                    return
                self._put(messages)
            self._blocks.put(None)
        except DestinationError as error:
            self._blocks.put(error)
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost: the main thread raises it
            broken = InternalError(f"The input cannot be read ({type(error).__name__}).")
            broken.__cause__ = error
            self._blocks.put(broken)

    def _put(self, messages: Sequence[Message]) -> None:
        if messages:
            self._blocks.put(messages)


def blocks_of(stream: ByteStream) -> Iterator[Sequence[Message]]:
    """The messages of a byte stream of protocol lines, a block for what each read brought.

    Raises:
        DestinationError: the input is broken; what came before was yielded.
    """
    parsed: list[Message] = []
    try:
        for number, line in _numbered_lines(stream):
            if line is None:
                yield parsed
                parsed = []
            elif (message := parse_line(line, number)) is not None:
                parsed.append(message)
    except Exception:
        yield parsed
        raise
    yield parsed


def _numbered_lines(stream: ByteStream) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers from 1; a None after the last complete line of what one read brought."""
    number = 0
    rest: list[bytes] = []
    while block := stream.read1(BLOCK_BYTES):
        first, *others = block.split(b"\n")
        rest.append(first)
        for following in others:
            number += 1
            # joined once a line: a 5 MB line arrives in 80 pieces
            yield number, b"".join(rest)
            rest = [following]
        yield number, None
    last = b"".join(rest)
    if last.strip():
        yield number + 1, _complete(last, number + 1)


def _complete(line: bytes, number: int) -> bytes:
    """The last line lacks its line break: a whole message all the same, or an input that was cut off."""
    try:
        read_exactly(line)  # no beginning of a JSON object is one itself
    except (ValueError, RecursionError):
        raise TransientError(
            f"The input ended in the middle of line {number}: the source or the platform broke off. What came before "
            "it is stored; the next sync continues there."
        ) from None
    return line
