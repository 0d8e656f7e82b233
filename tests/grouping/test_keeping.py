"""Rules of what to keep: which file they choose, and that nothing is lost by what is marked then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from featmatch import Group, Groups, Member, Relation, UsageError
from featmatch.grouping.keeping import keep_by, rules_of
from featmatch.proof.relation import Kind
from featmatch.store.records import ImageRecord


def member(
    number: int, *names: str, size: int = 100, scale: float | None = None, kind: Kind = "copy",
    probability: float = 1.0, accepted: bool = False,
) -> Member:  # fmt: skip
    """An image; with a scale a copy, of so many px for each of the original, else the original."""
    if scale is None:
        return Member(number, names, size, size, 9, None, probability, None, 0, accepted)
    homography = np.diag([1 / scale, 1 / scale, 1.0])
    return Member(number, names, size, size, 9, Relation(kind, 0.0, scale, False, False), probability, homography, 30)


def record(name: str, **told: str) -> ImageRecord:
    return ImageRecord(1, name, 9, 1, "0f", 100, 100, 50, None, **told)


def group(*members: Member, marked: tuple[str, ...] = (), **spared: str) -> Group:
    return Group(members, marked, {members[0].names[0]: "original", **spared})


def kept(text: str, one: Group, **records: ImageRecord) -> tuple[str | None, tuple[str, ...]]:
    names = [name for member in one for name in member.names]
    (found,) = keep_by(Groups([one]), rules_of(text), {name: records.get(name[:1]) or record(name) for name in names})
    assert sorted({*found.marked, *found.spared}) == sorted({*one.marked, *one.spared})
    assert set(found.marked).isdisjoint(found.spared)
    return found.kept, found.marked


SAME = group(member(1, "a/x.jpg"), member(2, "b/originals/y.jpg", scale=1.0), member(3, "c/z.dng", scale=1.0),
             marked=("b/originals/y.jpg", "c/z.dng"))  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ("folder:originals", "b/originals/y.jpg"), ("folder:b", "b/originals/y.jpg"),
        ("folder:./b/", "b/originals/y.jpg"),
        ("folder:b/originals", "b/originals/y.jpg"), ("folder:b/o*", "b/originals/y.jpg"),
        ("folder:*nals", "b/originals/y.jpg"),
        ("folder:/b", None), ("folder:orig", None), ("folder:x.jpg", None), ("raw", "c/z.dng"), ("detail,raw", None),
        ("folder:none,folder:c,raw", "c/z.dng"), ("name", None), ("pixels", None), ("scene,name", None),
    ],
)  # fmt: skip
def test_the_first_rule_that_tells_files_apart_decides(rules: str, name: str | None) -> None:
    others = tuple(one for one in ("a/x.jpg", "b/originals/y.jpg", "c/z.dng") if one != name)
    assert kept(rules, SAME) == ((name, others) if name else (None, SAME.marked))


def test_dates_and_cameras_come_from_the_records() -> None:
    old, new = record("b", taken="1999-01-02"), record("c", taken="2001-01-01T10:00:00", camera="Canon")
    assert kept("oldest", SAME, b=old, c=new)[0] == "b/originals/y.jpg"
    assert kept("older", SAME, c=new)[0] == "c/z.dng"
    assert kept("camera,oldest", SAME, b=old, c=new)[0] == "c/z.dng"
    assert kept("raw", SAME, b=record("b", format="HEIF"))[0] == "b/originals/y.jpg"
    assert kept("older,camera", SAME) == (None, SAME.marked)


def test_more_pixels_and_more_scene() -> None:
    one = group(member(1, "a"), member(2, "b", size=104, scale=1.04), marked=("b",))
    assert kept("larger", one) == ("b", ("a",))
    assert kept("scene,detail", one)[0] is None  # it shows the same
    crop = group(member(1, "a", size=50), member(2, "b", scale=1.0, kind="contains"), b="shows more than the original")
    assert kept("scene", crop) == ("b", ())


@pytest.mark.parametrize(
    "other",
    [
        member(2, "b", size=50, scale=0.5), member(2, "b", size=50, scale=1.0, kind="crop"),
        member(2, "b", scale=1.0, probability=0.9), member(2, "b", scale=1.0, kind="whole picture"),
        member(2, "b", accepted=True),
    ],
)  # fmt: skip
def test_what_cannot_stand_for_the_original_stays_beside_it(other: Member) -> None:
    third = member(3, "c", scale=1.0)
    assert kept("folder:x", group(member(1, "a"), other, third, marked=("b", "c"))) == (None, ("b", "c"))
    named = replace(other, names=("x/b",))
    assert kept("folder:x", group(member(1, "a"), named, third, marked=("x/b", "c"))) == ("x/b", ("c",))


def test_finer_copies_stay_where_a_coarser_file_is_kept() -> None:
    one = group(
        member(1, "a"), member(2, "x/b", size=95, scale=0.95), member(3, "c", size=110, scale=1.1), marked=("x/b", "c")
    )
    assert kept("folder:x", one) == ("x/b", ("a",))


def test_crops_that_could_go_can_go_beside_another_copy_of_the_whole() -> None:
    crop = member(3, "c", size=40, scale=1.0, kind="crop")
    assert kept("folder:x", group(member(1, "a"), member(2, "x/b", scale=1.0), crop, marked=("x/b", "c"))) == (
        "x/b", ("a", "c"),
    )  # fmt: skip


def test_identical_files_stand_for_one_another() -> None:
    one = group(member(1, "a", "x/b", "c"), marked=("x/b", "c"))
    assert kept("folder:x", one) == ("x/b", ("a", "c"))


def test_nothing_goes_that_could_not_go_before() -> None:
    spared = group(
        member(1, "a"), member(2, "x/b", scale=1.0), member(3, "c", scale=1.0), marked=("x/b",), c="a link leads to it"
    )
    assert kept("folder:x", spared) == ("x/b", ("a",))
    locked = Group(spared.members, ("c",), {"a": "a page of a file", "x/b": "a link leads to it"})
    assert kept("folder:x", locked) == ("x/b", ("c",))
    away = Group(spared.members, (), dict.fromkeys(("a", "x/b", "c"), "the original is not at hand"))
    assert kept("folder:x", away) == ("x/b", ())


@pytest.mark.parametrize("text", ["", "bigger", "raw,", "folder", "folder:", "raw:x"])
def test_rules_that_are_not_known(text: str) -> None:
    with pytest.raises(UsageError, match="is no rule of what to keep; these are: folder:NAME, raw"):
        rules_of(text)
