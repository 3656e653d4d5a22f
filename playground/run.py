"""The console command `milvus-playground`: the pages, served by Streamlit."""

from __future__ import annotations

import sys
from pathlib import Path

from streamlit.web import cli

PAGE = Path(__file__).with_name("app.py")


def run() -> None:
    """Serve the pages until the process is stopped; arguments are those of `streamlit run`."""
    sys.argv = ["streamlit", "run", str(PAGE), *sys.argv[1:]]
    cli.main(prog_name="streamlit")
