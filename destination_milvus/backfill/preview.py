"""`preview`, put together from its parts, for people."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import cast

from destination_milvus.backfill import report
from destination_milvus.backfill.against import Comparison
from destination_milvus.backfill.commands import tell_input
from destination_milvus.backfill.display import Clock, PlainOutput, duration
from destination_milvus.backfill.inputs import find_files
from destination_milvus.backfill.source import Source
from destination_milvus.backfill.survey import survey
from destination_milvus.collection import Collection
from destination_milvus.config.embedding import (
    AzureOpenAIEmbedding,
    CohereEmbedding,
    OpenAICompatibleEmbedding,
    OpenAIEmbedding,
)
from destination_milvus.config.models import Config
from destination_milvus.embedding import MeteredEmbedder, create_embedder
from destination_milvus.errors import CollectionMissing, ConfigError
from destination_milvus.milvus.address import described, is_absent
from destination_milvus.milvus.connection import connect, held
from destination_milvus.milvus.open import open_stored
from destination_milvus.milvus.reader import require_model
from destination_milvus.model import Json
from destination_milvus.precautions import require_cloud_safety
from destination_milvus.preview.advice import warnings
from destination_milvus.preview.cost import Rates, cost_of
from destination_milvus.preview.estimate import Estimate
from destination_milvus.protocol.catalog import StreamName, StreamPlan, plan_streams, with_own_generation
from destination_milvus.protocol.inbox import blocks_of
from destination_milvus.protocol.messages import Message
from destination_milvus.write import row_format

COMPRESSED = (".gz", ".parquet")
"""Ends of names of files whose size does not tell how much is in them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The collection that is compared with."""

    collection: Collection
    plans: Mapping[StreamName, StreamPlan]
    """With the generations that a sync would take."""
    comparison: Comparison


def preview(arguments: Namespace, config: Config, catalog: Mapping[str, Json], output: PlainOutput) -> None:
    """Read records and tell what they would become; the report goes to standard output.

    Args:
        arguments: of the command line, as `arguments.add_commands` names them.
        config: parsed.
        catalog: the configured catalog, as protocol JSON.
        output: where progress goes.

    Raises:
        DestinationError: the arguments cannot be, nothing came, or what came cannot be read.
    """
    output.after_a_stop = "Nothing was embedded or written."
    _require_sensible(arguments)
    plans = plan_streams(catalog)
    if not plans:
        raise ConfigError("The catalog has no stream: there is nothing to preview. Configure one.")
    with ExitStack() as stack:
        embedder = stack.enter_context(closing(create_embedder(config.embedding, config.advanced)))
        stored = stack.enter_context(_stored(config, embedder, plans)) if arguments.against else None
        source = stack.enter_context(closing(_source(arguments, plans))) if arguments.input else None
        estimate = Estimate(
            config,
            plans if stored is None else stored.plans,
            collection=None if stored is None else stored.collection,
            examples=arguments.examples,
            visit=(lambda _, __: None) if stored is None else stored.comparison.add,
        )
        is_sample = _read(estimate, arguments.records, source, output)
        if stored is not None:
            stored.comparison.finish()
        factor = _factor(arguments, estimate, source, is_sample)
        found = {"is_sample": is_sample, **_report(arguments, config, estimate, embedder, factor, stored)}
    report.write(found, sys.stdout, for_programs=arguments.json)


def _require_sensible(arguments: Namespace) -> None:
    least = {"price": 0, "examples": 0, "records": 1, "total": 1, "tokens_per_minute": 1, "requests_per_minute": 1}
    for name, smallest in least.items():
        value = getattr(arguments, name)
        if value is not None and not smallest <= value < float("inf"):
            raise ConfigError(f"--{name.replace('_', '-')} is {value}, and must be at least {smallest}.")


@contextmanager
def _stored(config: Config, embedder: MeteredEmbedder, plans: Mapping[StreamName, StreamPlan]) -> Iterator[Stored]:
    require_cloud_safety(config)
    indexing = config.indexing
    missing = CollectionMissing(
        f'{described(indexing.host)} has no collection "{indexing.collection}" to compare with: leave --against out, '
        "all records are new."
    )
    if is_absent(indexing):
        raise missing
    with held(indexing), closing(connect(indexing)) as client:
        opened = open_stored(client, config)
        if opened is None:
            raise missing
        collection = opened.collection
        require_model(client, config, collection, embedder)
        opened.load()
        own = {
            name: with_own_generation(plan, opened.lowest_generation(plan.identifier))
            for name, plan in plans.items()
            if plan.generation is None
        }
        comparison = Comparison(opened.store, embedder.identity, row_format(config, embedder, collection))
        yield Stored(collection, {**plans, **own}, comparison)


def _source(arguments: Namespace, plans: Mapping[StreamName, StreamPlan]) -> Source:
    looked = survey(find_files(arguments.input), plans, stream=arguments.stream)
    source = Source(looked)
    tell_input(source, plans.keys() - looked.plans.keys())
    return source


def _read(estimate: Estimate, most: int | None, source: Source | None, output: PlainOutput) -> bool:
    """Count what comes; true if there was more than was to be read."""
    if source is None:
        return _take(estimate, blocks_of(cast("io.BufferedReader", sys.stdin.buffer)), most)
    clock = Clock()

    def share() -> float:
        by_bytes = source.reading.bytes / max(1, source.survey.size)
        return min(1.0, by_bytes if most is None else estimate.records / most)

    def words() -> str:
        left = clock.seconds_left(share())
        return "  ".join([f"{estimate.records:,} records", *([f"{duration(left)} left"] if left is not None else [])])

    with output.bar(share, words):
        if most is None:  # a sample is of the first records, of whatever version
            source.find_newest()
        return _take(estimate, source.blocks(), most)


def _take(estimate: Estimate, blocks: Iterator[Sequence[Message]], most: int | None) -> bool:
    is_sample = not all(estimate.take(block, most) for block in blocks)
    if estimate.records == 0:
        raise ConfigError(
            "No record came: nothing can be told. Check that the source reads something, and that its messages arrive "
            "on standard input, or name files by --input."
        )
    return is_sample


def _factor(arguments: Namespace, estimate: Estimate, source: Source | None, is_sample: bool) -> float:  # noqa: FBT001
    """How many times more there is than was read; 1 where that is not known."""
    if arguments.total is not None:
        return max(1.0, float(arguments.total) / estimate.records)
    if not is_sample or source is None:
        return 1.0
    if any(part.file.path.lower().endswith(COMPRESSED) for part in source.survey.parts):
        return 1.0
    return max(1.0, source.survey.size / max(1, estimate.bytes))


def _report(
    arguments: Namespace,
    config: Config,
    estimate: Estimate,
    embedder: MeteredEmbedder,
    factor: float,
    stored: Stored | None,
) -> dict[str, Json]:
    counts = {estimate.plans[name].identifier: counts for name, counts in estimate.streams.items()}
    compared = None if stored is None else stored.comparison.streams
    tokens, texts = estimate.tokens, sum(each.sizes.texts for each in counts.values())
    if compared is not None:
        tokens, texts = (sum(getattr(each, name) for each in compared.values()) for name in ("tokens", "texts"))
    rows = sum(each.rows for each in counts.values())
    cost = cost_of(tokens, texts, rows, embedder.dimensions, _rates(arguments, config), factor)
    return report.as_json(
        estimate,
        cost,
        list(warnings(config, counts, embedder.chunk_tokens)),
        model_tokens=embedder.chunk_tokens,
        factor=factor,
        compared=compared,
    )


def _rates(arguments: Namespace, config: Config) -> Rates:
    """What the command line says, else the configuration."""
    advanced = config.advanced
    tokens = arguments.tokens_per_minute or advanced.tokens_per_minute
    requests = arguments.requests_per_minute or advanced.requests_per_minute
    if isinstance(config.embedding, CohereEmbedding):
        from destination_milvus.embedding.cohere import LIMITS  # noqa: PLC0415 - its embedder is made already
    elif isinstance(config.embedding, OpenAIEmbedding | AzureOpenAIEmbedding | OpenAICompatibleEmbedding):
        from destination_milvus.embedding.openai_api import LIMITS  # noqa: PLC0415 - as above
    else:
        return Rates(arguments.price)
    return Rates(arguments.price, tokens, requests, LIMITS.inputs, LIMITS.tokens_per_request)
