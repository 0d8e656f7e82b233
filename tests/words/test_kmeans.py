"""k-means on descriptors that the tests make, against means and nearest centres by brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.words import kmeans
from featmatch.words.kmeans import Clusters, ordered_by_cell
from featmatch.words.nearest import all_forms

SIZE = {1: 32, 4: 128}


def around(centres: NDArray[np.uint8], count: int, seed: int = 1, spread: int = 6) -> NDArray[np.uint8]:
    """``count`` descriptors near each centre, in disorder."""
    random = np.random.default_rng(seed)
    near = centres.repeat(count, axis=0) + random.integers(-spread, spread + 1, (count * len(centres), 1))
    near += random.integers(-spread, spread + 1, (len(near), centres.shape[1]))
    return random.permutation(near.clip(0, 255).astype(np.uint8))


def far_apart(count: int, forms: int, seed: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(20, 236, (count, SIZE[forms])).astype(np.uint8)


def turned_at_random(descriptors: NDArray[np.uint8], seed: int = 3) -> NDArray[np.uint8]:
    turns = np.random.default_rng(seed).integers(0, 4, len(descriptors))
    return np.take_along_axis(descriptors, SIFT_PERMUTATIONS[turns], axis=1)


def clusters(
    descriptors: NDArray[np.uint8], forms: int, unit: int = 1, seed: int = 5, told: list[object] | None = None
) -> Clusters:
    log = [] if told is None else told
    return Clusters(descriptors, unit, forms, np.random.default_rng(seed), lambda *what: log.append(what))


def distances(descriptors: NDArray[np.uint8], centres: NDArray[np.uint8], unit: int = 1) -> NDArray[np.int64]:
    """Squared, (N, K)."""
    return np.asarray(((descriptors.astype(int)[:, None] * unit - centres.astype(int)) ** 2).sum(axis=2))


# Cells


@pytest.mark.parametrize("forms", [1, 4])
def test_cells_are_amid_what_lies_close_together(forms: int) -> None:
    """k-means may join two bunches and part another, but hardly ever with as many more cells as bunches."""
    bunches = far_apart(5, forms)
    descriptors = around(bunches, 80)
    descriptors = turned_at_random(descriptors) if forms == 4 else descriptors
    cells = clusters(descriptors, forms).coarse(15)
    assert cells.shape == (15, SIZE[forms])
    assert cells.dtype == np.uint8
    nearest = distances(bunches, all_forms(cells, forms)).min(axis=1)
    assert (np.sqrt(nearest / SIZE[forms]) < 7).all()


def test_one_cell_is_the_mean_of_all() -> None:
    descriptors = far_apart(50, 1)
    told: list[object] = []
    cells = clusters(descriptors, 1, told=told).coarse(1)
    assert cells.tolist() == np.rint(descriptors.mean(axis=0, keepdims=True)).astype(int).tolist()
    assert told == [("cells", done, 20) for done in range(1, 21)]


def test_cells_of_bits_are_means_of_bits() -> None:
    bits = (far_apart(60, 1) > 127).astype(np.uint8)
    cells = clusters(bits, 1, unit=255).coarse(1)
    assert cells.tolist() == np.rint(bits.mean(axis=0, keepdims=True) * 255).astype(int).tolist()


def test_a_cell_that_lost_its_descriptors_begins_anew_at_one_of_them() -> None:
    centres = np.array([[10] * 32, [200] * 32, [90] * 32], np.uint8)
    inside = around(centres[:1], 30)
    means = clusters(inside, 1)._means(inside, np.zeros(30, int), centres)
    assert means[0].tolist() == np.rint(inside.mean(axis=0)).astype(int).tolist()
    for row in means[1:].tolist():
        assert row in inside.tolist()


# Words of each cell


@pytest.mark.parametrize("forms", [1, 4])
def test_each_cell_has_words_in_proportion_to_its_descriptors(forms: int) -> None:
    cells = far_apart(3, forms)
    descriptors = np.concatenate([around(cells[:1], 300), around(cells[1:], 50)])
    descriptors = turned_at_random(descriptors) if forms == 4 else descriptors
    told: list[object] = []
    words = clusters(descriptors, forms, told=told).fine(cells, 16)
    assert words.shape == (16, SIZE[forms])
    assert words.dtype == np.uint8
    homes = distances(words, cells).argmin(axis=1)
    assert np.bincount(homes).tolist() == [12, 2, 2]
    assert told == [("homes", 400, 400), ("words", 1, 3), ("words", 2, 3), ("words", 3, 3)]


def bits_around(patterns: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Bits of which one in ten is another than in the pattern."""
    random = np.random.default_rng(6)
    flips = random.random((count * len(patterns), patterns.shape[1])) < 0.1
    return random.permutation((patterns > 127).repeat(count, axis=0) ^ flips).astype(np.uint8)


