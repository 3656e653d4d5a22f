"""Airbyte's own tests of connectors, as `make acceptance` runs them: on the wheel, in environments of their own."""

from __future__ import annotations

import subprocess

import pytest

from release import acceptance
from release.acceptance import Verdict, compared


@pytest.mark.parametrize("name", list(acceptance.CONNECTORS))
def test_airbytes_standard_tests_pass(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """As Airbyte tries spec, check, discover and read of every connector; and its schema of the metadata."""
    try:
        acceptance.run_standard_tests(name)
    except subprocess.CalledProcessError:
        pytest.fail("".join(capfd.readouterr()))
    assert " passed" in capfd.readouterr().out


def test_the_rules_that_are_not_followed_are_those_with_a_reason() -> None:
    """Airbyte's QA finds what the decision explains, and nothing else."""
    assert compared(acceptance.verdicts(), acceptance.rules_with_a_reason()) == ""


def test_a_difference_between_the_rules_and_the_reasons_is_told() -> None:
    """In both directions; a rule that is not for destinations needs no reason."""
    found = [
        Verdict("Kept", "passed", "fine"),
        Verdict("ForSources", "skipped", "not for destinations"),
        Verdict("Explained", "failed", "no lock"),
        Verdict("New", "failed", "no icon"),
        Verdict("Unjudged", "error", "KeyError"),
    ]
    assert compared(found, {"Explained", "Unjudged"}).startswith("New is not followed, and has no reason in docs/adr/")
    assert compared(found, {"Explained", "New", "Unjudged", "Kept"}).startswith("Kept is followed: take it out of ")
    assert compared(found, {"Explained", "New", "Unjudged"}) == ""
