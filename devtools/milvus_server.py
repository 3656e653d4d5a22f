"""A real Milvus server for tests: installed, started and stopped by the test session.

The PyPI wheel `milvus==2.3.5` carries the binaries of Milvus standalone. Its own Python wrapper is not used: it moves
to another port when one is busy, and does not pass SIGTERM on. The binaries run here as they are, configured by
environment variables, on fixed ports, several servers at once if need be.

Run as a script, this file is the launcher: it ties the server's life to that of the test session, then becomes it.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import lzma
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

VERSION = "2.3.5"
REQUIREMENTS = Path(__file__).with_name("milvus-server.txt")
INSTALLED = Path(__file__).parents[1] / ".milvus-server" / VERSION
"""Binaries and configuration template: 250 MB, unpacked once, shared by all servers."""

PORTS_APART = 20
"""Distance of the first ports of two servers; each takes 11."""

SERVERS_A_PROCESS = 10
"""Servers for which a process of the test session has ports."""

PORT = int(os.environ.get("MILVUS_TEST_PORT", "27530")) + SERVERS_A_PROCESS * PORTS_APART * int(
    os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
)
"""First port of the shared server of this process. Below the ephemeral ports (32768 and up), which outgoing connections
take at random. The first variable lets two sessions run on one machine."""


def port_of_another(number: int) -> int:
    """First port of a server beside the shared one; each test that starts one has a number of its own."""
    assert 0 < number < SERVERS_A_PROCESS
    return PORT + number * PORTS_APART


START_TIMEOUT = 120.0
STOP_TIMEOUT = 20.0
SESSION_TTL = 10
"""Seconds after which its components miss one that is gone; 30 by default, for which a restarted server has no data."""

LOG_TAIL_LINES = 30

_NO_BUILD = "no wheels with a matching platform tag"
"""What uv says where the wheel has no build for this platform."""

_COMPONENTS = ("rootCoord", "queryCoord", "queryNode", "dataCoord", "dataNode", "indexNode")
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class NoBuildError(Exception):
    """The server has no build for this platform."""


class ServerError(Exception):
    """The server cannot be installed, started or stopped; the message ends with the tail of its log."""


# --- installing -------------------------------------------------------------------------------------------------------


def install() -> Path:
    """The folder of the unpacked server; downloads 55 MB at the first call.

    Raises:
        NoBuildError: there is none for this platform.
        ServerError: anything else that goes wrong.
    """
    if INSTALLED.is_dir():
        return INSTALLED
    INSTALLED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=INSTALLED.parent) as folder:
        wheel, unpacked = Path(folder) / "wheel", Path(folder) / "unpacked"
        download(REQUIREMENTS, wheel, f"milvus {VERSION}")
        _unpack(wheel / "milvus" / "data", unpacked)
        try:
            # whole or not at all: an interrupted session must not leave half a server behind
            unpacked.rename(INSTALLED)
        except OSError:
            if not INSTALLED.is_dir():  # else another session was faster
                raise
    return INSTALLED


def download(requirements: Path, target: Path, name: str) -> None:
    """Install what is locked into a folder, for this platform.

    Raises:
        NoBuildError: there is none for it.
        ServerError: anything else that goes wrong.
    """
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    done = subprocess.run([*command, "--target", str(target)], capture_output=True, text=True, check=False)
    if _NO_BUILD in " ".join(done.stderr.split()):
        raise NoBuildError(f"{name} has no build for this platform ({sys.platform} {os.uname().machine})")
    if done.returncode:
        raise ServerError(f"{name} cannot be installed:\n{done.stderr}")


def _unpack(data: Path, target: Path) -> None:
    (target / "bin").mkdir(parents=True)
    for packed in (data / "bin").glob("*.lzma"):
        binary = target / "bin" / packed.stem
        with lzma.open(packed) as source, binary.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        binary.chmod(0o755)
    template = (data / "config.yaml.template").read_text()
    # {{ name(type): default }} → default; what a server has of its own is set by environment variables
    (target / "milvus.yaml").write_text(re.sub(r"\{\{ *\w+(?:\(\w+\))?(?:: *(.*?))? *\}\}", r"\1", template))
    shutil.copy(data / "glog.conf", target)


# --- running ----------------------------------------------------------------------------------------------------------


class MilvusServer:
    """One server process with its data.

    Start it from a thread that lives as long as the server is wanted: Linux counts the death of the thread that
    started a process as the death of its parent.

    Args:
        data: folder of its rows, settings and log; a second start finds the rows of the first.
        port: where clients connect; the other ports follow it.
        auth: ask for credentials; the first user is `root` with the password `Milvus`.
        tls: folder with `server.pem` and `server.key`, for one-way TLS.
        settings: further environment variables: `QUOTAANDLIMITS_DML_ENABLED` sets `quotaAndLimits.dml.enabled`.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = PORT,
        auth: bool = False,
        tls: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self.log = data / "milvus.log"
        self._data = data
        self._auth = auth
        self._tls = tls
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def uri(self) -> str:
        """What goes into `indexing.host`."""
        # a certificate names hosts: localhost can be one, and its address is loopback either way
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        """All ports it listens on, by what listens there."""
        names = ["proxy", "metrics", "proxyInternal", *_COMPONENTS, "etcd", "etcdPeer"]
        return {name: self.port + offset for offset, name in enumerate(names)}

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise ServerError("The Milvus server is not running.")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            NoBuildError: there is none for this platform.
            ServerError: a port is taken, or it does not get healthy.
        """
        if self._process is not None:
            raise ServerError("The Milvus server is running already.")
        installed = install()
        self._require_free_ports()
        self._write_settings(installed)
        binary = str(installed / "bin" / "milvus")
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                launcher(binary, "run", "standalone"),
                cwd=self._data,
                env=self._environment(installed),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl+C is for the tests, which then stop it
            )
        try:
            self.wait_until_healthy()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, which takes it up to 20 s; nothing where it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it like a power failure; nothing where it does not run."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill and start it, on the same data and ports: about 10 s, and as many until a collection is loaded again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing.

        Frozen for longer than `SESSION_TTL`, it ends itself as soon as it goes on: give a server for that a larger one
        in `settings` (`COMMON_SESSION_TTL`).
        """
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def wait_until_healthy(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until all its components say that they work.

        Raises:
            ServerError: it ended, or does not get there in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServerError(f"The Milvus server ended while it was starting.{self._log_tail()}")
            if self._is_healthy():
                return
            time.sleep(0.1)
        raise ServerError(f"The Milvus server is not healthy after {timeout:.0f} s.{self._log_tail()}")

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["metrics"], timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a paused process does not see SIGTERM
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _require_free_ports(self) -> None:
        """Milvus would end with a panic in its log, or answer beside the other server: say it before."""
        for name, port in self.ports.items():
            try:
                # SO_REUSEADDR is set by it: connections that a server before this one left in TIME_WAIT do no harm
                socket.create_server(("", port)).close()
            except OSError as error:  # noqa: PERF203 - eleven ports
                raise ServerError(
                    f"Port {port} ({name}) of the Milvus server is taken ({error.strerror}): another test session is "
                    "running or its server is still ending. Wait for it, or set MILVUS_TEST_PORT to another first port."
                ) from None

    def _write_settings(self, installed: Path) -> None:
        configs = self._data / "configs"
        configs.mkdir(parents=True, exist_ok=True)
        for name in ("milvus.yaml", "glog.conf"):
            shutil.copy(installed / name, configs)
        client, peer = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "etcdPeer"))
        etcd = {
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        (configs / "etcd.json").write_text(json.dumps(etcd))

    def _environment(self, installed: Path) -> dict[str, str]:
        """Settings: the variable's name is that of the setting, without its dots."""
        library_path = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            library_path: str(installed / "bin"),
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(self.ports["metrics"]),
            "COMMON_STORAGETYPE": "local",
            "LOCALSTORAGE_PATH": str(self._data / "rows"),
            "ROCKSMQ_PATH": str(self._data / "rocksmq"),
            "ETCD_USE_EMBED": "true",
            "ETCD_CONFIG_PATH": str(self._data / "configs" / "etcd.json"),
            "ETCD_DATA_DIR": str(self._data / "etcd"),
            "ETCD_ENDPOINTS": f"127.0.0.1:{self.ports['etcd']}",
            "COMMON_SESSION_TTL": str(SESSION_TTL),
            "LOG_LEVEL": "warn",
            # ms: a strong read waits for a tick, which would come every 200; its guarantee stays
            "PROXY_TIMETICKINTERVAL": "20",
            "PROXY_PORT": str(self.ports["proxy"]),
            "PROXY_INTERNALPORT": str(self.ports["proxyInternal"]),
            "COMMON_SECURITY_AUTHORIZATIONENABLED": str(self._auth).lower(),
        }
        # Milvus 2.3 binds these to every interface whatever it is told; among themselves they talk over loopback
        environment |= {f"{name.upper()}_IP": "127.0.0.1" for name in ("proxy", *_COMPONENTS)}
        environment |= {f"{name.upper()}_PORT": str(self.ports[name]) for name in _COMPONENTS}
        if self._tls is not None:
            environment |= {
                "COMMON_SECURITY_TLSMODE": "1",
                "TLS_SERVERPEMPATH": str(self._tls / "server.pem"),
                "TLS_SERVERKEYPATH": str(self._tls / "server.key"),
            }
        return environment | self._settings

    def _log_tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        # after a panic come the stacks of a hundred goroutines: the reason stands before them
        lines = text.split("\ngoroutine ", maxsplit=1)[0].splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f" The end of {self.log}:", *lines])


# --- the launcher -----------------------------------------------------------------------------------------------------


def launcher(*command: str) -> list[str]:
    """The command that runs a server which dies with this process, however it ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _become_server(parent: int, command: list[str]) -> None:
    """Die with the test session, however it ends, and be the server until then."""
    if sys.platform == "linux":
        # not as `preexec_fn` of the test session, which has threads: a fork that runs Python there can hang
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("The test session ended before its Milvus server started.")
    os.execv(command[0], command)  # noqa: S606 - the binary is ours


if __name__ == "__main__":
    _become_server(int(sys.argv[1]), sys.argv[2:])
