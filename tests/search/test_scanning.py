from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.search import kernels, scanning
from featmatch.search.scanning import Hits, best_with_numpy, hits_of_with_numpy, scan_with_numpy

Hit = tuple[int, int, int]  # entry, row, distance


@dataclass(frozen=True)
class Scan:
    offsets: NDArray[np.uint32]
    images: NDArray[np.uint32]
    signatures: NDArray[np.uint64]
    words: NDArray[np.int32]
    query_signatures: NDArray[np.uint64]
    weights: NDArray[np.float32]
    distance_weights: NDArray[np.float32]
    limit: int
    image_count: int

    def compiled(self) -> tuple[NDArray[np.float32], list[Hit]]:
        """What the compiled loops find, which NumPy has to find to the bit."""
        votes = self.votes_by(kernels.scan)
        np.testing.assert_array_equal(votes, self.votes_by(scan_with_numpy))
        everything = np.arange(self.image_count, dtype=np.uint32)
        hits = self.hits_by(kernels.hits_of, everything)
        for some in (everything, everything[:0], everything[::3], everything[-1:], everything + np.uint32(1 << 20)):
            for find in (kernels.hits_of, hits_of_with_numpy):
                assert self.hits_by(find, some) == [hit for hit in hits if self.images[hit[1]] in some]
        return votes, hits

    def votes_by(self, scan: Callable[..., None]) -> NDArray[np.float32]:
        votes = np.zeros(self.image_count, np.float32)
        scan(
            self.offsets, self.images, self.signatures, self.words, self.query_signatures, self.weights,
            self.distance_weights, votes,
        )  # fmt: skip
        return votes

    def hits_by(self, hits_of: Callable[..., Hits], images: NDArray[np.uint32]) -> list[Hit]:
        hits = Hits(
            *hits_of(self.offsets, self.images, self.signatures, self.words, self.query_signatures, self.limit, images)
        )
        assert [column.dtype for column in hits] == [
            np.dtype(kind) for kind in (np.int32, np.int64, np.uint32, np.uint8)
        ]
        np.testing.assert_array_equal(hits.images, self.images[hits.rows])
        return list(zip(hits.entries.tolist(), hits.rows.tolist(), hits.distances.tolist(), strict=True))

    def twin(self) -> tuple[NDArray[np.float64], list[Hit]]:
        votes = np.zeros(self.image_count)
        hits = []
        for entry, word in enumerate(self.words):
            seen: dict[int, int] = {}
            for row in range(int(self.offsets[word]), int(self.offsets[word + 1])):
                distance = (int(self.signatures[row]) ^ int(self.query_signatures[entry])).bit_count()
                if distance <= self.limit:
                    hits.append((entry, row, distance))
                if distance >= len(self.distance_weights):
                    continue
                image = int(self.images[row])
                seen[image] = seen.get(image, 0) + 1
                share = np.sqrt(seen[image]) - np.sqrt(seen[image] - 1)
                votes[image] += self.weights[entry] * self.distance_weights[distance] * share
        return votes, hits


def made(seed: int, lists: list[int], queries: int, images: int = 7, limit: int = 22, voting: int = 64) -> Scan:
    """Random posting lists of the given lengths; signatures differ in about as many bits as the limit."""
    random = np.random.default_rng(seed)
    base = int(random.integers(1 << 63))

    def signatures(count: int) -> NDArray[np.uint64]:
        flips = random.random((count, 64)) < 0.2
        return np.array([base ^ sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in flips], np.uint64)

    posting_images = [np.sort(random.integers(images, size=length)) for length in lists]
    return Scan(
        offsets=np.cumsum([0, *lists]).astype(np.uint32),
        images=np.concatenate(posting_images).astype(np.uint32),
        signatures=signatures(sum(lists)),
        words=random.integers(len(lists), size=queries).astype(np.int32),
        query_signatures=signatures(queries),
        weights=random.uniform(0.1, 9, queries).astype(np.float32),
        distance_weights=np.exp(-((np.arange(min(limit, voting) + 1) / 16) ** 2)).astype(np.float32),
        limit=limit,
        image_count=images,
    )


def assert_same(scan: Scan) -> list[tuple[int, int, int]]:
    votes, hits = scan.compiled()
    expected_votes, expected_hits = scan.twin()
    assert hits == expected_hits
    np.testing.assert_allclose(votes, expected_votes, rtol=1e-4, atol=1e-5)
    return hits


@pytest.fixture(autouse=True, params=[50, scanning._AT_ONCE], ids=["few at once", "many at once"])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_AT_ONCE", request.param)


@pytest.mark.parametrize(
    ("lists", "queries"),
    [([1], 1), ([3, 1, 7], 5), ([13, 64, 1, 65, 17], 31), ([127, 129, 2], 33)],
)
@pytest.mark.parametrize("limit", [0, 1, 15, 22, 32])
@pytest.mark.parametrize("voting", [0, 12, 17, 64])
def test_scan_equals_its_twin_on_odd_sizes(lists: list[int], queries: int, limit: int, voting: int) -> None:
    for seed in range(3):
        assert_same(made(seed, lists, queries, limit=limit, voting=voting))


def test_empty_posting_lists_give_no_hits() -> None:
    assert assert_same(made(1, [0, 0, 0], 9)) == []


def test_empty_lists_between_full_ones_are_passed_over() -> None:
    assert assert_same(made(2, [0, 11, 0, 0, 5, 0], 40))


