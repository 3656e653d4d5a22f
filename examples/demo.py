"""The demo: a day of support data from the source stub into Milvus Lite, then a search in a customer's own words.

Every run is a sync as Airbyte makes it: two processes and a pipe between them, and the state that came out goes into
the next run. The first run brings everything; each later one is the next day, and brings what changed.

LOCAL_MODEL=universal-sentence-encoder-multilingual tries the other bundled model, in a collection of its own: the help
center then has articles in German and Chinese too, and the customer writes in Chinese.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from destination_milvus.config.embedding import MINILM, MULTILINGUAL
from destination_milvus.config.models import parse_config
from destination_milvus.embedding import create_embedder
from destination_milvus.errors import ConfigError
from destination_milvus.fields import STREAM
from destination_milvus.milvus.filters import all_of, equals, is_in
from destination_milvus.milvus.reader import Hit, open_reader

EXAMPLES = Path("examples")
MODEL = os.environ.get("LOCAL_MODEL") or MINILM
HOME = Path(".demo") if MODEL == MINILM else Path(".demo") / MODEL
PROGRAMS = Path(sys.executable).parent

ORGANIZATION = 360033549136
PROBLEM = (
    "My mobile was stolen on the train. I know my password, but I can't get past the page that wants the number from "
    "the app on it."
)
PROBLEM_IN_CHINESE = "我的手机在火车上被偷了。密码我记得，可是登录时要输入手机应用里的数字，我进不去。"  # noqa: RUF001 - Chinese
OPEN = ["new", "open", "pending", "hold"]


def main() -> None:
    """Sync a day, then search."""
    os.chdir(Path(__file__).parents[1])
    config = _destination_config()
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "destination.json").write_text(json.dumps(config))
    day = len(list(HOME.glob("state-*.json"))) + 1
    started = time.monotonic()
    _sync(day)
    print(f"\nDay {day} is in Milvus after {time.monotonic() - started:.1f} s.")
    _search(config)
    print(f"\nRun it again for day {day + 1}, or `make demo-clean` to start over.")
    print("`make playground` shows what the collection holds; `make app` opens a support form on it.")


def _destination_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((EXAMPLES / "milvus_lite_local.json").read_text())
    config["embedding"] = {"mode": "local", "model": MODEL}
    config["indexing"]["host"] = str(HOME / "milvus.db")
    try:
        parse_config(config)
    except ConfigError:
        sys.exit(f"LOCAL_MODEL must be {MINILM} or {MULTILINGUAL}.")
    return config


def _sync(day: int) -> None:
    """One sync: the source's output is the destination's input."""
    source_config = {**json.loads((EXAMPLES / "source_config.json").read_text()), "day": day}
    if MODEL == MULTILINGUAL:
        source_config["locales"] = ["de", "zh-cn"]
    (HOME / "source.json").write_text(json.dumps(source_config))
    print(f"Day {day}, with the model {MODEL}: source-zendesk-stub read | destination-milvus write\n")
    read = [PROGRAMS / "source-zendesk-stub", "read", "--config", HOME / "source.json"]
    read += ["--catalog", EXAMPLES / "catalog.json"]
    if day > 1:
        read += ["--state", HOME / f"state-{day - 1}.json"]
    write = [PROGRAMS / "destination-milvus", "write", "--config", HOME / "destination.json"]
    write += ["--catalog", EXAMPLES / "catalog.json"]
    with (
        subprocess.Popen(read, stdout=subprocess.PIPE) as source,
        subprocess.Popen(write, stdin=source.stdout, stdout=subprocess.PIPE, text=True) as destination,
    ):
        assert source.stdout is not None
        assert destination.stdout is not None
        source.stdout.close()  # the destination holds the pipe's other end
        states = _show(destination.stdout)
    if source.returncode or destination.returncode:
        sys.exit(
            f"The sync failed: the source ended with {source.returncode}, the destination {destination.returncode}."
        )
    (HOME / f"state-{day}.json").write_text(json.dumps(list(states.values())))


def _show(lines: Any) -> dict[str, Any]:
    """Print what the destination logs; return the last state of each stream, as the platform would keep it."""
    states: dict[str, Any] = {}
    for line in lines:
        message = json.loads(line)
        if message["type"] == "LOG":
            print(f"  {message['log']['message']}")
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            states[name] = message["state"]
            count = message["state"]["destinationStats"]["recordCount"]
            print(f"  State of {name}: {count:.0f} records more are durable.")
    return states


def _search(raw: dict[str, Any]) -> None:
    config = parse_config(raw)
    embedder = create_embedder(config.embedding, config.advanced)
    problem = PROBLEM_IN_CHINESE if MODEL == MULTILINGUAL else PROBLEM
    [vector] = embedder.embed([problem])
    tickets = all_of(equals(STREAM, "tickets"), equals("organization_id", ORGANIZATION), is_in("status", OPEN))
    print(f'\nA customer of organization {ORGANIZATION} writes:\n  "{problem}"\n')
    with open_reader(config, embedder) as reader:
        print("Similar open tickets of that organization (cosine distance):")
        for hit in _one_per_record(reader.search(vector, filter=tickets, fields=["id", "subject", "status"], limit=12)):
            print(f"  {1 - hit.score:.3f}  #{hit.entity['id']}  {hit.entity['subject']}  ({hit.entity['status']})")
        print("\nArticles that help:")
        articles = equals(STREAM, "articles")
        for hit in _one_per_record(
            reader.search(vector, filter=articles, fields=["id", "title", "html_url"], limit=12)
        ):
            print(f"  {1 - hit.score:.3f}  {hit.entity['title']}\n         {hit.entity['html_url']}")


def _one_per_record(hits: list[Hit]) -> list[Hit]:
    """The best chunks of the three best records; hits come nearest first."""
    best: dict[int, Hit] = {}
    for hit in hits:
        best.setdefault(hit.entity["id"], hit)
    return list(best.values())[:3]


if __name__ == "__main__":
    main()
