"""`convert.py CONVERTER LIST FOLDER`: convert the pages named in LIST, a file a page, and print what it cost as JSON.

A program of its own, because most converters live in an environment of their own.
"""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

Convert = Callable[[str], str]


def _destination() -> Convert:
    from destination_milvus.documents.html import markdown  # noqa: PLC0415 - each in its environment

    return markdown


def _html2text() -> Convert:
    import html2text  # noqa: PLC0415 - as above

    def convert(html: str) -> str:
        converter = html2text.HTML2Text(bodywidth=0)
        converter.pad_tables = False
        return converter.handle(html)

    return convert


def _markdownify() -> Convert:
    from markdownify import markdownify  # noqa: PLC0415 - as above

    return lambda html: markdownify(html, heading_style="ATX", strip=["script", "style", "head"])


def _markitdown() -> Convert:
    from markitdown import MarkItDown, StreamInfo  # noqa: PLC0415 - as above

    converter = MarkItDown()
    info = StreamInfo(extension=".html", mimetype="text/html", charset="utf-8")
    return lambda html: converter.convert_stream(io.BytesIO(html.encode()), stream_info=info).markdown


def _trafilatura() -> Convert:
    import trafilatura  # noqa: PLC0415 - as above

    def convert(html: str) -> str:
        found = trafilatura.extract(
            html, output_format="markdown", include_links=True, include_tables=True, favor_recall=True
        )
        if found is None:
            raise ValueError("nothing extracted")
        return found

    return convert


CONVERTERS = {
    "destination": _destination,
    "html2text": _html2text,
    "markdownify": _markdownify,
    "markitdown": _markitdown,
    "trafilatura": _trafilatura,
}


def main(name: str, pages: Path, folder: Path) -> None:
    """Convert all pages; a page that fails leaves no file."""
    convert = CONVERTERS[name]()
    seconds, failures = 0.0, []
    for number, path in enumerate(pages.read_text().splitlines()):
        html = Path(path).read_text(errors="replace")
        started = time.process_time()
        try:
            converted = convert(html)
        except Exception:  # noqa: BLE001 - whatever it is, it is counted
            failures.append(f"{path}: {traceback.format_exc(limit=-1)}")
            continue
        finally:
            seconds += time.process_time() - started
        (folder / f"{number}.md").write_text(converted)
    print(json.dumps({"seconds": seconds, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
