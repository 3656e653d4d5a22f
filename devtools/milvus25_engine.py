"""Milvus 2.5's C++ core with its own analyzers, for tests: installed, started and stopped by the test session.

The PyPI wheel `milvus-lite==2.5.1` carries it as a binary that serves gRPC. Its Python wrapper, which wants an old
setuptools, is not used: the binary runs here as it is, on loopback, with all its data in one file. It does not tell its
version, keeps no properties of collections, and has one user; docs/adr/0023 lists in what else it differs.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from devtools.milvus_server import INSTALLED, PORT, ServerError, download, launcher

VERSION = "2.5.1"
REQUIREMENTS = Path(__file__).with_name("milvus25-engine.txt")
ENGINE = INSTALLED.parent / f"engine-{VERSION}"
"""The binary and its libraries: 175 MB, unpacked once."""

ENGINE_PORT = PORT + 19
"""Behind those of the shared server of this process, and before the next one's."""

START_TIMEOUT = 30.0

ENV = "/usr/bin/env"


def install() -> Path:
    """The folder of the binary and its libraries; downloads 55 MB at the first call.

    Raises:
        NoBuildError: there is none for this platform.
        ServerError: anything else that goes wrong.
    """
    if not ENGINE.is_dir():
        ENGINE.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ENGINE.parent) as folder:
            download(REQUIREMENTS, Path(folder) / "wheel", f"milvus-lite {VERSION}")
            try:
                # whole or not at all: an interrupted session must not leave half an engine behind
                (Path(folder) / "wheel").rename(ENGINE)
            except OSError:
                if not ENGINE.is_dir():  # else another session was faster
                    raise
    return ENGINE / "milvus_lite" / "lib"


class Engine:
    """The engine as a process, with its data in a folder.

    Start it from a thread that lives as long as it is wanted, as with `MilvusServer`.
    """

    def __init__(self, folder: Path, *, port: int = ENGINE_PORT) -> None:
        self.uri = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections.

        Raises:
            NoBuildError: there is none for this platform.
            ServerError: its port is taken, or it does not get there.
        """
        installed = install()
        try:
            socket.create_server(("127.0.0.1", self._port)).close()
        except OSError as error:
            raise ServerError(
                f"Port {self._port} of the engine is taken ({error.strerror}): set MILVUS_TEST_PORT to another "
                "first port."
            ) from None
        library_path = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        database, address = self._folder / "engine.db", f"127.0.0.1:{self._port}"
        with (self._folder / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                # by `env`, since its libraries would break the launcher's Python
                launcher(
                    ENV, f"{library_path}={installed}", str(installed / "milvus"), str(database), address, "ERROR"
                ),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:  # noqa: PERF203 - it starts in a moment
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise ServerError(f"The engine does not start; see {self._folder / 'engine.log'}.")

    def stop(self) -> None:
        """End it; nothing where it does not run. Its data is thrown away with the folder."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
