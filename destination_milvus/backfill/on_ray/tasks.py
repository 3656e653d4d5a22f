"""What a load runs on the cluster: tasks that read and look for newest versions, and the work of those who write."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from destination_milvus.backfill.commits import Commits
from destination_milvus.backfill.inputs import Line
from destination_milvus.backfill.newest import newest_of
from destination_milvus.backfill.on_ray.board import Handle, failures_told
from destination_milvus.backfill.on_ray.workers import Outcome, Work
from destination_milvus.backfill.source import Reading, Records
from destination_milvus.backfill.survey import Survey
from destination_milvus.config.models import Config
from destination_milvus.errors import BadRecord
from destination_milvus.milvus.open import open_collection
from destination_milvus.model import Change
from destination_milvus.protocol.catalog import StreamName
from destination_milvus.protocol.exact_json import read
from destination_milvus.write import batch_limits, committer, intake

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pyarrow as pa

TABLE_BYTES = 4 * 1024 * 1024
"""Of records that a reading task hands on at a time."""

NO_LINE = 0
"""In the place of a line's number: what the messages of a part said of their streams."""

RECORDS_AT_ONCE = 500
"""That a worker unpacks."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every process of a load is given."""

    config: Config = field(repr=False)
    """With one worker's share of the limits. Ray quotes what it cannot send, and there are secrets in it."""
    survey: Survey
    """With the generations that records are stored in."""
    only: frozenset[bytes] | None = None
    """Records to take, where not all are wanted: `Version.record`."""


@dataclass
class Loaded(Outcome):
    """What became of records, in all that decides how a load ends."""

    read: Counter[StreamName] = field(default_factory=Counter)
    statuses: dict[int, dict[StreamName, str]] = field(default_factory=dict)
    """What the messages of each part said last of their streams."""


@dataclass(frozen=True, slots=True)
class ReadParts:
    """A task that reads parts of the input."""

    job: Job
    board: Handle

    def __call__(self, parts: pa.Table) -> Iterator[pa.Table]:
        """Tables of records, with what they are told apart by."""
        with failures_told(self.board):
            records = Records(self.job.survey)
            for number in parts["item"].to_pylist():
                yield from self._part(records, number)

    def _part(self, records: Records, number: int) -> Iterator[pa.Table]:
        reading, table, told = Reading(), _Table(), time.monotonic()
        for placed in records.of_part(number, reading):
            version = records.version(placed)
            record = _alone(number, placed.line.number) if version is None else version.record
            if self.job.only is not None and record not in self.job.only:
                continue
            reading.records += 1
            table.add(record, b"" if version is None else version.rank, number, placed.line)
            if table.size >= TABLE_BYTES:
                yield table.made()
                table = _Table()
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                self.board.read.remote(number, replace(reading))
        if records.statuses:
            said = pickle.dumps(records.statuses)
            table.add(_alone(number, NO_LINE), b"", number, Line(NO_LINE, {}, len(said), said))
            records.statuses = {}
        yield table.made()
        self.board.read.remote(number, reading)


def _alone(part: int, line: int) -> bytes:
    """In the place of `Version.record`, for what no other is a version of; longer, so that it is never one."""
    return blake2b(f"{part} {line}".encode(), digest_size=17).digest()


class _Table:
    """Records, a column a fact: Ray divides tables by columns, and hands them on without a copy."""

    def __init__(self) -> None:
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [])
        self.size = 0

    def add(self, record: bytes, rank: bytes, part: int, line: Line) -> None:
        text = line.text or pickle.dumps((line.loaded, line.size))
        for column, value in zip(
            self._columns, (record, rank, part, line.number if line.text else -line.number, text), strict=True
        ):
            column.append(value)
        self.size += len(text) + 100

    def made(self) -> pa.Table:
        import pyarrow as pa  # noqa: PLC0415 - of a cluster only

        types = {
            "record": pa.binary(),
            "rank": pa.binary(),
            "part": pa.int32(),
            "line": pa.int64(),
            "text": pa.large_binary(),
        }
        return pa.table(
            [pa.array(column, kind) for column, kind in zip(self._columns, types.values(), strict=True)], list(types)
        )


def _line(number: int, text: bytes) -> Line:
    """A line as it was read: of a Parquet file, whose rows have no text, its number is told as a negative one."""
    if number < 0:
        loaded, size = pickle.loads(text)  # noqa: S301 - our own
        return Line(-number, loaded, size, b"")
    return Line(number, read(text), len(text), text)


@dataclass(frozen=True, slots=True)
class KeepNewest:
    """A task that has all versions of some records."""

    board: Handle

    def __call__(self, table: pa.Table) -> pa.Table:
        """The newest of each."""
        records = table["record"].to_pylist()
        kept = newest_of(records, table["rank"].to_pylist())
        if records:
            self.board.looked_through.remote(min(records), len(records), len(records) - len(kept))
        return table.take(kept)


class Loading(Work):
    """The work of a worker: records in, changes committed."""

    def __init__(self, job: Job, closing_later: ExitStack) -> None:
        config, survey = job.config, job.survey
        super().__init__(config, closing_later)
        milvus = open_collection(self.client, config, self.embedder)
        self._records = Records(survey)
        self._committer = committer(config, milvus, self.embedder)
        self._limits = batch_limits(config)
        self._intake = intake(config, survey.plans, milvus.collection)

    def do(self, table: pa.Table) -> Loaded:
        """As `Work.do`, of a table of `ReadParts`."""
        loaded = Loaded()
        with self.counted(loaded):
            commits = Commits(self._committer, self._limits, loaded.progress, loaded.bad.append)
            commits.commit(self._changes(table, loaded))
        return loaded

    def _changes(self, table: pa.Table, loaded: Loaded) -> Iterator[tuple[Change, int]]:
        for rows in table.to_batches(max_chunksize=RECORDS_AT_ONCE):
            for part, number, text in zip(*(rows[name].to_pylist() for name in ("part", "line", "text")), strict=True):
                if number == NO_LINE:
                    loaded.statuses[part] = pickle.loads(text)  # noqa: S301 - our own
                    continue
                placed = self._records.of_line(part, _line(number, text), Reading())
                assert placed is not None  # noqa: S101 - it was read before
                record = self._records.record(placed)
                loaded.progress.read += 1
                loaded.read[record.name, record.namespace] += 1
                try:
                    change = self._intake.change(record)
                except BadRecord as error:
                    if not self._committer.skip_bad_records:
                        raise error.at(record.place) from error
                    loaded.bad.append(error.at(record.place))
                    continue
                yield change, record.size
