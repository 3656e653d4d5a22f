"""The program that thresholds are chosen by."""

from __future__ import annotations

from array import array

from support_form.measure import measure, report


def test_distances_are_sorted_into_same_and_other() -> None:
    """Tellings of one problem, of two, the right article, and the nearest wrong one, each as squared L2 distance."""
    east, north = array("f", [1, 0]), array("f", [0, 1])
    tellings = [("a", east), ("a", north), ("b", north)]
    distances = measure(tellings, [("a", east), ("b", north)])
    assert distances.same == [2]
    assert distances.other == [0, 2]
    assert distances.right == [0, 0, 2]
    assert distances.wrong == [0, 2, 2]


def test_the_report_says_what_a_threshold_would_do() -> None:
    """A line a threshold: duplicates seen, false alarms, right articles."""
    east, north = array("f", [1, 0]), array("f", [0.9, 0.1])
    text = report(measure([("a", east), ("a", north), ("b", array("f", [-1, 0]))], [("a", east), ("b", north)]))
    [line] = [line for line in text.splitlines() if line.strip().startswith("1.00")]
    assert "100.0%" in line
    assert "0.00%" in line
