"""A Ray cluster of this machine, in processes of its own: for tests that join it, one after the other.

It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

OBJECT_STORE_BYTES = 400_000_000

_START = """
import sys, ray
made = ray.init(
    address="local", num_cpus=int(sys.argv[1]), object_store_memory=int(sys.argv[2]),
    include_dashboard=False, log_to_driver=False, configure_logging=False, _temp_dir=sys.argv[3],
)
print(made.address_info["gcs_address"], flush=True)
sys.stdin.read()  # to the end of who started it
ray.shutdown()
"""


@contextmanager
def ray_cluster(cpus: int, **variables: str) -> Iterator[str]:
    """Its address, as `--ray-address` takes it; with variables of its environment."""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", **variables}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-c", _START, str(cpus), str(OBJECT_STORE_BYTES), folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        ) as process:
            assert process.stdout is not None
            address = process.stdout.readline().decode().strip()
            assert address, "Ray did not start"
            yield address
            process.communicate(timeout=60)
