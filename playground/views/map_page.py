"""Map: a sample of the vectors in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from destination_milvus.collection import Collection
from destination_milvus.fields import STREAM
from destination_milvus.milvus.survey import sample, streams
from destination_milvus.model import Json
from playground import charts, markup
from playground.projection import principal_components
from playground.rows import fields_of, groups, name_of, text_of
from playground.source import Source
from playground.views.common import choose, choose_stream, show_empty

SIZES = (200, 500, 1_000, 2_000)

TOOLTIP = 240
"""Characters of a text that hovering shows."""

Rows = Sequence[Mapping[str, Json]]


def draw(source: Source) -> None:
    """The page."""
    caption = (
        "Each point is a chunk, and what lies together tells of similar things. Hover over a point to read it; drag "
        "and scroll to look closer."
    )
    st.html(markup.heading("Map", caption))
    with source.reading() as reader:
        names, total, collection = streams(reader), reader.count(), reader.collection
    if not total:
        show_empty(source.collection)
        return
    first, second, third = st.columns([2, 2, 1])
    with first:
        stream = choose_stream(names, "map-stream")
    with third:
        size = choose("Chunks", SIZES, index=1)
    with st.spinner("Drawing …"), source.reading() as reader:
        rows = sample(reader, ["*"], size, filter=stream)
        total = reader.count(stream)
    vectors = [row[collection.vector_field] for row in rows]
    with second:
        fields = [name for name in fields_of(rows, collection) if name not in {collection.text_field, STREAM}]
        field = choose("Colour by", [STREAM, *fields], named=_field_name)
    plane = principal_components(vectors)
    points = _points(rows, plane.points(vectors).tolist(), field, collection)
    st.altair_chart(charts.map_of_vectors(points, _field_name(field)), theme=None)
    of = f"all {total:,}" if len(rows) == total else f"a sample of {len(rows):,} of {total:,}"
    st.caption(
        f"{of.capitalize()} chunks. Of {collection.dimensions:,} dimensions the plane shows the two along which they "
        f"differ most (principal components): {plane.explained:.0%} of the variance. "
        "Near here is not always near there."
    )
    with st.expander("The same as a table"):
        table = [{"chunk": each["chunk"], field: each["group"], "text": each["text"]} for each in points]
        st.dataframe(table, hide_index=True)


def _field_name(field: str) -> str:
    return "stream" if field == STREAM else field


def _points(rows: Rows, places: list[list[float]], field: str, collection: Collection) -> list[dict[str, object]]:
    return [
        {"x": x, "y": y, "group": group, "chunk": name_of(row), "text": _short(text_of(row, collection))}
        for row, (x, y), group in zip(rows, places, groups(rows, field), strict=True)
    ]


def _short(text: str | None) -> str:
    words = " ".join((text or "no text is stored").split())
    return words if len(words) <= TOOLTIP else f"{words[: TOOLTIP - 1]}…"
