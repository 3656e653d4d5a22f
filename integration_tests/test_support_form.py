"""The support form on a synced demo: its desk against Milvus Lite, and the whole of it in a real browser.

The source stub is synced once into a database, as the demo does; every test works on a copy. With UPDATE_SCREENSHOTS
set, the browser tests renew the pictures in docs/images.
"""

from __future__ import annotations

import html
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.testing.v1 import AppTest

from destination_milvus.config.embedding import MINILM
from devtools.backends import Backend
from devtools.connector import catalog, entities, record, stream, write
from integration_tests.browser import Serve, Served, Visitor, end, free_port, launched, serving, windows
from support_form.customers import DEMO_CUSTOMERS
from support_form.desk import AlreadyOpen, Case, Desk, DeskClosed, Received, draw_number
from support_form.run import PAGE
from support_form.settings import read_settings

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PROGRAMS = Path(sys.executable).parent

NOOR, TOMAS, ADA = DEMO_CUSTOMERS
"""Two colleagues of Noor's, and somebody at each of two other organizations, have a new ticket about a lost
authenticator; nobody at Ada's has."""

SUBJECT = "Phone stolen, no code for the second step"
PROBLEM = (
    "My mobile was stolen on the train. I know my password, but I can't get past the page that wants the number from "
    "the app on it."
)
HELP = "You lost the phone with your authenticator app"
OF_OTHERS = ("#10527", "#10528")

NEAR = 0.844
"""Squared L2 distance, as the model gives it, of the two tellings in the test of metrics."""

OFF_TOPIC = Case(0, ADA, "Sourdough", "How do I bake a loaf that is neither flat nor dense?")


# --- the data ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(synced: Path, tmp_path: Path) -> Path:
    """A copy of its own for a test."""
    return Path(shutil.copytree(synced, tmp_path / "milvus.db"))


def desk(database: Path, **environment: str) -> Desk:
    return Desk(read_settings({"MILVUS_URL": str(database), "EMBEDDING_MODEL": MINILM, **environment}))


def case(customer: Any = NOOR, subject: str = SUBJECT, description: str = PROBLEM) -> Case:
    return Case(draw_number(), customer, subject, description)


def tickets(database: Path, **values: Any) -> list[dict[str, Any]]:
    """The rows of tickets with these values."""
    rows = entities(Backend("lite", str(database)), "zendesk")
    return [row for row in rows if row["_ab_stream"] == "tickets" and values.items() <= row.items()]


# --- the desk ---------------------------------------------------------------------------------------------------------


def test_a_colleagues_open_ticket_is_found_and_nothing_is_stored(database: Path) -> None:
    """Other words, same problem, same organization: its ticket comes back, and no second one is made."""
    outcome = desk(database).submit(case())
    assert isinstance(outcome, AlreadyOpen)
    assert (outcome.tickets[0].number, outcome.tickets[0].subject) == (10525, "New phone, six-digit codes gone")
    assert tickets(database, description=PROBLEM) == []


def test_a_new_case_is_stored_as_the_connector_stores_tickets(database: Path) -> None:
    """The row has its system fields, the next search finds it at once, and the article that helps is first."""
    support, reported = desk(database), case(ADA)
    outcome = support.submit(reported)
    assert isinstance(outcome, Received)
    assert outcome.articles[0].title == HELP
    [row] = tickets(database, description=PROBLEM)
    assert (row["id"], row["status"], row["organization_id"]) == (outcome.number, "new", ADA.organization_id)
    assert (row["_ab_record_id"], row["_ab_chunk"], row["_ab_chunks"]) == (f"tickets_{outcome.number}", 0, 1)
    assert len(row["_ab_fingerprint"]) == 32
    assert row["text"].startswith(SUBJECT)
    again = support.submit(case(ADA, "Codes gone", "Somebody took my phone, and the app with the code is on it."))
    assert isinstance(again, AlreadyOpen)
    assert again.tickets[0].number == outcome.number


def test_a_case_that_is_sent_twice_is_one_ticket(database: Path) -> None:
    """An answer that got lost: the same case again does not find itself, and is stored once."""
    support, reported = desk(database), case(ADA)
    first, second = support.submit(reported), support.submit(reported)
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert first.number == second.number == reported.number
    assert len(tickets(database, description=PROBLEM)) == 1


