"""The real server that the other integration tests rely on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from devtools.backends import Backend
from devtools.milvus_server import PORT, PORTS_APART, REQUIREMENTS, VERSION, MilvusServer, ServerError

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LAUNCH = """
import sys, time
from pathlib import Path
from devtools.milvus_server import MilvusServer
server = MilvusServer(Path(sys.argv[1]), port=int(sys.argv[2]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def listening(pid: int) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket on which a process listens; the address as the kernel's hex digits."""
    sockets = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


def ends(pid: int, within: float) -> bool:
    """Whether a process that is not ours ends in so many seconds."""
    deadline = time.monotonic() + within
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not Path(f"/proc/{pid}").exists()


def test_the_pinned_wheel_is_the_version_that_is_started() -> None:
    """The requirements and the folder of the unpacked server name one version."""
    assert f"milvus=={VERSION} " in REQUIREMENTS.read_text()


def test_a_strong_read_sees_the_write_before_it(backend: Backend, collection: str) -> None:
    """Rows are there as soon as their write is acknowledged, on Milvus Lite and on the server."""
    with backend.client() as client:
        client.create_collection(collection, dimension=2, consistency_level="Strong")
        for number in range(5):
            client.insert(collection, [{"id": number, "vector": [1.0, float(number)]}])
            counted = client.query(
                collection, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=30
            )
            assert counted[0]["count(*)"] == number + 1


@pytest.mark.server
def test_the_server_is_the_real_one(milvus_server: MilvusServer) -> None:
    """A server of the pinned version answers, not Milvus Lite."""
    with Backend("server", milvus_server.uri).client() as client:
        assert VERSION in client.get_server_version()


@pytest.mark.server
@linux
def test_it_listens_where_it_says_and_nowhere_else(milvus_server: MilvusServer) -> None:
    """Its ports are fixed and below those of outgoing connections; etcd, which has no password, is on loopback."""
    loopback = "0100007F"
    found = listening(milvus_server.pid)

    assert {port for _, port in found} == set(milvus_server.ports.values())
    assert max(milvus_server.ports.values()) < 32768
    etcd = {milvus_server.ports["etcd"], milvus_server.ports["etcdPeer"]}
    assert {address for address, port in found if port in etcd} == {loopback}


@pytest.mark.server
def test_a_taken_port_is_named(milvus_server: MilvusServer, tmp_path: Path) -> None:
    """A second server on the same port says which port is taken, and leaves the first alone."""
    second = MilvusServer(tmp_path, port=milvus_server.port)

    with pytest.raises(ServerError, match=rf"Port {milvus_server.port} \(proxy\)"):
        second.start()

    milvus_server.wait_until_healthy(timeout=5)


@pytest.mark.server
@linux
def test_a_server_that_cannot_start_shows_its_log(milvus_server: MilvusServer, tmp_path: Path) -> None:
    """The error of a start that fails carries what the server wrote last."""
    broken = MilvusServer(
        tmp_path, port=milvus_server.port + PORTS_APART, settings={"ETCD_CONFIG_PATH": "/nonexistent/etcd.json"}
    )

    with pytest.raises(ServerError, match=r"ended while it was starting(.|\n)*\npanic: "):
        broken.start()


@pytest.mark.server
@linux
def test_the_server_dies_with_the_session_that_started_it(milvus_server: MilvusServer, tmp_path: Path) -> None:
    """A session that is killed leaves no server behind, and a second server runs beside the first one."""
    session = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(tmp_path), str(PORT + PORTS_APART)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    with session:
        assert session.stdout is not None
        pid = int(session.stdout.readline())
        session.kill()

    assert ends(pid, within=5)
    milvus_server.wait_until_healthy(timeout=5)


@pytest.mark.server
@linux
def test_stopping_and_killing_end_the_process(milvus_server: MilvusServer, tmp_path: Path) -> None:
    """A server that was stopped is gone and can be started again on its ports; one that was killed is gone at once."""
    server = MilvusServer(tmp_path, port=milvus_server.port + PORTS_APART)
    server.start()
    stopped = server.pid
    server.stop()
    assert ends(stopped, within=0)

    server.start()
    killed = server.pid
    server.kill()
    assert ends(killed, within=0)
