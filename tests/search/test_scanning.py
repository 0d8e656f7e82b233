"""NumPy finds what is found one by one; compiled code takes over in a process that scans much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.search import kernels, scanning
from featmatch.search.scanning import best, best_with_numpy, hits_of, hits_of_with_numpy, postings_of, scan_with_numpy
from tests.search.scans import SCANS, Scan, made, one_list


@pytest.mark.parametrize("at_once", [1, 50, scanning._AT_ONCE])
@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_what_is_found_one_by_one_is_found(scan: Scan, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_AT_ONCE", at_once)
    scan.assert_scanned(scan_with_numpy, hits_of_with_numpy)


def test_limit_zero_takes_equal_signatures_only() -> None:
    scan = made(5, [21], 1, limit=0)
    scan.lists.signatures[4] = scan.query.signatures[0]
    hits = scan.hits_by(hits_of_with_numpy, np.arange(scan.images, dtype=np.uint32))
    assert (0, 4, 0) in hits
    assert all(distance == 0 for _, _, distance in hits)


def test_repeats_in_one_image_count_by_their_square_root() -> None:
    scan = one_list([0] * 4 + [1], [0b1, 0, 0, 0b11, 0], entries=2, voting=1)
    np.testing.assert_allclose(scan.votes_by(scan_with_numpy), [2 * np.sqrt(3), 2], rtol=1e-6)


def test_lists_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_AT_ONCE", 10)
    offsets, words = np.array([0, 4, 9, 30, 31], np.uint32), np.array([0, 1, 2, 3, 0], np.int32)
    blocks = [(sorted(set(entries.tolist())), rows.tolist()) for entries, rows in scanning._postings(offsets, words)]
    assert [entries for entries, _ in blocks] == [[0, 1], [2, 3, 4]]  # a list of 21 is looked at as a whole
    assert [row for _, rows in blocks for row in rows] == [*range(31), *range(4)]


@pytest.mark.parametrize("threshold", [0, 1 << 60])
def test_a_vote_for_an_image_that_is_not_there_is_damage(monkeypatch: pytest.MonkeyPatch, threshold: int) -> None:
    monkeypatch.setattr(scanning, "_WORTH_COMPILING", threshold)
    scan = made(11, [40], 4, limit=64)
    scan.lists.images[-1] = scan.images
    with pytest.raises(StoreError, match="an image that is not there"):
        scan.votes_by(scanning.scan)


def test_postings_are_counted() -> None:
    assert postings_of(np.array([0, 3, 3, 10], np.uint32), np.array([2, 0, 2, 1], np.int32)) == 17
    assert postings_of(np.array([0, 3], np.uint32), np.empty(0, np.int32)) == 0


def test_a_process_that_scans_much_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def saying(name: str) -> Callable[..., tuple[NDArray[np.int64], ...]]:
        def said(*_: object) -> tuple[NDArray[np.int64], ...]:
            calls.append(name)
            return tuple(np.empty(0, np.int64) for _ in range(4))

        return said

    monkeypatch.setattr(scanning, "_scanned", 0)
    monkeypatch.setattr(scanning, "_WORTH_COMPILING", 200)
    for name in ("scan", "hits_of", "best"):
        monkeypatch.setattr(scanning, f"{name}_with_numpy", saying(f"{name} with NumPy"))
        monkeypatch.setattr(kernels, name, saying(f"{name} compiled"))
    lists = made(3, [100], 1)
    for _ in range(3):
        lists.votes_by(scanning.scan)
        hits_of(lists.lists, lists.query, 22, np.zeros(1, np.uint32))
        best(np.zeros(1, np.float32), np.ones(1, np.float32), 1)
    plain, compiled = ([f"{name} {way}" for name in ("scan", "hits_of", "best")] for way in ("with NumPy", "compiled"))
    assert calls == plain + compiled + compiled


@pytest.mark.parametrize(
    ("votes", "count", "expected"),
    [
        ([], 3, {}),
        ([0.0, 0.0], 3, {}),
        ([1.0, 0.0, 2.0], 3, {0: 1.0, 2: 2.0}),
        ([1.0, 3.0, 2.0], 2, {1: 3.0, 2: 2.0}),
        ([1.0, 3.0, 2.0, 2.0], 2, {1: 3.0, 2: 2.0, 3: 2.0}),  # as good as the last
        ([1.0, 3.0, 2.0], 1, {1: 3.0}),
    ],
)
def test_the_best_are_those_with_any_votes_and_all_that_are_as_good_as_the_last(
    votes: list[float], count: int, expected: dict[int, float]
) -> None:
    found, scores = best_with_numpy(np.array(votes, np.float32), np.ones(len(votes), np.float32), count)
    assert dict(zip(found.tolist(), scores.tolist(), strict=True)) == expected


def test_the_best_are_those_with_the_most_weighted_votes() -> None:
    weights: NDArray[np.float32] = np.array([1, 0.25, 1], np.float32)
    found, scores = best_with_numpy(np.array([2, 12, 1], np.float32), weights, 1)
    assert (found.tolist(), scores.tolist()) == ([1], [3.0])
