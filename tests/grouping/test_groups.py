from __future__ import annotations

import numpy as np
import pytest

import featmatch
from featmatch.grouping.groups import COLUMNS, Group, Groups, Member
from featmatch.proof.relation import Relation


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


def test_groups_and_their_slices_iterate() -> None:
    group = Group((Member(1, ("a", "b"), 1, 1, 1, None, 1.0, None, 0),))
    assert list(group) == list(group.members)
    groups = Groups([group, group], "locked")
    assert list(groups) == [group, group]
    assert type(groups[:1]) is Groups
    assert groups[:1].unremembered == "locked"
    assert groups[1] is group
    assert {"Group", "Groups", "Member"} <= set(featmatch.__all__)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (0.979, "same at 98% of the size"),
        (0.981, "copy"),
        (1.019, "copy"),
        (1.021, "same at 102% of the size"),
        (0.25 * 1.019, "same at a quarter of the size"),
        (0.25 * 1.021, "same at 26% of the size"),
        (1.97, "same at double size"),
        (3.0, "same at 300% of the size"),
    ],
)
def test_sizes_in_words(scale: float, words: str) -> None:
    assert member(1, "a.png", relation=Relation("copy", 0.0, scale, False, False)).description() == words


@pytest.mark.parametrize(("angle", "words"), [(0.49, "copy"), (0.5, "rotated 0°"), (-0.6, "rotated -1°")])
def test_small_turns_are_none(angle: float, words: str) -> None:
    assert member(1, "a.png", relation=Relation("copy", angle, 1.0, False, False)).description() == words


def test_what_is_here_by_a_verdict_says_so() -> None:
    accepted = Member(2, ("b.png",), 640, 480, 9_000, None, 1.0, None, 0, accepted=True)
    assert accepted.description() == "accepted as a copy"


def test_further_names_are_told_apart() -> None:
    names = ("a.png", "b.png", "link.png")
    one = Member(1, names, 640, 480, 9_000, None, 1.0, None, 0, same_file=("link.png",))
    assert [one.said_of(name) for name in names] == ["original", "identical bytes", "same file"]
    assert len(Group((one,))) == 2


def test_a_member_as_json() -> None:
    crop = Relation("crop", 17.0, 1.0, False, False)
    names = ("c.jpeg", "c too.jpeg")
    one = Member(3, names, 640, 480, 9_000, crop, 0.98765432, np.eye(3), 40, same_file=names[1:])
    assert one.to_dict() == {
        "id": 3, "names": ["c.jpeg", "c too.jpeg"], "same_file": ["c too.jpeg"], "width": 640, "height": 480,
        "bytes": 9_000, "description": "crop of, rotated 17°", "relation": crop.to_dict(), "probability": 0.987654,
        "inliers": 40, "homography": np.eye(3).tolist(),
    }  # fmt: skip
    members = (member(1, "a.png"), one)
    group = Group(members, marked=("c.jpeg",), spared={"a.png": "original"}, original_by="taken earliest")
    assert group.to_dict() == {
        "files": 2, "original_by": "taken earliest", "marked": ["c.jpeg"],
        "members": [group.original.to_dict(), one.to_dict()],
    }  # fmt: skip


def test_groups_without_a_reason_were_kept() -> None:
    assert Groups().unremembered is None
    assert list(Groups()) == []


def test_groups_are_tables_for_notebooks_and_pandas() -> None:
    crop = Relation("crop", 0.0, 1.0, False, False)
    group = Group((member(7, "a<b>.png", "two\nlines.png"), member(3, "c.png", relation=crop)), ("c.png",))
    assert repr(group) == "Group(3 files, original 'a<b>.png')"
    shown = Groups([group])._repr_html_()
    assert shown == group._repr_html_()
    assert shown.count("<tr>") == 4
    assert "a&lt;b&gt;.png" in shown
    assert "two\\012lines.png" in shown
    pytest.importorskip("pandas")
    frame = Groups([group, group]).to_pandas()
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame["group"]) == [1, 1, 1, 2, 2, 2]
    assert list(frame["name"][:3]) == ["a<b>.png", "two\nlines.png", "c.png"]
    assert list(frame["marked"][:3]) == [False, False, True]
    assert (frame["kind"][2], list(frame["kind"].isna()[:3])) == ("crop", [True, True, False])
    assert list(Groups().to_pandas().columns) == list(COLUMNS)
