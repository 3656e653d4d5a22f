"""Vectors of many dimensions, seen in two: principal component analysis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

PLANE = 2


@dataclass(frozen=True, slots=True)
class Projection:
    """The plane along which vectors differ most."""

    mean: np.ndarray
    axes: np.ndarray
    """Two unit vectors, one a row."""
    explained: float
    """Share of the variance that the plane shows, 0 to 1."""

    def points(self, vectors: Sequence[Sequence[float]]) -> np.ndarray:
        """Where vectors lie in the plane: one a row, two columns."""
        import numpy as np  # noqa: PLC0415 - heavy

        points: np.ndarray = (np.asarray(vectors, dtype=np.float32) - self.mean) @ self.axes.T
        return points


def principal_components(vectors: Sequence[Sequence[float]]) -> Projection:
    """The plane of the two greatest variances.

    Args:
        vectors: of one length; at least one.
    """
    import numpy as np  # noqa: PLC0415 - heavy

    matrix = np.asarray(vectors, dtype=np.float32)
    mean = matrix.mean(axis=0)
    _, strengths, axes = np.linalg.svd(matrix - mean, full_matrices=False)
    plane = np.zeros((PLANE, matrix.shape[1]), dtype=np.float32)
    plane[: len(axes[:PLANE])] = axes[:PLANE]
    # the sign of an axis is arbitrary: fixed, so that the same vectors give the same picture everywhere
    largest = plane[np.arange(PLANE), np.abs(plane).argmax(axis=1)]
    plane *= np.where(largest < 0, -1, 1)[:, None]
    variances = strengths.astype(np.float64) ** 2
    total = float(variances.sum())
    return Projection(mean, plane, float(variances[:PLANE].sum()) / total if total else 1.0)
