"""The image, built and tried out (`make image`, `make image-test`): by Docker, or by buildah and podman without it."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from devtools.environments import ROOT, run
from release.acceptance import DESTINATION, acceptance_tools, assembled

HERE = Path(__file__).parent
EXAMPLES = ROOT / "examples"
METADATA = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
IMAGE = f"{METADATA['dockerRepository']}:{METADATA['dockerImageTag']}"
WITH_LITE = f"{IMAGE}-lite"
"""The same with Milvus Lite inside."""
EXTRAS = {IMAGE: "local", WITH_LITE: "lite,local"}
USER = 1000
"""As whom Airbyte's base image runs connectors."""

STAND_IN = "localhost/python-connector-base:stand-in"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,tzdata"

CONTENT = HERE / "image_content.py"
"""Runs inside."""


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m release.image", description=__doc__)
    parser.add_argument("command", choices=["build", "stand-in", "test", "list"])
    parser.add_argument("--base", help="another base image than Airbyte's")
    parser.add_argument("--lite", action="store_true", help="the image with Milvus Lite inside")
    arguments = parser.parse_args()
    image = WITH_LITE if arguments.lite else IMAGE
    if arguments.command == "build":
        build(image, arguments.base)
    elif arguments.command == "stand-in":
        make_stand_in()
    elif arguments.command == "list":
        print(inside(image, CONTENT.read_text(), "weights"))
    else:
        test()


