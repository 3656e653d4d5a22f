"""A preview as one JSON object, and that object as text and tables. Pure, but for the last function."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TextIO, TypeAlias

from destination_milvus.backfill.against import Compared
from destination_milvus.backfill.display import duration, size
from destination_milvus.model import Json
from destination_milvus.preview.advice import Warning as Advice
from destination_milvus.preview.cost import Cost
from destination_milvus.preview.estimate import Counts, Estimate

Block: TypeAlias = "str | list[list[str]]"
"""A line, or a table whose first row is its head."""

BAR_WIDTH = 40
CENT = 0.01


def as_json(
    estimate: Estimate,
    cost: Cost,
    advice: Sequence[Advice],
    *,
    model_tokens: int,
    factor: float,
    compared: Mapping[str, Compared] | None,
) -> dict[str, Json]:
    """The report.

    Args:
        estimate: of what was read.
        cost: of all there is, if that is known, else of what was read.
        advice: what to look at.
        model_tokens: how much of a chunk the model reads.
        factor: how many times more there is than was read.
        compared: by stream, what the collection has already; None where nobody asked.
    """
    streams = {estimate.plans[name].identifier: counts for name, counts in estimate.streams.items()}
    return {
        "records": estimate.records,
        "records_of_other_streams": estimate.others,
        "extrapolated_by": factor,
        "tokens_are_exact": estimate.is_exact,
        "streams": [
            {"stream": stream, **_stream(counts, model_tokens), **_compared(stream, compared)}
            for stream, counts in streams.items()
        ],
        "cost": asdict(cost),
        "examples": [asdict(example) for example in estimate.examples],
        "warnings": [asdict(each) for each in advice],
    }


def _stream(counts: Counts, model_tokens: int) -> dict[str, Json]:
    sizes = counts.sizes
    return {
        "records": counts.records,
        "deletions": counts.deletions,
        "without_text": counts.without_text,
        "bad": counts.bad,
        "bad_records": [error.message for error in counts.first_bad],
        "rows": counts.rows,
        "chunks": sizes.texts,
        "tokens": sizes.tokens,
        "chunk_tokens": {"median": sizes.quantile(0.5), "p95": sizes.quantile(0.95), "largest": sizes.largest},
        "histogram": [asdict(bar) for bar in sizes.histogram()],
        "read_by_model": round(sizes.share_within(model_tokens), 4),
        "metadata": [
            {"field": name, **asdict(profile), "kinds": dict(profile.kinds), "cut": dict(profile.cut)}
            for name, profile in counts.profile.metadata.items()
        ],
    }


def _compared(stream: str, compared: Mapping[str, Compared] | None) -> dict[str, Json]:
    return {} if compared is None else {"collection": asdict(compared.get(stream, Compared()))}


def blocks(report: Mapping[str, Json], bar: str = "#") -> Iterator[Block]:
    """The report for people; bars are drawn with `bar`."""
    streams = report["streams"]
    yield _overview(streams)
    for stream in streams:
        yield from (f"Bad: {each}" for each in stream["bad_records"])
    if report["records_of_other_streams"]:
        yield f"{report['records_of_other_streams']:,} records are of streams that the catalog does not have."
    for stream in streams:
        yield from _histogram(stream, bar)
    if any("collection" in stream for stream in streams):
        yield ""
        yield [
            ["in the collection", "new", "changed", "unchanged", "texts to embed", "tokens"],
            *([stream["stream"], *_numbers(stream["collection"].values())] for stream in streams),
        ]
    fields = [row for stream in streams for row in _metadata(stream)]
    if fields:
        yield ""
        yield [["metadata", "records", "type", "example", "what is lost or renamed"], *fields]
    yield ""
    yield from _costs(report)
    yield from _examples(report["examples"])
    if report["warnings"]:
        yield ""
    yield from (f"Warning: {each['stream']}: {each['sentence']}" for each in report["warnings"])
    yield "Nothing was embedded or written."


def _overview(streams: Sequence[Mapping[str, Json]]) -> list[list[str]]:
    head = ["stream", "records", "deletions", "without text", "bad", "chunks", "median", "95 %", "largest", "tokens"]
    rows = [
        [
            stream["stream"],
            *_numbers(stream[name] for name in ("records", "deletions", "without_text", "bad", "chunks")),
            *_numbers(stream["chunk_tokens"].values()),
            f"{stream['tokens']:,}",
            f"{100 * stream['read_by_model']:.0f} %",
        ]
        for stream in streams
    ]
    return [[*head, "read by the model"], *rows]


def _numbers(numbers: Iterator[int]) -> Iterator[str]:
    return (f"{number:,}" for number in numbers)


def _histogram(stream: Mapping[str, Json], bar: str) -> Iterator[str]:
    bars = stream["histogram"]
    if not bars:
        return
    yield ""
    yield f"{stream['stream']}: chunks by tokens"
    most = max(each["texts"] for each in bars)
    labels = [f"{each['low']:,}-{each['high']:,}" for each in bars]
    width = max(map(len, labels))
    for label, each in zip(labels, bars, strict=True):
        length = -(-BAR_WIDTH * each["texts"] // most)
        yield f"{label:>{width}}  {bar * length:<{BAR_WIDTH}}  {each['texts']:,}".rstrip()


def _metadata(stream: Mapping[str, Json]) -> Iterator[list[str]]:
    for field in stream["metadata"]:
        notes = [f"{count:,} {what.lower().replace('_', ' ')}" for what, count in field["cut"].items()]
        if field["renamed_from"] is not None:
            notes.append(f'renamed from "{field["renamed_from"]}"')
        kinds = ", ".join(field["kinds"])
        yield [f"{stream['stream']}.{field['field']}", f"{field['seen']:,}", kinds, field["example"], "; ".join(notes)]


def _costs(report: Mapping[str, Json]) -> Iterator[str]:
    cost = report["cost"]
    factor = report["extrapolated_by"]
    if factor > 1:
        yield f"A sample; there are about {factor:,.1f} times as many records, and the numbers below are of all:"
    elif report["is_sample"]:
        yield "A sample; how many records there are is not known (--total), and the numbers below are of these alone:"
    about = "" if report["tokens_are_exact"] and factor == 1 else "about "
    money = "" if cost["money"] is None else f", which cost {_money(cost['money'])}"
    yield f"At most {about}{cost['tokens']:,} tokens are embedded (counted in cl100k){money}."
    if cost["requests"]:
        yield f"That takes at least {cost['requests']:,} requests."
    if cost["seconds"] is not None:
        yield f"At the limits given it takes at least {duration(cost['seconds'])}."
    yield f"{cost['rows']:,} rows, whose vectors take {size(cost['vector_bytes'])} in Milvus, without the index."


def _money(amount: float) -> str:
    return f"less than {CENT}" if 0 < amount < CENT else f"{amount:,.2f}"


def _examples(examples: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    for example in examples:
        for number, text in enumerate(example["texts"], 1):
            yield ""
            yield f"--- {printable(example['record_id'])}, chunk {number} of {example['chunks']}"
            yield printable(text)


def printable(text: str) -> str:
    """The text without what a terminal would act upon."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def write(report: Mapping[str, Json], stream: TextIO, *, for_programs: bool) -> None:
    """Write the report: as JSON, with tables where there is a terminal, else as text."""
    if for_programs:
        stream.write(json.dumps(report, indent=2) + "\n")
    elif stream.isatty():
        _draw(report, stream)
    else:
        for block in blocks(report):
            lines = [block] if isinstance(block, str) else _columns(block)
            stream.writelines(f"{line}\n" for line in lines)
    stream.flush()


def _draw(report: Mapping[str, Json], stream: TextIO) -> None:
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=stream)
    for block in blocks(report, bar="█"):
        if isinstance(block, str):
            style = "yellow" if block.startswith("Warning: ") else ""
            console.print(block, markup=False, highlight=False, soft_wrap=True, style=style)
            continue
        drawn = Table(box=None, pad_edge=False)
        for name, to_the_right in zip(block[0], _to_the_right(block), strict=True):
            drawn.add_column(name, justify="right" if to_the_right else "left")
        for row in block[1:]:
            drawn.add_row(*map(Text, row))
        console.print(drawn)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = _to_the_right(rows)
    for row in rows:
        cells = zip(row, widths, sides, strict=True)
        yield "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()


def _to_the_right(rows: Sequence[Sequence[str]]) -> list[bool]:
    """Whether a column holds nothing but counts."""
    return [
        all(cell.rstrip(" %").replace(",", "").isdigit() for cell in column[1:]) for column in zip(*rows, strict=True)
    ]
