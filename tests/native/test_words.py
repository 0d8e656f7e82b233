from __future__ import annotations

import ctypes
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import UsageError
from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.native.library import library
from featmatch.native.words import MOST_SIZE, Centres, nearest_cells, nearest_words, signatures_of
from tests.native import words_twin

Bytes = NDArray[np.uint8]


def random_bytes(count: int, size: int, seed: int, top: int = 256) -> Bytes:
    return np.random.default_rng(seed).integers(0, top, (count, size)).astype(np.uint8)


def permutations_of(forms: int, size: int) -> NDArray[np.int32]:
    """As many as forms: SIFT's, or some at random."""
    if size == 128:
        return SIFT_PERMUTATIONS[:forms].astype(np.int32)
    random = np.random.default_rng(forms)
    return np.stack([np.arange(size), *(random.permutation(size) for _ in range(forms - 1))]).astype(np.int32)


def offsets_of(count: int, cells: int, seed: int = 3) -> NDArray[np.int64]:
    """Spans at random, some of them empty."""
    inner = np.sort(np.random.default_rng(seed).integers(0, count + 1, cells - 1))
    return np.concatenate([[0], inner, [count]]).astype(np.int64)


# Cells


@pytest.mark.parametrize(("size", "unit"), [(1, 1), (3, 1), (20, 255), (64, 1), (128, 1), (488, 255), (512, 255)])
@pytest.mark.parametrize("cells", [1, 2, 31, 32, 33, 64, 100])
def test_the_twin_finds_the_same_cells(level: str, size: int, unit: int, cells: int) -> None:
    del level
    centres, descriptors = random_bytes(cells, size, 1), random_bytes(43, size, 2, 2 if unit == 255 else 256)
    for count in (1, 6, 40):
        found = nearest_cells(Centres(centres), unit, descriptors, count)
        expected = words_twin.nearest_cells(centres, unit, descriptors, count)
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 33])
def test_any_number_of_descriptors_is_compared(level: str, number: int) -> None:
    del level
    centres, descriptors = random_bytes(50, 128, 1), random_bytes(number, 128, 2)
    found = nearest_cells(Centres(centres), 1, descriptors, 4)
    np.testing.assert_array_equal(found, words_twin.nearest_cells(centres, 1, descriptors, 4), strict=True)


def test_of_equally_near_cells_the_lower_comes_first(level: str) -> None:
    del level
    centres = np.tile(random_bytes(3, 128, 1), (30, 1))
    found = nearest_cells(Centres(centres), 1, centres[:3], 90)
    np.testing.assert_array_equal(found[:, :30], np.arange(0, 90, 3) + np.arange(3)[:, None])
    np.testing.assert_array_equal(found, words_twin.nearest_cells(centres, 1, centres[:3], 90))


@pytest.mark.parametrize("unit", [1, 255])
def test_the_brightest_of_the_longest_descriptors_do_not_overflow(level: str, unit: int) -> None:
    del level
    bright = np.full((4, MOST_SIZE), 255, np.uint8)
    bright[1:, :2] = [[254, 255], [0, 0], [255, 254]]
    centres = np.concatenate([np.zeros((1, MOST_SIZE), np.uint8), bright])
    for descriptors in (bright, bright * np.uint8(0), bright & np.uint8(1)):
        found = nearest_cells(Centres(centres), unit, descriptors, 5)
        np.testing.assert_array_equal(found, words_twin.nearest_cells(centres, unit, descriptors, 5))


def test_scores_are_rounded_as_float32_are(level: str) -> None:
    """Of bright bits they are above 2**24: there, what is equally near in float32 is a tie."""
    del level
    random = np.random.default_rng(5)
    centres = random.integers(235, 256, (300, 512)).astype(np.uint8)
    descriptors = (random.random((60, 512)) < 0.97).astype(np.uint8)
    found = nearest_cells(Centres(centres), 255, descriptors, 20)
    np.testing.assert_array_equal(found, words_twin.nearest_cells(centres, 255, descriptors, 20))
    exact = 2 * 255 * (descriptors.astype(int) @ centres.T.astype(int)) - (centres.astype(int) ** 2).sum(axis=1)
    assert (found != np.argsort(-exact, axis=1, kind="stable")[:, :20]).any()


# Words


