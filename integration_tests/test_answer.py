"""examples/answer.py on the demo's database: the real `openai` client, and a chat endpoint on loopback.

What succeeds, and what is about processes, is a process of its own; that takes seconds to import its libraries, so that
what is only a sentence is asked of `main` in this one.
"""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.backends import Backend
from devtools.connector import catalog, environment, record, run, stream
from devtools.openai_endpoint import OpenAIEndpoint, serving

PROGRAM = Path(__file__).parents[1] / "examples" / "answer.py"

QUESTION = "My phone was stolen, and the app with the sign-in codes was on it."
TITLE = "You lost the phone with your authenticator app"
URL = "https://support.tallyroost.example/hc/en-us/articles/360051776479-You-lost-the-phone-with-your-authenticator-app"
SAID = "Choose **Try another way** and enter one of your recovery codes [1]."
KEY, MODEL = "PLANTED-KEY", "a-model"


@pytest.fixture
def chat() -> Iterator[OpenAIEndpoint]:
    """A chat model that says the right thing."""
    with serving() as endpoint:
        endpoint.said = SAID
        yield endpoint


@pytest.fixture
def demo(synced: Path, tmp_path: Path) -> Path:
    """A folder as `make demo` leaves it on the first day."""
    shutil.copytree(synced, tmp_path / ".demo" / "milvus.db")
    config = json.loads((synced.parent / "config.json").read_text())
    configure(tmp_path, config, host=".demo/milvus.db")
    return tmp_path


def configure(folder: Path, config: dict[str, Any], **indexing: Any) -> None:
    """The configuration that the program finds without being told."""
    (folder / ".demo").mkdir(exist_ok=True)
    config = {**config, "indexing": {**config["indexing"], **indexing}}
    (folder / ".demo" / "destination.json").write_text(json.dumps(config))


def variables(chat: OpenAIEndpoint | None) -> dict[str, str]:
    """The environment of the program; without a chat endpoint nobody is named to answer."""
    nothing = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "CHAT_MODEL": ""}
    return nothing if chat is None else {"OPENAI_BASE_URL": chat.base_url, "OPENAI_API_KEY": KEY, "CHAT_MODEL": MODEL}


