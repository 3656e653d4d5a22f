"""The charts: rows in, an Altair chart out, all in one quiet look. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import altair as alt

COLOURS = ("#0b5f5a", "#d98a29", "#5b7db8", "#a8456b", "#6f9c3d", "#7d6bb0", "#b5663a", "#3f9aa6", "#94813c", "#6b7674")
"""The last one is for what has no colour of its own."""

HEIGHT = 220

Rows: TypeAlias = Sequence[Mapping[str, Any]]


def chunk_lengths(rows: Rows) -> alt.Chart:
    """How many chunks have which length: rows of `tokens` and `stream`."""
    import altair as alt  # noqa: PLC0415 - heavy

    return _bars(
        rows,
        alt.X(
            "tokens:Q",
            bin=alt.Bin(maxbins=30),
            title="Tokens of a chunk",
            axis=alt.Axis(tickCount=8, labelOverlap=True),
        ),
        alt.Y("count()", title="Chunks", axis=alt.Axis(tickMinStep=1)),
    )


def records_by_day(rows: Rows) -> alt.Chart:
    """How many records are of which day: rows of `day` (YYYY-MM-DD) and `stream`."""
    import altair as alt  # noqa: PLC0415 - heavy

    return _bars(
        rows,
        alt.X("utcyearmonthdate(day):T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format="%b %-d, %Y")),
        alt.Y("count()", title="Records", axis=alt.Axis(tickMinStep=1)),
    )


def map_of_vectors(rows: Rows, field: str) -> alt.Chart:
    """Points in the plane: rows of `x`, `y`, `group`, `chunk`, `text`, coloured by the group, which is a `field`."""
    import altair as alt  # noqa: PLC0415 - heavy

    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    points = (
        alt.Chart(_data(rows))
        .mark_circle(size=60, opacity=0.75)
        .encode(
            x=alt.X("x:Q", title=None, axis=axis, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", title=None, axis=axis, scale=alt.Scale(zero=False)),
            color=_colour("group", field),
            tooltip=[
                alt.Tooltip("chunk:N", title="Chunk"),
                alt.Tooltip("group:N", title=field),
                alt.Tooltip("text:N", title="Text"),
            ],
        )
    )
    return _styled(points.properties(height=480).interactive())


def _bars(rows: Rows, x: alt.X, y: alt.Y) -> alt.Chart:
    import altair as alt  # noqa: PLC0415 - heavy

    bars = alt.Chart(_data(rows)).mark_bar().encode(x=x, y=y, color=_colour("stream", None))
    return _styled(bars.properties(height=HEIGHT))


def _data(rows: Rows) -> alt.InlineData:
    """Beside the chart: Altair's own limits are for notebooks."""
    import altair as alt  # noqa: PLC0415 - heavy

    return alt.InlineData(values=[dict(row) for row in rows])


def _colour(field: str, title: str | None) -> alt.Color:
    import altair as alt  # noqa: PLC0415 - heavy

    legend = alt.Legend(orient="top", title=title, labelLimit=160, columns=4)
    return alt.Color(f"{field}:N", scale=alt.Scale(range=list(COLOURS)), legend=legend)


def _styled(chart: alt.Chart) -> alt.Chart:
    quiet = {"labelColor": "#4a5855", "titleColor": "#4a5855", "titleFontWeight": "normal", "labelFontSize": 12}
    styled: alt.Chart = (
        chart.configure_view(stroke=None)
        .configure_axis(**quiet, gridColor="#e6ecea", domainColor="#d3dbd9", tickColor="#d3dbd9", titleFontSize=12)
        .configure_legend(labelColor="#17211f", titleColor="#4a5855", titleFontWeight="normal", labelFontSize=12)
    )
    return styled
