"""Syncs as a user of PyAirbyte writes them; runs in PyAirbyte's environment.

Each line of standard input asks for one, as JSON; when it is done, `processed: N` is printed.
"""

import json
import sys
from functools import cache
from typing import Any

import airbyte as ab


@cache
def connector(get: Any, name: str, program: str) -> Any:
    """A source or a destination that is installed already; kept, because to be asked for its specification is slow."""
    return get(name, local_executable=program, install_if_missing=False)


def sync(asked: dict[str, Any]) -> int:
    """Move the streams; how many records went through."""
    source = connector(ab.get_source, asked["source"]["name"], asked["source"]["program"])
    source.set_config(asked["source"]["config"])
    destination = connector(ab.get_destination, asked["destination"]["name"], asked["destination"]["program"])
    destination.set_config(asked["destination"]["config"])
    if asked["checks"]:
        source.check()
        destination.check()
    source.select_streams(asked["streams"])
    records = ab.new_local_cache(cache_name="driver", cache_dir=asked["cache"]) if asked["cache"] else False
    # without a cache for its states PyAirbyte keeps none, and reads everything each time
    states = {} if records or asked["keeps_state"] else {"state_cache": False}
    written = destination.write(source, cache=records, write_strategy=asked["strategy"], **states)
    return int(written.processed_records)


if __name__ == "__main__":
    for line in sys.stdin:
        processed = sync(json.loads(line))
        sys.stdout.write(f"\nprocessed: {processed}\n")
        sys.stdout.flush()
