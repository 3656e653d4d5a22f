"""A look into the input before it is read: what each file holds, of which stream and generation, and their order."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

from destination_milvus.backfill import inputs
from destination_milvus.backfill.forms import FIRST, Order, Stored, Wrong, is_message, is_of_a_source, stored
from destination_milvus.backfill.inputs import InputFile, Line
from destination_milvus.backfill.patterns import chosen_stream, stream_of
from destination_milvus.errors import ConfigError, InternalError
from destination_milvus.protocol.catalog import StreamName, StreamPlan
from destination_milvus.protocol.messages import Message, Record, StreamStatus, message_of

logger = logging.getLogger("airbyte.backfill")

FILES_AT_ONCE = 16
"""That are looked into: each is a request or two where it lies in object storage."""


class Part(NamedTuple):
    """A file that was looked into."""

    file: InputFile
    stream: StreamName | None
    """None where messages name theirs."""
    order: Order
    """Of its first record."""
    generation: int | None
    has_raw_ids: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be read, and what becomes of it."""

    parts: tuple[Part, ...]
    """In the order in which they are read."""
    plans: Mapping[StreamName, StreamPlan]
    """Of the streams that are in them, as the sync carries them out."""
    least: Mapping[StreamName, int]
    """By stream, the generation below which records are superseded."""
    most: Mapping[StreamName, int]
    """By stream whose newest generation is the only one that counts: that generation."""
    is_narrowed: bool = False
    """Whether messages of other streams are passed over."""

    @property
    def size(self) -> int:
        """Bytes of all files, as they are stored."""
        return sum(part.file.size for part in self.parts)

    @property
    def holds_messages(self) -> bool:
        """Whether the files hold what a source prints."""
        return bool(self.parts) and self.parts[0].stream is None

    @property
    def streams_at_least_once(self) -> list[str]:
        """Streams whose records nothing tells from those of another run: a repeated one stores them twice."""
        return [plan.identifier for plan in self.plans.values() if not plan.finds_again]


def survey(
    files: Sequence[InputFile],
    plans: Mapping[StreamName, StreamPlan],
    *,
    stream: str | None = None,
    generation: int | None = None,
) -> Survey:
    """Look into files.

    Args:
        files: that were found.
        plans: of the catalog's streams.
        stream: that all files are of; None where their paths or messages tell.
        generation: that the records are stored in; None for the catalog's.

    Raises:
        DestinationError: a file cannot be read, is of no form that is known, or of no stream that is.
    """
    chosen = None if stream is None else chosen_stream(stream, plans)
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        looked = pool.map(lambda file: _look_into(file, plans, chosen), files)
        parts = [part for part in looked if part is not None]
    messages = [part for part in parts if part.stream is None]
    if messages and len(messages) < len(parts):
        other = next(part for part in parts if part.stream is not None)
        raise ConfigError(
            f"{messages[0].file.path} holds messages of a source, and {other.file.path} what a destination wrote: "
            "nothing says which of them are newer. Load them one after the other, the older ones first."
        )
    if messages:
        wanted = {chosen} if chosen is not None else _streams_of_messages(parts, plans)
        made = {name: _with_generation(plan, generation) for name, plan in plans.items() if name in wanted}
        return Survey(tuple(parts), made, {}, {}, is_narrowed=chosen is not None)
    parts.sort(key=lambda part: part.order)  # stable: files of one time stay in the order of their names
    return _survey(parts, plans, generation)


def _streams_of_messages(parts: Iterable[Part], plans: Mapping[StreamName, StreamPlan]) -> set[StreamName]:
    """The streams that records and statuses name: one that is not among them must not be taken for an empty one."""
    if len(plans) == 1:
        return set(plans)
    messages = (message(part.file, line) for part in parts for line in inputs.lines(part.file))
    return {(each.name, each.namespace) for each in messages if isinstance(each, Record | StreamStatus)}


def message(file: InputFile, line: Line) -> Message | None:
    """The message of a line; None for those that do not concern a destination.

    Raises:
        ConfigError: the line holds none.
    """
    try:
        if is_of_a_source(line.loaded):
            return message_of(line.loaded, line.text, line.number)
    except InternalError:
        pass
    raise ConfigError(
        f"{file.place(line.number)}, is no valid message of a source. Mend the line, or take it out, then run the "
        f"same command again: {inputs.AGAIN}"
    )


def _survey(parts: Sequence[Part], plans: Mapping[StreamName, StreamPlan], generation: int | None) -> Survey:
    found, least, most = {}, {}, {}
    for name, plan in plans.items():
        own = [part for part in parts if part.stream == name]
        if not own:
            continue
        generations = [part.generation for part in own if part.generation is not None]
        if plan.generation is None and generations:
            least[name] = most[name] = max(generations)
        elif plan.minimum_generation:
            least[name] = plan.minimum_generation
        found[name] = replace(
            _with_generation(plan, generation),
            knows_raw_ids=all(part.has_raw_ids for part in own),
            awaits_complete=True,
        )
    return Survey(tuple(parts), found, least, most)


def _with_generation(plan: StreamPlan, generation: int | None) -> StreamPlan:
    if generation is None:
        return plan
    sweeps = plan.minimum_generation > 0 or plan.generation is None
    return replace(plan, generation=generation, minimum_generation=generation if sweeps else 0)


def _look_into(file: InputFile, plans: Mapping[StreamName, StreamPlan], chosen: StreamName | None) -> Part | None:
    """None for a file without a record."""
    with closing(inputs.lines(file)) as lines:
        first = next(lines, None)
    if first is None:
        logger.warning("%s is empty.", file.path)
        return None
    if is_message(first.loaded):
        return Part(file, None, FIRST, None, has_raw_ids=False)
    record = stored_record(file, first)
    stream = _stream(file, plans, chosen)
    _require_columns(file, first, plans[stream])
    return Part(file, stream, record.order, record.generation, has_raw_ids=record.raw_id is not None)


def _stream(file: InputFile, plans: Mapping[StreamName, StreamPlan], chosen: StreamName | None) -> StreamName:
    named = stream_of(file.path, plans)
    if chosen is not None and named is not None and named != chosen:
        raise ConfigError(
            f'{file.path} is of the stream "{named[0]}", as its path says, and --stream is "{chosen[0]}": leave it '
            "out, or leave --stream out."
        )
    stream = chosen or named
    if stream is None:
        names = ", ".join(name for name, _ in plans)
        raise ConfigError(
            f"Nothing in the path of {file.path} says of which stream it is: none of its folders is named like one "
            f"of the catalog ({names or 'it has none'}). Name it by --stream."
        )
    return stream


def _require_columns(file: InputFile, first: Line, plan: StreamPlan) -> None:
    """Refuse a Parquet file that lacks a column of the key: each of its records would be a bad one."""
    if first.text or not plan.needs_key:
        return
    lacking = [path[0] for path in plan.primary_key if path[0] not in first.loaded]
    if lacking:
        raise ConfigError(
            f'{file.path} has no column "{lacking[0]}", which is in the primary key of the stream '
            f'"{plan.identifier}": it is of another stream, or was written with other columns.'
        )


def stored_record(file: InputFile, line: Line) -> Stored:
    """The record of a line that a destination wrote.

    Raises:
        ConfigError: it is none.
    """
    try:
        return stored(line.loaded, is_row=not line.text)
    except Wrong as error:
        raise ConfigError(
            f"{file.place(line.number)}, is no record that a destination of Airbyte or a source wrote: {error}. "
            f"Leave the file out, then run the same command again: {inputs.AGAIN}"
        ) from None