def docker() -> str:
    """The command: Docker's own where its engine answers, else the one over buildah and podman."""
    found = shutil.which("docker")
    if found and not subprocess.run([found, "info"], capture_output=True, check=False).returncode:
        return found
    missing = [program for program in ("buildah", "podman", "runc") if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        sys.exit(
            "No Docker engine answers. Without one, the image is built and run by buildah, podman and runc (Debian, "
            f"Ubuntu: apt install buildah podman runc), as root; missing: {', '.join(missing) or 'being root'}."
        )
    return str(HERE / "without-engine" / "docker")


# --- building ---------------------------------------------------------------------------------------------------------


def build(image: str, base: str | None) -> None:
    """Build an image."""
    options = ["--build-arg", f"EXTRAS={EXTRAS[image]}"]
    options += ["--build-arg", f"BASE_IMAGE={base}"] if base else []
    run([docker(), "build", *options, "--tag", image, "."])
    print(f"Built {image}.")


def make_stand_in() -> None:
    """A base image of Debian's packages, for machines that reach no registry of containers.

    Like Airbyte's base in what the Dockerfile relies on: Python 3.11 and pip on Debian 12, a user with the id 1000.
    """
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        sys.exit("The stand-in is made by debootstrap (Debian, Ubuntu: apt install debootstrap), as root.")
    with tempfile.TemporaryDirectory() as folder:
        # the mirror is debootstrap's own default, or $MIRROR
        debootstrap = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", folder]
        run([*debootstrap, *os.environ.get("MIRROR", "").split()])
        run(["chroot", folder, "useradd", "--uid", str(USER), "--create-home", "airbyte"])
        run(["chroot", folder, "ln", "--symbolic", "/usr/bin/python3", "/usr/local/bin/python"])
        run(["chroot", folder, "apt-get", "clean"])
        leave_out = [f"--exclude=./{name}/*" for name in ("proc", "sys", "dev", "var/lib/apt/lists")]
        with subprocess.Popen(["tar", "-C", folder, *leave_out, "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run([docker(), "import", "-", STAND_IN], stdin=packed.stdout, check=True)
    print(f"Made {STAND_IN}: make image BASE={STAND_IN}")


# --- trying out -------------------------------------------------------------------------------------------------------


def test() -> None:
    """Try both images out, on a network that consists of this machine; the first thing that does not hold ends it."""
    for image, hint in ((IMAGE, "make image"), (WITH_LITE, "make image LITE=1")):
        if subprocess.run([docker(), "image", "inspect", image], capture_output=True, check=False).returncode:
            sys.exit(f"There is no image {image}: `{hint}` builds it.")
    if not docker().startswith(str(HERE)):
        _try_out()
    elif os.environ.get("OWN_NETWORK"):
        _raise_loopback()
        _try_out()
    else:
        acceptance_tools()  # installed while there still is a network
        # podman's containers get this process's network: one in which nothing is, and nothing can be downloaded from
        command = ["unshare", "--net", sys.executable, "-m", "release.image", "test"]
        sys.exit(subprocess.run(command, check=False, env={**os.environ, "OWN_NETWORK": "1"}, cwd=ROOT).returncode)


def _try_out() -> None:
    from devtools.milvus_server import MilvusServer  # noqa: PLC0415 - a build needs neither
    from devtools.openai_endpoint import serving  # noqa: PLC0415

    for image, extras in EXTRAS.items():
        print(f"\n{image}")
        _look_at_configuration(image)
        print(inside(image, CONTENT.read_text(), "checks", extras), flush=True)
        _try_spec(image)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)  # the container's user is not ours
        local = _config("/volume/milvus.db", {"mode": "local"})
        _refuse(folder, f"{IMAGE}: Milvus Lite, which is not inside", local)
        _sync(WITH_LITE, folder, "Milvus Lite on a volume, local model, no network at all", local, "none")
        server = MilvusServer(folder / "milvus", port=int(os.environ.get("MILVUS_TEST_PORT", "27530")))
        (folder / "milvus").mkdir()
        server.start()
        try:
            with serving() as endpoint:
                config = _config(server.uri, endpoint.embedding())
                _sync(IMAGE, folder, "Milvus server, embedding endpoint, network of this machine", config, "host")
                assert endpoint.texts, "nothing was embedded"
                config = _config(server.uri, {"mode": "local"}, "local_model")
                _sync(IMAGE, folder, "Milvus server, local model", config, "host")
        finally:
            server.kill()
    print("\nairbyte-cdk image test")
    for image in EXTRAS:
        _airbytes_tests(image)
    print(f"\nThe images {IMAGE} and {WITH_LITE} hold.")


def _look_at_configuration(image: str) -> None:
    [found] = json.loads(_output([docker(), "image", "inspect", image]))
    config = found["Config"]
    environment = dict(line.split("=", 1) for line in config["Env"])
    assert config["User"] == str(USER), config["User"]
    assert " ".join(config["Entrypoint"]) == environment["AIRBYTE_ENTRYPOINT"], config["Entrypoint"]
    assert config["Labels"]["io.airbyte.name"] == METADATA["dockerRepository"], config["Labels"]
    assert config["Labels"]["io.airbyte.version"] == METADATA["dockerImageTag"], config["Labels"]
    print(f"User {USER}, entry point and labels are as Airbyte wants them; {found['Size'] / 1e6:.0f} MB.")


def _try_spec(image: str) -> None:
    started = time.monotonic()
    [message] = _messages(image, ["spec"], Path("/nonexistent"), "none")
    took = time.monotonic() - started
    assert message == json.loads((ROOT / "integration_tests" / "spec.json").read_text())
    print(f"spec: as the golden copy, {took:.1f} s from nothing to the end of the container.")


def _refuse(folder: Path, what: str, config: Mapping[str, Any]) -> None:
    """A check of a Milvus Lite database in the image without Milvus Lite: it says how to build the one with it."""
    (folder / "config.json").write_text(json.dumps(config))
    [status] = _messages(IMAGE, ["check", "--config", "/volume/config.json"], folder, "none")
    assert status["connectionStatus"]["status"] == "FAILED", status
    assert "--build-arg EXTRAS=" in status["connectionStatus"]["message"], status
    print(f"\n{what}\n  check: FAILED, {status['connectionStatus']['message']}")


def _sync(image: str, folder: Path, what: str, config: Mapping[str, Any], network: str) -> None:
    """A check, and two writes: the stub's records, then the same again, of which nothing is embedded."""
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(EXAMPLES / "catalog.json", folder)
    [status] = [
        m for m in _messages(image, ["check", "--config", "/volume/config.json"], folder, network) if m["type"] != "LOG"
    ]
    assert status["connectionStatus"]["status"] == "SUCCEEDED", status
    print(f"\n{image}: {what}\n  check: SUCCEEDED")
    records = _stub_records()
    for embedded in ("248 texts embedded", "0 texts embedded"):
        started = time.monotonic()
        write = ["write", "--config", "/volume/config.json", "--catalog", "/volume/catalog.json"]
        messages = _messages(image, write, folder, network, records)
        took = time.monotonic() - started
        states = sum(message["type"] == "STATE" for message in messages)
        summary = next(
            m["log"]["message"] for m in messages if m["type"] == "LOG" and "Sync complete" in m["log"]["message"]
        )
        assert states == records.count(b'"STATE"'), f"{states} states came back"
        assert embedded in summary or "0 unchanged" not in summary, summary
        print(f"  write: {states} states, {took:.1f} s. {summary}", flush=True)


def _config(host: str, embedding: Mapping[str, Any], collection: str = "zendesk") -> dict[str, Any]:
    config: dict[str, Any] = json.loads((EXAMPLES / "milvus_lite_local.json").read_text())
    indexing = {**config["indexing"], "host": host, "collection": collection}
    return {**config, "embedding": embedding, "indexing": indexing}


def _stub_records() -> bytes:
    stub = [str(Path(sys.executable).with_name("source-zendesk-stub")), "read"]
    stub += ["--config", str(EXAMPLES / "source_config.json"), "--catalog", str(EXAMPLES / "catalog.json")]
    return subprocess.run(stub, check=True, capture_output=True).stdout


def _messages(
    image: str, command: Sequence[str], folder: Path, network: str, stdin: bytes = b""
) -> list[dict[str, Any]]:
    """What a command in a container writes: protocol messages and nothing else."""
    volume = [] if not folder.exists() else ["--volume", f"{folder}:/volume"]
    container = [docker(), "run", "--rm", "--interactive", f"--network={network}", *volume, image, *command]
    done = subprocess.run(container, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stdout[-2000:]!r} {done.stderr[-2000:]!r}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def _airbytes_tests(image: str) -> None:
    """`airbyte-cdk image test`: spec, check and the examples' configurations, in the image.

    The configuration whose check is to succeed is one for Milvus Lite, which needs no server.
    """
    tools, folder = acceptance_tools(), assembled(DESTINATION)
    if image != WITH_LITE:
        expectations = folder / "acceptance-test-config.yml"
        expected = yaml.safe_load(expectations.read_text())
        for test in expected["acceptance_tests"]["connection"]["tests"]:
            test["status"] = "failed"
        expectations.unlink()  # a link
        expectations.write_text(yaml.safe_dump(expected))
    path = f"{Path(docker()).parent}:{os.environ['PATH']}"
    command = [str(tools.program("airbyte-cdk")), "image", "test", ".", "--image", image]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"  {image}: {done.stdout.rstrip().splitlines()[-1].strip(' =')}")


def inside(image: str, script: str, *arguments: str) -> str:
    """What a script prints that runs in an image."""
    container = [docker(), "run", "--rm", "--interactive", "--network=none", "--entrypoint=python", image, "-"]
    done = subprocess.run([*container, *arguments], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rstrip()


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _raise_loopback() -> None:
    """`ip link set lo up`: in a new network of its own, the interface is down (<linux/if.h>, <linux/sockios.h>)."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, get_flags, request))[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, subprocess.CalledProcessError) as failed:
        sys.exit(f"Failed: {failed}")
