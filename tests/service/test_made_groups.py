"""Groups that were made, and which of them are wanted."""

from __future__ import annotations

import numpy as np
import pytest

from featmatch import Group, Member, Relation
from featmatch.grouping.groups import Groups, bytes_in_copies
from featmatch.service.made_groups import GroupFilter, MadeGroups, totals

CROP = Relation("crop", 0.0, 1.0, False, False)
ORIGINAL = Member(1, ("a/one.jpg", "a/same.jpg", "a/link.jpg"), 9, 9, 100, None, 1.0, None, 0, False, ("a/link.jpg",))
COPY = Member(2, ("b/two.jpg",), 9, 9, 30, CROP, 0.9, np.eye(3), 20)
GROUP = Group((ORIGINAL, COPY))
SAME = Group((Member(3, ("c", "d"), 9, 9, 7, None, 1.0, None, 0),))


def test_all_but_one_file_of_the_original_are_copies() -> None:
    assert bytes_in_copies(GROUP) == 130
    assert bytes_in_copies(SAME) == 7
    assert totals([GROUP, SAME]) == {"groups": 2, "files": 5, "bytes_in_copies": 137}


def test_a_group_falls_when_all_its_copies_are_rejected() -> None:
    three = Group((ORIGINAL, COPY, Member(4, ("e",), 9, 9, 30, CROP, 0.99, np.eye(3), 20)))
    made = MadeGroups(Groups([three, GROUP, SAME]), "2026-01-01", "g1", 6, 9)
    assert made.standing({}) == [(1, three), (2, GROUP), (3, SAME)]
    assert made.standing({(1, 2): False}) == [(1, three), (3, SAME)]
    assert made.standing({(1, 2): False, (1, 4): True}) == [(1, three), (3, SAME)]
    assert made.standing({(1, 2): False, (1, 4): False}) == [(3, SAME)]


def test_one_copy_that_fits_is_enough() -> None:
    other = Member(4, ("e",), 9, 9, 30, Relation("copy", 0.0, 1.0, False, False), 0.99, np.eye(3), 20)
    both = Group((ORIGINAL, COPY, other))
    for wanted in (GroupFilter(kind="crop"), GroupFilter(kind="copy"), GroupFilter(min_probability=0.95)):
        assert wanted.fits(both)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (GroupFilter(), (True, True)), (GroupFilter(kind="crop"), (True, False)),
        (GroupFilter(kind="copy"), (False, False)), (GroupFilter(min_probability=0.95), (False, True)),
        (GroupFilter(min_files=3), (True, False)), (GroupFilter(min_files=2), (True, True)),
        (GroupFilter(min_probability=0.9), (True, True)), (GroupFilter(prefix="b/"), (True, False)),
        (GroupFilter(prefix="c"), (False, True)),
    ],
)  # fmt: skip
def test_which_groups_are_wanted(wanted: GroupFilter, fits: tuple[bool, bool]) -> None:
    assert (wanted.fits(GROUP), wanted.fits(SAME)) == fits
