"""Overview: what there is, and how it can be searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from destination_milvus.collection import Collection
from destination_milvus.documents.tokenizer import count_tokens
from destination_milvus.fields import CHUNK, EXTRACTED_AT, STREAM
from destination_milvus.milvus.reader import Index
from destination_milvus.milvus.survey import StreamContents, sample, stream_contents, streams
from destination_milvus.model import Json
from playground import charts, markup
from playground.rows import day_fields, day_of, shown, text_of
from playground.source import Source
from playground.views.common import choose, show_empty, show_no_streams

NONE = "-"

THOUSAND = 1_000

SAMPLE = 1_000
"""Rows that the charts are drawn of."""

BYTES_A_NUMBER = 4
"""Of a vector, as Milvus keeps it in memory."""


@dataclass(frozen=True, slots=True)
class _Survey:
    collection: Collection
    chunks: int
    contents: Sequence[StreamContents]
    indexes: Sequence[Index]
    rows: Sequence[Mapping[str, Json]]


def draw(source: Source) -> None:
    """The page."""
    st.html(markup.heading("What the collection holds", "Counted by Milvus at this moment; charts show a sample."))
    with st.spinner("Counting …"):
        found = _survey(source)
    if not found.chunks:
        show_empty(source.collection)
        return
    _figures(found)
    if found.contents:
        st.header("Streams", anchor=False)
        st.html(_streams(found.contents))
    else:
        show_no_streams()
    left, right = st.columns(2)
    with left:
        st.header("Length of chunks", anchor=False)
        _lengths(found)
    with right:
        st.header("Records by day", anchor=False)
        _days(found)
    st.header("How it is searched", anchor=False)
    st.html(markup.details(_searched(found)))


def _survey(source: Source) -> _Survey:
    with source.reading() as reader:
        contents = [stream_contents(reader, name) for name in streams(reader)]
        rows = sample(reader, ["*"], SAMPLE)
        return _Survey(reader.collection, reader.count(), contents, reader.indexes(), rows)


def _figures(found: _Survey) -> None:
    records = [each.records for each in found.contents]
    unfinished = sum(each.unfinished for each in found.contents)
    counted = [number for number in records if number is not None]
    figures = {
        "records": f"{sum(counted):,}" if counted and len(counted) == len(records) else NONE,
        "chunks": f"{found.chunks:,}",
        "streams": f"{len(found.contents):,}",
        "unfinished records": f"{unfinished:,}",
        "of vectors": _size(found.chunks * found.collection.dimensions * BYTES_A_NUMBER),
    }
    st.html(markup.facts(figures, alarming=["unfinished records"] if unfinished else []))
    if unfinished:
        st.caption(
            "Of unfinished records the newest version is not complete: a sync is running, or was interrupted, and the "
            "next one completes them. What was there before stays findable."
        )
    if None in records:
        st.caption("Another program than the connector wrote these rows: they do not say how many make up a record.")


def _streams(contents: Sequence[StreamContents]) -> str:
    return markup.table(
        ["Stream", "Records", "Chunks", "Chunks a record", "Unfinished", "Generations"],
        (
            (
                each.stream,
                NONE if each.records is None else f"{each.records:,}",
                f"{each.chunks:,}",
                f"{each.chunks / each.records:.1f}" if each.records else NONE,
                f"{each.unfinished:,}",
                ", ".join(map(str, each.generations)) or NONE,
            )
            for each in contents
        ),
    )


def _lengths(found: _Survey) -> None:
    texts = [(row, text_of(row, found.collection)) for row in found.rows]
    counted = [(count_tokens(text), shown(row.get(STREAM))) for row, text in texts if text is not None]
    lengths = [{"tokens": tokens, "stream": stream} for tokens, stream in counted]
    if not lengths:
        st.caption("The collection keeps no texts.")
        return
    st.altair_chart(charts.chunk_lengths(lengths), theme=None)
    median = sorted(tokens for tokens, _ in counted)[len(counted) // 2]
    st.caption(f"Half of {_of(len(lengths), found.chunks, 'chunks')} have {median:,} tokens (cl100k) or more.")


def _days(found: _Survey) -> None:
    heads = [row for row in found.rows if row.get(CHUNK, 0) == 0]
    fields = day_fields(heads, found.collection)
    if not fields:
        st.caption("No field of these records holds a date.")
        return
    names = {EXTRACTED_AT: "read from the source (_ab_extracted_at)"}
    chart = st.container()  # above what chooses its field, as the chart beside it
    field = choose("Day of", fields, named=lambda name: names.get(name, name), is_labelled=False)
    days = [
        {"day": day, "stream": shown(row.get(STREAM))}
        for row in heads
        if (day := day_of(row.get(field), field)) is not None
    ]
    chart.altair_chart(charts.records_by_day(days), theme=None)


def _of(part: int, whole: int, what: str) -> str:
    return f"all {whole:,} {what}" if part == whole else f"a sample of {part:,} {what}"


def _searched(found: _Survey) -> dict[str, str]:
    collection = found.collection
    vector = next((index for index in found.indexes if index.field == collection.vector_field), None)
    others = [f"{index.field} ({index.type})" for index in found.indexes if index.field != collection.vector_field]
    return {
        "Embedding model": collection.embedding_model or "not recorded",
        "Vectors": f"{collection.dimensions:,} dimensions, {collection.metric_type or 'no metric yet'}",
        "Index": vector.type if vector else "none yet",
        "Other indexes": ", ".join(others) or "none",
        "Full-text search": f"yes, in {collection.full_text_field}" if collection.full_text_field else "no",
        "Partition key": collection.partition_key or "none",
        "Typed columns": ", ".join(sorted(collection.columns)) or "none: metadata are dynamic fields",
        "Primary key": f"{collection.key_field}, made by {'Milvus' if collection.auto_id else 'the connector'}",
    }


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < THOUSAND:
            return f"{count:,} {unit}"
        count //= THOUSAND
    return f"{count:,} TB"
