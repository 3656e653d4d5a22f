"""Record: all chunks of one record, what is stored beside them, and why a question finds it or does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from destination_milvus.collection import Collection
from destination_milvus.errors import InternalError
from destination_milvus.fields import (
    CHUNK,
    CHUNKS,
    EXTRACTED_AT,
    FINGERPRINT,
    GENERATION,
    META_CHANGES,
    RECORD_ID,
    STREAM,
    TEXT_HASH,
)
from destination_milvus.milvus.filters import all_of, records_filter
from destination_milvus.milvus.reader import Hit, Reader
from destination_milvus.milvus.survey import streams
from destination_milvus.model import Json
from playground import markup
from playground.rows import day_of, metadata_of, name_of, shown, text_of
from playground.source import Source, trouble_of
from playground.views.common import choose, show_empty, show_no_streams

MOST_CHUNKS = 100
"""Chunks that are shown of one record."""

RANKS = 1_000
"""Hits among which the record is looked for."""

Row = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a record stands for a question."""

    rank: int | None
    """Of its best chunk among all chunks; None beyond `RANKS`."""
    scores: Mapping[Json, float]
    """Of its chunks, by number."""
    is_left_out: bool
    """Whether the filter leaves it out."""


def draw(source: Source) -> None:
    """The page."""
    caption = "All chunks of one record, as they are stored, and how a question finds it."
    st.html(markup.heading("Record", caption))
    with source.reading() as reader:
        names, total, collection = streams(reader), reader.count(), reader.collection
    if not total:
        show_empty(source.collection)
        return
    if not names:
        show_no_streams()
        return
    stream, typed = _choose(names)
    if not typed:
        return
    with source.reading() as reader:
        rows = _rows(reader, stream, typed)
    if not rows:
        detail = f'The stream "{stream}" has no record "{typed}". Its key in the source will do, or {RECORD_ID}.'
        st.html(markup.note("There is no such record", detail))
        return
    st.html(markup.details({name: shown(value) for name, value in metadata_of(rows[0], collection).items()}))
    st.header("Is it complete?", anchor=False)
    st.html(markup.reasons(_completeness(rows)))
    st.header("Why is it found, or not?", anchor=False)
    left, right = st.columns(2)
    question = left.text_input("Question", placeholder="The words of somebody who looks for it").strip()
    condition = right.text_input("Filter", placeholder="The filter of the application; empty for none").strip()
    standing = None
    if question:
        try:
            standing = _standing(source, question, condition, rows)
        except InternalError as error:
            st.html(markup.trouble("Milvus refuses the filter", trouble_of(error).detail))
        else:
            st.html(markup.reasons(_explained(standing, question, rows, collection)))
    st.header(f"Its {len(rows)} chunks" if len(rows) > 1 else "Its chunk", anchor=False)
    words = markup.words_of(question)
    st.html(markup.chunks(_chunk(row, rows, collection, standing, words) for row in rows))


def _choose(names: list[str]) -> tuple[str, str]:
    linked = st.query_params.get("stream")
    left, right = st.columns([1, 2])
    with left:
        stream = choose("Stream", names, index=names.index(linked) if linked in names else 0)
    typed = right.text_input(
        "Record", value=st.query_params.get("record", ""), placeholder="Its key, such as 10525 or tickets_10525"
    )
    return stream, typed.strip()


def _rows(reader: Reader, stream: str, typed: str) -> list[Row]:
    """The chunks in their order; both ways to write the key are tried."""
    found = reader.query(records_filter(stream, [typed, f"{stream}_{typed}"]), ["*"], limit=MOST_CHUNKS)
    first = [row for row in found if row.get(RECORD_ID) == typed] or found
    return sorted(first, key=lambda row: number if isinstance(number := row.get(CHUNK), int) else 0)


