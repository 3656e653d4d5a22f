"""A Ray cluster: the one that is named, or one of this machine for as long as the command runs.

Ray is imported here and by what runs on it, and only for `--engine ray`. What it logs is kept away from the user, who
reads sentences; `LOG_LEVEL=DEBUG` lets it through.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from destination_milvus.config.embedding import LocalEmbedding
from destination_milvus.config.models import Config
from destination_milvus.errors import ConfigError, TransientError, option
from destination_milvus.milvus.address import is_embedded
from destination_milvus.stopping import STOP_SIGNALS

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger("airbyte.backfill")

CPUS_OF_A_WAITING_WORKER = 0.2
"""Of one that asks a service for vectors. It waits for the network: with a whole CPU each, a few workers would leave
none to those who read and shuffle."""

CPUS_BESIDE_WORKERS = 1
"""For reading and shuffling."""

CONNECT_SECONDS = 5.0
NODES_SECONDS = 60.0
"""For which nodes of a cluster that is starting are waited for."""

GONE_SECONDS = 75.0
"""Until what ran on a node that the cluster has lost has ended: a raylet that cannot reach the others ends itself and
its workers after 60 s (Ray's `gcs_rpc_server_reconnect_timeout_s`)."""

OBJECT_STORE_BYTES = 2 * 10**9
"""Most shared memory of a cluster of this machine; what is shuffled beyond goes to the temporary folder."""

MAX_SOCKET_FOLDER = 40
"""Characters of the path that Ray puts its sockets below: the system allows 107 for the whole of it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What the command line says of the cluster."""

    address: str | None = None
    """`auto`, or `host:port` of its head; None for a cluster of this machine."""
    workers: int | None = None
    """None for one a CPU, as far as they fit."""


def chosen_engine(arguments: Namespace, config: Config) -> Engine | None:
    """What the arguments say of a cluster; None for the local engine. Finds out what can be before anything is read.

    Raises:
        ConfigError: an argument is of the other engine; Ray is not installed, Milvus is in one process, or nothing
            answers at the address.
    """
    if arguments.engine == "local":
        for name, value in (("--ray-address", arguments.ray_address), ("--workers", arguments.workers)):
            if value is not None:
                raise ConfigError(f"{name} is for --engine ray: add that, or leave {name} out.")
        return None
    engine = Engine(arguments.ray_address, arguments.workers)
    if find_spec("ray") is None:
        raise ConfigError(
            "--engine ray needs Ray, which is not installed: run pip install 'airbyte-destination-milvus[ray]'. "
            "--engine local needs nothing."
        )
    if is_embedded(config.indexing.host):
        raise ConfigError(
            f"{option('indexing.host')} is a file of Milvus Lite, which serves one process, and --engine ray starts "
            "several: name a Milvus server, or leave --engine ray out."
        )
    if engine.workers is not None and engine.workers < 1:
        raise ConfigError(f"--workers is {engine.workers}: at least 1 is needed.")
    _require_address(engine.address)
    return engine


def _require_address(address: str | None) -> None:
    """Ray would try for minutes."""
    if address is None or address == "auto":
        return
    if "://" in address:
        raise ConfigError(
            f"--ray-address {address}: name the head as host:port (6379 by default), or `auto` on a machine of the "
            "cluster. Ray's clients and job addresses (ray://, http://) are not joined: submit the command as a job."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"--ray-address {address} is no host:port, as 10.0.0.1:6379 is, nor `auto`.")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray-address {address} cannot be reached: is the head of a Ray cluster running there, and reachable "
            "from here?"
        ) from error


def cpus_of_a_worker(config: Config) -> float:
    """What each worker claims of the cluster: a whole CPU where the model runs in it."""
    return 1.0 if isinstance(config.embedding, LocalEmbedding) else CPUS_OF_A_WAITING_WORKER


def shared_out(config: Config, workers: int) -> Config:
    """The configuration of one worker: with its share of what the account allows a minute.

    Raises:
        ConfigError: the account allows less than one request for each.
    """
    advanced = config.advanced
    requests = advanced.requests_per_minute
    if requests is not None and requests < workers:
        raise ConfigError(
            f"--workers is {workers}, and {option('advanced.requests_per_minute')} {requests}: each worker needs at "
            f"least one. Start at most {requests}."
        )
    shares = {
        name: limit // workers
        for name in ("requests_per_minute", "tokens_per_minute")
        if (limit := getattr(advanced, name)) is not None
    }
    return config.model_copy(update={"advanced": advanced.model_copy(update=shares)})


@contextmanager
def cluster(engine: Engine, config: Config) -> Iterator[int]:
    """Join or start the cluster, and say how many workers there will be.

    Raises:
        ConfigError: it cannot be joined, or is too small for the workers.
    """
    wants_logs = logging.getLogger("airbyte").isEnabledFor(logging.DEBUG)
    _set_up_environment(is_own=engine.address is None, wants_logs=wants_logs)
    import ray  # noqa: PLC0415 - see above

    own_folder = tempfile.TemporaryDirectory(prefix="dm-", dir=_short_folder(), ignore_cleanup_errors=True)
    with own_folder as folder, warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore")
        if not wants_logs:  # what raylets report is printed on standard output, where this command says nothing
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        try:
            _start(ray, engine, folder, wants_logs=wants_logs)
            workers = _workers(ray, engine, cpus_of_a_worker(config))
            _quiet(wants_logs=wants_logs)
            yield workers
        finally:
            ray.shutdown()


