from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from featmatch.grouping.pairs import Pair
from featmatch.grouping.remembered import Remembered, recall, remember
from featmatch.grouping.repeating import Repeated
from featmatch.store.layout import PAIRS
from tests.grouping.made import pair, scaled

DIGESTS = {1: 11, 2: 12, 3: 2**64 - 1}


def without_homography(one: Pair) -> dict[str, object]:
    return {name: value for name, value in vars(one).items() if name != "homography"}


def test_pairs_come_back_as_they_were(tmp_path: Path) -> None:
    first = Pair(
        2, 1, scaled(2, 3, 4), True, False, 17, 90.5, 0.7, Repeated(0.1, 0.2, 0.3), Repeated(0.4, 0.5, 0.6), -2.5,
    )  # fmt: skip
    second = dataclasses.replace(pair(2, 3, scaled(0.5), 0.5), negative=True)  # whose looks were not compared
    remember(tmp_path, [1, 2], [first], DIGESTS)
    remember(tmp_path, [3], [second], DIGESTS)
    known = recall(tmp_path, DIGESTS)
    assert known.compared == {1, 2, 3}
    assert list(known.pairs) == [(1, 2), (2, 3)]
    for key, one in (((1, 2), first), ((2, 3), second)):
        np.testing.assert_array_equal(known.pairs[key].homography, one.homography)
        assert without_homography(known.pairs[key]) == without_homography(one)


def test_an_id_that_means_another_image_now_is_left_out(tmp_path: Path) -> None:
    remember(tmp_path, [1, 2, 3], [pair(1, 2, np.eye(3)), pair(2, 3, np.eye(3)), pair(1, 3, np.eye(3))], DIGESTS)
    for digests in ({1: 11, 2: 99, 3: 2**64 - 1}, {1: 11, 3: 2**64 - 1}):
        known = recall(tmp_path, digests)
        assert known.compared == {1, 3}
        assert list(known.pairs) == [(1, 3)]


def test_the_last_record_says_what_an_id_means(tmp_path: Path) -> None:
    remember(tmp_path, [1, 2], [pair(1, 2, np.eye(3))], DIGESTS)
    remember(tmp_path, [2], [pair(1, 2, scaled(2))], DIGESTS | {2: 99})
    assert recall(tmp_path, DIGESTS | {2: 99}).compared == {1, 2}
    np.testing.assert_array_equal(recall(tmp_path, DIGESTS | {2: 99}).pairs[1, 2].homography, scaled(2))
    remember(tmp_path, [3], [pair(2, 3, np.eye(3))], DIGESTS)
    assert list(recall(tmp_path, DIGESTS).pairs) == [(1, 2)]  # of the third, the second is another one


def test_nothing_is_known_without_a_log_or_from_a_damaged_one(tmp_path: Path) -> None:
    assert recall(tmp_path, DIGESTS) == Remembered(set(), {})
    remember(tmp_path, [1, 2], [pair(1, 2, np.eye(3))], DIGESTS)
    end = (tmp_path / PAIRS).stat().st_size
    remember(tmp_path, [3], [], DIGESTS)
    damaged = bytearray((tmp_path / PAIRS).read_bytes())
    damaged[end + 90] ^= 4
    (tmp_path / PAIRS).write_bytes(damaged)
    assert recall(tmp_path, DIGESTS).compared == {1, 2}


def test_more_is_learnt_by_both_ids() -> None:
    known = Remembered()
    again = pair(1, 2, scaled(2))
    known.add([1, 2], [pair(2, 1, np.eye(3))])
    known.add([7], [pair(7, 1, np.eye(3))])
    known.add([], [again])
    assert known.compared == {1, 2, 7}
    assert list(known.pairs) == [(1, 2), (1, 7)]
    assert known.pairs[1, 2] is again