def answer(folder: Path, chat: OpenAIEndpoint, question: str = QUESTION) -> subprocess.CompletedProcess[str]:
    """The program's end."""
    return subprocess.run(
        [sys.executable, PROGRAM, question],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env=environment(**variables(chat)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """`main` in this process, in the folder of the demo."""

    main: Callable[[], None]
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def reason(self, chat: OpenAIEndpoint | None, question: str = QUESTION) -> str:
        """The one sentence of a program without an answer, which would go to standard error."""
        self.patch.setattr(sys, "argv", ["answer.py", question])
        for name, value in variables(chat).items():
            self.patch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            self.main()
        assert self.captured.readouterr().out == ""
        return one_sentence(str(end.value))


@pytest.fixture
def program(demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """Let go of the database afterwards, as a process does by ending."""
    monkeypatch.chdir(demo)
    yield Program(runpy.run_path(str(PROGRAM))["main"], monkeypatch, capsys)
    Backend("lite", str(demo / ".demo" / "milvus.db")).release()


def one_sentence(said: str) -> str:
    """It is one line, and gives nothing away."""
    assert len(said.splitlines()) == 1
    assert KEY not in said
    assert "PLANTED-TEXT" not in said
    return said


def test_an_answer_links_to_the_article_that_it_cites(demo: Path, chat: OpenAIEndpoint) -> None:
    """The model is given the question and the article's text under a number; the number becomes a link."""
    done = answer(demo, chat)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{SAID}\n\n[1] {TITLE}\n    {URL}\n"
    [asked] = chat.chats
    assert asked["model"] == MODEL
    rules, prompt = (message["content"] for message in asked["messages"])
    assert "NOT ANSWERED" in rules
    assert prompt.startswith(f"[1] {TITLE}\n\n")
    assert "you were shown ten recovery codes" in prompt
    assert prompt.endswith(f"\n\nQuestion: {QUESTION}")


def test_nothing_near_is_no_answer_and_costs_nothing(program: Program, chat: OpenAIEndpoint) -> None:
    """A question about something else does not reach the chat model."""
    said = program.reason(chat, question="How do I bake a loaf that is neither flat nor dense?")
    assert said.startswith("No article is near enough to that question")
    assert chat.requests == 0


def test_what_may_be_made_up_is_not_shown(program: Program, chat: OpenAIEndpoint) -> None:
    """No citation, a citation of something else, the word for no answer, silence."""
    for said, sentence in {
        "NOT ANSWERED": f"The nearest articles do not answer it: {TITLE}",
        "Use your recovery codes.": "The answer does not say which articles it rests on, so it is not shown",
        "Use your recovery codes [1, 77].": "The answer does not say which articles it rests on, so it is not shown",
        "": "The answer does not say which articles it rests on, so it is not shown",
    }.items():
        chat.said = said
        assert program.reason(chat).startswith(sentence)


def test_a_chat_endpoint_that_fails_is_one_sentence(program: Program, chat: OpenAIEndpoint) -> None:
    """It names the model, the kind of error and what to look at; the key and what the service said are not repeated."""
    for fault, kind in {
        "revoked": "AuthenticationError",
        "404": "NotFoundError",
        "quota": "RateLimitError",
        "500": "InternalServerError",
        "nothing at all": "APIConnectionError",
        "no completion": "TypeError",
    }.items():
        chat.always = fault
        assert program.reason(chat) == (
            f"{MODEL} gave no answer ({kind}): check OPENAI_API_KEY, OPENAI_BASE_URL, CHAT_MODEL."
        )


def test_what_is_missing_is_named(demo: Path, program: Program, chat: OpenAIEndpoint) -> None:
    """Nobody to answer, no address, no collection, another model, no text, no configuration: each says what to do."""
    assert "set OPENAI_API_KEY, or OPENAI_BASE_URL" in program.reason(None)
    config = json.loads((demo / ".demo" / "destination.json").read_text())
    configure(demo, config, host="other.db")
    assert 'has no collection "zendesk" (indexing.collection): sync into it first' in program.reason(chat)
    assert not (demo / "other.db").exists()
    configure(demo, config, collection="other")
    assert 'has no collection "other"' in program.reason(chat)
    configure(demo, {**config, "embedding": {"mode": "fake"}})
    assert "holds vectors of the model local:all-MiniLM-L6-v2:384" in program.reason(chat)
    configure(demo, {**config, "embedding": {"mode": "from_field", "field_name": "v", "dimensions": 384}})
    assert "a model to embed the question with" in program.reason(chat)
    configure(demo, {**config, "omit_raw_text": True})
    assert "An answer needs texts to read" in program.reason(chat)
    (demo / ".demo" / "destination.json").write_text("{")
    assert "cannot be read as JSON" in program.reason(chat)
    (demo / ".demo" / "destination.json").unlink()
    assert "run `make demo`, or name a configuration with --config" in program.reason(chat)
    assert chat.requests == 0


def test_a_database_that_is_in_use_is_named(demo: Path, chat: OpenAIEndpoint) -> None:
    """Milvus Lite serves one process at a time, and a sync may be running."""
    with Backend("lite", str(demo / ".demo" / "milvus.db")).client():
        done = answer(demo, chat)
    assert (done.returncode, done.stdout) == (1, "")
    assert "serves one process at a time" in one_sentence(done.stderr)


def test_the_question_is_embedded_as_the_collection_was(tmp_path: Path, chat: OpenAIEndpoint) -> None:
    """With a service's model the question goes to that service; drafts and restricted articles are no sources."""
    config = {
        "embedding": chat.embedding(),
        "processing": {"chunk_size": 200, "text_fields": ["body"], "include_field_names": False},
        "indexing": {"host": str(tmp_path / "milvus.db"), "collection": "zendesk", "auth": {"mode": "no_auth"}},
    }
    article = {"title": "Stock", "html_url": "https://help.example/stock", "draft": False, "body": "Count it."}
    lines = [
        record({"id": 1, **article}, name="articles"),
        record({"id": 2, **article, "draft": True}, name="articles"),
        record({"id": 3, **article, "user_segment_id": 7}, name="articles"),
        record({"id": 4, **article, "html_url": "javascript:alert(1)"}, name="articles"),
    ]
    assert run(tmp_path, "write", config, catalog(stream("articles")), lines).exit_code == 0
    configure(tmp_path, config)
    chat.said = "Count it [1]."
    done = answer(tmp_path, chat, question="Count it.")
    assert done.stdout == "Count it [1].\n\n[1] Stock\n    https://help.example/stock\n", done.stderr
    assert chat.texts[-1] == "Count it."
    assert chat.chats[0]["messages"][1]["content"] == "[1] Stock\n\nCount it.\n\n---\n\nQuestion: Count it."
