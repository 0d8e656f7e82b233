"""Which files of groups can go: files are things, not names."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from featmatch import Group, Index, Member, Relation, Vocabulary
from featmatch.cli import cli
from featmatch.grouping.marking import marked
from featmatch.grouping.standing import Standings
from featmatch.proof.relation import Kind
from featmatch.store.records import ImageRecord

README = (Path(__file__).parents[2] / "README.md").read_text()


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
    assert set(group.original.same_file) == {"photo.jpg", spelled, "mounted/photo.jpg", "a-link.jpg"}
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


# The README's recipe, for real

ODD = (
    "with space.png",
    'it\'s "quoted".png',
    "two\nlines.png",
    "日本の写真.png",
    "-n.png",
    os.fsdecode(b"latin \xe9.png"),
)


def contents(folder: Path) -> dict[str, set[str]]:
    """SHA-256 -> the real files below a folder that have it."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), set()).add(str(path))
    return found


@pytest.fixture(scope="module")
def collection(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, copies of them under all kinds of names, links of all kinds, and a second way to each."""
    top = tmp_path_factory.mktemp("marking")
    folder = top / "photos"
    for name in ("2001", "2002", "album"):
        (folder / name).mkdir(parents=True)
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        photo = Image.fromarray(photos[name])
        photo.save(folder / "2001" / f"{name}.png")
        photo.resize((photo.width // 2, photo.height // 2)).save(folder / "2002" / f"{name}.png")  # of equal names
    for name in ODD:
        (folder / "2002" / name).write_bytes((folder / "2001" / "astronaut.png").read_bytes())
        (folder / "album" / name).write_bytes((folder / "2001" / "chelsea.png").read_bytes())
    Image.fromarray(photos["camera"]).save(folder / "2001" / "camera.png")
    (folder / "album" / "0.png").symlink_to("../2001/camera.png")  # sorts before all
    (folder / "0.png").symlink_to("2001/coffee.png")
    os.link(folder / "2001" / "rocket.png", folder / "album" / "rocket.png")
    (top / "mounted").symlink_to("photos")
    return top


def test_the_recipe_of_the_readme_loses_nothing(
    collection: Path, tiny_vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(collection)
    index = Index.open(collection / "photos.fm", create=True, vocabulary=tiny_vocabulary)
    for spelled in ("photos", str(collection / "photos"), "mounted"):
        index.add([spelled], jobs=1)
    before = contents(collection / "photos")
    groups = index.groups(jobs=1)
    assert len(groups) == 4  # of the camera there are only names
    kept = {
        hashlib.sha256(Path(group.original.names[0]).read_bytes()).hexdigest(): len(group.marked) for group in groups
    }
    assert sorted(kept.values()) == [1, 1, 1 + len(ODD), 1 + len(ODD)]
    printed = CliRunner().invoke(cli, ["groups", "photos.fm", "--print0"]).stdout_bytes
    assert len(printed.split(b"\0")) == 1 + sum(kept.values())
    assert all(os.path.isabs(path) for path in printed.split(b"\0")[:-1])

    recipe = re.search(r"\$ (mkdir aside)\n +\$ (featmatch groups .*--print0 .*)\n", README)
    assert recipe is not None
    aside = collection / "aside"
    command = f'featmatch() {{ {shlex.quote(sys.executable)} -m featmatch "$@"; }}\n{recipe[1]}\n{recipe[2]}\n'
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    ended = subprocess.run(["bash", "-c", command], check=False, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")

    left, moved = contents(collection / "photos"), contents(aside)
    assert left.keys() | moved.keys() == before.keys()  # all that there was is somewhere
    assert len(list(aside.iterdir())) == sum(kept.values())
    assert left.keys() >= kept.keys()  # and each original where it was
    assert all(path.exists() for path in (collection / "photos").rglob("*"))  # no link leads nowhere
    assert not any(group.marked for group in index.groups(jobs=1))


def test_the_answers_say_what_is_marked(
    photos: dict[str, NDArray[np.uint8]], tiny_vocabulary: Vocabulary, tmp_path: Path
) -> None:
    photo = Image.fromarray(photos["coffee"])
    photo.save(tmp_path / "coffee.png")
    photo.resize((300, 200)).save(tmp_path / "half.png")
    (tmp_path / "again.png").write_bytes((tmp_path / "half.png").read_bytes())
    (tmp_path / "link.png").symlink_to("coffee.png")
    index = Index.open(tmp_path / "index", create=True, vocabulary=tiny_vocabulary)
    index.add([tmp_path], jobs=1)
    command = ["groups", str(tmp_path / "index"), "--jobs", "1"]
    expected = [str(tmp_path / "half.png"), str(tmp_path / "again.png")]
    (line,) = CliRunner().invoke(cli, [*command, "--json"]).output.splitlines()
    assert json.loads(line)["marked"] == expected
    assert json.loads(line)["files"] == 3
    rows = list(csv.DictReader(io.StringIO(CliRunner().invoke(cli, [*command, "--csv"]).output)))
    assert [row["name"] for row in rows if row["marked"] == "true"] == expected
    assert {row["name"]: row["description"] for row in rows}[str(tmp_path / "link.png")] == "same file"
    assert "link.png  (same file)" in CliRunner().invoke(cli, command).output
    printed = CliRunner().invoke(cli, [*command, "--print0"], standalone_mode=False)
    assert printed.stdout_bytes == b"".join(os.fsencode(name) + b"\0" for name in expected)
    assert printed.return_value == 0
    for path in expected:
        os.unlink(path)
    nothing = CliRunner().invoke(cli, [*command, "--print0"], standalone_mode=False)
    assert (nothing.stdout_bytes, nothing.return_value) == (b"", 1)
    assert CliRunner().invoke(cli, [*command, "--print0", "--json"]).exit_code == 2
