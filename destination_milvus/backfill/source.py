"""Input files → records, and the messages that a sync takes: those a source would have sent, of each the newest one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from destination_milvus.backfill import inputs
from destination_milvus.backfill.forms import FIRST, Order, Stored
from destination_milvus.backfill.inputs import InputFile, Line
from destination_milvus.backfill.newest import NewestVersions, Version
from destination_milvus.backfill.survey import Part, Survey, message, stored_record
from destination_milvus.errors import BadRecord, ConfigError, DestinationError
from destination_milvus.fields import MAX_VARCHAR_BYTES
from destination_milvus.flow.change import record_id_of
from destination_milvus.model import Json, WriteMode
from destination_milvus.protocol.catalog import StreamName
from destination_milvus.protocol.messages import Message, Record, StreamStatus

BLOCK_BYTES = 64 * 1024
"""As of the blocks that are read of a pipe: a queue holds some of them."""


@dataclass
class Reading:
    """How far the input is read; written by one thread and read by others."""

    bytes: int = 0
    """Of the files, as they are stored."""
    records: int = 0
    """That were handed on."""
    superseded: int = 0
    """Of generations that a newer one replaces."""
    older: int = 0
    """Versions of which the input has a newer one."""
    passed_over: int = 0
    """Messages of streams that were not asked for."""


class Placed(NamedTuple):
    """A record of the input, and where it stands in the order of versions."""

    stream: StreamName
    data: Mapping[str, Json]
    order: Order
    file: int
    """Number of its part."""
    line: Line
    found: Stored | None
    """None for a message, which says everything itself."""
    message: Record | None


class Records:
    """The records of files, a part at a time: for a sync in one process, or for tasks that share the parts out."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.deduplicated = {name for name, plan in survey.plans.items() if plan.mode is WriteMode.DEDUP}
        """Streams of which only the newest version of each record counts."""
        self.statuses: dict[StreamName, str] = {}
        """What messages said last of each stream, in the parts that were read."""

    def of_part(self, number: int, reading: Reading, streams: Collection[StreamName] | None = None) -> Iterator[Placed]:
        """The records of a part that count.

        Args:
            number: of the part.
            reading: is told how far it is.
            streams: of which records are wanted at least; None for all. A part of others is not opened.

        Raises:
            DestinationError: the file cannot be read to its end, or holds something else.
        """
        part = self.survey.parts[number]
        if part.stream is not None and streams is not None and part.stream not in streams:
            reading.bytes += part.file.size
            return

        def count(read: int) -> None:
            reading.bytes += read

        for line in inputs.lines(part.file, count):
            if (placed := self.of_line(number, line, reading)) is not None:
                yield placed

    def of_line(self, number: int, line: Line, reading: Reading) -> Placed | None:
        """The record of a line of a part; None where it has none that counts. Raises as `of_part`."""
        part = self.survey.parts[number]
        placed = self._placed_message if part.stream is None else self._placed_record
        return placed(number, part, line, reading)

    def version(self, placed: Placed) -> Version | None:
        """None for a record without a key, of which nothing is older or newer: it is stored for itself, or is bad."""
        if placed.stream not in self.deduplicated:
            return None
        plan = self.survey.plans[placed.stream]
        try:
            record_id = record_id_of(placed.data, plan, MAX_VARCHAR_BYTES)
        except BadRecord:  # told where it is to be stored
            return None
        if record_id is None:
            return None
        return Version(plan.identifier, record_id, placed.order, placed.file, placed.line.number)

    def _placed_message(self, number: int, part: Part, line: Line, reading: Reading) -> Placed | None:
        record = self._message(part.file, line, reading)
        if record is None:
            return None
        return Placed((record.name, record.namespace), record.data, FIRST, number, line, None, record)

    def _placed_record(self, number: int, part: Part, line: Line, reading: Reading) -> Placed | None:
        assert part.stream is not None  # noqa: S101 - only messages name theirs themselves
        found = stored_record(part.file, line)
        if self._is_superseded(part.file, part.stream, line, found, reading):
            return None
        return Placed(part.stream, found.data, found.order, number, line, found, None)

    def _message(self, file: InputFile, line: Line, reading: Reading) -> Record | None:
        found = message(file, line)
        if not isinstance(found, Record | StreamStatus):
            return None  # states are between source and platform
        if self.survey.is_narrowed and (found.name, found.namespace) not in self.survey.plans:
            reading.passed_over += isinstance(found, Record)
            return None
        if isinstance(found, StreamStatus):
            self.statuses[found.name, found.namespace] = found.status
            return None
        return found

    def _is_superseded(self, file: InputFile, stream: StreamName, line: Line, found: Stored, reading: Reading) -> bool:
        generation = found.generation or 0
        most = self.survey.most.get(stream)
        if most is not None and generation > most:
            raise ConfigError(
                f"{file.place(line.number)}, is of generation {generation}, and no file of its stream begins with "
                "one that new: generations are mixed inside files. Set generation_id and minimum_generation_id of the "
                "stream in the catalog to the one that counts."
            )
        is_superseded = generation < self.survey.least.get(stream, generation)
        reading.superseded += is_superseded
        return is_superseded

    def record(self, placed: Placed) -> Record:
        """The message that a source would have sent."""
        place = self.survey.parts[placed.file].file.place(placed.line.number)
        if placed.message is not None:
            return replace(placed.message, place=place)
        found = placed.found
        assert found is not None  # noqa: S101 - one of the two is there
        return Record(
            name=placed.stream[0],
            namespace=placed.stream[1],
            data=found.data,
            emitted_at=found.extracted_at,
            changes=found.changes,
            size=placed.line.size,
            raw_id=found.raw_id,
            place=place,
        )


