from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from featmatch.grouping.remembered import Remembered, recall, remember
from tests.grouping.made import pair, scaled


def test_what_is_remembered_comes_back_for_the_images_that_are_meant(tmp_path: Path) -> None:
    digests = {1: 11, 2: 12, 3: 2**64 - 1}
    first, second = pair(1, 2, scaled(2, 3, 4)), pair(2, 3, np.eye(3), 0.5)
    remember(tmp_path, [1, 2], [first], digests)
    remember(tmp_path, [3], [second], digests)
    known = recall(tmp_path, digests)
    assert known.compared == {1, 2, 3}
    assert list(known.pairs) == [(1, 2), (2, 3)]
    np.testing.assert_array_equal(known.pairs[1, 2].homography, first.homography)
    assert dataclasses.replace(known.pairs[2, 3], homography=second.homography).__dict__ == second.__dict__
    other = recall(tmp_path, {1: 11, 2: 99, 3: 2**64 - 1})  # another image of that number
    assert (other.compared, other.pairs) == ({1, 3}, {})
    assert recall(tmp_path, {1: 11, 2: 12}).pairs.keys() == {(1, 2)}


def test_more_is_learnt_by_both_ids() -> None:
    known = Remembered()
    first, again = pair(2, 1, np.eye(3)), pair(1, 2, scaled(2))
    known.add([1, 2], [first])
    known.add([7], [pair(7, 1, np.eye(3))])
    known.add([], [again])
    assert known.compared == {1, 2, 7}
    assert list(known.pairs) == [(1, 2), (1, 7)]
    assert known.pairs[1, 2] is again