@pytest.mark.parametrize(("size", "unit", "forms"), [(128, 1, 4), (488, 255, 1), (20, 255, 1), (13, 1, 3), (64, 1, 1)])
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("probes", [1, 2, 5])
def test_the_twin_finds_the_same_words(level: str, size: int, unit: int, forms: int, count: int, probes: int) -> None:
    del level
    words, cells, permutations = random_bytes(150, size, 1), random_bytes(7, size, 2), permutations_of(forms, size)
    offsets = np.array([0, 33, 33, 35, 100, 140, 149, 150])
    closed = np.ascontiguousarray(cells[:, permutations].reshape(-1, size))
    descriptors = random_bytes(107, size, 3, 2 if unit == 255 else 256)
    probed = nearest_cells(Centres(closed), unit, descriptors, probes)
    found = nearest_words(Centres(words, offsets), unit, descriptors, permutations, probed, count)
    expected = words_twin.nearest_words(words, offsets, unit, descriptors, permutations, probed, count)
    np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("forms", [1, 4])
def test_of_equally_near_words_the_lower_comes_first(level: str, forms: int) -> None:
    del level
    words = np.tile(random_bytes(5, 128, 1, top=3), (30, 1))
    descriptors, permutations = random_bytes(60, 128, 2, top=3), permutations_of(forms, 128)
    offsets, probed = offsets_of(150, 4), np.tile(np.arange(4 * forms)[::-1].copy(), (60, 1))
    found = nearest_words(Centres(words, offsets), 1, descriptors, permutations, probed, 50)
    expected = words_twin.nearest_words(words, offsets, 1, descriptors, permutations, probed, 50)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("spread", [1, 40])
def test_where_cells_hold_too_few_the_nearest_stands_in_or_word_0(level: str, spread: int) -> None:
    del level
    words = random_bytes(2 * spread + 3, 16, 1)
    offsets = np.array([0, 0, 2 * spread, 2 * spread + 3])
    probed = np.array([[0], [1], [2]])
    found = nearest_words(Centres(words, offsets), 1, random_bytes(3, 16, 2), permutations_of(1, 16), probed, 5)
    assert found[0].tolist() == [0] * 5
    assert found[2, 3:].tolist() == [found[2, 0]] * 2
    assert sorted(found[2, :3].tolist()) == [2 * spread, 2 * spread + 1, 2 * spread + 2]
    assert len(set(found[1].tolist())) == min(5, 2 * spread)


def test_no_descriptors_and_no_words(level: str) -> None:
    del level
    words, permutations = Centres(random_bytes(9, 16, 1)), permutations_of(1, 16)
    nothing = nearest_words(words, 1, random_bytes(0, 16, 2), permutations, np.empty((0, 2), np.int64), 3)
    assert nothing.shape == (0, 3)
    empty = Centres(random_bytes(0, 16, 1))
    found = nearest_words(empty, 1, random_bytes(2, 16, 2), permutations, np.zeros((2, 1), np.int64), 3)
    assert found.tolist() == [[0] * 3] * 2
    assert nearest_cells(empty, 1, random_bytes(2, 16, 2), 2).tolist() == [[-1] * 2] * 2


