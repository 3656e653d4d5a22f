"""The commands through real processes, with good and with bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from source_zendesk_stub.config import NUMBER_OPTIONS, Settings, connection_specification

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "examples" / "catalog.json"

BAD_CONFIGURATIONS: dict[str, tuple[object, str]] = {
    "unknown": ({"ticket": 5}, '"ticket"'),
    "negative": ({"tickets": -1}, "'tickets' must be a whole number from 0 to 1000000, but it is -1."),
    "day": ({"day": 0}, "'day' must be a whole number from 1 to 1000, but it is 0."),
    "date": ({"start_date": "2026-02-31"}, "'start_date' must be a date such as 2025-12-01"),
    "page": ({"page_size": 0}, "'page_size' must be a whole number from 1"),
    "text": ({"articles": "many"}, "'articles' must be a whole number from 0 to 1000000, but it is \"many\"."),
}


@dataclass(frozen=True)
class Outcome:
    """What a process left behind."""

    code: int
    messages: list[dict[str, Any]]

    def only(self, kind: str) -> dict[str, Any]:
        """The one message of this type."""
        (message,) = [message for message in self.messages if message["type"] == kind]
        return message


def run(*arguments: str | Path) -> Outcome:
    """Run a command; whatever is on standard output has to be a protocol message."""
    command = [sys.executable, "-m", "source_zendesk_stub.run", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return Outcome(done.returncode, [json.loads(line) for line in done.stdout.splitlines()])


def run_all(commands: dict[str, tuple[str | Path, ...]]) -> dict[str, Outcome]:
    """Run several commands at once: most of a command's time is the import of the CDK."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(commands, pool.map(lambda arguments: run(*arguments), commands.values()), strict=True))


def written_file(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def state(stream_state: object) -> list[object]:
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": "tickets"}, "stream_state": stream_state}},
    ]


def test_the_four_commands_work_with_the_examples() -> None:
    """spec, check, discover and read end well and say what the protocol asks for, in protocol messages only."""
    config = ("--config", ROOT / "examples" / "source_config.json")
    done = run_all(
        {
            "spec": ("spec",),
            "check": ("check", *config),
            "discover": ("discover", *config),
            "read": ("read", *config, "--catalog", CATALOG),
        }
    )
    assert {name: outcome.code for name, outcome in done.items()} == dict.fromkeys(done, 0)
    assert done["spec"].only("SPEC")["spec"]["connectionSpecification"] == connection_specification()
    assert done["check"].only("CONNECTION_STATUS")["connectionStatus"] == {"status": "SUCCEEDED"}
    assert len(done["discover"].only("CATALOG")["catalog"]["streams"]) == 4
    read = [message["type"] for message in done["read"].messages]
    assert read.count("RECORD") == 136 + 40
    counts = [m["state"]["sourceStats"]["recordCount"] for m in done["read"].messages if m["type"] == "STATE"]
    assert counts == [50, 50, 36, 40]


def test_a_bad_configuration_gets_one_clear_sentence(tmp_path: Path) -> None:
    """Check fails politely with exit 0, read with a config_error and exit 1; both say the same sentence."""
    commands: dict[str, tuple[str | Path, ...]] = {}
    for name, (content, _) in BAD_CONFIGURATIONS.items():
        path = written_file(tmp_path, f"{name}.json", content)
        commands[f"check {name}"] = ("check", "--config", path)
    for name in ("unknown", "text"):
        commands[f"read {name}"] = ("read", "--config", tmp_path / f"{name}.json", "--catalog", CATALOG)
    for command, outcome in run_all(commands).items():
        verb, name = command.split()
        if verb == "check":
            assert outcome.code == 0
            status = outcome.only("CONNECTION_STATUS")["connectionStatus"]
            assert status["status"] == "FAILED"
            sentence = status["message"]
        else:
            assert outcome.code == 1
            sentence = config_error(outcome)
        assert BAD_CONFIGURATIONS[name][1] in sentence
        assert sentence.endswith(".")
        assert "Traceback" not in sentence


def config_error(outcome: Outcome) -> str:
    error = outcome.only("TRACE")["trace"]["error"]
    assert error["failure_type"] == "config_error"
    assert isinstance(error["message"], str)
    return error["message"]


def test_bad_files_get_one_clear_sentence(tmp_path: Path) -> None:
    """An unknown stream, a malformed state, and files that hold something else end a read before its first record."""
    catalog = json.loads(CATALOG.read_text())
    catalog["streams"][0]["stream"]["name"] = "tikets"
    good = written_file(tmp_path, "good.json", {})
    expected = {
        "stream": ("The catalog names the stream 'tikets', which this source does not have.", "catalog", catalog),
        "no catalog": ("The catalog file catalog.json does not hold a configured Airbyte catalog.", "catalog", [1]),
        "word": ("The state of the stream 'tickets' cannot be read", "state", state({"generated_timestamp": "soon"})),
        "other cursor": ("must hold epoch seconds under 'generated_timestamp'", "state", state({"updated_at": "5"})),
        "no state": ("The state file state.json does not hold a JSON list of Airbyte states.", "state", "{"),
    }
    commands: dict[str, tuple[str | Path, ...]] = {
        "no config": ("read", "--config", tmp_path / "missing.json", "--catalog", CATALOG)
    }
    for name, (_, kind, content) in expected.items():
        folder = tmp_path / name
        folder.mkdir()
        files = {"catalog": CATALOG} | {kind: written_file(folder, f"{kind}.json", content)}
        options = [part for option, path in files.items() for part in (f"--{option}", path)]
        commands[name] = ("read", "--config", good, *options)
    for name, outcome in run_all(commands).items():
        sentence = expected[name][0] if name in expected else "The configuration file missing.json cannot be opened"
        assert outcome.code == 1
        assert sentence in config_error(outcome)
        assert not any(message["type"] == "RECORD" for message in outcome.messages)


VALUES = st.one_of(
    st.integers(-5, 5), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.text(max_size=3)
)


@given(st.dictionaries(st.sampled_from([option.name for option in NUMBER_OPTIONS] + ["other"]), VALUES, max_size=3))
def test_the_sentences_refuse_what_the_specification_refuses(config: dict[str, object]) -> None:
    """Whoever validates with the specification, as the platform does, agrees with the source."""
    try:
        Settings.from_config(config)
        accepted = True
    except AirbyteTracedException:
        accepted = False
    assert accepted == Draft7Validator(connection_specification()).is_valid(config)


@pytest.mark.parametrize("content", [state({}), [], ""])
def test_an_empty_state_reads_from_the_beginning(tmp_path: Path, content: object) -> None:
    """No state, in whatever form it comes, is no error."""
    path = written_file(tmp_path, "state.json", content)
    config = written_file(tmp_path, "config.json", {"tickets": 3, "articles": 2})
    outcome = run("read", "--config", config, "--catalog", CATALOG, "--state", path)
    if content == "":  # not JSON: the CDK has no word for an empty file either
        assert outcome.code == 1
    else:
        assert outcome.code == 0
        assert [message["type"] for message in outcome.messages].count("RECORD") == 5
