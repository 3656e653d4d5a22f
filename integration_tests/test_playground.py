"""The playground on a synced demo, in a real browser; and on a server, where there is nothing, and where it goes wrong.

With UPDATE_SCREENSHOTS set, the tests renew the pictures in docs/images.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from destination_milvus.embedding.fake import FakeEmbedder
from destination_milvus.fields import STREAM
from devtools.backends import Backend, make_auto_id_collection
from devtools.connector import catalog, record, state, stream, write
from integration_tests.browser import ROOT, Serve, Served, Visitor, end, launched, serving, windows

PROGRAM = Path(sys.executable).with_name("milvus-playground")
QUESTION = "My phone was stolen, and the app with the sign-in codes was on it"
ANSWER = "articles_360051776479"


class Looker(Visitor):
    """Somebody at the playground."""

    def open(self, served: Served, page: str = "") -> None:
        """Open a page."""
        self.page.goto(f"{served.wait().url}/{page}")
        self.page.get_by_role("heading", level=1).wait_for()
        self.page.locator(".pg-place").wait_for()
        self.settle()

    def ask(self, label: str, text: str) -> None:
        """Fill a field and press Enter."""
        self.page.get_by_label(label, exact=True).fill(text)
        self.page.keyboard.press("Enter")

    def reads(self, words: str) -> str:
        """Wait for words on the page; all of its text."""
        self.page.get_by_text(words).first.wait_for()
        self.settle()
        text: str = self.page.locator(".stMain").inner_text()
        return text


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts playgrounds."""
    yield from serving(PROGRAM, tmp_path_factory)


@pytest.fixture(scope="module")
def playground(serve: Serve, synced_with_words: Path) -> Served:
    """A playground on a copy of the demo with full-text search."""
    served = serve()
    shutil.copytree(synced_with_words, served.database)
    return served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    yield from launched()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Looker]]:
    """Opens browser windows."""
    yield from windows(chromium, Looker, 1100, 900)


