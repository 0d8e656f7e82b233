"""Which files of groups can go: files are things, not names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featmatch import Group, Member, Relation
from featmatch.grouping.marking import marked
from featmatch.grouping.standing import Standings
from featmatch.proof.relation import Kind
from featmatch.store.records import ImageRecord


class Shelf:
    """Files that are no pictures, and groups of them as if they were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[str, ImageRecord] = {}
        self.away: set[str] = set()

    def file(self, name: str, content: bytes = b"") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content or name.encode())
        return name

    def member(self, number: int, *names: str, kind: Kind | None = None, scale: float = 1.0, x: float = 0.0) -> Member:
        """An image of 100 x 100 px under names whose files are as they are now."""
        for name in names:
            state = os.stat(self.folder / name)
            digest = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            self.records[name] = ImageRecord(
                number, name, state.st_size, state.st_mtime_ns, digest, 100, 100, 50, None
            )  # fmt: skip
        relation = kind and Relation(kind, 0.0, scale, False, False)
        homography = np.array([[1.0, 0, x], [0, 1, 0], [0, 0, 1]]) if kind else None
        return Member(number, names, 100, 100, 9, relation, 1.0, homography, 30 if kind else 0)

    def path_of(self, name: str) -> str | None:
        return None if name in self.away else os.path.join(self.folder, name)

    def marked(self, *groups: tuple[Member, ...]) -> list[Group]:
        standings = Standings(self.path_of)
        for record in self.records.values():
            standings.know(record)
        nothing = {member.id: "" for members in groups for member in members}
        return marked([Group(members) for members in groups], standings, nothing)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_links_and_spellings_are_the_same_file_and_copies_are_not(shelf: Shelf) -> None:
    shelf.file("photo.jpg", b"photo")
    shelf.file("copy/photo.jpg", b"photo")
    (shelf.folder / "a-link.jpg").symlink_to("photo.jpg")
    os.link(shelf.folder / "photo.jpg", shelf.folder / "hard.jpg")
    (shelf.folder / "mounted").symlink_to(".")
    spelled = str(shelf.folder / "photo.jpg")
    names = ("a-link.jpg", "copy/photo.jpg", "mounted/photo.jpg", spelled, "photo.jpg", "hard.jpg")
    (group,) = shelf.marked((shelf.member(1, *names),))
    assert group.original.names[:2] == ("hard.jpg", "copy/photo.jpg")  # the shortest of equals, then the other file
    assert group.original.same_file == ("photo.jpg", spelled, "mounted/photo.jpg", "a-link.jpg")
    assert len(group) == 2
    assert group.marked == ("copy/photo.jpg",)
    assert [group.original.said_of(name) for name in group.original.names[1:3]] == ["identical bytes", "same file"]
    assert group.spared["a-link.jpg"] == "same file"