def test_threads_do_not_disturb_each_other() -> None:
    words, permutations = Centres(random_bytes(500, 128, 1), offsets_of(500, 9)), permutations_of(4, 128)
    cells = Centres(random_bytes(36, 128, 2))
    many = [random_bytes(200 + seed, 128, seed) for seed in range(8)]

    def find(descriptors: Bytes) -> NDArray[np.int64]:
        return nearest_words(words, 1, descriptors, permutations, nearest_cells(cells, 1, descriptors, 5), 3)

    alone = [find(descriptors) for descriptors in many]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(alone, pool.map(find, many), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_was_packed_may_be_pickled_and_is_not_changed_from_outside() -> None:
    vectors, offsets = random_bytes(40, 20, 1), np.array([0, 7, 40])
    packed, descriptors, probed = Centres(vectors, offsets), random_bytes(9, 20, 2), np.zeros((9, 1), np.int64)
    expected = nearest_words(packed, 1, descriptors, permutations_of(1, 20), probed, 3)
    vectors[:], offsets[:] = 0, 99
    for centres in (packed, pickle.loads(pickle.dumps(packed))):
        found = nearest_words(centres, 1, descriptors, permutations_of(1, 20), probed, 3)
        np.testing.assert_array_equal(found, expected)


# Signatures


@pytest.mark.parametrize(("size", "unit", "forms"), [(128, 1, 4), (488, 255, 1), (30, 1, 2), (512, 255, 1)])
@pytest.mark.parametrize(("number", "count"), [(0, 3), (1, 1), (15, 1), (16, 3), (17, 1), (75, 4)])
def test_the_twin_makes_the_same_signatures(
    level: str, size: int, unit: int, forms: int, number: int, count: int
) -> None:
    del level
    random = np.random.default_rng(number)
    projection = random.integers(-128, 128, (64, size)).astype(np.int8)
    words, descriptors = random_bytes(50, size, 1), random_bytes(number, size, 2, 2 if unit == 255 else 256)
    words[:number:5] = descriptors[:50:5] * np.uint8(unit)  # no bit is above
    signs = random.choice([-1, 1], (forms, 64)).astype(np.float32)
    ids = random.integers(0, 50 * forms, (number, count)).astype(np.int32)
    ids[::5, 0] = np.arange(0, number, 5) % 50 * forms
    centres = Centres(projection.view(np.uint8) ^ np.uint8(128))
    found = signatures_of(centres, unit, descriptors, words, signs, ids)
    expected = words_twin.signatures_of(projection, unit, descriptors, words, signs, ids)
    np.testing.assert_array_equal(found, expected, strict=True)


# What is refused


LAST = (1 << 63) - 1


@pytest.mark.parametrize(
    "offsets",
    [
        *([], [0], [0, 5], [1, 9], [0, 7, 5, 9], [0, -1, 9], [0, 9, 10], [0, 10, 9]),
        *([0, 1 << 62, 9], [0, -LAST, 9], [0, LAST, -LAST, 9]),
    ],
)
def test_spans_that_do_not_hold_the_vectors_are_refused(offsets: list[int]) -> None:
    with pytest.raises(UsageError, match="spans do not hold 9 vectors"):
        Centres(random_bytes(9, 16, 1), np.array(offsets, np.int64))


@pytest.mark.parametrize("size", [0, MOST_SIZE + 1])
def test_vectors_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="spans do not hold"):
        Centres(random_bytes(9, size, 1))


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((4, 8), np.int8),
        np.zeros(8, np.uint8),
        np.zeros((4, 8), np.uint8)[:, ::2],
        np.zeros((8, 4), np.uint8).T,
    ],
    ids=["type", "dimensions", "gaps", "transposed"],
)
def test_other_arrays_are_refused(vectors: NDArray[Any]) -> None:
    with pytest.raises(UsageError, match="an array"):
        Centres(vectors)
    with pytest.raises(UsageError, match="an array"):
        nearest_cells(Centres(random_bytes(9, 8, 1)), 1, vectors, 1)


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count: int) -> None:
    centres, descriptors = Centres(random_bytes(9, 8, 1)), random_bytes(3, 8, 2)
    with pytest.raises(UsageError, match="out of range"):
        nearest_cells(centres, 1, descriptors, count)
    with pytest.raises(UsageError, match="out of range"):
        nearest_words(centres, 1, descriptors, permutations_of(1, 8), np.zeros((3, 1), np.int64), count)


@pytest.mark.parametrize("unit", [0, -1, 256, 10**9, 10**40])
def test_a_unit_that_is_none_is_refused(unit: int) -> None:
    """Infinity and what comes near to it would overflow the scores."""
    centres, descriptors, probed = Centres(random_bytes(64, 8, 1)), random_bytes(3, 8, 2), np.zeros((3, 1), np.int64)
    with pytest.raises(UsageError, match="out of range"):
        nearest_cells(centres, unit, descriptors, 1)
    with pytest.raises(UsageError, match="out of range"):
        nearest_words(centres, unit, descriptors, permutations_of(1, 8), probed, 1)
    ids, signs = np.zeros((3, 1), np.int32), np.ones((1, 64), np.float32)
    with pytest.raises(UsageError, match="out of range"):
        signatures_of(centres, 2 * unit, descriptors, random_bytes(9, 8, 3), signs, ids)


def test_cells_are_one_span() -> None:
    with pytest.raises(UsageError, match="out of range"):
        nearest_cells(Centres(random_bytes(9, 8, 1), np.array([0, 4, 9])), 1, random_bytes(3, 8, 2), 1)


def test_descriptors_of_another_length_are_refused() -> None:
    with pytest.raises(UsageError, match="descriptors have 8 values, not 9"):
        nearest_cells(Centres(random_bytes(9, 8, 1)), 1, random_bytes(3, 9, 2), 1)


@pytest.mark.parametrize("value", [-1, 8, 1 << 40, -(1 << 63), (1 << 63) - 1])
def test_cells_that_there_are_not_are_refused(value: int) -> None:
    words, permutations = Centres(random_bytes(9, 8, 1), np.array([0, 9, 9])), permutations_of(4, 8)
    probed = np.full((20, 3), 7)
    nearest_words(words, 1, random_bytes(20, 8, 2), permutations, probed, 1)
    probed[13, 1] = value
    with pytest.raises(UsageError, match="out of range"):
        nearest_words(words, 1, random_bytes(20, 8, 2), permutations, probed, 1)


