"""What a start costs: the libraries that a command imports, listed, so that nothing heavy creeps in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devtools.backends import Backend, config
from devtools.connector import arguments, catalog, environment, record, state, status, stream
from devtools.openai_endpoint import serving

REPORT = """
import sys
from destination_milvus.run import run
run()
print(*{name.split(".")[0] for name in sys.modules}, file=sys.stderr)
"""

PYDANTIC = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
OURS = PYDANTIC | {"google", "orjson", "sniffio", "stamina", "tenacity"}

PYMILVUS = {"cachetools", "certifi", "charset_normalizer", "dateutil", "dotenv", "grpc", "idna", "numpy"}
PYMILVUS |= {"packaging", "pandas", "pyarrow", "pymilvus", "pytz", "requests", "six", "urllib3"}
"""pandas and pyarrow, which pandas looks for, are of `pymilvus.orm`, which `pymilvus` imports and nothing here uses."""

PYARROW = {"cloudpickle", "cython_runtime", "xxhash"}
MILVUS_LITE = PYARROW | {"faiss", "milvus_lite", "swig_runtime_data5"}
ENDPOINT = {"pybase64"}
OPENAI = {"anyio", "h11", "httpcore2", "httpx2", "openai", "truststore"}

TICKETS = catalog(stream("tickets"))
LINES = [*(record({"id": number, "subject": "printer"}) for number in range(10)), state(1), status("COMPLETE")]


def libraries(folder: Path, command: str, configuration: Mapping[str, Any] | None = None) -> set[str]:
    """What a command imports, the standard library aside."""
    _, *line = arguments(folder, command, configuration, TICKETS if command == "write" else None)
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *line],
        input="".join(line + "\n" for line in LINES),
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        cwd=folder,
    )
    imported = {name for name in done.stderr.split() if not name.startswith("_")}
    return imported - sys.stdlib_module_names - {"destination_milvus"}


def test_spec_imports_what_the_options_are_written_with(tmp_path: Path) -> None:
    assert libraries(tmp_path, "spec") <= PYDANTIC


def test_milvus_lite_is_imported_for_a_path(tmp_path: Path) -> None:
    """And nothing of an embedding service where there is none."""
    configuration = config(Backend("lite", str(tmp_path / "milvus.db")))
    assert libraries(tmp_path, "check", configuration) <= OURS  # Lite would make the database
    for command in ("write", "check", "write"):
        imported = libraries(tmp_path, command, configuration)
        assert {"pymilvus", "milvus_lite"} <= imported <= OURS | PYMILVUS | MILVUS_LITE


def test_a_service_is_imported_where_something_is_embedded(backend: Backend, tmp_path: Path) -> None:
    """The hourly sync that finds nothing changed needs none, and a server needs no Milvus Lite."""
    needed = OURS | PYMILVUS | PYARROW | ENDPOINT | (MILVUS_LITE if backend.name == "lite" else set())
    with serving() as endpoint:
        configuration = config(backend, embedding=endpoint.embedding())
        backend.made.append(configuration["indexing"]["collection"])
        first = libraries(tmp_path, "write", configuration)
        asked = endpoint.requests
        again = libraries(tmp_path, "write", configuration)
        check = libraries(tmp_path, "check", configuration)
    assert asked
    assert endpoint.requests == asked + 1  # that of check
    assert again <= needed
    assert {"openai"} <= first <= needed | OPENAI
    assert {"openai"} <= check <= needed | OPENAI