def _completeness(rows: Sequence[Row]) -> Iterator[str]:
    head = rows[0]
    if head.get(CHUNK) is None:
        yield "Another program than the connector wrote it: nothing tells how many chunks it should have."
        return
    count = head.get(CHUNKS)
    if head.get(CHUNK) != 0:
        yield "Its first chunk is missing. The next sync that brings the record repairs it."
    elif head.get(FINGERPRINT) == "":
        yield (
            "Its newest version is not complete: a sync is running, or was interrupted. The next one completes it; "
            "until then it is found by the chunks below."
        )
    elif isinstance(count, int) and count != len(rows) and len(rows) < MOST_CHUNKS:
        yield f"It should have {count} chunks, and {len(rows)} are here."
    else:
        yield f"Yes: its first chunk vouches for {_chunks(len(rows))} by a fingerprint."
    if changes := [row for row in rows if row.get(META_CHANGES)]:
        yield f"Something did not fit and was cut: see {META_CHANGES} of {_chunks(len(changes))}."


def _chunks(count: int) -> str:
    return f"{count} chunk{'s' if count != 1 else ''}"


def _standing(source: Source, question: str, condition: str, rows: Sequence[Row]) -> _Standing:
    stream, record = shown(rows[0].get(STREAM)), shown(rows[0].get(RECORD_ID))
    with source.searching() as reader:
        vector = source.vector(question)
        its_filter = records_filter(stream, [record])
        its = reader.search(vector, filter=its_filter, fields=[CHUNK], limit=MOST_CHUNKS)
        is_left_out = bool(condition) and not reader.count(all_of(its_filter, condition))
        best = reader.search(vector, filter=condition, fields=[STREAM, RECORD_ID], limit=RANKS)
    scores = {hit.entity.get(CHUNK): hit.score for hit in its}
    return _Standing(_rank(best, stream, record), scores, is_left_out)


def _rank(best: Sequence[Hit], stream: str, record: str) -> int | None:
    wanted = (stream, record)
    of = (number for number, hit in enumerate(best, 1) if (hit.entity.get(STREAM), hit.entity.get(RECORD_ID)) == wanted)
    return next(of, None)


def _explained(standing: _Standing, question: str, rows: Sequence[Row], collection: Collection) -> Iterator[str]:
    if standing.is_left_out:
        yield "The filter leaves it out: none of its chunks matches."
    elif standing.rank is None:
        yield f"By meaning it is not among the first {RANKS:,} chunks: the question tells of something else."
    elif standing.rank == 1:
        yield "By meaning its best chunk is the very first hit."
    else:
        yield f"By meaning its best chunk is hit {standing.rank:,}: a search whose limit is lower does not return it."
    if standing.scores:
        is_distance = collection.metric_type == "L2"
        best = (min if is_distance else max)(standing.scores.values())
        measure = "distance" if is_distance else "similarity"
        yield f"The {measure} of its nearest chunk is {best:.3f} ({collection.metric_type})."
    asked = markup.words_of(question)
    there = asked & frozenset().union(*(markup.words_of(text_of(row, collection) or "") for row in rows))
    if there:
        yield f"By words: {len(there)} of {len(asked)} words of the question stand in it, marked below."
    else:
        yield "By words: none of the question's words stands in it, so that only its meaning can be found."


def _chunk(
    row: Row, rows: Sequence[Row], collection: Collection, standing: _Standing | None, words: frozenset[str]
) -> str:
    number = row.get(CHUNK)
    values = {
        "Primary key": shown(row.get(collection.key_field)),
        "Text hash": shown(row.get(TEXT_HASH)),
        "Fingerprint": shown(row.get(FINGERPRINT)) or ("none" if number == 0 else ""),
        "Generation": shown(row.get(GENERATION)),
        "Extracted": day_of(row.get(EXTRACTED_AT), EXTRACTED_AT) or "",
        META_CHANGES: shown(row.get(META_CHANGES)),
    }
    if standing is not None and number in standing.scores:
        label = "Distance" if collection.metric_type == "L2" else "Similarity"
        values = {label: f"{standing.scores[number]:.3f}", **values}
    filled = {name: value for name, value in values.items() if value}
    title = name_of(row) if number is None else f"Chunk {shown(number + 1)} of {len(rows)}"
    return markup.chunk(title, text_of(row, collection), filled, words)
