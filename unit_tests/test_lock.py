"""requirements.lock is what the project asks for, with stub and form."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.environments import LOCK, ROOT
from devtools.lock import ASKING, PROJECT

NO_INDEX = ("error sending request", "failed to fetch", "dns error", "network was disabled", "timed out")
"""What uv says, in lower case, where no package index can be reached."""


def test_the_lock_is_up_to_date(tmp_path: Path) -> None:
    """Compiling them again, with the versions that are locked, changes nothing."""
    for name in (LOCK.name, *ASKING):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)

    done = subprocess.run(PROJECT, cwd=tmp_path, capture_output=True, text=True, check=False)

    said = " ".join(done.stderr.lower().split())
    if done.returncode and any(phrase in said for phrase in NO_INDEX):
        pytest.skip("no package index can be reached to compare the lock with")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / LOCK.name).read_text() == LOCK.read_text(), "run `make lock`"


def test_the_lock_names_no_host() -> None:
    """It installs from whichever index the machine is configured for."""
    assert "://" not in LOCK.read_text()


def test_everything_in_the_lock_has_a_hash() -> None:
    """What is installed is what was locked, byte for byte."""
    packages = LOCK.read_text().replace("\\\n", "").splitlines()
    assert all("--hash=sha256:" in package for package in packages if package[:1].isalnum())
