from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.symmetry import SIFT_PERMUTATIONS, Variant
from featmatch.words.nearest import FlannSearch, TwoLevelSearch, all_forms, squared_norms


def nearest_by_brute_force(
    descriptors: NDArray[np.uint8], words: NDArray[np.uint8], unit: int, count: int
) -> NDArray[np.int64]:
    """All distances in whole numbers; the lower word first among equals."""
    scaled, centres = descriptors.astype(np.int64) * unit, words.astype(np.int64)
    squared = (scaled**2).sum(axis=1)[:, None] - 2 * scaled @ centres.T + (centres**2).sum(axis=1)
    return np.argsort(squared, axis=1, kind="stable")[:, :count]


def random_words(count: int, size: int, seed: int, top: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, top, (count, size)).astype(np.uint8)


def bits(count: int, size: int, seed: int) -> NDArray[np.uint8]:
    return random_words(count, size, seed, top=2)


def search_all_cells(
    words: NDArray[np.uint8], *, cells: int = 7, unit: int = 1, forms: int = 1, seed: int = 3
) -> TwoLevelSearch:
    """Words in cells at random: with every cell probed, where a word is kept must not matter."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.sort(random.integers(0, len(words) + 1, cells - 1)), [len(words)]])
    centres = random_words(cells, words.shape[1], seed)
    return TwoLevelSearch(words, centres, offsets.astype(np.int64), unit=unit, forms=forms, probes=10_000)


@pytest.mark.parametrize("number", [0, 1, 2, 4095, 4096, 4097])
@pytest.mark.parametrize("count", [1, 5])
def test_probing_all_cells_is_brute_force(number: int, count: int) -> None:
    words, descriptors = random_words(90, 16, seed=1), random_words(number, 16, seed=2)
    found = search_all_cells(words).nearest(descriptors, count)
    assert found.shape == (number, count)
    assert found.dtype == np.int32
    assert np.array_equal(found, nearest_by_brute_force(descriptors, words, 1, count))


@pytest.mark.parametrize("number", [0, 1, 1500])
@pytest.mark.parametrize("count", [1, 4])
def test_probing_all_cells_of_a_closed_vocabulary_is_brute_force_over_all_forms(number: int, count: int) -> None:
    words, descriptors = random_words(60, 128, seed=1), random_words(number, 128, seed=2)
    found = search_all_cells(words, forms=4).nearest(descriptors, count)
    assert np.array_equal(found, nearest_by_brute_force(descriptors, all_forms(words, 4), 1, count))


@pytest.mark.parametrize("size", [256, 488, 512])
@pytest.mark.parametrize("count", [1, 3])
def test_probing_all_cells_is_brute_force_for_bits(size: int, count: int) -> None:
    words, descriptors = random_words(80, size, seed=1), bits(1100, size, seed=2)
    found = search_all_cells(words, unit=255).nearest(descriptors, count)
    assert np.array_equal(found, nearest_by_brute_force(descriptors, words, 255, count))


def test_nearest_of_bright_bits_is_as_near_as_float32_can_tell() -> None:
    random = np.random.default_rng(5)
    words = random.integers(200, 256, (200, 512)).astype(np.uint8)
    descriptors = (random.random((500, 512)) < 0.95).astype(np.uint8)
    found = search_all_cells(words, unit=255).nearest(descriptors, 1)[:, 0]
    best = nearest_by_brute_force(descriptors, words, 255, 1)[:, 0]

    def squared(nearest: NDArray[np.integer]) -> NDArray[np.int64]:
        return np.asarray(((descriptors.astype(np.int64) * 255 - words[nearest]) ** 2).sum(axis=1))

    assert np.all(squared(found) - squared(best) <= 8)  # of about 4 million


@pytest.mark.parametrize("forms", [1, 4])
def test_ties_go_to_the_lower_word(forms: int) -> None:
    once = random_words(20, 128, seed=1, top=4)
    words = np.concatenate([once, once, once])[np.random.default_rng(2).permutation(60)]
    descriptors = np.concatenate([once, random_words(200, 128, seed=4, top=4)])
    found = search_all_cells(words, forms=forms, cells=5).nearest(descriptors, 6)
    assert np.array_equal(found, nearest_by_brute_force(descriptors, all_forms(words, forms), 1, 6))


def test_ties_of_all_words_are_in_order() -> None:
    words = np.zeros((12, 128), np.uint8)
    found = search_all_cells(words, forms=4).nearest(random_words(3, 128, seed=1), 48)
    assert np.array_equal(found, np.tile(np.arange(48), (3, 1)))


def test_extreme_descriptors_are_searched_exactly() -> None:
    words = np.concatenate([np.full((3, 128), 255, np.uint8), random_words(20, 128, 1), np.zeros((3, 128), np.uint8)])
    descriptors = np.stack([np.zeros(128), np.full(128, 255), np.eye(128)[0] * 255]).astype(np.uint8)
    found = search_all_cells(words).nearest(descriptors, 4)
    assert np.array_equal(found, nearest_by_brute_force(descriptors, words, 1, 4))


def test_empty_cells_are_passed_over() -> None:
    words = random_words(10, 16, seed=1)
    offsets = np.array([0, 0, 10, 10, 10], np.int64)
    search = TwoLevelSearch(words, random_words(4, 16, seed=2), offsets, unit=1, forms=1, probes=4)
    descriptors = random_words(50, 16, seed=3)
    assert np.array_equal(search.nearest(descriptors, 3), nearest_by_brute_force(descriptors, words, 1, 3))


def test_probe_finds_the_nearest_cells_in_order() -> None:
    cells = random_words(9, 128, seed=1)
    search = TwoLevelSearch(cells, cells, np.arange(10), unit=1, forms=4, probes=5)
    descriptors = random_words(100, 128, seed=2)
    assert np.array_equal(search.probe(descriptors), nearest_by_brute_force(descriptors, all_forms(cells, 4), 1, 5))


def test_few_probes_look_into_the_nearest_cells_only() -> None:
    words, cells = random_words(40, 16, seed=1), random_words(4, 16, seed=2)
    offsets = np.arange(0, 41, 10)
    search = TwoLevelSearch(words, cells, offsets, unit=1, forms=1, probes=1)
    descriptors = random_words(300, 16, seed=3)
    for descriptor, word in zip(descriptors, search.nearest(descriptors, 1)[:, 0], strict=True):
        cell = nearest_by_brute_force(descriptor[None], cells, 1, 1)[0, 0]
        inside = slice(10 * cell, 10 * cell + 10)
        assert word == 10 * cell + nearest_by_brute_force(descriptor[None], words[inside], 1, 1)[0, 0]


def test_more_probes_find_nearer_words() -> None:
    cells = random_words(16, 32, seed=2)
    random = np.random.default_rng(4)
    words = np.clip(cells.repeat(10, axis=0) + random.integers(-60, 60, (160, 32)), 0, 255).astype(np.uint8)
    descriptors = random_words(500, 32, seed=3)
    best = nearest_by_brute_force(descriptors, words, 1, 1)
    hits = []
    for probes in (1, 4, 16):
        search = TwoLevelSearch(words, cells, np.arange(0, 161, 10), unit=1, forms=1, probes=probes)
        hits.append(np.count_nonzero(search.nearest(descriptors, 1) == best))
    assert hits[0] < hits[1] < hits[2] == 500


@pytest.mark.parametrize("variant", Variant)
@pytest.mark.parametrize("probes", [3, 10_000])
def test_word_of_the_permuted_descriptor_is_xor(variant: Variant, probes: int) -> None:
    cells, words = random_words(6, 128, seed=2), random_words(60, 128, seed=1)
    search = TwoLevelSearch(words, cells, np.arange(0, 61, 10), unit=1, forms=4, probes=probes)
    descriptors = random_words(1500, 128, seed=3)
    permuted = descriptors[:, SIFT_PERMUTATIONS[variant]]
    assert np.array_equal(search.nearest(permuted, 3), search.nearest(descriptors, 3) ^ variant)


def test_order_and_batches_of_descriptors_do_not_matter() -> None:
    search = search_all_cells(random_words(60, 128, seed=1), forms=4)
    descriptors = random_words(1300, 128, seed=2)
    whole = search.nearest(descriptors, 2)
    assert np.array_equal(search.nearest(descriptors[::-1], 2), whole[::-1])
    parts = [search.nearest(descriptors[start : start + 100], 2) for start in range(0, 1300, 100)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_all_forms_are_the_permutations_in_the_order_of_variants() -> None:
    words = random_words(5, 128, seed=1)
    forms = all_forms(words, 4)
    assert forms.shape == (20, 128)
    for variant in Variant:
        assert np.array_equal(forms[variant::4], words[:, SIFT_PERMUTATIONS[variant]])
    assert np.array_equal(all_forms(words, 1), words)


def test_squared_norms() -> None:
    centres = random_words(5, 40, seed=1)
    assert squared_norms(centres).tolist() == [sum(int(value) ** 2 for value in row) for row in centres]
    assert squared_norms(np.empty((0, 8), np.uint8)).shape == (0,)


def test_the_nearest_stands_in_where_the_probed_cells_hold_too_few_words() -> None:
    words = random_words(6, 16, seed=1)
    search = TwoLevelSearch(words, words[[0, 3]], np.array([0, 2, 6]), unit=1, forms=1, probes=1)
    assert search.nearest(words[[0, 3]], 4)[:, 0].tolist() == [0, 3]
    assert search.nearest(words[[0]], 4).tolist() == [[0, 1, 0, 0]]


def test_where_the_probed_cells_hold_no_words_word_0_stands_in() -> None:
    words = random_words(6, 16, seed=1)
    search = TwoLevelSearch(words, words[[0, 3]], np.array([0, 0, 6]), unit=1, forms=1, probes=1)
    assert search.nearest(words[[0]], 3).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(("size", "unit"), [(128, 1), (256, 255)])
def test_flann_search_finds_its_own_words(size: int, unit: int) -> None:
    inside = bits(300, size, seed=1) if unit == 255 else random_words(300, size, seed=1)
    search = FlannSearch(inside * np.uint8(unit), unit, checks=512)
    found = search.nearest(inside, 2)
    assert found.shape == (300, 2)
    assert found.dtype == np.int32
    assert np.mean(found[:, 0] == np.arange(300)) > 0.99
    assert search.nearest(inside[:0], 2).shape == (0, 2)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_flann_search_of_fewer_words_than_are_asked_for_repeats_the_nearest(count: int) -> None:
    words = random_words(3, 16, seed=1)
    found = FlannSearch(words, 1).nearest(words, count)
    assert found.shape == (3, count)
    assert found[:, 0].tolist() == [0, 1, 2]
    assert found.min() >= 0
    assert found.max() <= 2