@pytest.mark.parametrize("unit", [1, 255])
def test_words_of_a_cell_are_means_of_what_is_nearest_to_them(unit: int) -> None:
    bunches = far_apart(3, 1, seed=8)
    descriptors = bits_around(bunches, 40) if unit == 255 else around(bunches, 40)
    cell = np.full((1, 32), 128, np.uint8)
    words = clusters(descriptors, 1, unit).fine(cell, 3)
    homes = distances(descriptors, words, unit).argmin(axis=1)
    for word in range(3):
        mean = np.rint(descriptors[homes == word].mean(axis=0) * unit).astype(int)
        assert np.abs(words[word] - mean).max() <= 1


def test_a_cell_without_descriptors_has_no_words() -> None:
    cells = far_apart(3, 1)
    words = clusters(around(cells[1:2], 90), 1).fine(cells, 7)
    assert len(words) == 7
    assert set(distances(words, cells).argmin(axis=1).tolist()) == {1}


def test_words_of_bits_lie_among_their_descriptors() -> None:
    bits = (far_apart(200, 1) > 127).astype(np.uint8)
    words = clusters(bits, 1, unit=255).fine(np.full((1, 32), 128, np.uint8), 8)
    best, guess = (distances(bits, centres, 255).min(axis=1).mean() for centres in (words, bits[:8] * np.uint8(255)))
    assert best < 0.9 * guess


# All words at once


@pytest.mark.parametrize(("forms", "unit"), [(1, 1), (4, 1), (1, 255)])
@pytest.mark.parametrize("chunk", [7, 1 << 17])
def test_a_pass_moves_each_word_to_the_mean_of_its_descriptors(
    forms: int, unit: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kmeans, "CHUNK", chunk)
    words, cells = far_apart(12, forms), far_apart(2, forms, seed=9)
    words[3] = words[2]  # so one of them is the nearest of none
    words, offsets = ordered_by_cell(words, cells, forms)
    descriptors = far_apart(150, forms, seed=7)
    if unit == 255:
        descriptors = (descriptors > 127).astype(np.uint8)
    told: list[tuple[str, int, int]] = []
    refined = clusters(descriptors, forms, unit, told=told).refined(words, cells, offsets, "pass")  # type: ignore[arg-type]
    bases, turns = np.divmod(distances(descriptors, all_forms(words, forms), unit).argmin(axis=1), forms)
    turned = descriptors if forms == 1 else np.take_along_axis(descriptors, SIFT_PERMUTATIONS[turns], axis=1)
    for word in range(12):
        own = turned[bases == word]
        expected = np.rint(own.mean(axis=0) * unit).astype(int) if len(own) else words[word]
        np.testing.assert_allclose(refined[word], expected, atol=0)
    assert not np.isin(np.arange(12), bases).all()
    assert told == [("pass", min(end, 150), 150) for end in range(chunk, 150 + chunk, chunk)]


