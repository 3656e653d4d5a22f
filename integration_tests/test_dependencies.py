"""What is installed with the connector: known vulnerabilities, and licences."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

import pytest
from packaging.requirements import Requirement

from devtools.environments import CONNECTOR, DISTRIBUTIONS, LOCK

ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern the connector: id → why, and until when."""


# --- vulnerabilities --------------------------------------------------------------------------------------------------


def test_nothing_in_the_lock_has_a_known_vulnerability() -> None:
    """As pip-audit finds them in PyPI's advisories; skipped, and said, where the advisories cannot be reached."""
    audit = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK)]
    # the lock is complete and has hashes: nothing has to be resolved or installed to read it
    audit += ["--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    done = subprocess.run(audit, capture_output=True, text=True, check=False, timeout=300)
    if "No module named pip_audit" in done.stderr:
        pytest.skip("pip-audit is not installed: it belongs to the group dev of pyproject.toml")
    unreachable = re.search(r"ConnectionError|Could not connect|connection timed out|Max retries", done.stderr)
    if not done.stdout and unreachable:
        pytest.skip("the advisories of PyPI cannot be reached")
    audited = json.loads(done.stdout or "null")
    assert audited is not None, done.stderr
    packages = audited["dependencies"]
    assert len(packages) > 50, "the lock was not read"
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        pytest.skip("the advisories of PyPI cannot be reached: this index does not carry them")
    assert len(known) > 0.9 * len(packages), [package for package in packages if "skip_reason" in package]
    assert vulnerabilities(known) == []


def vulnerabilities(packages: list[dict[str, Any]]) -> list[str]:
    """Each one that is not accepted, with the version that mends it."""
    return [
        f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'none'}"
        for package in packages
        for found in package["vulns"]
        if not {found["id"], *found.get("aliases", [])} & ACCEPTED.keys()
    ]


def test_a_vulnerability_is_told_with_the_version_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the form that pip-audit reports; one that was accepted is not told."""
    package = {"name": "requests", "version": "2.19.0"}
    found = [{"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": ["CVE-2018-18074"]}]
    report = [{**package, "vulns": found}, {"name": "sound", "version": "1", "vulns": []}]
    assert vulnerabilities(report) == ["requests 2.19.0: PYSEC-2018-28, fixed in 2.20.0"]
    monkeypatch.setitem(ACCEPTED, "CVE-2018-18074", "no redirects are followed")
    assert vulnerabilities(report) == []


# --- licences ---------------------------------------------------------------------------------------------------------

COPYLEFT = re.compile(r"\bA?GPL|\bGNU (Affero )?General Public|\bSSPL|\bBUSL|\bCommons Clause", re.IGNORECASE)
"""Licences that would reach beyond their own package. The LGPL's and MPL's do not."""

TOLERATED = {
    "unidecode": "GPL-2.0-or-later; airbyte-cdk requires it, so that every connector in Python comes with it",
}
"""Packages with such a licence all the same: name → why."""


def runtime_dependencies() -> dict[str, Distribution]:
    """What is installed with the connector, its extras, the stub and the form, at any depth, by name."""
    found: dict[str, Distribution] = {}
    waiting = [
        (name, ("lite", "local", "backfill", "chinese", "ray") if name == CONNECTOR else ())
        for name in reversed(DISTRIBUTIONS)
    ]
    while waiting:
        name, wanted = waiting.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform or Python
        found[name.lower()] = package
        for line in package.requires or []:
            required = Requirement(line)
            applies = required.marker is None or any(
                required.marker.evaluate({"extra": extra}) for extra in (wanted or ("",))
            )
            if applies and required.name.lower() not in found:
                waiting.append((required.name, tuple(required.extras)))
    return {name: package for name, package in found.items() if name not in DISTRIBUTIONS}


def licence(package: Distribution) -> str:
    """What the package says of its licence, in whichever of three ways."""
    metadata = package.metadata
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    text = metadata.get("License-Expression") or metadata.get("License") or ""
    return "; ".join([text.strip().splitlines()[0] if text.strip() else "", *classifiers]).strip("; ")


def test_no_dependency_has_a_licence_that_reaches_beyond_it() -> None:
    """The connector is MIT: whoever ships it must be free to."""
    packages = runtime_dependencies()
    assert {
        "airbyte-cdk",
        "pymilvus",
        "milvus-lite",
        "onnxruntime",
        "openai",
        "grpcio",
        "ray",
        "streamlit",
    } <= packages.keys()
    licences = {name: licence(package) for name, package in packages.items()}
    reaching = {name: text for name, text in licences.items() if COPYLEFT.search(text)}
    assert reaching.keys() == TOLERATED.keys(), reaching


def test_every_dependency_says_what_its_licence_is() -> None:
    """In its metadata, or at least in a file that comes with it."""
    silent = [
        name
        for name, package in runtime_dependencies().items()
        if not licence(package) and not any("LICEN" in str(file).upper() for file in package.files or [])
    ]
    assert silent == []
