"""The examples for Airbyte's API and for Terraform: the connection of the tutorial, tried as far as can be offline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from destination_milvus.config.models import parse_config
from destination_milvus.config.specification import specification
from devtools import environments
from devtools.connector import environment

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "api" / "create_connection.py"
TERRAFORM = ROOT / "examples" / "terraform"
JUDGE = Path(__file__).with_name("parse_connection_examples.py")
ENVIRONMENT = ROOT / ".acceptance" / "connection-examples"

SECRETS = {"AIRBYTE_CLIENT_SECRET", "ZENDESK_API_TOKEN", "OPENAI_KEY", "MILVUS_TOKEN"}
SETTINGS = {
    **{name: f"PLANTED-{name}" for name in SECRETS},
    "AIRBYTE_CLIENT_ID": "client",
    "WORKSPACE_ID": "11111111-1111-1111-1111-111111111111",
    "DOCKER_REPOSITORY": "registry.example.com/destination-milvus",
    "DOCKER_IMAGE_TAG": "0.1.0",
    "ZENDESK_SUBDOMAIN": "acme",
    "ZENDESK_EMAIL": "agent@acme.example",
    "MILVUS_HOST": "https://milvus.example.com",
}
STREAMS = [
    {"name": "tickets", "syncMode": "incremental_deduped_history"},
    {"name": "articles", "syncMode": "incremental_deduped_history"},
]

Requests = dict[str, dict[str, Any]]
"""Path → body."""


class Airbyte:
    """Airbyte's API as far as the example uses it: gives out ids and remembers what it was sent."""

    def __init__(self) -> None:
        self.requests: Requests = {}
        self.refuse: str | None = None
        """Path that it answers with 422."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


ANSWERS = {
    "/v1/applications/token": {"access_token": "PLANTED-ACCESS"},
    f"/v1/workspaces/{SETTINGS['WORKSPACE_ID']}/definitions/destinations": {"id": "definition"},
    "/v1/sources": {"sourceId": "source"},
    "/v1/destinations": {"destinationId": "destination"},
    "/v1/connections": {"connectionId": "connection"},
}


def _handler(airbyte: Airbyte) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            airbyte.requests[self.path] = body
            known = self.path.endswith("/token") or self.headers["Authorization"] == "Bearer PLANTED-ACCESS"
            code = 422 if self.path == airbyte.refuse else 200 if known else 401
            answer = ANSWERS[self.path] if code == 200 else body
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def airbyte() -> Iterator[Airbyte]:
    """An API on loopback."""
    made = Airbyte()
    yield made
    made.close()


def run(settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the example."""
    command = [sys.executable, str(SCRIPT)]
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, check=False, timeout=60)


def judged(bodies: Requests, *terraform: Path) -> list[dict[str, Any]]:
    """Bodies judged by the client library that Airbyte makes from its API, and Terraform files parsed."""
    requirements = ["--requirement", str(Path(__file__).with_name("connection-examples.txt"))]
    python = environments.environment(ENVIRONMENT, sys.executable, [requirements]).python
    asked = json.dumps({"bodies": bodies, "terraform": [str(path) for path in terraform]})
    done = subprocess.run(
        [str(python), str(JUDGE)], input=asked, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    parsed: list[dict[str, Any]] = json.loads(done.stdout)
    return parsed


def require_destination(configuration: dict[str, Any]) -> None:
    """The form and the connector take it as it is, and nothing of it is ignored."""
    jsonschema.Draft7Validator(specification()).validate(configuration)
    parsed = json.loads(parse_config(configuration).model_dump_json())
    for section, options in configuration.items():
        assert options.keys() <= parsed[section].keys(), section


def test_the_api_example_makes_the_connection_of_the_tutorial(airbyte: Airbyte) -> None:
    """Each request is one that Airbyte's API takes; the destination is one that the connector takes."""
    done = run({**SETTINGS, "AIRBYTE_URL": airbyte.url})
    assert (done.returncode, done.stdout, done.stderr) == (0, "connection\n", "")
    _, definition, source, destination, connection = airbyte.requests.values()
    assert list(airbyte.requests) == list(ANSWERS)
    require_destination(destination["configuration"])
    assert destination["definitionId"] == "definition"
    assert (connection["sourceId"], connection["destinationId"]) == ("source", "destination")
    assert connection["configurations"]["streams"] == STREAMS
    assert connection["schedule"] == {"scheduleType": "cron", "cronExpression": "0 0 * * * ?"}
    judged(
        {
            "CreateDefinitionRequest": definition,
            "SourceCreateRequest": source,
            "SourceZendeskSupport": source["configuration"],
            "DestinationCreateRequest": destination,
            "ConnectionCreateRequest": connection,
        }
    )


def test_the_api_example_says_what_is_wrong_without_a_secret(airbyte: Airbyte) -> None:
    """A setting that is missing, a request that is refused, an address where nobody answers."""
    settings = {**SETTINGS, "AIRBYTE_URL": airbyte.url}
    airbyte.refuse = "/v1/destinations"
    for given, sentence in (
        ({**settings}, "Airbyte refused POST /destinations: HTTP 422"),
        ({name: value for name, value in settings.items() if name != "OPENAI_KEY"}, "Set OPENAI_KEY"),
        ({**settings, "AIRBYTE_URL": "http://127.0.0.1:9"}, "AIRBYTE_URL cannot be reached"),
        ({**settings, "AIRBYTE_URL": "localhost"}, "AIRBYTE_URL has to begin with"),
    ):
        done = run(given)
        assert done.returncode == 1
        assert done.stderr.startswith(sentence)
        assert "PLANTED" not in done.stdout + done.stderr


def test_the_terraform_example_describes_the_same_connection() -> None:
    """It parses; every variable is declared and used; the secrets are variables that Terraform does not show."""
    main, variables = map(_plain, judged({}, TERRAFORM / "main.tf", TERRAFORM / "variables.tf"))
    declared = {name: body for variable in variables["variable"] for name, body in variable.items()}
    source = (TERRAFORM / "main.tf").read_text()
    assert set(re.findall(r"var\.(\w+)", source)) == declared.keys()
    hidden = {name for name, body in declared.items() if body.get("sensitive")}
    assert hidden == {name.lower() for name in SECRETS}
    resources = {kind: bodies for resource in main["resource"] for kind, bodies in resource.items()}
    (connection,) = resources["airbyte_connection"].values()
    assert connection["configurations"]["streams"] == [
        {"name": stream["name"], "sync_mode": stream["syncMode"]} for stream in STREAMS
    ]
    assert connection["schedule"] == {"schedule_type": "cron", "cron_expression": "0 0 * * * ?"}
    (values,) = main["locals"]
    given = json.dumps(values["milvus"]).replace("${var.milvus_collection}", declared["milvus_collection"]["default"])
    require_destination(json.loads(given))
    credentials = [values["milvus"]["embedding"]["openai_key"], values["milvus"]["indexing"]["auth"]["token"]]
    assert credentials == ["${var.openai_key}", "${var.milvus_token}"]


def _plain(parsed: Any) -> Any:
    """What the parser says, without its marks and without the quotes around texts."""
    if isinstance(parsed, dict):
        return {_plain(name): _plain(value) for name, value in parsed.items() if not name.startswith("__")}
    if isinstance(parsed, list):
        return [_plain(value) for value in parsed]
    return parsed[1:-1] if isinstance(parsed, str) and parsed.startswith('"') else parsed
