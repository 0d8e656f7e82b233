"""FLANN (Muja and Lowe, VISAPP 2009): approximate nearest neighbours.

Two libraries bring it. ``cv2.flann`` builds the same kd-trees from the same points wherever it runs, which is what
matching two pictures needs. ``pyflann`` has the better trees for words, k-means trees, but draws them anew at each
build, whatever the seed, so they are saved with the vocabulary; where its binary does not load (it is for x86-64 only),
kd-trees stand in. OpenCV crashes when it frees a k-means tree that it loaded, so those are not an alternative.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.errors import VocabularyError

_opencv: Any = cv2  # its type stubs lack FLANN
_SEED = 20120924
Tree = Literal["kdtree", "kmeans"]


def word_tree() -> Tree:
    """The best tree for words that can be built here."""
    return "kmeans" if _pyflann() else "kdtree"


class FlannIndex:
    """Approximate nearest neighbours among the rows of an array.

    Args:
        points: (K, D) float32.
        tree: "kdtree" (four randomised trees of OpenCV, seeded) or "kmeans" (one of pyflann, slower to build, better).
        saved: what ``saved()`` of an index over the same points returned; it then finds the same neighbours.

    Raises:
        VocabularyError: ``saved`` holds another kind of tree.
    """

    def __init__(
        self, points: NDArray[np.float32], tree: Tree = "kdtree", saved: NDArray[np.uint8] | None = None
    ) -> None:
        self._points = np.ascontiguousarray(points, np.float32)  # FLANN keeps a pointer to it
        self._tree = tree
        self._index: Any = _pyflann().FLANN() if tree == "kmeans" else _opencv.flann_Index()
        if saved is not None:
            self._load(saved)
        elif tree == "kmeans":
            self._index.build_index(
                self._points, algorithm="kmeans", branching=32, iterations=7, random_seed=_SEED, log_level="none"
            )
        else:
            cv2.setRNGSeed(_SEED)
            self._index.build(self._points, {"algorithm": 1, "trees": 4})

    def nearest(
        self, queries: NDArray[np.float32], count: int, checks: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The nearest ``count`` rows: (N, count) int32 numbers and (N, count) float32 squared distances.

        Args:
            queries: (N, D) float32.
            count: at most K.
            checks: leaves to look at; the more, the surer.
        """
        if len(queries) == 0:
            return np.empty((0, count), np.int32), np.empty((0, count), np.float32)
        queries = np.ascontiguousarray(queries, np.float32)
        if self._tree == "kmeans":
            found, distances = self._index.nn_index(queries, count, checks=checks)
        else:
            found, distances = self._index.knnSearch(queries, count, params={"checks": checks})
        return found.reshape(-1, count), distances.reshape(-1, count)

    def saved(self) -> NDArray[np.uint8]:
        """The trees without the points, as bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tree"
            if self._tree == "kmeans":
                self._index.save_index(os.fsencode(path))
            else:
                self._index.save(str(path))
            return np.frombuffer(f"{self._tree}\n".encode() + path.read_bytes(), np.uint8)

    def _load(self, saved: NDArray[np.uint8]) -> None:
        kind, _, tree = saved.tobytes().partition(b"\n")
        if kind.decode(errors="replace") != self._tree:
            raise VocabularyError("this vocabulary was made with a FLANN library that does not load here")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tree"
            path.write_bytes(tree)
            if self._tree == "kmeans":
                self._index.load_index(os.fsencode(path), self._points)
            else:
                self._index.load(self._points, str(path))


@cache
def _pyflann() -> Any:
    """The module, or None where its binary does not load; imported when it is needed, which is seldom."""
    try:
        return importlib.import_module("pyflann")
    except (ImportError, OSError):
        return None