@pytest.mark.parametrize("forms", [1, 4])
def test_words_are_put_into_their_nearest_cells_in_the_form_nearest_to_it(forms: int) -> None:
    words, cells = far_apart(40, forms), far_apart(5, forms, seed=9)
    ordered, offsets = ordered_by_cell(words, cells, forms)
    assert offsets.dtype == np.int64
    assert (offsets[0], offsets[-1], len(offsets)) == (0, 40, 6)
    homes = np.repeat(np.arange(5), np.diff(offsets))
    to_cells = distances(ordered, all_forms(cells, forms))
    assert (to_cells.argmin(axis=1) == homes * forms).all()  # the first form
    before = {min(map(bytes, all_forms(word[None], forms))) for word in words}
    assert {min(map(bytes, all_forms(word[None], forms))) for word in ordered} == before
    if forms == 1:  # words of a cell keep their order
        places = [words.tolist().index(word) for word in ordered.tolist()]
        for first, end in pairwise(offsets.tolist()):
            assert places[first:end] == sorted(places[first:end])


# Chance


def test_a_seed_decides_and_so_does_nothing_else() -> None:
    descriptors = far_apart(300, 4)

    def words(seed: int) -> bytes:
        one = clusters(descriptors, 4, seed=seed)
        return one.fine(one.coarse(4), 20).tobytes()

    assert words(1) == words(1)
    assert words(1) != words(2)


@pytest.mark.parametrize(
    ("descriptors", "cells", "size"),
    [(300, 2, 300), (200_001, 2, 200_000), (220_000, 2_100, 210_000)],
)
def test_cells_come_from_a_sample(descriptors: int, cells: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = clusters(np.zeros((descriptors, 32), np.uint8), 1)
    sizes: list[int] = []

    def noted(count: int) -> NDArray[np.uint8]:
        sizes.append(count)
        return np.zeros((2_100, 32), np.uint8)

    monkeypatch.setattr(one, "_sample", noted)
    monkeypatch.setattr(one, "_means", lambda inside, nearest, centres: centres)
    one.coarse(cells)
    assert sizes == [size]


def test_a_sample_is_of_different_descriptors_in_order() -> None:
    descriptors = far_apart(300, 1)
    chosen = clusters(descriptors, 1)._sample(150)
    places = [descriptors.tolist().index(row) for row in chosen.tolist()]
    assert places == sorted(set(places))


@pytest.mark.parametrize("unit", [1, 255])
def test_cells_begin_at_different_descriptors(unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors = far_apart(60, 1) if unit == 1 else (far_apart(60, 1) > 127).astype(np.uint8)
    one = clusters(descriptors, 1, unit)
    monkeypatch.setattr(one, "_means", lambda inside, nearest, centres: centres)
    cells = one.coarse(50)
    assert len(np.unique(cells, axis=0)) == 50
    assert {tuple(cell) for cell in cells.tolist()} <= {tuple(row) for row in (descriptors.astype(int) * unit).tolist()}


# Sums and shares


def test_sums_are_those_of_the_rows_of_each_centre() -> None:
    inside, nearest = far_apart(20, 1), np.random.default_rng(1).integers(0, 4, 20)
    sums = kmeans._sums(inside, nearest, 6)
    assert sums.dtype == np.float64
    assert sums.tolist() == [inside[nearest == centre].astype(int).sum(axis=0).tolist() for centre in range(6)]


@pytest.mark.parametrize(
    ("weights", "total", "shares"),
    [
        ([6, 3, 1], 10, [6, 3, 1]),
        ([60, 30, 10], 10, [6, 3, 1]),
        ([5, 5, 5], 4, [2, 1, 1]),  # the first of equal remainders
        ([70, 20, 10], 4, [3, 1, 0]),  # the largest remainders
        ([0, 9, 0], 5, [0, 5, 0]),
        ([1, 1, 100], 100, [1, 1, 98]),
        ([2, 1, 1], 4, [2, 1, 1]),
        ([8], 3, [3]),
    ],
)
def test_shares_are_in_proportion_and_none_above_its_weight(weights: list[int], total: int, shares: list[int]) -> None:
    assert kmeans._apportion(np.array(weights), total).tolist() == shares


def test_shares_always_add_up() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        weights = np.append(random.zipf(1.4, random.integers(1, 12)).clip(max=5000) - 1, 1)
        total = int(random.integers(0, weights.sum() + 1))
        shares = kmeans._apportion(weights, total)
        assert shares.sum() == total
        assert (shares <= weights).all()
        assert (shares >= 0).all()