def test_a_query_without_words_changes_nothing() -> None:
    assert assert_same(made(3, [5, 9], 0)) == []


def test_every_posting_can_be_a_hit() -> None:
    scan = made(4, [31, 33], 10, limit=64)
    lengths = np.diff(scan.offsets)[scan.words]
    assert len(assert_same(scan)) == lengths.sum()


def test_limit_zero_takes_equal_signatures_only() -> None:
    scan = made(5, [21], 1, limit=0)
    scan.signatures[4] = scan.query_signatures[0]
    hits = assert_same(scan)
    assert (0, 4, 0) in hits
    assert all(distance == 0 for _, _, distance in hits)


def test_signatures_that_differ_in_the_highest_bit_only_are_one_bit_apart() -> None:
    scan = made(6, [3], 1, limit=1)
    scan.signatures[1] = scan.query_signatures[0] ^ np.uint64(1 << 63)
    assert (0, 1, 1) in assert_same(scan)


def test_hits_beyond_the_first_capacity_are_all_kept() -> None:
    hits = assert_same(made(7, [500, 700], 12, limit=64))
    assert len(hits) > kernels._BLOCK


@pytest.mark.parametrize("beyond", [-1, 0, 1, 9])
def test_lists_longer_than_a_block_are_scanned_to_their_end(beyond: int) -> None:
    assert assert_same(made(9, [3, kernels._BLOCK + beyond, 2], 4, images=60))


def test_more_lists_than_are_bisected_at_once_are_all_looked_at() -> None:
    assert assert_same(made(10, [5, 0, 40, 1] * 20, 2 * kernels._LISTS + 3, images=30))


@pytest.mark.parametrize("repeats", [1, 2, 9])
def test_repeats_in_one_image_count_by_their_square_root(repeats: int) -> None:
    scan = Scan(
        offsets=np.array([0, repeats + 1], np.uint32),
        images=np.array([0] * repeats + [1], np.uint32),
        signatures=np.zeros(repeats + 1, np.uint64),
        words=np.zeros(1, np.int32),
        query_signatures=np.zeros(1, np.uint64),
        weights=np.ones(1, np.float32),
        distance_weights=np.ones(1, np.float32),
        limit=0,
        image_count=2,
    )
    assert_same(scan)
    np.testing.assert_allclose(scan.compiled()[0], [np.sqrt(repeats), 1], rtol=1e-6)


def test_hits_that_do_not_vote_are_no_repeats() -> None:
    scan = Scan(
        offsets=np.array([0, 4], np.uint32),
        images=np.zeros(4, np.uint32),
        signatures=np.array([0b111, 0, 0b1111, 1], np.uint64),
        words=np.zeros(1, np.int32),
        query_signatures=np.zeros(1, np.uint64),
        weights=np.ones(1, np.float32),
        distance_weights=np.ones(2, np.float32),
        limit=3,
        image_count=1,
    )
    assert assert_same(scan) == [(0, 0, 3), (0, 1, 0), (0, 3, 1)]
    np.testing.assert_allclose(scan.compiled()[0], [np.sqrt(2)], rtol=1e-6)


@pytest.mark.parametrize("threshold", [0, 1 << 60])
def test_a_vote_for_an_image_that_is_not_there_is_damage(monkeypatch: pytest.MonkeyPatch, threshold: int) -> None:
    monkeypatch.setattr(scanning, "_WORTH_COMPILING", threshold)
    lists = made(11, [40], 4, limit=64)
    lists.images[-1] = lists.image_count
    with pytest.raises(StoreError, match="an image that is not there"):
        lists.votes_by(scanning.scan)


def test_repeats_are_counted_anew_for_each_query_word() -> None:
    scan = Scan(
        offsets=np.array([0, 1], np.uint32),
        images=np.zeros(1, np.uint32),
        signatures=np.zeros(1, np.uint64),
        words=np.zeros(3, np.int32),
        query_signatures=np.zeros(3, np.uint64),
        weights=np.ones(3, np.float32),
        distance_weights=np.ones(1, np.float32),
        limit=0,
        image_count=1,
    )
    assert_same(scan)
    np.testing.assert_allclose(scan.compiled()[0], [3])


def test_votes_are_added_to_what_is_there() -> None:
    scan = made(8, [20], 4)
    votes = np.full(scan.image_count, 5, np.float32)
    kernels.scan(
        scan.offsets, scan.images, scan.signatures,
        scan.words, scan.query_signatures, scan.weights, scan.distance_weights, votes,
    )  # fmt: skip
    np.testing.assert_allclose(votes, scan.twin()[0] + 5, rtol=1e-4)


def test_a_process_that_scans_much_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    monkeypatch.setattr(scanning, "_scanned", 0)
    monkeypatch.setattr(scanning, "_WORTH_COMPILING", 250)
    monkeypatch.setattr(scanning, "scan_with_numpy", lambda *arguments: calls.append("numpy"))
    monkeypatch.setattr(kernels, "scan", lambda *arguments: calls.append("compiled"))
    lists = made(3, [100], 1)
    for _ in range(4):
        scanning.scan(
            lists.offsets, lists.images, lists.signatures, lists.words, lists.query_signatures,
            lists.weights, lists.distance_weights, np.zeros(lists.image_count, np.float32),
        )  # fmt: skip
    assert calls == ["numpy", "numpy", "compiled", "compiled"]


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
