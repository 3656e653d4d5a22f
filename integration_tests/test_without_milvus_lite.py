"""The connector as `pip install airbyte-destination-milvus` brings it: without extras, and so without Milvus Lite."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devtools import environments
from devtools.airbyte_files import lines_of, write_lines
from devtools.backends import Backend, config
from devtools.connector import arguments, catalog, environment, record, state, stream
from devtools.milvus_server import MilvusServer
from devtools.openai_endpoint import serving

SENTENCE = (
    "is the Milvus Lite database ./milvus.db, but Milvus Lite is not installed: run pip install "
    "'airbyte-destination-milvus[lite]', build the image with --build-arg EXTRAS=lite,local, or name a server"
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The connector's command in an environment of its own, with nothing but what the wheel always requires."""
    home = tmp_path_factory.mktemp("bare")
    [wheel] = environments.built(home, "--wheel", names=[environments.CONNECTOR])[environments.CONNECTOR]
    installs = [["--constraint", str(environments.LOCK), str(wheel)]]
    return environments.environment(home / "environment", sys.executable, installs).program("destination-milvus")


def run(
    program: Path, folder: Path, command: str, conf: dict[str, Any], lines: list[str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and messages of a command, in `folder`."""
    line = arguments(folder, command, conf, catalog(stream()) if command == "write" else None)
    stdin = "".join(f"{line}\n" for line in lines or [])
    done = subprocess.run(
        [program, *line[1:]], cwd=folder, input=stdin, capture_output=True, text=True, check=False, timeout=120,
        env=environment(),
    )  # fmt: skip
    return done.returncode, [json.loads(message) for message in done.stdout.splitlines()]


def test_a_database_of_milvus_lite_is_refused_before_anything_is_done(bare: Path, tmp_path: Path) -> None:
    """In check and in write, with the sentence that says what to install: no text is embedded, and no file is made."""
    with serving() as endpoint:
        conf = config(Backend("lite", "./milvus.db"), embedding=endpoint.embedding(), indexing={"collection": "c"})
        code, [message] = run(bare, tmp_path, "check", conf)
        assert (code, message["connectionStatus"]["status"]) == (0, "FAILED")
        assert SENTENCE in message["connectionStatus"]["message"]
        code, messages = run(bare, tmp_path, "write", conf, [record({"id": 1, "text": "A text."}), state(1)])
        assert endpoint.texts == []
    [error] = [message["trace"]["error"] for message in messages if message["type"] == "TRACE"]
    assert (code, error["failure_type"]) == (1, "config_error")
    assert SENTENCE in error["message"]
    assert not [message for message in messages if message["type"] == "STATE"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.json", "config.json"]


@pytest.mark.server
def test_a_server_needs_no_extra(bare: Path, tmp_path: Path, milvus_server: MilvusServer) -> None:
    """Check and write run without Milvus Lite, and without Arrow, which it alone brings."""
    listed = subprocess.run(
        [environments.UV, "pip", "list", "--python", str(bare.with_name("python"))],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert not {"milvus-lite", "pyarrow", "faiss-cpu", "onnxruntime", "streamlit"} & set(listed.split())
    backend = Backend("server", milvus_server.uri)
    try:
        conf = config(backend)
        code, messages = run(bare, tmp_path, "check", conf)
        assert (code, messages[-1]["connectionStatus"]["status"]) == (0, "SUCCEEDED")
        code, messages = run(bare, tmp_path, "write", conf, [record({"id": 1, "text": "A text."}), state(1)])
        assert (code, sum(message["type"] == "STATE" for message in messages)) == (0, 1), messages
    finally:
        backend.drop()


def test_files_that_need_pyarrow_are_refused_with_what_to_install(bare: Path, tmp_path: Path) -> None:
    """Object storage and Parquet; JSON lines of this machine need nothing, as a dry run shows."""
    conf = config(Backend("server", "http://127.0.0.1:1"))
    good = write_lines(tmp_path / "tickets/1.jsonl.gz", lines_of([record({"id": 1, "body": "x"})], "data"))
    parquet = tmp_path / "tickets/1.parquet"
    parquet.write_bytes(b"PAR1")
    line = [bare, *arguments(tmp_path, "backfill", conf, catalog(stream()))[1:], "--dry-run", "--input"]
    for given, code, words in (
        (str(good), 0, "Nothing was embedded or written."),
        (str(parquet), 1, f"Error: {parquet} is read by pyarrow, which is not installed: run pip install"),
        ("s3://lake/*", 1, "Error: --input s3://lake/* is read by pyarrow, which is not installed: run pip install"),
    ):
        done = subprocess.run(
            [*line, given], capture_output=True, text=True, check=False, timeout=120, env=environment()
        )
        assert done.returncode == code, done.stderr
        assert words in done.stderr