def test_a_number_that_is_taken_is_not_taken_away(database: Path) -> None:
    """Should the drawn number belong to another ticket, that one stays and the case gets another number."""
    [before] = tickets(database, id=10525)
    outcome = desk(database).submit(Case(10525, ADA, SUBJECT, PROBLEM))
    assert isinstance(outcome, Received)
    assert outcome.number != 10525
    assert tickets(database, id=10525) == [before]


def test_a_customer_may_say_that_it_is_different(database: Path) -> None:
    """Then the case is stored though a ticket is near."""
    outcome = desk(database).submit(case(), is_different=True)
    assert isinstance(outcome, Received)
    assert len(tickets(database, id=outcome.number)) == 1


@pytest.mark.parametrize(
    "words",
    [
        f'" or organization_id == {NOOR.organization_id} or "',
        '") or (id > 0) or ("" == "',
        "\\",
        '\'; status in ["new"] //',
    ],
)
def test_no_field_reaches_into_another_organization(database: Path, words: str) -> None:
    """Filter syntax in subject and description is text: the organization without such a ticket is shown none."""
    outcome = desk(database).submit(case(ADA, f"{SUBJECT} {words}", f"{PROBLEM} {words}"))
    assert isinstance(outcome, Received)


def test_a_closed_ticket_is_no_duplicate(database: Path) -> None:
    """What was solved or closed may have come back: it is a new case."""
    solved = next(row for row in tickets(database, organization_id=ADA.organization_id) if row["status"] == "closed")
    outcome = desk(database).submit(case(ADA, solved["subject"], solved["description"]))
    assert solved["id"] not in [known.number for known in getattr(outcome, "tickets", ())]


def test_what_nobody_wrote_about_gets_no_article(database: Path) -> None:
    """Nothing near: the case is taken in, and no link is guessed."""
    outcome = desk(database).submit(OFF_TOPIC)
    assert isinstance(outcome, Received)
    assert outcome.articles == ()


def test_thresholds_come_from_the_environment(database: Path) -> None:
    """At 0 nothing is a duplicate; at 4 every article helps."""
    outcome = desk(database, DUPLICATE_DISTANCE="0", ARTICLE_DISTANCE="4").submit(case())
    assert isinstance(outcome, Received)
    assert len(outcome.articles) == 5


def test_the_database_is_free_between_visits(database: Path) -> None:
    """A sync in another process can have Milvus Lite while the form is open."""
    desk(database).require_open()
    assert _run_holder(database, seconds=0).wait(60) == 0


def test_a_sync_at_the_same_time_is_said(database: Path) -> None:
    """Milvus Lite in another process: the sentence tells of the sync, and the case goes through after it."""
    support, holder = desk(database), _run_holder(database, seconds=60)
    try:
        with pytest.raises(DeskClosed) as closed:
            support.submit(case())
    finally:
        end(holder)
    assert closed.value.headline == "Our records are being updated"
    assert "one process at a time" in closed.value.detail
    assert isinstance(support.submit(case()), AlreadyOpen)


