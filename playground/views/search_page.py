"""Search: by meaning, by words, or by both; how near each hit is, and which chunk of which record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import streamlit as st

from destination_milvus.collection import Collection
from destination_milvus.errors import InternalError
from destination_milvus.fields import CHUNK, CHUNKS, RECORD_ID, STREAM
from destination_milvus.milvus.filters import all_of, equals, is_in
from destination_milvus.milvus.reader import Fusion, Hit, Reader
from destination_milvus.milvus.survey import streams
from destination_milvus.model import Json
from playground import markup
from playground.rows import name_of, shown, text_of
from playground.source import Source, trouble_of
from playground.views.common import choose, choose_stream, narrowed, show_empty

By: TypeAlias = Literal["Meaning", "Words", "Both"]

EXAMPLE = "My phone was stolen, and the app with the sign-in codes was on it"

CANDIDATES = 50
"""Rows of each ranking that are fused, at least."""

METRICS = {
    "COSINE": "Similarity is the cosine between the vectors: 1 is equal, and more is nearer.",
    "IP": "Similarity is the inner product of the vectors: more is nearer.",
    "L2": "Distance is the squared L2 distance between the vectors: 0 is equal, and less is nearer.",
}
WORDS = "The score is BM25's: more words, and rarer ones, count more. It compares hits of one search only."
BOTH = "The score fuses the two rankings by reciprocal ranks: it orders hits, and does not say how near they are."


def draw(source: Source) -> None:
    """The page."""
    caption = "Ask in your own words. Each hit is one chunk; its record may have more."
    st.html(markup.heading("Search", caption))
    with source.reading() as reader:
        names, total, collection = streams(reader), reader.count(), reader.collection
    if not total:
        show_empty(source.collection)
        return
    question = st.text_input("Question", placeholder=EXAMPLE)
    by, stream, limit = _choices(names, collection)
    weight = 1
    if by == "Both":
        weight = st.slider("How many times meaning counts, against once for words", 1, 5, 3)
    typed = st.text_input("Filter", placeholder='status == "new"', help="In Milvus' language; empty for all rows.")
    if not question.strip():
        return
    try:
        with st.spinner("Searching …"):
            found, counts = _search(source, question.strip(), by, narrowed(stream, typed), (limit, weight))
    except InternalError as error:
        trouble = trouble_of(error)
        st.html(markup.trouble("Milvus refuses the filter" if typed.strip() else trouble.headline, trouble.detail))
        return
    _show(found, counts, question, by, collection)


def _choices(names: list[str], collection: Collection) -> tuple[By, str, int]:
    first, second, third = st.columns([2, 2, 1])
    offered: list[By] = ["Meaning", "Words", "Both"] if collection.full_text_field else ["Meaning"]
    with first:
        chosen: Any = st.radio("Search by", offered, horizontal=True)
        by: By = chosen
        if len(offered) == 1:
            st.caption("Words need a collection with full-text search (indexing.full_text_search).")
    with second:
        stream = choose_stream(names, "search-stream")
    with third:
        limit = choose("Hits", (5, 10, 20, 50), index=1)
    return by, stream, limit


def _search(
    source: Source, question: str, by: By, condition: str, amounts: tuple[int, int]
) -> tuple[list[Hit], dict[tuple[str, str], Json]]:
    limit, weight = amounts
    if by == "Words":
        with source.reading() as reader:
            found = reader.search_words(question, filter=condition, fields=_fields(reader.collection), limit=limit)
            return found, _counts(reader, found)
    with source.searching() as reader:
        vector = source.vector(question)
        fields = _fields(reader.collection)
        if by == "Meaning":
            found = reader.search(vector, filter=condition, fields=fields, limit=limit)
        else:
            fusion = Fusion(vector_weight=weight, candidates=max(limit, CANDIDATES))
            found = reader.search_both(vector, question, filter=condition, fields=fields, limit=limit, fusion=fusion)
        return found, _counts(reader, found)


def _fields(collection: Collection) -> list[str]:
    text = [collection.text_field] if collection.text_field else []
    return [STREAM, RECORD_ID, CHUNK, *text]


def _counts(reader: Reader, found: Sequence[Hit]) -> dict[tuple[str, str], Json]:
    """How many chunks the records of the hits have: their first ones say so."""
    ids = sorted({shown(hit.entity.get(RECORD_ID)) for hit in found})
    if not ids:
        return {}
    heads_filter = all_of(is_in(RECORD_ID, ids), equals(CHUNK, 0))
    heads = reader.query(heads_filter, [STREAM, RECORD_ID, CHUNKS], limit=1_000)
    return {(shown(row.get(STREAM)), shown(row.get(RECORD_ID))): row.get(CHUNKS) for row in heads}


def _show(
    found: Sequence[Hit], counts: dict[tuple[str, str], Json], question: str, by: By, collection: Collection
) -> None:
    if not found:
        advice = {
            "Words": "No chunk has one of these words. Search by meaning, or with other words.",
            "Meaning": "The filter leaves no row.",
            "Both": "The filter leaves no row.",
        }
        st.html(markup.note("Nothing was found", advice[by]))
        return
    words = markup.words_of(question)
    items = []
    for rank, hit in enumerate(found, 1):
        stream, record = shown(hit.entity.get(STREAM)), shown(hit.entity.get(RECORD_ID))
        text = text_of(hit.entity, collection)
        items.append(
            markup.hit(
                rank,
                name_of(hit.entity, counts.get((stream, record))),
                None if text is None else markup.marked(text, words),
                _badges(hit, by, collection.metric_type),
                markup.record_link(stream, record),
            )
        )
    st.html(f'<p role="status" class="pg-quiet">{len(found)} hits, best first</p>')
    st.caption({"Words": WORDS, "Both": BOTH}.get(by) or METRICS.get(collection.metric_type, ""))
    st.html(markup.hits(items))


def _badges(hit: Hit, by: By, metric: str) -> list[str]:
    if by == "Words":
        return [f"BM25 {hit.score:.2f}"]
    if by == "Both":
        return [f"fused {hit.score:.4f}"]
    if metric == "COSINE":
        return [f"similarity {hit.score:.3f}", f"distance {1 - hit.score:.3f}"]
    return [f"{'distance' if metric == 'L2' else 'similarity'} {hit.score:.3f}"]
