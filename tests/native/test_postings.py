"""The kernels find what is found one by one, and add up what their twin in NumPy adds up, to the bit, at each level."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import byref
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.errors import StoreError, UsageError
from featmatch.native import postings
from featmatch.native.library import library
from featmatch.native.postings import (
    _LISTS,
    _SCORED,
    Hits,
    PostingLists,
    QueryEntries,
    _columns,
    best,
    hits_of,
    postings_of,
    rows_of,
    scan,
)
from featmatch.store.segment import parts_of
from tests.native import postings_twin as twin
from tests.native.scans import SCANS, Scan, made, one_list

pytestmark = pytest.mark.usefixtures("level")  # each test at each of them


@pytest.mark.parametrize("name", SCANS)
def test_what_is_found_one_by_one_is_found(name: str) -> None:
    one = SCANS[name]
    one.assert_scanned(scan, hits_of)
    np.testing.assert_array_equal(one.votes_by(scan), one.votes_by(twin.scan))


@pytest.mark.parametrize("name", ["empty lists", "more hits than there is room for at first"])
def test_the_twin_finds_what_is_found_one_by_one(name: str) -> None:
    SCANS[name].assert_scanned(twin.scan, twin.hits_of)


def test_every_posting_can_be_a_hit() -> None:
    one = made(4, [31, 33], 10, limit=64)
    hits = one.hits_by(hits_of, np.arange(one.images, dtype=np.uint32))
    assert len(hits) == postings_of(one.lists, one.query)


def test_limit_zero_takes_equal_signatures_only() -> None:
    one = made(5, [21], 1, limit=0)
    one.lists.signatures[4] = one.query.signatures[0]
    assert [row for _, row, _ in one.hits_by(hits_of, np.arange(one.images, dtype=np.uint32))] == [4]
    assert np.flatnonzero(one.votes_by(scan)[one.query.variants[0]]).tolist() == [one.lists.images[4]]


def test_signatures_that_differ_in_the_highest_bit_only_are_one_bit_apart() -> None:
    one = one_list([0] * 9, [0] * 8 + [1 << 63], voting=1)
    assert (0, 8, 1) in one.hits_by(hits_of, np.zeros(1, np.uint32))
    assert one.votes_by(scan) == pytest.approx(3)


def test_signatures_may_differ_in_all_bits() -> None:
    one = one_list([0], [(1 << 64) - 1], voting=64)
    assert one.votes_by(scan).tolist() == [[1]]
    assert hits_of(one.lists, one.query, 64, np.zeros(1, np.uint32)).distances.tolist() == [64]
    assert len(hits_of(one.lists, one.query, 63, np.zeros(1, np.uint32)).distances) == 0


@pytest.mark.parametrize("size", [9, 64, 73, 130])
def test_each_place_in_a_list_may_be_the_only_hit(size: int) -> None:
    for row in range(size):
        signatures = [0b111] * size
        signatures[row] = 0b10
        votes = one_list(list(range(size)), signatures, voting=1).votes_by(scan)
        assert np.flatnonzero(votes).tolist() == [row]


@pytest.mark.parametrize("length", range(1, 9))
def test_what_follows_a_list_is_no_hit(length: int) -> None:
    lists = PostingLists(np.array([0, length, 30], np.uint32), np.zeros(30, np.uint32), np.zeros(30, np.uint64))
    query = asking([0])
    votes = np.zeros((1, 1), np.float32)
    scan(lists, query, np.ones(1, np.float32), votes)
    np.testing.assert_allclose(votes, np.sqrt(length), rtol=1e-6)


@pytest.mark.parametrize("repeats", [1, 2, 9, 3000])
def test_repeats_in_one_image_count_by_their_square_root(repeats: int) -> None:
    votes = one_list([0] * repeats + [1], [0] * (repeats + 1)).votes_by(scan)
    np.testing.assert_allclose(votes, [[np.sqrt(repeats), 1]], rtol=1e-5)


def test_hits_that_do_not_vote_are_no_repeats() -> None:
    one = one_list([0] * 4, [0b111, 0, 0b1111, 1], voting=1)
    assert one.hits_by(hits_of, np.zeros(1, np.uint32)) == [(0, 0, 3), (0, 1, 0), (0, 3, 1)]
    np.testing.assert_allclose(one.votes_by(scan), np.sqrt(2), rtol=1e-6)


def test_repeats_are_counted_anew_for_each_query_word() -> None:
    np.testing.assert_allclose(one_list([0], [0], entries=3).votes_by(scan), 3)


def test_votes_are_added_to_what_is_there() -> None:
    one = made(8, [20], 4)
    votes = np.full((one.variants, one.images), 5, np.float32)
    scan(one.lists, one.query, one.distance_weights, votes)
    np.testing.assert_allclose(votes, one.votes_one_by_one + 5, rtol=1e-4)


@pytest.mark.parametrize("spread", ["evenly", "first", "last", "in two heaps", "one image"])
def test_images_are_found_however_they_are_spread(spread: str) -> None:
    random, size, images = np.random.default_rng(3), 3000, 1 << 20
    numbers = {
        "evenly": random.integers(images, size=size),
        "first": random.integers(size, size=size),
        "last": images - 1 - random.integers(size, size=size),
        "in two heaps": random.choice([1000, images // 2], size=size) + random.integers(900, size=size),
        "one image": np.full(size, 77),
    }[spread]
    one = one_list(np.sort(numbers).tolist(), [0] * size)
    some = np.unique(np.concatenate([random.choice(numbers, 40), random.integers(images, size=40), [0, images - 1]]))
    for found, expected in zip(
        hits_of(one.lists, one.query, 3, some.astype(np.uint32)),
        twin.hits_of(one.lists, one.query, 3, some.astype(np.uint32)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("images", [0, 1, 7, 64, 1000])
@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("variants", [1, 3])
def test_the_best_are_found_with_all_that_are_as_good_as_the_last(images: int, count: int, variants: int) -> None:
    random = np.random.default_rng(images + count)
    for levels in (1, 2, 5, 1 << 20):  # few levels: many are equally good
        votes = random.integers(levels, size=(variants, images)).astype(np.float32) * np.float32(0.37)
        weights = (1 / np.sqrt(random.integers(1, 5, images))).astype(np.float32)
        found, scores = best(votes, weights, count)
        twin_found, twin_scores = twin.best(votes, weights, count)
        np.testing.assert_array_equal(found, twin_found, strict=True)
        np.testing.assert_array_equal(scores, twin_scores, strict=True)
        ranked = sorted((votes * weights).ravel().tolist(), reverse=True)[:count]
        assert sorted(scores.tolist(), reverse=True)[:count] == [score for score in ranked if score > 0]


@pytest.mark.parametrize("order", [1, -1])
def test_the_best_may_come_first_or_last(order: int) -> None:
    votes = np.arange(1, 1001, dtype=np.float32)[None, ::order].copy()
    found, scores = best(votes, np.ones(1000, np.float32), 3)
    assert sorted(scores.tolist()) == [998, 999, 1000]
    np.testing.assert_array_equal(votes[0, found], scores)


@pytest.mark.parametrize(
    ("votes", "count", "expected"),
    [
        ([], 3, {}),
        ([0.0, 0.0], 3, {}),
        ([1.0, 0.0, 2.0], 3, {0: 1.0, 2: 2.0}),
        ([1.0, 3.0, 2.0], 2, {1: 3.0, 2: 2.0}),
        ([1.0, 3.0, 2.0, 2.0], 2, {1: 3.0, 2: 2.0, 3: 2.0}),  # as good as the last
        ([1.0, 3.0, 2.0], 1, {1: 3.0}),
        ([0.0, 2.0**-149, 0.0], 2, {1: 2.0**-149}),  # the least that there is
    ],
)
def test_the_best_are_those_with_any_votes(votes: list[float], count: int, expected: dict[int, float]) -> None:
    found, scores = best(np.array([votes], np.float32), np.ones(len(votes), np.float32), count)
    assert dict(zip(found.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, abs=0)


def test_the_best_are_those_with_the_most_weighted_votes() -> None:
    weights: NDArray[np.float32] = np.array([1, 0.25, 1], np.float32)
    found, scores = best(np.array([[2, 12, 1]], np.float32), weights, 1)
    assert (found.tolist(), scores.tolist()) == ([1], [3.0])


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_hands_out_the_hits_of_all_images(name: str) -> None:
    one = SCANS[name]
    votes = np.zeros((one.variants, one.images), np.float32)
    limit, every = len(one.distance_weights) - 1, np.arange(one.images, dtype=np.uint32)
    expected = hits_of(one.lists, one.query, limit, every)
    found = scan(one.lists, one.query, one.distance_weights, votes, len(expected.rows))
    assert found is not None
    for column, looked_up in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column, looked_up, strict=True)
    if len(expected.rows):
        assert scan(one.lists, one.query, one.distance_weights, votes, len(expected.rows) - 1) is None


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_hands_out_hits_that_have_no_votes_too(name: str) -> None:
    one = SCANS[name]
    weights = one.distance_weights[:3]
    few = replace(one, distance_weights=weights)
    votes, limit = np.zeros((one.variants, one.images), np.float32), len(one.distance_weights) + 9
    expected = hits_of(one.lists, one.query, limit, np.arange(one.images, dtype=np.uint32))
    found = scan(one.lists, one.query, weights, votes, len(expected.rows), limit)
    assert found is not None
    for column, looked_up in zip(found, expected, strict=True):
        np.testing.assert_array_equal(column, looked_up, strict=True)
    np.testing.assert_array_equal(votes, few.votes_by(scan), strict=True)  # to the bit


def test_hits_that_differ_in_another_fixed_bit_are_of_another_word() -> None:
    signatures = np.array([0, 1, 1 << 63, 1 << 63 | 1, 1 << 62], np.uint64)
    lists = PostingLists(np.array([0, 5], np.uint32), np.zeros(5, np.uint32), signatures)
    votes = np.zeros((1, 1), np.float32)
    scan(lists, replace(asking([0], 0b1100_0000), nearest_first=True, all_but_one=True), np.ones(2, np.float32), votes)
    np.testing.assert_allclose(votes, 2 * np.sqrt(2) + 1, rtol=1e-6)


def test_postings_are_counted() -> None:
    lists = PostingLists(np.array([0, 3, 3, 10], np.uint32), np.zeros(10, np.uint32), np.zeros(10, np.uint64))
    assert postings_of(lists, asking([2, 0, 2, 1])) == 17
    assert postings_of(lists, asking([])) == 0


def test_threads_scan_beside_one_another() -> None:
    one = made(12, [500, 700], 12, images=900)
    expected = one.votes_by(scan)
    with ThreadPoolExecutor(4) as threads:
        for votes in threads.map(lambda _: one.votes_by(scan), range(16)):
            np.testing.assert_array_equal(votes, expected)


@pytest.mark.parametrize("rows", [1, 7, 1 << 22])
def test_the_postings_of_some_images_are_found(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "_ROWS", rows)  # gone through at a time
    random = np.random.default_rng(7)
    for count in (0, 1, 7, 130):
        images = random.integers(40, size=count).astype(np.uint32)
        for wanted in (random.random(40) < 0.3, np.zeros(40, bool), np.ones(40, bool)):
            np.testing.assert_array_equal(rows_of(images, wanted), np.flatnonzero(wanted[images]), strict=True)


# ---------------------------------------------------------------- of strangers


def test_a_posting_of_an_image_that_is_not_there_has_no_row() -> None:
    for images in ([0, 1, 3], [0xFFFF_FFFF]):
        with pytest.raises(StoreError, match="a posting names an image that is not there"):
            rows_of(np.array(images, np.uint32), np.ones(3, bool))
    one = np.zeros(3, np.uint32)
    for given in ((one.astype(np.int64), np.ones(3, bool)), (one, np.ones(3, np.uint8))):
        with pytest.raises(UsageError):
            rows_of(*given)


@pytest.mark.parametrize("images", [0, 2])
def test_a_vote_for_an_image_that_is_not_there_is_damage(images: int) -> None:
    one = one_list([0, 1, 2], [0, 0, 0])
    with pytest.raises(StoreError, match="a posting names an image that is not there"):
        scan(one.lists, one.query, one.distance_weights, np.zeros((1, images), np.float32))


def test_a_kept_hit_of_an_image_that_is_not_there_is_damage() -> None:
    one = one_list([0, 1, 2], [0, 0, 7])  # the last one has no votes
    votes = np.zeros((1, 2), np.float32)
    scan(one.lists, one.query, np.ones(1, np.float32), votes)
    with pytest.raises(StoreError, match="a posting names an image that is not there"):
        scan(one.lists, one.query, np.ones(1, np.float32), votes, 3, 3)


@pytest.mark.parametrize(
    ("offsets", "word"),
    [
        ([0, 5, 2, 9], 1),  # descending
        ([0, 5, 10, 10], 1),  # beyond the postings
        ([0, 5, 9, 1 << 31], 2),
        ([1 << 31, (1 << 31) + 1, 9, 9], 0),
        ([(1 << 32) - 1, 2, 9, 9], 0),
        ([0, 3, 6, 9], 3),  # no such word
        ([0, 3, 6, 9], -1),
        ([0, 3, 6, 9], -(1 << 31)),
        ([0, 3, 6, 9], (1 << 31) - 1),
        ([0], 0),
        ([], 0),
    ],
)
def test_lists_that_are_not_there_are_damage(offsets: list[int], word: int) -> None:
    lists = PostingLists(np.array(offsets, np.uint32), np.zeros(9, np.uint32), np.zeros(9, np.uint64))
    good = replace(lists, offsets=np.array([0, 3, 6, 9], np.uint32))
    for words in ([word], [0, word], [0, word, 0]):
        query = asking(words)
        for call in (scanned, looked_up):
            with pytest.raises(StoreError, match="a posting list is not within the postings"):
                call(lists, query)
            if 0 <= word < 3:
                call(good, query)


def asking(words: list[int], fixed: int = 0) -> QueryEntries:
    """Entries whose signature is 0 and whose weight is 1."""
    count = len(words)
    return QueryEntries(
        np.array(words, np.int32), np.zeros(count, np.uint64), np.ones(count, np.float32),
        np.full(count, fixed, np.uint8), np.zeros(count, np.int32),
    )  # fmt: skip


def scanned(lists: PostingLists, query: QueryEntries) -> None:
    scan(lists, query, np.ones(3, np.float32), np.zeros((1, 1), np.float32))


def looked_up(lists: PostingLists, query: QueryEntries) -> None:
    hits_of(lists, query, 64, np.zeros(1, np.uint32))


def test_lists_of_anything_do_no_harm() -> None:
    random = np.random.default_rng(6)
    refused = 0
    for _ in range(300):
        one = made(int(random.integers(1000)), [3, 70, 0, 9], 5, limit=64, images=40)
        columns = [one.lists.offsets, one.lists.images, one.query.words]
        for column in columns[random.integers(3) :]:
            place = random.integers(len(column))
            column[place] = random.choice([0, 1, 5, 39, 40, 81, 82, 83, 1 << 20, (1 << 31) - 1])
        try:
            one.votes_by(scan)
            hits_of(one.lists, one.query, 64, np.arange(40, dtype=np.uint32))
        except StoreError:
            refused += 1
    assert 50 < refused < 300


def columns_of(value: PostingLists | QueryEntries) -> list[Any]:
    return [getattr(value, field.name) for field in fields(value)]


@pytest.mark.parametrize("column", range(8))
def test_columns_of_another_length_or_type_are_refused(column: int) -> None:
    one = made(1, [9, 8], 3)
    for spoil in (lambda values: values[:-1].copy(), lambda values: values.astype(np.float64), np.ndarray.tolist):
        columns: list[Any] = [*columns_of(one.lists)[:3], *columns_of(one.query)[:5]]
        columns[column] = spoil(columns[column])
        if column == 0 and len(columns[0]) == 2:
            continue  # it is one word less
        lists, query = PostingLists(*columns[:3]), QueryEntries(*columns[3:])
        with pytest.raises(UsageError):
            scan(lists, query, one.distance_weights, np.zeros((3, one.images), np.float32))
        with pytest.raises(UsageError):
            hits_of(lists, query, 3, np.zeros(1, np.uint32))


def test_votes_and_weights_of_another_length_or_type_are_refused() -> None:
    one, votes = made(1, [9, 8], 3), np.zeros((3, 7), np.float32)
    wrong: Any
    for wrong in (votes[0, :0], np.ones(3)):
        with pytest.raises(UsageError):
            scan(one.lists, one.query, wrong, votes)
    with pytest.raises(UsageError):
        scan(one.lists, one.query, one.distance_weights, votes.astype(np.float64))
    read_only = votes.copy()
    read_only.setflags(write=False)
    with pytest.raises(UsageError, match="writable"):
        scan(one.lists, one.query, one.distance_weights, read_only)
    weights = np.ones(7, np.float32)
    for given in (
        (votes, weights[:6], 3), (votes, weights, 0), (votes, weights, -1), (votes, weights.astype(float), 3),
        (votes[0], weights, 3), (votes[:, :6], weights[:6], 3),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            best(*given)
    for variants in (replace(one.query, variants=np.full(3, number, np.int32)) for number in (3, -1)):
        with pytest.raises(UsageError):
            scan(one.lists, variants, one.distance_weights, votes)


def test_the_kernels_believe_no_caller() -> None:
    one, kernels = one_list(list(range(70)), [0] * 70), library()
    lists, query = byref(one.lists.for_kernels), byref(one.query.for_kernels)
    votes, weights = np.ones(200, np.float32), np.ones(200, np.float32)
    heap, above, found = np.empty(3, np.float32), np.empty(200, np.uint8), np.full(300, -7, np.int64)
    given = votes.ctypes.data, 1, weights.ctypes.data, 200, heap.ctypes.data
    blocks = -(-200 // _SCORED)
    keys = np.empty((2, 3), np.uint64)
    spare = *(one.ctypes.data for one in keys), 3
    counted = votes.ctypes.data, 1, 200, _columns(Hits.room(0))
    assert kernels.featmatch_scan(lists, query, weights.ctypes.data, 0, 0, *spare, *counted) == -1
    assert kernels.featmatch_scan(lists, query, weights.ctypes.data, 9, 0, *spare, *counted) == -2
    for parts in (0, -1, 3, 512):
        wrong = byref(replace(one.lists, parts=parts).for_kernels)
        assert kernels.featmatch_scan(wrong, query, weights.ctypes.data, 9, 0, *spare, *counted) == -1
    assert kernels.featmatch_best(*given, 0, above.ctypes.data, blocks, found.ctypes.data, 300) == -1
    assert kernels.featmatch_best(*given, 3, above.ctypes.data, blocks - 1, found.ctypes.data, 300) == -1
    assert kernels.featmatch_best(*given, 3, above.ctypes.data, blocks, found.ctypes.data, 5) == 200
    assert found[:6].tolist() == [0, 1, 2, 3, 4, -7]  # only so many are written
    images, starts = np.arange(70, dtype=np.uint32), np.empty(_LISTS * 70, np.int64)
    wanted = np.ones(70, bool).ctypes.data
    assert kernels.featmatch_rows(images.ctypes.data, 70, wanted, 70, starts.ctypes.data, 69) == -1
    hits = Hits(np.full(9, -7, np.int32), np.full(9, -7, np.int64), np.full(9, 7, np.uint32), np.full(9, 7, np.uint8))
    few = Hits(hits.entries[:5], hits.rows[:5], hits.images[:5], hits.distances[:5])
    asked = lists, query, 3, images.ctypes.data, 70, starts.ctypes.data
    assert kernels.featmatch_hits(*asked, 69, _columns(few)) == -1
    assert kernels.featmatch_hits(*asked[:4], -1, *asked[5:], 70, _columns(few)) == -1
    assert kernels.featmatch_hits(*asked, 70, _columns(few)) == 70
    assert hits.rows.tolist() == [0, 1, 2, 3, 4, -7, -7, -7, -7]


def test_room_for_one_list_at_a_time_is_enough() -> None:
    one: Scan = made(10, [60, 0, 500, 10] * 20, 2 * _LISTS + 3, images=30)
    images = np.arange(30, dtype=np.uint32)
    expected = hits_of(one.lists, one.query, 22, images)
    hits = Hits(*map(np.empty_like, expected))
    starts = np.empty(30, np.int64)
    found = library().featmatch_hits(
        byref(one.lists.for_kernels),
        byref(one.query.for_kernels),
        22,
        images.ctypes.data,
        30,
        starts.ctypes.data,
        30,
        _columns(hits),
    )
    assert found == len(expected.rows)
    for column, of_all in zip(hits, expected, strict=True):
        np.testing.assert_array_equal(column, of_all)


# ---------------------------------------------------------------- in parts


def cut(one: Scan, parts: int) -> tuple[Scan, NDArray[np.int64]]:
    """The same lists in so many parts, and which rows of the whole ones theirs are."""
    words = np.repeat(np.arange(len(one.lists.offsets) - 1), np.diff(one.lists.offsets))
    places = words * parts + parts_of(one.lists.signatures, parts)
    order = np.lexsort((one.lists.images, places))
    lengths = np.bincount(places, minlength=(len(one.lists.offsets) - 1) * parts)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.uint32)
    lists = PostingLists(offsets, one.lists.images[order], one.lists.signatures[order], parts)
    return replace(one, lists=lists), order


SOME_IMAGES = np.arange(0, 90, 7, dtype=np.uint32)


@cache
def whole_lists(fixed: int, all_but_one: bool) -> Scan:
    """Every other entry of the query with these bits fixed. Not to be written to."""
    one = made(11, [3000, 0, 700, 40], 30, images=90, limit=24)  # sorted by merging, too
    one.query.fixed[::2] = fixed
    return replace(one, query=replace(one.query, nearest_first=True, all_but_one=all_but_one))


@cache
def votes_of_the_twin(fixed: int, all_but_one: bool) -> NDArray[np.float32]:
    return whole_lists(fixed, all_but_one).votes_by(twin.scan)


@cache
def hits_of_the_twin(parts: int, fixed: int, all_but_one: bool) -> list[tuple[int, int, int]]:
    return cut(whole_lists(fixed, all_but_one), parts)[0].hits_by(twin.hits_of, SOME_IMAGES)


@pytest.mark.parametrize("parts", [1, 2, 16, 256])
@pytest.mark.parametrize("fixed", [0, 0b1, 0b1000_0000, 0b0110_0001, 0b1110_0000, 0xFF])
@pytest.mark.parametrize("all_but_one", [False, True])
def test_lists_in_parts_have_the_votes_and_hits_of_whole_ones(parts: int, fixed: int, all_but_one: bool) -> None:
    one = whole_lists(fixed, all_but_one)
    cut_one, order = cut(one, parts)
    votes = cut_one.votes_by(scan)
    np.testing.assert_array_equal(votes, one.votes_by(scan))
    np.testing.assert_array_equal(votes, votes_of_the_twin(fixed, all_but_one))
    np.testing.assert_allclose(votes, one.votes_one_by_one, rtol=1e-4)
    hits = cut_one.hits_by(hits_of, SOME_IMAGES)
    assert sorted(hits) == hits_of_the_twin(parts, fixed, all_but_one)
    assert all_but_one or hits == sorted(hits)
    wanted = np.isin(one.lists.images, SOME_IMAGES).tolist()
    whole = [hit for hit in one.hits_one_by_one if wanted[hit[1]]]
    assert sorted((entry, int(order[row]), bits) for entry, row, bits in hits) == whole
    assert postings_of(cut_one.lists, cut_one.query) <= postings_of(one.lists, one.query)


def one_in_each_part() -> PostingLists:
    """One list of 256 parts, with a posting of image 0 in each."""
    signatures = np.arange(256, dtype=np.uint64) << np.uint64(56)
    return PostingLists(np.arange(257, dtype=np.uint32), np.zeros(256, np.uint32), signatures, 256)


def test_only_parts_in_which_hits_can_be_are_read() -> None:
    lists = one_in_each_part()
    assert [postings_of(lists, asking([0], fixed)) for fixed in (0, 1, 0b111, 0xFF)] == [256, 128, 32, 1]
    lists.images[1:] = 9  # of these, whose signatures differ, none is there
    votes = np.zeros((1, 1), np.float32)
    scan(lists, asking([0], 0xFF), np.ones(65, np.float32), votes)
    assert votes.tolist() == [[1]]
    with pytest.raises(StoreError):
        scan(lists, asking([0], 0xFE), np.ones(65, np.float32), votes)


@pytest.mark.parametrize(("fixed", "parts_read"), [(0xFF, 9), (0b1110_0000, 128), (0b0000_0001, 256), (0, 256)])
def test_parts_that_differ_in_one_fixed_bit_are_read_once(fixed: int, parts_read: int) -> None:
    signature = np.array([0b1010_0101 << 56], np.uint64)
    lists, query = one_in_each_part(), replace(asking([0], fixed), signatures=signature, all_but_one=True)
    found = hits_of(lists, query, 64, np.zeros(1, np.uint32)).rows.tolist()
    assert len(found) == len(set(found)) == postings_of(lists, query) == parts_read
    votes = np.zeros((1, 1), np.float32)
    scan(lists, query, np.ones(65, np.float32), votes)
    changed = [(row ^ 0b1010_0101) & fixed for row in found]  # a part of another word for each fixed bit that differs
    np.testing.assert_allclose(votes, sum(np.sqrt(changed.count(one)) for one in set(changed)), rtol=1e-5)


def test_a_fixed_bit_that_differs_does_not_count() -> None:
    signatures = np.array([0, 1 << 63, 1 << 63 | 0b111, 0b11 << 62, 0b1111], np.uint64)
    lists = PostingLists(np.array([0, 5], np.uint32), np.arange(5, dtype=np.uint32), signatures)
    query = replace(asking([0], 0b1100_0000), all_but_one=True)
    found = hits_of(lists, query, 3, np.arange(5, dtype=np.uint32))
    assert (found.rows.tolist(), found.distances.tolist()) == ([0, 1, 2], [0, 0, 3])
    votes = np.zeros((1, 5), np.float32)
    scan(lists, query, np.array([4, 3, 2, 1], np.float32), votes)
    assert votes.tolist() == [[4, 4, 1, 0, 0]]


def test_parts_in_any_order_do_no_harm() -> None:
    random = np.random.default_rng(5)
    for parts in (2, 256):
        one, _ = cut(made(3, [400, 90], 20, limit=64, images=40), parts)
        for column in (one.lists.images, one.lists.signatures, one.lists.offsets[1:-1]):
            random.shuffle(column)
            with suppress(StoreError):  # lists that end before they begin, or have a posting twice
                one.votes_by(scan)
                one.hits_by(hits_of, np.arange(40, dtype=np.uint32))