def test_the_overview_counts_what_is_there(playground: Served, visit: Callable[..., Looker]) -> None:
    """Records, chunks, streams, model and index are the demo's; both charts are drawn; nothing comes from elsewhere."""
    visitor = visit(height=1130)
    visitor.open(playground)
    text = visitor.sees("How it is searched")
    figures = dict(
        zip(*(visitor.page.locator(f".pg-facts {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True)
    )
    assert figures == {
        "records": "176", "chunks": "248", "streams": "2", "unfinished records": "0", "of vectors": "380 kB",
    }  # fmt: skip
    rows = [row.split() for row in visitor.page.locator(".pg-scroll tbody tr").all_inner_texts()]
    assert rows == [["articles", "40", "112", "2.8", "0", "0"], ["tickets", "136", "136", "1.0", "0", "0"]]
    assert "local:all-MiniLM-L6-v2:384" in text
    assert "384 dimensions, COSINE" in text
    assert "Half of all 248 chunks" in text
    visitor.page.locator("[data-testid=stVegaLiteChart] svg").nth(1).wait_for()
    visitor.page.wait_for_timeout(500)
    visitor.shoot("playground-overview")
    assert visitor.hosts == {"127.0.0.1"}


def test_the_tutorials_query_is_there_and_pages(playground: Served, visit: Callable[..., Looker]) -> None:
    """The rows of tickets, a page at a time, and all of them as CSV; a filter that finds nothing says so."""
    visitor = visit()
    visitor.open(playground, "query")
    visitor.reads("Rows 1 to 20 of 136")
    visitor.page.wait_for_function("document.querySelector('input[aria-label=Filter]')?.value")
    assert visitor.page.get_by_label("Filter").input_value() == '_ab_stream == "tickets"'
    visitor.shoot("playground-query")
    for rows in ("Rows 21 to 40 of 136", "Rows 41 to 60 of 136"):
        visitor.page.get_by_role("button", name="Next").click()
        visitor.reads(rows)
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="CSV of 136 rows").click()
    exported = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert len({row["id"] for row in rows}) == 136
    assert {row[STREAM] for row in rows} == {"tickets"}
    visitor.ask("Filter", 'status == "nowhere"')
    visitor.reads("No row matches")
    visitor.ask("Filter", "id == 10525")
    visitor.reads("Rows 1 to 1 of 1")


@pytest.mark.parametrize("page", ["query", "search"])
def test_a_filter_that_milvus_refuses_is_said_in_its_own_words(
    playground: Served, visit: Callable[..., Looker], page: str
) -> None:
    """No traceback; the filter can be mended."""
    visitor = visit()
    visitor.open(playground, page)
    if page == "search":
        visitor.ask("Question", QUESTION)
        visitor.reads("hits, best first")
    visitor.ask("Filter", "status === new")
    visitor.page.get_by_role("alert").wait_for()
    alert = visitor.page.get_by_role("alert").inner_text()
    assert "Milvus refuses the filter" in alert
    assert "status === new" in alert or "parse" in alert.lower() or "unexpected" in alert.lower()
    assert "Traceback" not in visitor.page.locator(".stMain").inner_text()
    visitor.ask("Filter", 'status == "new"')
    visitor.reads("Rows 1 to" if page == "query" else "hits, best first")


def test_a_search_shows_how_near_and_which_chunk(playground: Served, visit: Callable[..., Looker]) -> None:
    """By meaning, by words, by both with a weight: distances, marked words, and the way to the record."""
    visitor = visit(height=1100)
    visitor.open(playground, "search")
    visitor.ask("Question", QUESTION)
    visitor.reads("10 hits, best first")
    text = visitor.reads("tickets · tickets_10525 · chunk 1 of 1")  # hits are drawn one after the other
    assert "similarity 0.6" in text
    assert "distance 0.3" in text
    assert "phone" in visitor.page.locator("mark").all_inner_texts()
    visitor.shoot("playground-search")
    visitor.page.get_by_text("Words", exact=True).click()
    visitor.reads("BM25 ")
    visitor.ask("Question", "TALLYROOST_KEY")
    visitor.reads("API guide")
    assert visitor.page.locator("mark").first.inner_text() == "TALLYROOST_KEY"
    visitor.page.get_by_text("Both", exact=True).click()
    visitor.reads("fused 0.")
    assert visitor.page.get_by_role("slider").input_value() == "3"
    visitor.page.get_by_role("link", name="The whole record").first.click()
    visitor.sees("Is it complete?")
    assert visitor.page.get_by_label("Record", exact=True).input_value()


def test_a_record_shows_its_chunks_and_why_it_is_found(playground: Served, visit: Callable[..., Looker]) -> None:
    """Chunks with fingerprints side by side; the rank for a question; a filter that leaves it out is named."""
    visitor = visit(height=1400)
    visitor.open(playground, f"record?stream=articles&record={ANSWER}")
    text = visitor.sees("Its 2 chunks")
    assert "its first chunk vouches for 2 chunks by a fingerprint" in text
    assert visitor.page.locator(".pg-chunk").count() == 2
    visitor.ask("Question", "You lost the phone with your authenticator app")
    text = visitor.reads("By meaning its best chunk is the very first hit")
    assert "words of the question stand in it" in text
    assert visitor.page.locator(".pg-chunk mark").count() > 3
    visitor.shoot("playground-record")
    visitor.ask("Filter", '_ab_stream == "tickets"')
    visitor.reads("The filter leaves it out")
    visitor.ask("Record", ANSWER.removeprefix("articles_"))
    visitor.sees("Its 2 chunks")
    visitor.ask("Record", "7")
    visitor.reads("There is no such record")


def test_the_map_places_a_sample(playground: Served, visit: Callable[..., Looker]) -> None:
    """Each chunk has a point that tells its text when hovered over, coloured by a field of choice."""
    visitor = visit(height=950)
    visitor.open(playground, "map")
    text = visitor.reads("of the variance")
    assert "All 248 chunks" in text
    points = visitor.page.locator("[data-testid=stVegaLiteChart] svg .mark-symbol[role=graphics-object] path")
    points.first.wait_for()
    assert points.count() == 248
    points.nth(5).hover(force=True)
    tooltip = visitor.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert "chunk " in tooltip.inner_text()
    visitor.shoot("playground-map")
    visitor.page.get_by_label("Colour by").click()
    visitor.page.get_by_role("option", name="status").click()
    visitor.settle()
    visitor.page.locator("[data-testid=stVegaLiteChart] svg").get_by_text("solved", exact=True).wait_for()


def test_the_keyboard_is_enough(playground: Served, visit: Callable[..., Looker]) -> None:
    """From page to page and to a search with Tab, Enter and letters; where the focus is can be seen."""
    visitor = visit()
    visitor.open(playground)
    visitor.tab_to('a[href$="search"]')
    assert visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    visitor.page.keyboard.press("Enter")
    visitor.sees("Search")
    visitor.tab_to("input[type=text]")
    visitor.page.keyboard.type(QUESTION)
    visitor.page.keyboard.press("Enter")
    visitor.reads("hits, best first")


def test_a_phone_is_wide_enough(playground: Served, visit: Callable[..., Looker]) -> None:
    """Nothing sticks out at 390 pixels, on any page."""
    visitor = visit(390, 800, has_touch=True, is_mobile=True)
    for page in ("", "query", f"record?stream=articles&record={ANSWER}", "map"):
        visitor.open(playground, page)
        assert visitor.is_as_wide_as_the_window(), page
    visitor.open(playground, "search")
    visitor.ask("Question", QUESTION)
    visitor.reads("hits, best first")
    visitor.shoot("playground-phone")
    visitor.ask("Question", "W" * 300)
    visitor.page.wait_for_timeout(1000)
    visitor.settle()
    assert visitor.is_as_wide_as_the_window()


def test_another_model_stops_the_search_alone(serve: Serve, synced: Path, visit: Callable[..., Looker]) -> None:
    """The sentence names both models and the variable; what needs no vector of a question is shown."""
    served, visitor = serve(EMBEDDING_MODEL="text-embedding-3-small", OPENAI_API_KEY="sk-none"), visit()
    shutil.copytree(synced, served.database)
    visitor.open(served)
    visitor.sees("How it is searched")
    # the question must not reach anybody: the model is compared before it is embedded
    visitor.open(served, "search")
    visitor.ask("Question", QUESTION)
    visitor.page.get_by_role("alert").wait_for()
    alert = visitor.page.get_by_role("alert").inner_text()
    assert "The collection is of another model" in alert
    assert "local:all-MiniLM-L6-v2:384" in alert
    assert "EMBEDDING_MODEL" in alert
    assert "sk-none" not in alert
    end(served.process)


def test_what_cannot_be_opened_is_said_in_a_sentence(serve: Serve, synced: Path, visit: Callable[..., Looker]) -> None:
    """A server that is down, a demo that has not run, a sync at the same time; after it, Try again is enough."""
    down, missing, visitor = serve(MILVUS_URL="http://127.0.0.1:9"), serve(), visit()
    visitor.page.goto(down.wait().url)
    visitor.reads("There is no answer")
    assert "check MILVUS_URL" in visitor.page.get_by_role("alert").inner_text()
    end(down.process)
    visitor.page.goto(missing.wait().url)
    visitor.reads("There is nothing to look at yet")
    assert "make demo" in visitor.page.get_by_role("alert").inner_text()
    assert not missing.database.exists()
    shutil.copytree(synced, missing.database)
    holder = _holder(missing.database)
    try:
        visitor.page.get_by_role("button", name="Try again").click()
        visitor.reads("The collection is in use")
    finally:
        end(holder)
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.sees("How it is searched")
    end(missing.process)


def _holder(database: Path) -> subprocess.Popen[str]:
    program = (
        "import sys, time; from pymilvus import MilvusClient\n"
        "client = MilvusClient(sys.argv[1]); print('held', flush=True); time.sleep(120)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(database)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
    return holder


def test_an_empty_collection_and_one_of_another_making(
    backend: Backend, collection: str, serve: Serve, visit: Callable[..., Looker]
) -> None:
    """On Milvus Lite and a server: no rows is no fault, and rows without the connector's fields are shown."""
    make_auto_id_collection(backend, collection, FakeEmbedder().dimensions)
    served, visitor = serve(MILVUS_URL=backend.host, MILVUS_COLLECTION=collection), visit()
    visitor.open(served)
    visitor.reads("The collection is empty")
    for page in ("query", "search", "record", "map"):
        visitor.open(served, page)
        visitor.reads("The collection is empty")
    texts = ["one", "two", "three"]
    vectors = FakeEmbedder().embed(texts)
    with backend.client() as client:
        client.insert(collection, [{"text": t, "vector": v} for t, v in zip(texts, vectors, strict=True)], timeout=60)
    visitor.open(served)
    visitor.reads("The collection has no streams")
    visitor.open(served, "query")
    visitor.reads("Rows 1 to 3 of 3")
    visitor.open(served, "map")
    visitor.reads("All 3 chunks")
    visitor.open(served, "record")
    visitor.reads("The collection has no streams")
    end(served.process)


@pytest.mark.server
def test_on_a_server(milvus_server: Any, serve: Serve, visit: Callable[..., Looker]) -> None:
    """What a sync wrote into a server is counted, queried, searched and mapped."""
    backend = Backend("server", milvus_server.uri)
    conf = {**json.loads((ROOT / "examples" / "milvus_lite_local.json").read_text())}
    conf["indexing"] = {"host": backend.host, "auth": dict(backend.auth), "collection": backend.make_collection_name()}
    tickets = [{"id": number, "subject": f"Printer {number}", "description": "It is on fire."} for number in range(30)]
    write(conf, catalog(stream("tickets", "append_dedup", primary_key=[["id"]])), [*map(record, tickets), state(1)])
    served = serve(MILVUS_URL=backend.host, MILVUS_COLLECTION=conf["indexing"]["collection"])
    visitor = visit()
    visitor.open(served)
    assert "30" in visitor.sees("How it is searched")
    visitor.open(served, "query")
    visitor.reads("Rows 1 to 20 of 30")
    visitor.ask("Filter", "status === new")
    visitor.reads("Milvus refuses the filter")
    visitor.open(served, "search")
    visitor.ask("Question", "burning printer")
    assert "similarity" in visitor.reads("10 hits, best first")
    visitor.open(served, "map")
    visitor.reads("All 30 chunks")
    end(served.process)
    backend.drop()


def test_nothing_in_it_writes() -> None:
    """No page has more of Milvus than a reader, and the reader calls nothing that changes anything."""
    for path in [*ROOT.glob("playground/**/*.py")]:
        text = path.read_text()
        assert "pymilvus" not in text
        assert "write_stream" not in text
        assert "milvus.connection" not in text
    reading = (ROOT / "destination_milvus" / "milvus" / "reader.py").read_text()
    assert not [call for call in ("insert(", "upsert(", "delete(", "drop_", "create_", "alter_") if call in reading]
