from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from featmatch.grouping.remembered import Remembered, is_damaged, recall, remember
from featmatch.store.layout import PAIRS
from tests.grouping.made import pair, scaled


def test_what_is_remembered_comes_back_and_what_is_damaged_does_not(tmp_path: Path) -> None:
    digests = {1: 11, 2: 12, 3: 2**64 - 1}
    first, second = pair(1, 2, scaled(2, 3, 4)), pair(2, 3, np.eye(3), 0.5)
    remember(tmp_path, [1, 2], [first], digests)
    end = (tmp_path / PAIRS).stat().st_size
    remember(tmp_path, [3], [second], digests)
    known = recall(tmp_path, digests)
    assert known.compared == {1, 2, 3}
    assert list(known.pairs) == [(1, 2), (2, 3)]
    np.testing.assert_array_equal(known.pairs[1, 2].homography, first.homography)
    assert dataclasses.replace(known.pairs[2, 3], homography=second.homography).__dict__ == second.__dict__
    assert recall(tmp_path, {1: 11, 2: 99, 3: 2**64 - 1}).compared == {1, 3}  # another image of that number
    whole = (tmp_path / PAIRS).read_bytes()
    for cut in (end, end + 5, end + 80, len(whole) - 1):  # a run that was killed
        (tmp_path / PAIRS).write_bytes(whole[:cut])
        assert recall(tmp_path, digests).compared == {1, 2}
        assert not is_damaged(tmp_path)
    remember(tmp_path, [3], [second], digests)
    assert (tmp_path / PAIRS).read_bytes() == whole
    for place in (3, 20, 30, 100, end + 1, end + 90, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 4
        (tmp_path / PAIRS).write_bytes(changed)
        assert is_damaged(tmp_path)
        assert recall(tmp_path, digests).compared in (set(), {1, 2})


def test_what_an_older_version_found_is_passed_over_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / PAIRS).write_bytes(b"featmatch pairs 2\n" + bytes(500))
    assert not is_damaged(tmp_path)
    assert recall(tmp_path, {1: 11}).compared == set()
    remember(tmp_path, [1], [], {1: 11})
    assert recall(tmp_path, {1: 11}).compared == {1}
    assert not is_damaged(tmp_path)
    (tmp_path / PAIRS).write_bytes(b"featmatch pears 2\n")
    assert is_damaged(tmp_path)


def test_more_is_learnt_by_both_ids() -> None:
    known = Remembered()
    first, again = pair(2, 1, np.eye(3)), pair(1, 2, scaled(2))
    known.add([1, 2], [first])
    known.add([7], [pair(7, 1, np.eye(3))])
    known.add([], [again])
    assert known.compared == {1, 2, 7}
    assert list(known.pairs) == [(1, 2), (1, 7)]
    assert known.pairs[1, 2] is again
