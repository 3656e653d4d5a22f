"""The pages, which `milvus-playground` serves.

Streamlit runs this file from top to bottom whenever a visitor does something.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from destination_milvus.errors import DestinationError
from playground import markup
from playground.source import Source, Trouble, trouble_of
from playground.views import map_page, overview_page, query_page, record_page, search_page

logger = logging.getLogger("playground")

ICON = str(Path(__file__).with_name("icon.svg"))

Page = Callable[[Source], None]


@st.cache_resource(show_spinner=False)
def _source() -> Source:
    return Source(os.environ)


def main() -> None:
    """Draw the page that the visitor is on."""
    logging.getLogger("airbyte").setLevel(logging.WARNING)
    st.set_page_config(page_title="Milvus playground", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
    st.html(f"<style>{markup.STYLE}</style>")
    pages = [
        st.Page(_guarded(overview_page.draw), title="Overview", url_path="overview", default=True),
        st.Page(_guarded(query_page.draw), title="Query", url_path="query"),
        st.Page(_guarded(search_page.draw), title="Search", url_path="search"),
        st.Page(_guarded(record_page.draw), title="Record", url_path="record"),
        st.Page(_guarded(map_page.draw), title="Map", url_path="map"),
    ]
    chosen = st.navigation(pages, position="hidden")
    # Streamlit's own bar folds away on a phone
    with st.container(horizontal=True, key="pages", gap="small"):
        for page in pages:
            st.page_link(page)
    chosen.run()


def _guarded(page: Page) -> Callable[[], None]:
    """A page that says what is wrong, where it cannot show what it is for."""

    def run() -> None:
        try:
            source = _source()
            st.html(markup.place(source.collection, source.place))
            page(source)
        except DestinationError as error:
            _show(trouble_of(error))
        except Exception:
            logger.exception("The page failed.")
            _show(Trouble("Something went wrong here", "This is a bug; the log of the playground says more."))

    return run


def _show(trouble: Trouble) -> None:
    st.html(markup.trouble(trouble.headline, trouble.detail))
    st.button("Try again", type="primary")


if __name__ == "__main__":
    main()