def _run_holder(database: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that holds a Milvus Lite database; returned once it does."""
    program = (
        "import sys, time; from pymilvus import MilvusClient\n"
        "client = MilvusClient(sys.argv[1]); print('held', flush=True); time.sleep(float(sys.argv[2])); client.close()"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(database), str(seconds)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
    return holder


def test_another_model_is_refused(database: Path) -> None:
    """Vectors of two models cannot be compared: the sentence names both, and the variable to set."""
    wrong = Desk(read_settings({"MILVUS_URL": str(database), "OPENAI_API_KEY": "sk-none"}))
    with pytest.raises(DeskClosed) as closed:
        wrong.require_open()
    assert "local:all-MiniLM-L6-v2:384" in closed.value.detail
    assert "openai:text-embedding-3-small:1536" in closed.value.detail
    assert "EMBEDDING_MODEL" in closed.value.detail
    assert "sk-none" not in closed.value.detail


def test_a_database_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    """The demo has not run: the sentence says so, and no empty database is left behind."""
    with pytest.raises(DeskClosed, match="nothing to search yet") as closed:
        desk(tmp_path / ".demo" / "milvus.db").require_open()
    assert "make demo" in closed.value.detail
    assert not (tmp_path / ".demo").exists()


def test_a_collection_that_is_not_there_is_said(database: Path) -> None:
    """A wrong name finds nothing, and makes nothing."""
    with pytest.raises(DeskClosed, match="nothing to search yet"):
        desk(database, MILVUS_COLLECTION="other").require_open()


def test_a_server_that_is_down_is_said_in_the_forms_words() -> None:
    """Nobody listens: the sentence names the address and the variable, within seconds."""
    started = time.monotonic()
    with pytest.raises(DeskClosed) as closed:
        desk(Path(), MILVUS_URL=f"http://127.0.0.1:{free_port()}").require_open()
    assert time.monotonic() - started < 30
    assert closed.value.headline == "We cannot reach our records right now"
    assert "MILVUS_URL" in closed.value.detail
    assert "indexing." not in closed.value.detail


@pytest.mark.parametrize("metric", ["L2", "IP"])
def test_thresholds_mean_the_same_with_every_metric(backend: Backend, collection: str, metric: str) -> None:
    """On Milvus Lite and on a server: L2 grows where IP and COSINE fall, and the distance shown is one and the same."""
    conf = {**json.loads((EXAMPLES / "milvus_lite_local.json").read_text())}
    conf["indexing"] = {"host": backend.host, "auth": backend.auth, "collection": collection, "metric_type": metric}
    told = {"description": "The app with the codes was on the phone that I sold.", "subject": "Codes gone"}
    ours = {"id": 1, "status": "open", "organization_id": NOOR.organization_id, **told}
    lines = [
        record(data) for data in (ours, {**ours, "id": 2, "status": "solved"}, {**ours, "id": 3, "organization_id": 5})
    ]
    page = {"id": 9, "title": HELP, "body": f"<p>{PROBLEM}</p>", "html_url": "https://help.example/9"}
    write(conf, catalog(stream("tickets"), stream("articles")), [*lines, record(page, "articles")])
    support = desk(Path(), MILVUS_URL=backend.host, MILVUS_COLLECTION=collection)

    near = support.submit(case())
    assert isinstance(near, AlreadyOpen)
    assert [(known.number, known.subject) for known in near.tickets] == [(1, "Codes gone")]
    assert near.tickets[0].distance == pytest.approx(NEAR, abs=0.01)
    new = support.submit(case(ADA))
    assert isinstance(new, Received)
    assert [article.url for article in new.articles] == ["https://help.example/9"]
    again = support.submit(case(ADA, "Phone gone"))
    assert isinstance(again, AlreadyOpen)
    assert [known.number for known in again.tickets] == [new.number]


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts forms."""
    yield from serving(PROGRAMS / "milvus-support-form", tmp_path_factory)


@pytest.fixture(scope="module")
def form(serve: Serve) -> Served:
    """A form, at first without the database that it is to open."""
    return serve()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser."""
    yield from launched()


class Writer(Visitor):
    """Somebody at the form."""

    def sign_in(self, url: str, customer: Any) -> None:
        """Open the form and choose an account."""
        self.page.goto(url)
        self.page.get_by_role("heading", name="Sign in").wait_for()
        self.page.get_by_text(customer.name).click()
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_role("heading", name="How can we help?").wait_for()

    def write(self, subject: str = SUBJECT, description: str = PROBLEM) -> None:
        """Fill the form."""
        self.page.get_by_label("Subject").fill(subject)
        self.page.get_by_label("Description").fill(description)

    def send(self) -> None:
        """Submit the form."""
        self.page.get_by_role("button", name="Send", exact=True).click()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Writer]]:
    """Opens browser windows."""
    yield from windows(chromium, Writer)


@pytest.mark.parametrize(
    ("environment", "headline", "words"),
    [
        ({}, "This form is not set up completely", "OPENAI_API_KEY is not set"),
        ({"OPENAI_API_KEY": "sk-none"}, "This form and its records do not fit together", "EMBEDDING_MODEL"),
        ({"DUPLICATE_DISTANCE": "near"}, "This form is not set up completely", "DUPLICATE_DISTANCE must be a number"),
    ],
)
def test_a_form_that_is_set_up_wrongly_says_why(
    database: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], headline: str, words: str
) -> None:
    """Key missing, wrong model, a value that cannot be: a page with a sentence that names the variable."""
    for name, value in {"MILVUS_URL": str(database), "OPENAI_API_KEY": "", **environment}.items():
        monkeypatch.setenv(name, value)
    streamlit.cache_resource.clear()
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not page.exception
    assert [title.value for title in page.title] == ["Support is not available"]
    text = "".join(element.proto.body for element in page.get("html"))
    assert headline in text
    assert words in text
    assert [button.label for button in page.button] == ["Try again"]


def test_outside_a_checkout_the_page_says_where_it_looked_for_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed anywhere and started without a variable: it says where the demo's data would be, and what to do."""
    for name in list(os.environ):
        if name.startswith(("MILVUS", "OPENAI", "EMBEDDING")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    streamlit.cache_resource.clear()
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    text = html.unescape("".join(element.proto.body for element in page.get("html")))
    assert f'Milvus Lite ({tmp_path}/.demo/milvus.db) has no collection "zendesk"' in text
    assert "Run `make demo` in a checkout of destination-milvus and start the form there, or set MILVUS_URL" in text
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_said_on_the_page(serve: Serve, form: Served, visit: Callable[..., Writer]) -> None:
    """A sentence, not a traceback, and before anybody has written a case in vain."""
    closed, visitor = serve(MILVUS_URL="http://127.0.0.1:9").wait(), visit()
    form.wait()  # it starts at the same time
    visitor.page.goto(closed.url)
    text = visitor.sees("Support is not available")
    alert = visitor.page.get_by_role("alert").inner_text()
    assert "We cannot reach our records right now" in alert
    assert "check MILVUS_URL" in alert
    assert "Traceback" not in text
    visitor.shoot("support-form-down")
    end(closed.process)


@pytest.fixture(scope="module")
def open_form(form: Served, synced: Path) -> Served:
    """A form on a copy of the demo."""
    if not form.database.exists():
        shutil.copytree(synced, form.database)
    return form.wait()


def test_what_was_not_there_is_found_after_a_sync(form: Served, synced: Path, visit: Callable[..., Writer]) -> None:
    """The demo has not run: the page says so, and Try again is enough once it has."""
    visitor = visit()
    visitor.page.goto(form.wait().url)
    visitor.sees("Support is not available")
    assert "make demo" in visitor.page.get_by_role("alert").inner_text()
    shutil.copytree(synced, form.database)
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.sees("Sign in")


def test_a_duplicate_is_shown_with_subject_and_number(open_form: Served, visit: Callable[..., Writer]) -> None:
    """The customer sees the colleague's ticket; nothing of others, and no second ticket is made."""
    visitor = visit()
    visitor.sign_in(open_form.url, NOOR)
    visitor.write()
    visitor.shoot("support-form")
    visitor.send()
    text = visitor.sees("We are on it already")
    assert "#10525" in text
    assert "New phone, six-digit codes gone" in text
    assert not any(number in text for number in OF_OTHERS)
    visitor.shoot("support-form-duplicate")
    assert tickets(open_form.database, description=PROBLEM) == []


def test_another_organization_gets_articles_and_not_our_tickets(
    open_form: Served, visit: Callable[..., Writer]
) -> None:
    """The same words from somebody else: a receipt and the article that helps, and the next search finds the ticket."""
    visitor = visit()
    visitor.sign_in(open_form.url, ADA)
    visitor.write()
    visitor.send()
    text = visitor.sees("We have your case")
    assert not any(number in text for number in ("#10525", "#10526", *OF_OTHERS))
    link = visitor.page.get_by_role("link", name=HELP)
    assert link.get_attribute("href").startswith("https://support.tallyroost.example/hc/en-us/articles/")
    number = visitor.page.locator("dd.sf-number").inner_text()
    visitor.shoot("support-form-articles")
    [row] = tickets(open_form.database, description=PROBLEM)
    assert (f"#{row['id']}", row["organization_id"]) == (number, ADA.organization_id)

    colleague = visit()
    colleague.sign_in(open_form.url, ADA)
    colleague.write("Codes gone", "My mobile was stolen and I can't get past the page that wants the number from it.")
    colleague.send()
    assert number in colleague.sees("We are on it already")


def test_a_double_click_makes_one_ticket(open_form: Served, visit: Callable[..., Writer]) -> None:
    """Two clicks in a row are one case, also where the customer insists that it is a new one."""
    visitor, words = visit(), "The lid of the coffee machine in the site cabin is broken."
    visitor.sign_in(open_form.url, TOMAS)
    visitor.write("Coffee machine", words)
    visitor.page.get_by_role("button", name="Send", exact=True).dblclick()
    text = visitor.sees("We have your case")
    assert "no help article" in text
    visitor.page.get_by_role("button", name="Report something else").click()
    visitor.sees("How can we help?")
    assert visitor.page.get_by_label("Subject").input_value() == ""
    visitor.write("Coffee machine, too", words)
    visitor.send()
    visitor.sees("We are on it already")
    visitor.page.get_by_role("button", name="This is a different problem").dblclick()
    visitor.sees("We have your case")
    assert [row["subject"] for row in tickets(open_form.database, description=words)] in (
        ["Coffee machine", "Coffee machine, too"],
        ["Coffee machine, too", "Coffee machine"],
    )


def test_a_sync_at_the_same_time_costs_no_text(open_form: Served, visit: Callable[..., Writer]) -> None:
    """The database is taken when the customer sends: the page says so and keeps the words, and sending again works."""
    visitor = visit()
    visitor.sign_in(open_form.url, NOOR)
    visitor.write()
    holder = _run_holder(open_form.database, seconds=60)
    try:
        visitor.send()
        visitor.page.get_by_role("alert").wait_for()
        assert "Our records are being updated" in visitor.page.get_by_role("alert").inner_text()
    finally:
        end(holder)
    assert visitor.page.get_by_label("Description").input_value() == PROBLEM
    visitor.send()
    visitor.sees("We are on it already")


def test_the_keyboard_is_enough(open_form: Served, visit: Callable[..., Writer]) -> None:
    """Sign in, write and send with Tab, arrows, Space and Enter; where the focus is can be seen."""
    visitor = visit()
    keys = visitor.page.keyboard
    visitor.page.goto(open_form.url)
    visitor.sees("Sign in")
    visitor.tab_to("input[type=radio]")
    keys.press("ArrowDown")
    visitor.tab_to("button")
    assert visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Enter")
    assert TOMAS.organization in visitor.sees("How can we help?")
    visitor.tab_to("input[type=text]")
    keys.type("A")
    visitor.tab_to("button")
    keys.press("Enter")
    visitor.page.get_by_role("alert").wait_for()
    assert "Write a description" in visitor.page.get_by_role("alert").inner_text()
    assert visitor.page.get_by_label("Subject").input_value() == "A"


def test_a_phone_is_wide_enough(open_form: Served, visit: Callable[..., Writer]) -> None:
    """Nothing sticks out at 390 pixels, and what is to be pressed fills the width."""
    visitor = visit(390, 760, has_touch=True, is_mobile=True)
    visitor.sign_in(open_form.url, NOOR)
    assert visitor.is_as_wide_as_the_window()
    visitor.write(SUBJECT, f"{PROBLEM} {'W' * 200}")
    visitor.send()
    visitor.page.get_by_role("heading", name="We ").wait_for()
    assert visitor.is_as_wide_as_the_window()
    visitor.page.get_by_role("button", name="Report something else").click()
    visitor.sees("How can we help?")
    visitor.write()
    visitor.send()
    visitor.sees("We are on it already")
    assert visitor.is_as_wide_as_the_window()
    assert visitor.page.get_by_role("button", name="Report something else").bounding_box()["width"] > 300
    visitor.shoot("support-form-phone")


def test_everything_comes_from_the_form_itself(open_form: Served, visit: Callable[..., Writer]) -> None:
    """No font, script or count of visitors is fetched from elsewhere."""
    visitor = visit()
    visitor.sign_in(open_form.url, NOOR)
    assert visitor.hosts == {"127.0.0.1"}
