"""The demo: a day of support data from the source stub into Milvus Lite, then a search in a customer's own words.

Every run is a sync as Airbyte makes it: two processes and a pipe between them, and the state that came out goes into
the next run. The first run brings everything; each later one is the next day, and brings what changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from destination_milvus.config.models import parse_config
from destination_milvus.embedding import create_embedder
from destination_milvus.fields import STREAM
from destination_milvus.milvus.filters import all_of, equals, is_in
from destination_milvus.milvus.reader import Hit, open_reader

EXAMPLES = Path("examples")
HOME = Path(".demo")
PROGRAMS = Path(sys.executable).parent

ORGANIZATION = 360033549136
PROBLEM = (
    "My mobile was stolen on the train. I know my password, but I can't get past the page that wants the number from "
    "the app on it."
)
OPEN = ["new", "open", "pending", "hold"]


def main() -> None:
    """Sync a day, then search."""
    os.chdir(Path(__file__).parents[1])
    HOME.mkdir(exist_ok=True)
    day = len(list(HOME.glob("state-*.json"))) + 1
    config = _destination_config()
    started = time.monotonic()
    _sync(day)
    print(f"\nDay {day} is in Milvus after {time.monotonic() - started:.1f} s.")
    _search(config)
    print(f"\nRun it again for day {day + 1}, or `make demo-clean` to start over.")


def _destination_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((EXAMPLES / "milvus_lite_local.json").read_text())
    config["indexing"]["host"] = str(HOME / "milvus.db")
    (HOME / "destination.json").write_text(json.dumps(config))
    return config


def _sync(day: int) -> None:
    """One sync: the source's output is the destination's input."""
    source_config = {**json.loads((EXAMPLES / "source_config.json").read_text()), "day": day}
    (HOME / "source.json").write_text(json.dumps(source_config))
    print(f"Day {day}: source-zendesk-stub read | destination-milvus write\n")
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
    [vector] = embedder.embed([PROBLEM])
    tickets = all_of(equals(STREAM, "tickets"), equals("organization_id", ORGANIZATION), is_in("status", OPEN))
    print(f'\nA customer of organization {ORGANIZATION} writes:\n  "{PROBLEM}"\n')
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
