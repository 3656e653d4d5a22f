"""What several pages show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, cast

import streamlit as st

from destination_milvus.milvus.filters import all_of, stream_filter
from destination_milvus.milvus.reader import Reader
from destination_milvus.milvus.survey import sample
from playground import markup
from playground.rows import fields_of

T = TypeVar("T")

ALL_STREAMS = "all streams"

LOOKED_AT = 100
"""Rows that the names of fields are gathered from."""


def show_empty(collection: str) -> None:
    """A collection without rows is no fault."""
    st.html(markup.note("The collection is empty", f'"{collection}" has no rows yet: a sync brings them.'))


def show_no_streams() -> None:
    """Rows of another making, which have none of the connector's fields."""
    advice = "Its rows have no _ab_stream: neither this connector nor Airbyte's wrote them. Query and Map show them."
    st.html(markup.note("The collection has no streams", advice))


def known_fields(reader: Reader) -> list[str]:
    """Fields that rows have, as far as a sample tells. Raises as `Reader.query`."""
    return fields_of(sample(reader, ["*"], LOOKED_AT), reader.collection)


def choose(
    label: str,
    options: Sequence[T],
    *,
    index: int = 0,
    named: Callable[[T], str] = str,
    key: str | None = None,
    is_labelled: bool = True,
) -> T:
    """One of several, which Streamlit's own types lose."""
    visibility: Literal["visible", "collapsed"] = "visible" if is_labelled else "collapsed"
    chosen: Any = st.selectbox(label, options, index, named, key, label_visibility=visibility)
    return cast("T", chosen)


def choose_stream(names: list[str], key: str) -> str:
    """A filter for one stream, or the empty one for all."""
    chosen = choose("Stream", [ALL_STREAMS, *names], key=key)
    return "" if chosen == ALL_STREAMS else stream_filter(chosen)


def narrowed(stream: str, typed: str) -> str:
    """A stream's filter, and one that somebody typed."""
    return all_of(stream, typed.strip()) if stream and typed.strip() else stream or typed.strip()
