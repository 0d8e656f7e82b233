"""Compiled code finds what is found one by one, and adds up what NumPy adds up, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from featmatch.search import kernels
from featmatch.search.scanning import best_with_numpy, scan_with_numpy
from tests.search.scans import SCANS, Scan, made, one_list


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_what_is_found_one_by_one_is_found(scan: Scan) -> None:
    scan.assert_scanned(kernels.scan, kernels.hits_of)
    np.testing.assert_array_equal(scan.votes_by(kernels.scan), scan.votes_by(scan_with_numpy))


def test_every_posting_can_be_a_hit() -> None:
    scan = made(4, [31, 33], 10, limit=64)
    hits = scan.hits_by(kernels.hits_of, np.arange(scan.images, dtype=np.uint32))
    assert len(hits) == np.diff(scan.lists.offsets)[scan.query.words].sum()


def test_signatures_that_differ_in_the_highest_bit_only_are_one_bit_apart() -> None:
    scan = one_list([0] * 9, [0] * 8 + [1 << 63], voting=1)
    assert (0, 8, 1) in scan.hits_by(kernels.hits_of, np.zeros(1, np.uint32))
    assert scan.votes_by(kernels.scan) == pytest.approx(3)


@pytest.mark.parametrize("row", range(9))
def test_each_of_eight_and_the_one_after_them_may_be_the_only_hit(row: int) -> None:
    signatures = [0b111] * 9
    signatures[row] = 0b10
    votes = one_list(list(range(9)), signatures, voting=1).votes_by(kernels.scan)
    assert votes.tolist() == [float(image == row) for image in range(9)]


@pytest.mark.parametrize("repeats", [1, 2, 9])
def test_repeats_in_one_image_count_by_their_square_root(repeats: int) -> None:
    votes = one_list([0] * repeats + [1], [0] * (repeats + 1)).votes_by(kernels.scan)
    np.testing.assert_allclose(votes, [np.sqrt(repeats), 1], rtol=1e-6)


def test_hits_that_do_not_vote_are_no_repeats() -> None:
    scan = one_list([0] * 4, [0b111, 0, 0b1111, 1], voting=1)
    assert scan.hits_by(kernels.hits_of, np.zeros(1, np.uint32)) == [(0, 0, 3), (0, 1, 0), (0, 3, 1)]
    np.testing.assert_allclose(scan.votes_by(kernels.scan), [np.sqrt(2)], rtol=1e-6)


def test_repeats_are_counted_anew_for_each_query_word() -> None:
    np.testing.assert_allclose(one_list([0], [0], entries=3).votes_by(kernels.scan), [3])


def test_votes_are_added_to_what_is_there() -> None:
    scan = made(8, [20], 4)
    votes = np.full(scan.images, 5, np.float32)
    kernels.scan(scan.lists, scan.query, scan.distance_weights, votes)
    np.testing.assert_allclose(votes, scan.votes_one_by_one + 5, rtol=1e-4)


def test_a_vote_for_an_image_that_is_not_there_is_refused() -> None:
    scan = one_list([0, 1, 2], [0, 0, 0])
    with pytest.raises(IndexError):
        kernels.scan(scan.lists, scan.query, scan.distance_weights, np.zeros(2, np.float32))


@pytest.mark.parametrize("images", [0, 1, 7, 1000])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_the_best_are_found_with_all_that_are_as_good_as_the_last(images: int, count: int) -> None:
    random = np.random.default_rng(images + count)
    for levels in (2, 5, 1 << 20):  # few levels: many are equally good
        votes = random.integers(levels, size=images).astype(np.float32) * np.float32(0.37)
        weights = (1 / np.sqrt(random.integers(1, 5, images))).astype(np.float32)
        found, scores = kernels.best(votes, weights, count)
        twin_found, twin_scores = best_with_numpy(votes, weights, count)
        np.testing.assert_array_equal(found, twin_found)
        np.testing.assert_array_equal(scores, twin_scores)
        ranked = sorted((votes * weights).tolist(), reverse=True)[:count]
        assert sorted(scores.tolist(), reverse=True)[:count] == [score for score in ranked if score > 0]
