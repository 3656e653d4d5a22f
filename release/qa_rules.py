"""Airbyte's QA rules on one connector, without a network; prints one line of JSON. Runs in the environment of `qa.txt`.

Usage, at the root of a repository of Airbyte's shape: `python qa_rules.py destination-milvus`.
"""

import json
import os
import socket
import sys
from typing import Any, NoReturn

os.environ["DO_NOT_TRACK"] = "1"

from airbyte_ops_mcp.connector_ops import utils
from airbyte_ops_mcp.connector_qa.checks import ENABLED_CHECKS


def judged(check: Any, connector: Any) -> dict[str, str]:
    """The verdict of one rule. One that fails in another way, such as for want of a network, is an error."""
    try:
        result = check.run(connector)
    except Exception as error:  # noqa: BLE001 - whatever a rule stumbles over is its verdict
        return {"rule": type(check).__name__, "status": "error", "message": f"{type(error).__name__}: {error}"}
    message = " ".join(result.message.split())
    return {"rule": type(check).__name__, "status": result.status.name.lower(), "message": message}


def no_network(*_arguments: Any, **_options: Any) -> NoReturn:
    """In the place of `getaddrinfo`, so that the verdicts are the same on every machine."""
    raise OSError("it needs a network, which it is not given here")


if __name__ == "__main__":
    socket.getaddrinfo = no_network
    # the registry of published connectors, which some rules compare with: for them there is none
    utils.download_catalog = lambda _url: {"sources": [], "destinations": []}
    destination = utils.Connector(sys.argv[1])
    verdicts = [judged(check, destination) for check in ENABLED_CHECKS]
    print(json.dumps(verdicts))
