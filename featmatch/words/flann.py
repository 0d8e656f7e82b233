"""FLANN (Muja and Lowe, VISAPP 2009): approximate nearest neighbours.

OpenCV's FLANN builds the same kd-trees from the same points on every machine, so trees are never saved, and never
loaded from files that may come from strangers. docs/words.md measures k-means trees beside them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_opencv: Any = cv2  # its type stubs lack FLANN
_SEED = 20120924
_HARDLY_MORE = 4  # times as many points as are wanted: FLANN may lose some on its way through the trees, and fail


class FlannIndex:
    """Approximate nearest neighbours among the rows of an array, by four randomised kd-trees.

    Args:
        points: (K, D) float32.
    """

    def __init__(self, points: NDArray[np.float32]) -> None:
        self._points = np.ascontiguousarray(points, np.float32)  # FLANN keeps a pointer to it
        self._index: Any = _opencv.flann_Index()
        cv2.setRNGSeed(_SEED)
        self._index.build(self._points, {"algorithm": 1, "trees": 4})

    def nearest(
        self, queries: NDArray[np.float32], count: int, checks: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Find the nearest rows: (N, count) int32 numbers and (N, count) float32 squared distances, nearest first.

        Args:
            queries: (N, D) float32, whole numbers, as the points are.
            count: at most K.
            checks: leaves to look at; more find nearer rows.
        """
        if len(queries) == 0:
            return np.empty((0, count), np.int32), np.empty((0, count), np.float32)
        if len(self._points) <= _HARDLY_MORE * count:
            return _nearest_of_few(queries, self._points, count)
        queries = np.ascontiguousarray(queries, np.float32)
        found, distances = self._index.knnSearch(queries, count, params={"checks": checks})
        return found.reshape(-1, count), distances.reshape(-1, count)


def _nearest_of_few(
    queries: NDArray[np.float32], points: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The same by all distances. Sums of whole numbers are exact, in whatever order a library adds them up."""
    there, here = queries.astype(np.float64), points.astype(np.float64)
    distances = (there * there).sum(axis=1)[:, None] + (here * here).sum(axis=1) - 2 * (there @ here.T)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return nearest.astype(np.int32), np.take_along_axis(distances, nearest, axis=1).astype(np.float32)