@pytest.mark.parametrize("value", [-1, 8, -(1 << 31), (1 << 31) - 1])
def test_permutations_that_lead_elsewhere_are_refused(value: int) -> None:
    words, permutations = Centres(random_bytes(9, 8, 1)), permutations_of(4, 8)
    permutations[3, 7] = value
    with pytest.raises(UsageError, match="out of range"):
        nearest_words(words, 1, random_bytes(20, 8, 2), permutations, np.zeros((20, 1), np.int64), 1)


@pytest.mark.parametrize(("rows", "forms", "size"), [(19, 4, 8), (21, 4, 8), (20, 4, 7), (20, 4, 9), (20, 0, 8)])
def test_cells_and_permutations_fit_descriptors_and_words(rows: int, forms: int, size: int) -> None:
    words, probed = Centres(random_bytes(9, 8, 1)), np.zeros((rows, 1), np.int64)
    with pytest.raises(UsageError):
        nearest_words(words, 1, random_bytes(20, 8, 2), np.zeros((forms, size), np.int32), probed, 1)


@pytest.mark.parametrize("value", [-1, 18, -(1 << 31), (1 << 31) - 1])
def test_signatures_of_words_that_there_are_not_are_refused(value: int) -> None:
    projection, signs = Centres(random_bytes(64, 8, 1)), np.ones((2, 64), np.float32)
    ids = np.full((5, 2), 17, np.int32)
    signatures_of(projection, 1, random_bytes(5, 8, 2), random_bytes(9, 8, 3), signs, ids)
    ids[4, 1] = value
    with pytest.raises(UsageError, match="out of range"):
        signatures_of(projection, 1, random_bytes(5, 8, 2), random_bytes(9, 8, 3), signs, ids)


@pytest.mark.parametrize(
    ("rows", "size", "bits", "ids"), [(63, 8, 64, 5), (65, 8, 64, 5), (64, 7, 64, 5), (64, 8, 63, 5), (64, 8, 64, 4)]
)
def test_projection_words_and_signs_fit_descriptors(rows: int, size: int, bits: int, ids: int) -> None:
    signs, words, numbers = np.ones((1, bits), np.float32), random_bytes(9, size, 3), np.zeros((ids, 1), np.int32)
    with pytest.raises(UsageError):
        signatures_of(Centres(random_bytes(rows, 8, 1)), 1, random_bytes(5, 8, 2), words, signs, numbers)


def test_the_kernel_believes_no_caller() -> None:
    centres, descriptors = Centres(random_bytes(9, 8, 1), np.array([0, 4, 9])), random_bytes(5, 8, 2)
    permutations, probed = permutations_of(2, 8), np.zeros((5, 2), np.int64)
    workspace, found = np.empty(5 * 2 + 2 + 2, np.int64), np.empty((5, 1), np.int64)
    kernels = library()

    def status(handed: Any, number: int = 5, places: int = len(workspace), forms: int = 2, factor: float = 1) -> int:
        return int(
            kernels.featmatch_words_nearest(
                *(ctypes.byref(handed), factor, descriptors.ctypes.data, number, permutations.ctypes.data, forms),
                *(probed.ctypes.data, 2, workspace.ctypes.data, places, 1, found.ctypes.data),
            )
        )

    assert status(centres.handed()) == 0
    assert status(centres.handed(), places=len(workspace) - 1) == -1
    assert status(centres.handed(), number=-1) == -1
    assert status(centres.handed(), number=6) == -1
    assert status(centres.handed(), forms=0) == -1
    assert status(centres.handed(), forms=1 << 23) == -1  # more words than keys have room for
    for factor in (np.nan, np.inf, -np.inf, 0, -1, 510.5, 1e9):
        assert status(centres.handed(), factor=factor) == -1
    for name, value in [("size", 0), ("size", MOST_SIZE + 1), ("size", -8), ("spans", 0), ("spans", -1), ("blocks", 1)]:
        handed = centres.handed()
        setattr(handed, name, value)
        assert status(handed) == -1
    for place, value in [(0, 1), (1, -1), (1, 10), (2, 3), (2, 1 << 40), (2, 64)]:
        centres.__dict__["_offsets"][:] = [0, 4, 9]
        centres.__dict__["_offsets"][place] = value
        assert status(centres.handed()) == -1
