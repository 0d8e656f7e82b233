"""Which groups are left where only some are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch import Group, Groups, Index, Member, Relation, UsageError, Vocabulary
from featmatch.grouping.selecting import across, selected
from featmatch.proof.relation import Kind


def member(number: int, *names: str, kind: Kind | None = None, probability: float = 1.0) -> Member:
    relation = None if kind is None else Relation(kind, 0.0, 1.0, False, False)
    return Member(number, names, 9, 9, 9, relation, probability, None, 0, accepted=kind is None and number > 1)


def shown(groups: Groups) -> list[tuple[str, ...]]:
    return [tuple(name for one in group for name in one.names) for group in groups]


MIXED = Group(
    (member(1, "a", "a2"), member(2, "b", "b2", kind="crop", probability=0.9), member(3, "c", kind="copy"),
     member(4, "d")),
    ("a2", "b2", "c"), {"a": "original", "b": "x", "d": "y"},
)  # fmt: skip
CROP = Group((member(1, "e"), member(2, "f", kind="crop", probability=0.85)), ("f",), {"e": "original"})


@pytest.mark.parametrize(
    ("kinds", "least", "names"),
    [
        ((), 0.0, [("a", "a2", "b", "b2", "c", "d"), ("e", "f")]), (("crop",), 0.0, [("a", "b"), ("e", "f")]),
        (("copy",), 0.0, [("a", "a2", "c", "d")]), (("crop", "copy"), 0.9, [("a", "a2", "b", "b2", "c", "d")]),
        ((), 0.95, [("a", "a2", "c", "d")]), (("overlap",), 0.0, []), (("crop",), 0.99, []),
    ],
)  # fmt: skip
def test_kinds_and_probabilities(kinds: tuple[str, ...], least: float, names: list[tuple[str, ...]]) -> None:
    found = selected(Groups([MIXED, CROP], "why"), kinds, least)
    assert shown(found) == names
    assert found.unremembered == "why"
    for group in found:
        assert {*group.marked, *group.spared} == {name for one in group for name in one.names}


@pytest.fixture(scope="module")
def index(tiny_vocabulary: Vocabulary, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Images of four folders; which groups they make is no matter here."""
    folder = tmp_path_factory.mktemp("across")
    for number, name in enumerate(("train/a.png", "train/test/b.png", "test/c.png", "other/d.png", "training/e.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(photo_folder / "coins.png").crop((number, 0, 200, 200)).save(folder / name)
    index = Index.open(folder / "i.fm", create=True, vocabulary=tiny_vocabulary, root=folder)
    assert len(index.add([folder], jobs=1).added) == 5
    return index


def grouped(*names: str) -> Groups:
    copies = (Member(2 + at, (name,), 9, 9, 9, Relation("copy", 0.0, 1.0, False, False), 1.0, np.eye(3), 9)
              for at, name in enumerate(names[1:]))  # fmt: skip
    return Groups([Group((member(1, names[0]), *copies), names[1:], {names[0]: "original"})])


def test_groups_across_two_folders(index: Index) -> None:
    a, b, c, d, e = "train/a.png", "train/test/b.png", "test/c.png", "other/d.png", "training/e.png"
    for one, other in (("train", "test"), ("test/", index.folder.parent / "train")):
        assert shown(across(grouped(a, b, c, d, e), index, str(one), str(other))) == [(a, b, c)]
        assert shown(across(grouped(d, a, c), index, str(one), str(other))) == [(d, a, c)]  # what they are copies of
        assert shown(across(grouped(a, b, d, e), index, str(one), str(other))) == []
        assert shown(across(grouped(c, e), index, str(one), str(other))) == []
    assert shown(across(grouped(a, b), index, "train", "train/test")) == [(a, b)]
    assert shown(across(grouped(a, b), index, "train/test", "train")) == [(a, b)]
    assert shown(across(grouped(b, c), index, "train/test", "train")) == []


def test_the_same_bytes_in_both_folders_are_a_leak(index: Index) -> None:
    same = Groups([Group((member(1, "train/a.png", "test/c.png", "other/d.png"),), ("test/c.png",))])
    assert shown(across(same, index, "train", "test")) == [("train/a.png", "test/c.png")]


def test_a_folder_without_images_is_a_mistake(index: Index) -> None:
    with pytest.raises(UsageError, match="no image below trian"):
        across(Groups(), index, "train", "trian")