@pytest.mark.parametrize("changed", ["photo.jpg", "copy/photo.jpg"])
def test_files_of_one_size_and_time_are_read_before_one_counts_as_the_other(shelf: Shelf, changed: str) -> None:
    names = shelf.file("photo.jpg", b"photo"), shelf.file("copy/photo.jpg", b"photo")
    member = shelf.member(1, *names)
    state = os.stat(shelf.folder / changed)
    (shelf.folder / changed).write_bytes(b"other")
    os.utime(shelf.folder / changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    (group,) = shelf.marked((member,))
    assert group.marked == ()


def test_a_link_is_never_the_first_name_where_there_is_a_file(shelf: Shelf) -> None:
    shelf.file("the photograph.jpg", b"photo")
    shelf.file("another copy.jpg", b"photo")
    (shelf.folder / "a.jpg").symlink_to("the photograph.jpg")
    (group,) = shelf.marked((shelf.member(1, "a.jpg", "the photograph.jpg", "another copy.jpg"),))
    assert group.original.names == ("another copy.jpg", "the photograph.jpg", "a.jpg")
    assert group.marked == ()  # or the link would lead nowhere
    assert group.spared["the photograph.jpg"] == "a link leads to it"


def test_names_of_one_file_are_no_group(shelf: Shelf) -> None:
    shelf.file("photo.jpg")
    os.link(shelf.folder / "photo.jpg", shelf.folder / "hard.jpg")
    names = ("photo.jpg", "hard.jpg", str(shelf.folder / "photo.jpg"))
    assert shelf.marked((shelf.member(1, *names),)) == []
    gone = shelf.member(1, names[0], names[2])
    (shelf.folder / "photo.jpg").unlink()
    (shelf.folder / "hard.jpg").unlink()
    assert shelf.marked((gone,)) == []


def test_a_file_that_was_edited_between_two_adds_is_not_its_own_copy(shelf: Shelf) -> None:
    before = shelf.member(1, shelf.file("photo.jpg", b"before"))
    shelf.file("photo.jpg", b"and after")
    now = shelf.member(2, str(shelf.folder / "photo.jpg"), kind="copy")
    assert shelf.marked((before, now)) == []
    original = shelf.member(3, shelf.file("original.jpg"))
    (group,) = shelf.marked((original, replace(before, relation=now.relation, homography=now.homography), now))
    assert group.marked == ()
    assert group.spared["photo.jpg"] == "same file"
    assert group.spared[str(shelf.folder / "photo.jpg")] == "stands for other images as well"
    assert len(group) == 2


def test_one_file_in_two_groups_is_not_marked(shelf: Shelf) -> None:
    stale = shelf.member(1, shelf.file("photo.jpg", b"before"), kind="copy")
    shelf.file("photo.jpg", b"now")
    os.link(shelf.folder / "photo.jpg", shelf.folder / "hard.jpg")
    first = (shelf.member(2, shelf.file("a.jpg")), stale)
    second = (shelf.member(3, shelf.file("b.jpg")), shelf.member(4, "hard.jpg", kind="copy"))
    assert [group.marked for group in shelf.marked(first, second)] == [(), ()]
    assert [group.marked for group in shelf.marked(second)] == [("hard.jpg",)]


@pytest.mark.parametrize(
    ("kind", "scale", "x", "why"),
    [
        ("copy", 1.0, 0.0, ""),
        ("copy", 0.5, 3.0, ""),
        ("crop", 1.0, 0.0, ""),
        ("copy", 1.0, 4.9, ""),
        ("copy", 1.0, 5.2, "shows more"),
        ("copy", 1.0, -5.2, "shows more"),
        ("crop", 1.09, 0.0, ""),
        ("crop", 1.11, 0.0, "finer"),
        ("overlap", 1.0, 50.0, "shows more"),
        ("contains", 1.0, 0.0, "shows more"),
        ("crop", 1.5, 0.0, "finer"),
        ("whole picture", 1.0, 0.0, ""),
        (None, 1.0, 0.0, "a person's word"),
    ],
)
def test_only_what_is_there_in_the_original_can_go(shelf: Shelf, kind: Kind, scale: float, x: float, why: str) -> None:
    original = shelf.member(1, shelf.file("a.jpg"))
    member = shelf.member(2, shelf.file("b.jpg", b"b"), shelf.file("b again.jpg", b"b"), kind=kind, scale=scale, x=x)
    (group,) = shelf.marked((original, member))
    assert group.marked == (("b again.jpg",) if why else ("b.jpg", "b again.jpg"))  # of equals one stays
    assert why in group.spared.get("b.jpg", "")


def test_a_part_of_a_larger_original_can_go(shelf: Shelf) -> None:
    original = replace(shelf.member(1, shelf.file("a.jpg")), width=300, height=250)
    inside = shelf.member(2, shelf.file("b.jpg"), kind="crop", x=190)
    beyond = shelf.member(3, shelf.file("c.jpg"), kind="crop", x=210)
    (group,) = shelf.marked((original, inside, beyond))
    assert group.marked == ("b.jpg",)


def test_of_files_of_the_same_bytes_one_stays_and_all_others_go(shelf: Shelf) -> None:
    names = [shelf.file(f"{number}.jpg", b"photo") for number in range(4)]
    (group,) = shelf.marked((shelf.member(1, *names),))
    assert group.original_by == "the shortest name"
    assert group.marked == ("1.jpg", "2.jpg", "3.jpg")
    (shelf.folder / "2.jpg").unlink()
    (group,) = shelf.marked((replace(group.original, names=tuple(names)),))
    assert (group.marked, group.spared["2.jpg"]) == (("1.jpg", "3.jpg"), "not at hand")


def test_of_identical_files_a_real_one_is_the_original(shelf: Shelf) -> None:
    shelf.file("the photograph.jpg", b"photo")
    shelf.file("elsewhere.jpg", b"photo")
    (shelf.folder / "a.jpg").symlink_to("elsewhere.jpg")
    (group,) = shelf.marked((shelf.member(1, "a.jpg", "the photograph.jpg"),))
    assert group.original.names == ("the photograph.jpg", "a.jpg")
    assert group.original_by == "a real file"


def unlinked(shelf: Shelf) -> None:
    (shelf.folder / "a.jpg").unlink()


def edited(shelf: Shelf) -> None:
    shelf.file("a.jpg", b"x.jpg")  # of the same size


def grown(shelf: Shelf) -> None:
    shelf.file("a.jpg", b"longer than it was")


def offline(shelf: Shelf) -> None:
    shelf.away.add("a.jpg")


def folder_instead(shelf: Shelf) -> None:
    unlinked(shelf)
    (shelf.folder / "a.jpg").mkdir()


def link_instead(shelf: Shelf) -> None:
    (shelf.folder / "a.jpg").rename(shelf.folder / "elsewhere.jpg")
    (shelf.folder / "a.jpg").symlink_to("elsewhere.jpg")


def link_to_its_copy(shelf: Shelf) -> None:
    unlinked(shelf)
    (shelf.folder / "a.jpg").symlink_to("b.jpg")


@pytest.mark.parametrize("harm", [unlinked, edited, grown, offline, folder_instead, link_instead, link_to_its_copy])
def test_nothing_can_go_where_the_original_is_not_there(shelf: Shelf, harm: Callable[[Shelf], None]) -> None:
    group = (
        shelf.member(1, shelf.file("a.jpg", b"a.jpg")),
        shelf.member(2, shelf.file("b.jpg", b"b"), shelf.file("c.jpg", b"b"), kind="copy"),
    )
    assert [found.marked for found in shelf.marked(group)] == [("b.jpg", "c.jpg")]
    harm(shelf)
    assert [found.marked for found in shelf.marked(group)] == [()]


def test_a_file_that_was_only_touched_is_what_it_was(shelf: Shelf) -> None:
    group = shelf.member(1, shelf.file("a.jpg")), shelf.member(2, shelf.file("b.jpg"), kind="copy")
    os.utime(shelf.folder / "a.jpg", (1, 1))
    os.utime(shelf.folder / "b.jpg", (1, 1))
    assert [found.marked for found in shelf.marked(group)] == [("b.jpg",)]
    shelf.file("b.jpg", b"c.jpg")
    assert [found.marked for found in shelf.marked(group)] == [()]


def test_files_are_looked_at_when_the_list_is_made(shelf: Shelf) -> None:
    group = shelf.member(1, shelf.file("a.jpg")), shelf.member(2, shelf.file("b.jpg"), kind="copy")
    standings = Standings(shelf.path_of)
    for record in shelf.records.values():
        standings.know(record)
    assert standings.of("a.jpg").is_real
    unlinked(shelf)
    standings.look_again()
    assert [found.marked for found in marked([Group(group)], standings, {2: ""})] == [()]


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may read all files")
def test_an_original_that_cannot_be_read_keeps_its_copies(shelf: Shelf) -> None:
    group = shelf.member(1, shelf.file("a.jpg")), shelf.member(2, shelf.file("b.jpg"), kind="copy")
    (shelf.folder / "a.jpg").chmod(0)
    assert [found.marked for found in shelf.marked(group)] == [()]


def test_pages_are_never_marked(shelf: Shelf) -> None:
    pages = [shelf.member(number, shelf.file("a.tif"), kind="copy" if number > 1 else None) for number in (1, 2)]
    for number, page in enumerate(pages, 1):
        name = f"a.tif#page={number}"
        shelf.records[name] = replace(shelf.records["a.tif"], name=name)
        pages[number - 1] = replace(page, names=(name,))
    (group,) = shelf.marked(tuple(pages))
    assert len(group) == 2
    assert group.marked == ()
