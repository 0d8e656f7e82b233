"""Nearest words by other libraries: Faiss, NMSLIB and Annoy, over all words, each built from the words when needed.

They are slower than the two-level search at equal agreement (docs/words.md), and compute in floats, so that another
processor or version may find another word now and then. They are here for those who compare them.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import MissingFeatureError

_SEED = 20120924


class FaissSearch:
    """Faiss (Douze et al., 2024): a graph of small worlds (Malkov and Yashunin, PAMI 2020).

    Args:
        words: (K, D) uint8, all forms of all words.
        unit: what one step of a descriptor is in words.
        effort: candidates that are kept while the graph is searched.

    Raises:
        MissingFeatureError: it is not installed.
    """

    def __init__(self, words: NDArray[np.uint8], unit: int, effort: int = 32) -> None:
        faiss = _package("faiss")
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # or the graph depends on which thread is first
        try:
            self._index = faiss.IndexHNSWFlat(words.shape[1], 32)
            self._index.add(words.astype(np.float32))
        finally:
            faiss.omp_set_num_threads(threads)
        self._index.hnsw.efSearch = effort
        self._unit = np.float32(unit)

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        if not len(descriptors):
            return np.empty((0, count), np.int32)
        found = self._index.search(np.ascontiguousarray(descriptors * self._unit, np.float32), count)[1]
        return np.asarray(np.where(found < 0, found[:, :1], found), np.int32)


class NmslibSearch:
    """NMSLIB (Boytsov and Naidan, SISAP 2013): the same kind of graph; arguments and errors as for ``FaissSearch``."""

    def __init__(self, words: NDArray[np.uint8], unit: int, effort: int = 32) -> None:
        self._index = _package("nmslib").init(method="hnsw", space="l2")
        self._index.addDataPointBatch(words.astype(np.float32))
        self._index.createIndex({"M": 32, "efConstruction": 100, "indexThreadQty": 1})
        self._index.setQueryTimeParams({"efSearch": effort})
        self._unit = np.float32(unit)

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        queries = np.ascontiguousarray(descriptors * self._unit, np.float32)
        found = self._index.knnQueryBatch(queries, k=count) if len(queries) else []
        return _as_rows([numbers for numbers, _ in found], count)


class AnnoySearch:
    """Annoy (Bernhardsson, 2013): trees of random projections.

    Args:
        words: (K, D) uint8, all forms of all words.
        unit: what one step of a descriptor is in words.
        effort: nodes of its trees that are looked at.

    Raises:
        MissingFeatureError: it is not installed.
    """

    def __init__(self, words: NDArray[np.uint8], unit: int, effort: int = 1000) -> None:
        self._index = _package("annoy").AnnoyIndex(words.shape[1], "euclidean")
        self._index.set_seed(_SEED)
        for number, word in enumerate(words.tolist()):
            self._index.add_item(number, word)
        self._index.build(10, n_jobs=1)
        self._unit = np.float32(unit)
        self._effort = effort

    def nearest(self, descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        """(N, D) uint8 descriptors to (N, count) int32 words, nearest first."""
        queries = (descriptors * self._unit).tolist()  # one at a time is all it offers
        return _as_rows([self._index.get_nns_by_vector(one, count, self._effort) for one in queries], count)


def _as_rows(found: Sequence[Sequence[int]], count: int) -> NDArray[np.int32]:
    """Lists of words as an array; where too few were found, the nearest stands in for those that are missing."""
    rows = np.empty((len(found), count), np.int32)
    for row, numbers in zip(rows, found, strict=True):
        row[:] = numbers[0] if len(numbers) else 0
        row[: len(numbers)] = numbers
    return rows


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingFeatureError(
            f"the words of this vocabulary are found by {name}: pip install 'featmatch[{name}]'"
        ) from error
