"""Query: the rows that a filter finds, a page at a time."""

from __future__ import annotations

import streamlit as st

from destination_milvus.errors import InternalError
from destination_milvus.fields import CHUNK, RECORD_ID, STREAM
from destination_milvus.milvus.filters import stream_filter
from destination_milvus.milvus.reader import WINDOW
from destination_milvus.milvus.survey import streams
from playground import markup
from playground.rows import csv_of, shown
from playground.source import Source, trouble_of
from playground.views.common import choose, known_fields, show_empty

PAGE_SIZES = (20, 50, 100, 500)

MOST_EXPORTED = 10_000
"""Rows of one CSV."""

A_REQUEST = 500
"""Rows that the export asks for at once: an answer has a limit of bytes."""

TICKETS = "tickets"
"""The stream that the tutorial looks at."""


def draw(source: Source) -> None:
    """The page."""
    caption = "Rows by a filter in Milvus' language; no filter finds every row. A row is a chunk of a record."
    st.html(markup.heading("Query", caption))
    with source.reading() as reader:
        known, names = known_fields(reader), streams(reader)
    if not known:
        show_empty(source.collection)
        return
    wanted = st.text_input(
        "Filter", value=_example(names), placeholder='status == "new" and organization_id == 360033549136'
    )
    preferred = [STREAM, "id", "subject", "title", "status", RECORD_ID, CHUNK]
    left, right = st.columns([4, 1])
    with left:
        fields = st.multiselect(
            "Output fields",
            known,
            default=[name for name in preferred if name in known] or known[: len(preferred)],
            accept_new_options=True,
            placeholder="Choose fields, or type a name",
        )
    with right:
        size = choose("Rows a page", PAGE_SIZES)
    if not fields:
        st.html(markup.note("No field is chosen", "Choose at least one output field."))
        return
    asked = (wanted, size)
    if st.session_state.get("asked") != asked:
        st.session_state["asked"], st.session_state["page"] = asked, 0
    try:
        _rows(source, wanted.strip(), fields, size)
    except InternalError as error:
        trouble = trouble_of(error)
        st.html(markup.trouble("Milvus refuses the filter", trouble.detail))


def _example(names: list[str]) -> str:
    """A filter to begin with: the tutorial's where it finds something."""
    chosen = [name for name in names if name == TICKETS] or names[:1]
    return stream_filter(chosen[0]) if chosen else ""


def _rows(source: Source, wanted: str, fields: list[str], size: int) -> None:
    with source.reading() as reader:
        total = reader.count(wanted)
        reachable = min(total, WINDOW)
        last = max(0, (reachable - 1) // size)
        page = min(st.session_state["page"], last)
        rows = reader.query(wanted, fields, limit=min(size, WINDOW - page * size), offset=page * size)
    if not total:
        advice = "A field that no row has matches nothing and is no error: compare names with the output fields."
        st.html(markup.note("No row matches", advice))
        return
    first = page * size + 1
    st.html(f'<p role="status" class="pg-quiet">Rows {first:,} to {first + len(rows) - 1:,} of {total:,}</p>')
    st.dataframe([{name: _cell(row.get(name)) for name in fields} for row in rows], hide_index=True)
    with st.container(horizontal=True):
        st.button("Previous", disabled=page == 0, on_click=_turn, args=(page - 1,))
        st.button("Next", disabled=page >= last, on_click=_turn, args=(page + 1,))
        st.download_button(
            f"CSV of {min(total, MOST_EXPORTED):,} rows",
            data=lambda: _export(source, wanted, fields),
            file_name=f"{source.collection}.csv",
            mime="text/csv",
            on_click="ignore",
        )
    if total > MOST_EXPORTED:
        st.caption(
            f"Pages reach {WINDOW:,} rows, which is Milvus' own limit, and a CSV {MOST_EXPORTED:,}: narrow the filter."
        )


def _turn(page: int) -> None:
    st.session_state["page"] = page


def _cell(value: object) -> object:
    return value if isinstance(value, (int, float)) and abs(value) < 2**53 else shown(value)


def _export(source: Source, wanted: str, fields: list[str]) -> bytes:
    rows = []
    with source.reading() as reader:
        for offset in range(0, MOST_EXPORTED, A_REQUEST):
            found = reader.query(wanted, fields, limit=A_REQUEST, offset=offset)
            rows += found
            if len(found) < A_REQUEST:
                break
    return csv_of(rows, fields)
