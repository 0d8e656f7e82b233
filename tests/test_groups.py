from __future__ import annotations

import numpy as np
import pytest

from featmatch.answers import Relation
from featmatch.grouping.groups import Group, Member


def member(number: int, *names: str, relation: Relation | None = None) -> Member:
    homography = None if relation is None else np.diag([2.0, 2, 1])
    return Member(number, names, 640, 480, 9_000, relation, 1.0, homography, 0 if relation is None else 40)


@pytest.mark.parametrize(
    ("relation", "name", "words"),
    [
        (None, "a.jpg", "original"),
        (Relation("copy", 0.1, 1.01, False, False), "a.JPG", "JPEG copy"),
        (Relation("copy", 0.1, 1.0, False, False), "a.jpg#page=2", "JPEG copy"),
        (Relation("copy", 0.1, 1.0, False, False), "a.png", "copy"),
        (Relation("copy", 0.0, 0.503, False, False), "a.jpg", "same at half size"),
        (Relation("copy", 0.0, 0.3, False, False), "a.jpg", "same at 30% of the size"),
        (Relation("copy", 0.0, 1.0, True, False), "a.jpg", "mirrored"),
        (Relation("copy", 90.0, 2.0, False, True), "a.jpg", "rotated 90°, negative, same at double size"),
        (Relation("crop", 17.0, 1.0, False, False), "a.jpg", "crop of, rotated 17°"),
        (Relation("contains", 0.0, 0.5, True, False), "a.jpg", "contains, mirrored, scaled 0.5"),
    ],
)
def test_a_member_says_in_words_what_was_done(relation: Relation | None, name: str, words: str) -> None:
    assert member(1, name, relation=relation).description() == words


def test_a_group_counts_files_and_has_its_original_first() -> None:
    crop = Relation("crop", 0.0, 1.0, False, False)
    group = Group((member(7, "a.png", "b.png"), member(3, "c.png", relation=crop)))
    assert group.original.id == 7
    assert len(group) == 3
    said = group.to_dict()
    assert said["files"] == 3
    assert [entry["names"] for entry in said["members"]] == [["a.png", "b.png"], ["c.png"]]
    assert said["members"][0]["relation"] is said["members"][0]["homography"] is None
    assert said["members"][1]["relation"] == crop.to_dict()
    assert said["members"][1]["homography"] == [[2, 0, 0], [0, 2, 0], [0, 0, 1]]
