"""The commands through real processes, with good and with bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from source_zendesk_stub.config import NUMBER_OPTIONS, Settings, connection_specification
from source_zendesk_stub.run import run

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "examples" / "catalog.json"

BAD_CONFIGURATIONS: dict[str, tuple[object, str]] = {
    "unknown": ({"ticket": 5}, '"ticket"'),
    "negative": ({"tickets": -1}, "'tickets' must be a whole number from 0 to 1000000, but it is -1."),
    "day": ({"day": 0}, "'day' must be a whole number from 1 to 1000, but it is 0."),
    "date": ({"start_date": "2026-02-31"}, "'start_date' must be a date such as 2025-12-01"),
    "page": ({"page_size": 0}, "'page_size' must be a whole number from 1"),
    "locale": ({"locales": ["fr"]}, "'locales' must be a list of de and zh-cn, each once at most, but it is [\"fr\"]."),
    "locales": ({"locales": "de"}, "'locales' must be a list of de and zh-cn"),
    "twice": ({"locales": ["de", "de"]}, "'locales' must be a list of de and zh-cn, each once at most"),
    "nested": ({"locales": [["de"]]}, "'locales' must be a list of de and zh-cn"),
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


def run_process(*arguments: str | Path) -> Outcome:
    """Run a command as the platform does; whatever is on standard output has to be a protocol message."""
    command = [sys.executable, "-m", "source_zendesk_stub.run", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return Outcome(done.returncode, [json.loads(line) for line in done.stdout.splitlines()])


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the console command in this process, which spares the seconds that the CDK's import takes."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the CDK installs its own: have it put back

    def run_command(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["source-zendesk-stub", *map(str, arguments)])
        code = 0
        try:
            run()
        except SystemExit as end:
            code = int(end.code or 0)
        lines = capsys.readouterr().out.splitlines()
        return Outcome(code, [json.loads(line) for line in lines])

    return run_command


def written_file(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def state(stream_state: object) -> list[object]:
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": "tickets"}, "stream_state": stream_state}},
    ]


def test_the_commands_work_with_the_examples(run_here: Callable[..., Outcome]) -> None:
    """spec, check and discover end well and say what the protocol asks for."""
    config = ("--config", ROOT / "examples" / "source_config.json")
    assert run_here("spec").only("SPEC")["spec"]["connectionSpecification"] == connection_specification()
    assert run_here("check", *config).only("CONNECTION_STATUS")["connectionStatus"] == {"status": "SUCCEEDED"}
    assert len(run_here("discover", *config).only("CATALOG")["catalog"]["streams"]) == 4


def test_a_real_process_reads_the_examples() -> None:
    """The example catalog and configuration make a read of protocol messages with counted states and exit code 0."""
    outcome = run_process("read", "--config", ROOT / "examples" / "source_config.json", "--catalog", CATALOG)
    assert outcome.code == 0
    assert [message["type"] for message in outcome.messages].count("RECORD") == 136 + 40
    states = [message["state"] for message in outcome.messages if message["type"] == "STATE"]
    assert [state["sourceStats"]["recordCount"] for state in states] == [50, 50, 36, 40]


@pytest.mark.parametrize("name", BAD_CONFIGURATIONS)
def test_a_bad_configuration_gets_one_clear_sentence(
    name: str, tmp_path: Path, run_here: Callable[..., Outcome]
) -> None:
    """Check fails politely with exit 0, discover and read with a config_error and exit 1; all say the same sentence."""
    content, words = BAD_CONFIGURATIONS[name]
    path = written_file(tmp_path, "config.json", content)
    checked = run_here("check", "--config", path)
    status = checked.only("CONNECTION_STATUS")["connectionStatus"]
    assert (checked.code, status["status"]) == (0, "FAILED")
    assert words in status["message"]
    assert status["message"].endswith(".")
    assert config_error(run_here("discover", "--config", path)) == status["message"]
    assert config_error(run_here("read", "--config", path, "--catalog", CATALOG)) == status["message"]


def test_real_processes_refuse_a_bad_configuration(tmp_path: Path) -> None:
    """What the platform sees of a refusal: exit codes, and a sentence without a traceback."""
    path = written_file(tmp_path, "config.json", BAD_CONFIGURATIONS["negative"][0])
    checked = run_process("check", "--config", path)
    sentence = checked.only("CONNECTION_STATUS")["connectionStatus"]["message"]
    assert checked.code == 0
    assert config_error(run_process("read", "--config", path, "--catalog", CATALOG)) == sentence
    assert "Traceback" not in sentence


def config_error(outcome: Outcome) -> str:
    assert outcome.code == 1
    error = outcome.only("TRACE")["trace"]["error"]
    assert error["failure_type"] == "config_error"
    assert isinstance(error["message"], str)
    return error["message"]


BAD_FILES: dict[str, tuple[str, object, str]] = {
    "other catalog": ("catalog", [1], "The catalog file catalog.json does not hold a configured Airbyte catalog."),
    "word": ("state", state({"generated_timestamp": "soon"}), "The state of the stream 'tickets' cannot be read"),
    "other cursor": ("state", state({"updated_at": "5"}), "must hold epoch seconds under 'generated_timestamp'"),
    "other state": ("state", "{", "The state file state.json does not hold a JSON list of Airbyte states."),
    "other config": ("config", [1], "The configuration file config.json does not hold a JSON object."),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_gets_one_clear_sentence(name: str, tmp_path: Path, run_here: Callable[..., Outcome]) -> None:
    """Malformed states and files that hold something else end a read before its first record."""
    kind, content, words = BAD_FILES[name]
    files = {"config": written_file(tmp_path, "good.json", {}), "catalog": CATALOG}
    files[kind] = written_file(tmp_path, f"{kind}.json", content)
    outcome = run_here("read", *(part for option, path in files.items() for part in (f"--{option}", path)))
    assert words in config_error(outcome)
    assert {message["type"] for message in outcome.messages} <= {"LOG", "TRACE"}


def test_an_unknown_stream_is_refused_by_name(tmp_path: Path, run_here: Callable[..., Outcome]) -> None:
    """A catalog that names a stream this source does not have ends the read before its first record."""
    catalog = json.loads(CATALOG.read_text())
    catalog["streams"][1]["stream"]["name"] = "tikets"
    config = written_file(tmp_path, "config.json", {})
    outcome = run_here("read", "--config", config, "--catalog", written_file(tmp_path, "catalog.json", catalog))
    assert "The catalog names the stream 'tikets', which this source does not have." in config_error(outcome)
    assert {message["type"] for message in outcome.messages} <= {"LOG", "TRACE"}


def test_a_missing_file_is_named(tmp_path: Path, run_here: Callable[..., Outcome]) -> None:
    """A path that leads nowhere is told with the file's name."""
    outcome = run_here("check", "--config", tmp_path / "missing.json")
    assert config_error(outcome) == "The configuration file missing.json cannot be opened: No such file or directory."


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


@pytest.mark.parametrize("content", [state({}), []])
def test_an_empty_state_reads_from_the_beginning(
    tmp_path: Path, content: object, run_here: Callable[..., Outcome]
) -> None:
    """No state, in whatever form it comes, is no error."""
    path = written_file(tmp_path, "state.json", content)
    config = written_file(tmp_path, "config.json", {"tickets": 3, "articles": 2})
    outcome = run_here("read", "--config", config, "--catalog", CATALOG, "--state", path)
    assert outcome.code == 0
    assert [message["type"] for message in outcome.messages].count("RECORD") == 5
