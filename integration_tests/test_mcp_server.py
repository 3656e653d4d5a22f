"""examples/mcp_server.py, driven by the official client over stdio: what an agent can do, and what it cannot."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from devtools.backends import Backend, config
from devtools.connector import catalog, environment, record, stream, write

PROGRAM = Path(__file__).parents[1] / "examples" / "mcp_server.py"
HIDDEN = "PLANTED-TEXT"
HOSTILE = 'x" or 1 == 1 or "'
FILTER = '_ab_stream in ["articles", "x\\" or 1 == 1 or \\""] and audience == "all"'
LONG = "\n\n".join(f"Paragraph {number}: " + "count the stock and write it down. " * 12 for number in range(12))

ARTICLES = [
    {"id": 1, "title": "Stock", "body": LONG, "html_url": "https://help.example/1", "audience": "all"},
    {"id": 2, "title": HIDDEN, "body": HIDDEN, "html_url": "https://help.example/2", "audience": "staff"},
    {"id": 3, "title": "No page", "body": "Nowhere.", "html_url": "javascript:alert(1)", "audience": "all"},
]
TICKETS = [{"id": 4, "title": HIDDEN, "body": f"{HIDDEN} stock", "audience": "all"}]
ODD = [{"id": HOSTILE, "title": "Odd", "body": "A name with quotes.", "audience": "all", "tags": ["a", "b"]}]


@pytest.fixture
def configured(backend: Backend, tmp_path: Path) -> Path:
    """The configuration of a collection with articles, tickets, and a stream whose name and key are hostile."""
    raw: dict[str, Any] = config(backend, processing={"chunk_size": 100, "text_fields": ["body"]})
    streams = {"articles": ARTICLES, "tickets": TICKETS, HOSTILE: ODD}
    lines = [record(each, name=name) for name, records in streams.items() for each in records]
    write(raw, catalog(*map(stream, streams)), lines)
    backend.release()
    (tmp_path / "config.json").write_text(json.dumps(raw))
    return tmp_path / "config.json"


class Agent:
    """Calls tools, and reads what comes."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> Any:
        """The tool's result; the sentence of its error."""
        answer = await self.client.call_tool(tool, arguments)
        if answer.is_error:
            return "".join(getattr(part, "text", "") for part in answer.content)
        assert HIDDEN not in answer.model_dump_json()
        content = answer.structured_content
        assert content is not None
        return content.get("result", content)


def served(configured: Path, visit: Callable[[Agent], Awaitable[None]], *arguments: str) -> None:
    """Start the server as an agent's program does, and visit it."""
    parameters = StdioServerParameters(
        command=sys.executable, args=[str(PROGRAM), "--config", str(configured), *arguments], env=environment()
    )

    async def visited() -> None:
        async with Client(parameters, read_timeout_seconds=120) as client:
            await visit(Agent(client))

    asyncio.run(visited())


def test_an_agent_finds_reads_and_cites_and_never_leaves_the_filter(configured: Path) -> None:
    """What the filter hides is neither found, nor read by its id, nor listed, whatever the arguments are."""

    async def visit(agent: Agent) -> None:
        listed = (await agent.client.list_tools()).tools
        assert [tool.name for tool in listed] == ["search", "read_record", "list_streams"]
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed)

        streams = {each["stream"]: each for each in await agent.call("list_streams")}
        assert sorted(streams) == ["articles", HOSTILE]
        assert streams["articles"]["fields"] == ["audience", "body", "html_url", "id", "title"]

        found = await agent.call("search", question="Count the stock", limit=20)
        assert sorted(each["record_id"] for each in found) == ["articles_1", "articles_3", f"{HOSTILE}_{HOSTILE}"]
        links = {each["record_id"]: each["link"] for each in found}
        assert links["articles_1"] == "https://help.example/1"
        assert links["articles_3"] is None

        whole = await agent.call("read_record", stream="articles", record_id="articles_1")
        assert (whole["link"], whole["complete"]) == ("https://help.example/1", True)
        assert whole["fields"]["title"] == "Stock"
        assert len(whole["chunks"]) == streams["articles"]["chunks"] - 1
        assert [f"Paragraph {number}:" in "".join(whole["chunks"]) for number in range(12)] == [True] * 12

        odd = await agent.call("read_record", stream=HOSTILE, record_id=f"{HOSTILE}_{HOSTILE}")
        assert odd["fields"]["tags"] == ["a", "b"]
        one = await agent.call("search", question="anything", stream=HOSTILE, limit=20)
        assert [each["stream"] for each in one] == [HOSTILE]

        for stream_, record_id in (
            ("articles", "articles_2"), ("tickets", "tickets_4"), ("articles", "articles_99"),
            ('articles" or audience == "staff', "articles_2"), ('articles") or (1 == 1', "articles_2"),
            ("articles", '"] or audience in ["staff'), ("articles", 'articles_2"]) or (_ab_record_id in ["articles_2'),
            ("articles\\", 'or audience == "staff" or _ab_stream == "'), ("", ""), ("articles\x00", "articles_2"),
        ):  # fmt: skip
            assert "There is no such record." in await agent.call("read_record", stream=stream_, record_id=record_id)
        for name in ("tickets", 'articles" or audience == "staff', "articles\\", 'x") or ("1" == "1', "%", ""):
            assert await agent.call("search", question=HIDDEN, stream=name, limit=20) == []
        for refused in ({"question": ""}, {"question": "x", "limit": 1_000_000}, {"question": "x" * 10_000}, {}):
            assert "validation error" in await agent.call("search", **refused)
        more = await agent.call("search", question="stock", filter="1 == 1", config="other.json", limit=20)
        assert {each["stream"] for each in more} == {"articles", HOSTILE}

    served(configured, visit, "--filter", FILTER)


def test_words_count_where_the_collection_has_them(synced_with_words: Path) -> None:
    """A name is found by its letters; the answer links to its article."""

    async def visit(agent: Agent) -> None:
        [first] = await agent.call("search", question="TALLYROOST_KEY", limit=1)
        assert "TALLYROOST_KEY" in first["text"]
        assert first["link"].startswith("https://support.tallyroost.example/")
        [articles] = await agent.call("list_streams")
        assert (articles["stream"], "html_url" in articles["fields"], "sparse" in articles["fields"]) == (
            "articles", True, False,
        )  # fmt: skip

    served(synced_with_words.parent / "config.json", visit, "--filter", '_ab_stream == "articles"')


def refusal(*arguments: str | Path) -> str:
    """The one sentence of a server that does not start."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_a_server_that_cannot_serve_says_so_at_its_start(configured: Path, tmp_path: Path) -> None:
    """A filter that is none on its own, though a tool's addition would complete it; a collection, a configuration."""
    for condition in ("subject ===", '1 == 1) or (audience == "staff"', '_ab_stream == "articles" or ('):
        assert refusal("--config", configured, "--filter", condition).startswith("Milvus refuses --filter: ")
    raw = json.loads(configured.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**raw, "indexing": {**raw["indexing"], "collection": "other"}}))
    assert 'has no collection "other"' in refusal("--config", other)
    other.write_text("{")
    assert "cannot be read as JSON" in refusal("--config", other)
    assert "cannot be read as JSON" in refusal("--config", tmp_path / "absent.json")