class Source:
    """The messages of files. The newest versions are found first, then everything is read."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.finding = Reading()
        """Of `find_newest`."""
        self.reading = Reading()
        """Of `blocks`."""
        self._records = Records(survey)
        self._newest: NewestVersions | None = None

    def find_newest(self) -> None:
        """Find out which version of each record is the newest one, where streams deduplicate.

        Raises:
            DestinationError: a file cannot be read to its end, or holds something else, or the disk is full.
        """
        if not self._records.deduplicated:
            return
        self._newest = NewestVersions()
        placed = self._placed(self.finding, self._records.deduplicated)
        self._newest.add(version for each in placed if (version := self._records.version(each)) is not None)

    def blocks(self) -> Iterator[Sequence[Message]]:
        """All messages, in order, in blocks; at the end each stream is said to be complete.

        Raises:
            DestinationError: a file cannot be read to its end, or holds something else. What came before was yielded.
        """
        block: list[Message] = []
        size = 0
        try:
            for placed in self._placed(self.reading):
                if not self._is_newest(placed):
                    self.reading.older += 1
                    continue
                self.reading.records += 1
                record = self._records.record(placed)
                block.append(record)
                size += record.size
                if size >= BLOCK_BYTES:
                    yield block
                    block, size = [], 0
        except DestinationError:
            yield block
            raise
        # a source that says where a stream begins says where it ends, too, unless it fails
        ends = [StreamStatus(*name, self._records.statuses.get(name, "COMPLETE")) for name in self.survey.plans]
        yield [*block, *ends]

    def close(self) -> None:
        """Remove what is on disk."""
        if self._newest is not None:
            self._newest.close()

    def _placed(self, reading: Reading, streams: Collection[StreamName] | None = None) -> Iterator[Placed]:
        for number in range(len(self.survey.parts)):
            yield from self._records.of_part(number, reading, streams)

    def _is_newest(self, placed: Placed) -> bool:
        if self._newest is None or not self._newest.repeats:
            return True
        version = self._records.version(placed)
        return version is None or self._newest.is_newest(version)
