"""`backfill`, put together from its parts, for people."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing

from destination_milvus.backfill import local
from destination_milvus.backfill.display import Clock, PlainOutput, duration, size, table
from destination_milvus.backfill.inputs import find_files
from destination_milvus.backfill.on_ray.cluster import Engine, chosen_engine
from destination_milvus.backfill.source import Source
from destination_milvus.backfill.survey import Survey, survey
from destination_milvus.config.models import Config
from destination_milvus.embedding.usage import Usage
from destination_milvus.flow.progress import Progress
from destination_milvus.milvus.address import require_milvus_lite
from destination_milvus.model import Json
from destination_milvus.precautions import require_cloud_safety
from destination_milvus.preview.estimate import Estimate
from destination_milvus.protocol.catalog import plan_streams

logger = logging.getLogger("airbyte.backfill")


def backfill(arguments: Namespace, config: Config, catalog: Mapping[str, Json], output: PlainOutput) -> None:
    """Load files, or count what that would take.

    Args:
        arguments: of the command line, as `arguments.add_commands` names them.
        config: parsed.
        catalog: the configured catalog, as protocol JSON.
        output: where progress and summary go.

    Raises:
        DestinationError: it did not complete; what came before is stored.
    """
    require_cloud_safety(config)
    engine = chosen_engine(arguments, config)
    require_milvus_lite(config.indexing)
    plans = plan_streams(catalog)
    looked = survey(find_files(arguments.input), plans, stream=arguments.stream, generation=arguments.generation)
    with closing(Source(looked)) as source:
        tell_input(source, plans.keys() - looked.plans.keys())
        if engine is None or arguments.dry_run:
            _find_newest(source, output)
        if arguments.dry_run:
            _estimate(config, source, output)
        else:
            _warn_of_repetition(looked, engine)
            _load(config, catalog, source, engine, output)


def _warn_of_repetition(looked: Survey, engine: Engine | None) -> None:
    if looked.streams_at_least_once:
        logger.warning(
            "Nothing in the input tells the records of %s from those of another run (no primary key, no "
            "_airbyte_raw_id): if this is stopped and run again, or run twice, they are stored twice%s.",
            ", ".join(looked.streams_at_least_once),
            "" if engine is None else "; so are those that a worker was at when it died",
        )


def _find_newest(source: Source, output: PlainOutput) -> None:
    """With a bar of its own: a third of a percent of what embedding takes, but nothing is written yet."""
    with output.bar(lambda: source.finding.bytes / max(1, source.survey.size), lambda: "finding the newest versions"):
        source.find_newest()


def tell_input(source: Source, unmet: Iterable[tuple[str, str | None]]) -> None:
    """Say what is read, and of which streams nothing is there."""
    looked = source.survey
    names = ", ".join(plan.identifier for plan in looked.plans.values()) or "no stream"
    logger.info("Input: %s of %s, of %s.", _files(len(looked.parts)), size(looked.size), names)
    if unmet:
        others = ", ".join(sorted(name for name, _ in unmet))
        logger.info("Nothing in the input is of %s: what is stored of that stays as it is.", others)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _load(
    config: Config, catalog: Mapping[str, Json], source: Source, engine: Engine | None, output: PlainOutput
) -> None:
    state = _State(source)

    def watch(progress: Progress, usage: Callable[[], Usage]) -> None:
        state.watch(progress, usage, output)

    with output.bar(state.share, state.words):
        if engine is None:
            local.load(config, catalog, source, watch)
        else:
            from destination_milvus.backfill.on_ray.load import load  # noqa: PLC0415 - and Ray with it

            load(config, catalog, source, engine, watch)
    for line in _left_out(source):
        logger.info("%s", line)


class _State:
    """What the progress of a backfill is read off."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._clock = Clock()
        self._progress = Progress()
        self._usage: Callable[[], Usage] = Usage

    def watch(self, progress: Progress, usage: Callable[[], Usage], output: PlainOutput) -> None:
        self._progress, self._usage = progress, usage
        progress.beside = self._phrases
        if output.draws:
            progress.seconds_between_lines = float("inf")

    def share(self) -> float:
        """Of the input, from 0 to 1: what is read, without what is not stored yet."""
        reading, progress = self._source.reading, self._progress
        read = reading.bytes / max(1, self._source.survey.size)
        return min(1.0, read * (progress.committed + progress.bad) / max(1, reading.records))

    def words(self) -> str:
        progress = self._progress
        if not progress.committed and self._source.reading.bytes:
            return f"{self._reading()} read"
        seconds = max(0.001, self._clock.seconds_spent)
        return "  ".join([f"{progress.committed:,} records", f"{progress.committed / seconds:,.0f}/s", *self._costs()])

    def _phrases(self) -> list[str]:
        if not self._progress.committed:
            return [f"{self._reading()} of the input read"]
        return [f"{100 * self.share():.0f} % of the input", *self._costs()]

    def _reading(self) -> str:
        """Before anything is stored: a shuffle has to have all."""
        return f"{100 * self._source.reading.bytes / max(1, self._source.survey.size):.0f} %"

    def _costs(self) -> list[str]:
        tokens = self._usage().tokens
        left = self._clock.seconds_left(self.share())
        return [
            *([f"{tokens:,} tokens"] if tokens else []),
            *([f"{duration(left)} left"] if left is not None else []),
        ]


def _left_out(source: Source) -> list[str]:
    reading = source.reading
    phrases = [
        (reading.superseded, "records of superseded generations"),
        (reading.older, "older versions of records"),
        (reading.passed_over, "records of other streams"),
    ]
    told = ", ".join(f"{count:,} {phrase}" for count, phrase in phrases if count)
    return [f"Left out of the input: {told}."] if told else []


def _estimate(config: Config, source: Source, output: PlainOutput) -> None:
    estimate = Estimate(config, source.survey.plans)
    clock = Clock()

    def share() -> float:
        return min(1.0, source.reading.bytes / max(1, source.survey.size))

    def words() -> str:
        left = clock.seconds_left(share())
        return "  ".join([f"{estimate.tokens:,} tokens", *([f"{duration(left)} left"] if left is not None else [])])

    with output.bar(share, words):
        for block in source.blocks():
            estimate.take(block)
    for line in _estimated(config, source, estimate):
        output.line(line)


def _estimated(config: Config, source: Source, estimate: Estimate) -> Iterable[str]:
    rows = [["stream", "records", "deletions", "without text", "bad", "chunks", "tokens"]]
    for name, counts in estimate.streams.items():
        sizes = counts.sizes
        numbers = (counts.records, counts.deletions, counts.without_text, counts.bad, sizes.texts, sizes.tokens)
        rows.append([source.survey.plans[name].identifier, *(f"{number:,}" for number in numbers)])
    yield from table(rows)
    yield from _left_out(source)
    for counts in estimate.streams.values():
        if counts.first_bad:
            yield f"The first bad record: {counts.first_bad[0].message}"
    most = "At most" if estimate.is_exact else "At most about"
    yield (
        f"{most} {estimate.tokens:,} tokens are embedded (counted in cl100k): less where texts repeat, or are stored "
        "with their vectors already."
    )
    limit = config.advanced.tokens_per_minute
    if limit is not None:
        seconds = 60 * estimate.tokens / limit
        yield f"At {limit:,} tokens a minute (advanced.tokens_per_minute) that takes {duration(seconds)}."
    yield "Nothing was embedded or written."
