"""Compiled code finds the words that NumPy finds, and says as well where there are too few."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.words import kernels
from featmatch.words.nearest import Centres, TwoLevelSearch


def random_words(count: int, size: int, seed: int, top: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, top, (count, size)).astype(np.uint8)


@pytest.mark.parametrize(("size", "unit", "forms"), [(128, 1, 4), (488, 255, 1), (20, 255, 1)])
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("probes", [1, 2, 5])
def test_words_are_those_of_numpy(size: int, unit: int, forms: int, count: int, probes: int) -> None:
    words, cells = random_words(61, size, seed=1), random_words(5, size, seed=2)
    offsets = np.array([0, 3, 3, 30, 59, 61])
    search = TwoLevelSearch(words, cells, offsets, unit=unit, forms=forms, probes=probes)
    descriptors = random_words(333, size, seed=3, top=2 if unit == 255 else 256)
    found = search.nearest_compiled(descriptors, count)
    np.testing.assert_array_equal(found, search.nearest_with_numpy(descriptors, count))
    if count == 40 and probes == 1:  # no cell holds so many
        assert found[:, -1].tolist() == [-1] * 333


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 8])
def test_each_of_any_number_of_words_is_compared(count: int) -> None:
    """Four at a time, and what stands behind the last does not matter."""
    words = np.eye(count, kernels.LANES, dtype=np.int16) * 9
    behind = np.full((3, kernels.LANES), 9, np.int16)
    norms = (words.astype(np.float32) ** 2).sum(axis=1)
    centres = Centres(np.concatenate([words, behind]), norms, np.float32(1))
    one_cell = Centres(np.zeros((4, kernels.LANES), np.int16), np.zeros(1, np.float32), np.float32(1))
    found = kernels.nearest_words(words[:, None], one_cell, centres, np.array([0, count]), 1, count)
    expected = [[own, *(other for other in range(count) if other != own)] for own in range(count)]
    assert found.tolist() == expected  # all others are equally far: the lower first


@pytest.mark.parametrize("vectors", [kernels.LANES, 3 * kernels.LANES])
def test_all_of_long_vectors_is_multiplied(vectors: int) -> None:
    words = np.random.default_rng(1).integers(0, 256, (9, vectors)).astype(np.int16)
    descriptors = np.random.default_rng(2).integers(0, 256, (30, 1, vectors)).astype(np.int16)
    norms = (words.astype(np.float32) ** 2).sum(axis=1)
    centres = Centres(np.concatenate([words, words[:3]]), norms, np.float32(1))
    found = kernels.nearest_words(descriptors, centres, centres, np.arange(10), 9, 9)
    squared = ((descriptors.astype(int) - words) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found, np.argsort(squared, axis=1, kind="stable"))
