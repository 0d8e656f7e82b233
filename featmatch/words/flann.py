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
            queries: (N, D) float32.
            count: at most K.
            checks: leaves to look at; more find nearer rows.
        """
        if len(queries) == 0:
            return np.empty((0, count), np.int32), np.empty((0, count), np.float32)
        queries = np.ascontiguousarray(queries, np.float32)
        found, distances = self._index.knnSearch(queries, count, params={"checks": checks})
        return found.reshape(-1, count), distances.reshape(-1, count)