def _set_up_environment(*, is_own: bool, wants_logs: bool) -> None:
    """Of this process and all of a cluster that it starts. Ray reads these when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not wants_logs:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if is_own and not os.environ.keys() & {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        # other users of this machine must not run code in it; and a token of Ray's own would be left in the home folder
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _short_folder() -> str | None:
    """The temporary folder, unless its path is too long for sockets below it."""
    return None if len(tempfile.gettempdir()) <= MAX_SOCKET_FOLDER else "/tmp"  # noqa: S108 - a folder below has a random name


def _start(ray: ModuleType, engine: Engine, folder: str, *, wants_logs: bool) -> None:
    quiet: dict[str, Any] = {} if wants_logs else {"log_to_driver": False, "configure_logging": False}
    try:
        with _signals_left_alone(), nullcontext() if wants_logs else _stderr_held_back():
            if engine.address is not None:
                ray.init(address=engine.address, **quiet)
            else:
                cpus = max(2, os.cpu_count() or 1)
                ray.init(
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _temp_dir=folder,
                    **quiet,
                )
    except Exception as error:
        raise _refused(engine, error) from error


@contextmanager
def _signals_left_alone() -> Iterator[None]:
    """Ray puts a handler of its own in the place of ours."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Nothing of what Ray's C++ part says before it knows how little it is to say."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _refused(engine: Engine, error: Exception) -> ConfigError:
    if engine.address is None:
        return ConfigError(
            f"A Ray cluster of this machine cannot be started ({type(error).__name__}). LOG_LEVEL=DEBUG shows what Ray "
            "says; --engine local does without."
        )
    if "mismatch" in str(error).lower():
        reason = "its nodes have another version of Ray or Python than this machine: install the same ones"
    elif "Could not find any running Ray instance" in str(error):
        reason = "no node of a cluster runs on this machine: name the head as host:port"
    elif "Authentication" in type(error).__name__ or "token" in str(error).lower():
        reason = "it asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    else:
        reason = f"Ray fails to join it ({type(error).__name__}); LOG_LEVEL=DEBUG shows what it says"
    return ConfigError(f"--ray-address {engine.address}: {reason}.")


def _workers(ray: ModuleType, engine: Engine, cpus_each: float) -> int:
    """How many fit, or are wanted and fit."""
    wanted = engine.workers
    deadline = time.monotonic() + (0 if engine.address is None else NODES_SECONDS)
    while True:
        cpus = ray.cluster_resources().get("CPU", 0)  # no such key where no node has one
        most = int((cpus - CPUS_BESIDE_WORKERS) / cpus_each + 1e-9)
        if most >= (wanted or 1):
            return wanted or min(most, int(cpus))
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    needed = (wanted or 1) * cpus_each + CPUS_BESIDE_WORKERS
    room = f"is room for {most}" if most > 0 else "is no room for one"
    raise ConfigError(
        f"--workers {wanted or 1}: the Ray cluster has {cpus:g} CPUs, where there {room}: each claims {cpus_each:g} of "
        f"one, and {CPUS_BESIDE_WORKERS} is for reading and shuffling. Start fewer, or a cluster with {needed:g} CPUs."
    )


def _quiet(*, wants_logs: bool) -> None:
    data = import_module("ray.data")  # it sets its logger up while it is imported
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    if not wants_logs:
        for handler in list(logging.getLogger("ray.data").handlers):
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                logging.getLogger("ray.data").removeHandler(handler)


def living_nodes(ray: ModuleType) -> frozenset[str]:
    """Ids of the nodes that the cluster sees."""
    return frozenset(node["NodeID"] for node in ray.nodes() if node["Alive"])


def wait_for_lost_nodes(ray: ModuleType, before: frozenset[str]) -> None:
    """Let what may still run on nodes that were lost meanwhile come to its end."""
    lost = before - living_nodes(ray)
    if lost:
        logger.warning(
            "The cluster has lost %d of its nodes meanwhile. Waiting %.0f s, until what may still run there has ended.",
            len(lost),
            GONE_SECONDS,
        )
        time.sleep(GONE_SECONDS)


OUT_OF_ROOM = ("OutOfDisk", "ObjectStoreFull", "OutOfMemory")


def failed(error: Exception) -> TransientError:
    """What Ray itself fails of, in a sentence."""
    text = f"{type(error).__name__} {error}"
    if any(word in text for word in OUT_OF_ROOM):
        return TransientError(
            "The Ray cluster has no room left for what is being shuffled: its nodes need about as much disk, in the "
            "folder that Ray spills to, as the input has unpacked, and memory for what they work on. Make room, or "
            "name another folder (TMPDIR on this machine), then run the same command again: what is stored already "
            "is found unchanged, and costs nothing."
        )
    return TransientError(
        f"The Ray cluster has failed ({type(error).__name__}): a node may have been lost, or its memory be full. Run "
        "the same command again: what is stored already is found unchanged, and costs nothing. LOG_LEVEL=DEBUG shows "
        "what Ray says."
    )
