"""The map's plane."""

from __future__ import annotations

import numpy as np
import pytest

from playground.projection import principal_components


def test_the_plane_is_that_of_the_greatest_variances() -> None:
    """Points that differ much along one axis, less along a second, hardly along others: distances are kept."""
    chance = np.random.default_rng(1)
    spread = np.array([5.0, 2.0, 0.01, 0.01])
    turn, _ = np.linalg.qr(chance.normal(size=(4, 4)))
    vectors = (chance.normal(size=(200, 4)) * spread) @ turn + 7
    plane = principal_components(vectors.tolist())
    points = plane.points(vectors.tolist())
    assert points.shape == (200, 2)
    assert plane.explained > 0.999
    assert points.std(axis=0) == pytest.approx([5, 2], rel=0.15)
    flat = np.linalg.norm(vectors[0] - vectors[1])
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(flat, abs=0.05)


@pytest.mark.parametrize("vectors", [[[1.0, 2.0, 3.0]], [[1.0], [2.0]], [[1.0, 1.0]] * 3])
def test_few_or_equal_vectors_have_a_place(vectors: list[list[float]]) -> None:
    """One point, one dimension, no difference at all: numbers, and none that is none."""
    plane = principal_components(vectors)
    assert np.isfinite(plane.points(vectors)).all()
    assert plane.explained == pytest.approx(1)
