from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from featmatch.grouping import standing
from featmatch.grouping.standing import Standing, Standings
from featmatch.store.records import ImageRecord


class Shelf:
    """Files, and what a catalogue has of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.away: set[str] = set()
        self.standings = Standings(self.path_of)

    def path_of(self, name: str) -> str | None:
        return None if name in self.away else os.path.join(self.folder, name)

    def file(self, name: str, content: bytes = b"content", *, sha256: str | None = None) -> str:
        """Write a file as it was added, so that nothing is known of it but that."""
        path = self.folder / name
        path.write_bytes(content)
        os.utime(path, ns=(5, 1_000_000_007))
        self.know(name, content, sha256=sha256)
        return name

    def know(self, name: str, content: bytes = b"content", *, sha256: str | None = None) -> None:
        digest = sha256 or hashlib.sha256(content).hexdigest()
        self.standings.know(ImageRecord(1, name, len(content), 1_000_000_007, digest, 9, 9, 50, None))

    def of(self, name: str) -> Standing:
        return self.standings.of(name)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_file_stands_for_itself(shelf: Shelf) -> None:
    found = shelf.of(shelf.file("a.jpg"))
    assert (found.trouble, found.is_link, found.is_direct, found.page) == ("", False, True, None)
    assert found.path == found.path_of_image == os.path.realpath(shelf.folder / "a.jpg")
    assert found.is_real
    assert found.rank == 0


def test_a_link_is_not_the_file(shelf: Shelf) -> None:
    file = shelf.of(shelf.file("a.jpg"))
    (shelf.folder / "link.jpg").symlink_to("a.jpg")
    shelf.know("link.jpg")
    link = shelf.of("link.jpg")
    assert link.file == file.file
    assert (link.path, link.is_link, link.is_direct, link.is_real, link.rank) == (file.path, True, False, False, 2)


def test_a_file_below_a_linked_folder_is_real_but_not_as_good(shelf: Shelf) -> None:
    file = shelf.of(shelf.file("a.jpg"))
    (shelf.folder / "mounted").symlink_to(".")
    shelf.know("mounted/a.jpg")
    found = shelf.of("mounted/a.jpg")
    assert found.file == file.file
    assert (found.is_link, found.is_direct, found.is_real, found.rank) == (False, False, True, 1)


def test_a_hard_link_is_the_same_file_and_a_copy_is_not(shelf: Shelf) -> None:
    file = shelf.of(shelf.file("a.jpg"))
    os.link(shelf.folder / "a.jpg", shelf.folder / "hard.jpg")
    shelf.know("hard.jpg")
    assert shelf.of("hard.jpg").file == file.file
    assert shelf.of("hard.jpg").rank == 0
    assert shelf.of(shelf.file("copy.jpg")).file != file.file


def test_what_tells_files_apart() -> None:
    def state(inode: int, size: int = 7, time: int = 9, device: int = 1) -> os.stat_result:
        values = (0o100644, inode, device, 1, 0, 0, size, 0, 0, 0, 0.0, 0.0, 0.0, 0, time, 0)
        return os.stat_result(values)

    assert standing._identity("/a", state(5)) == standing._identity("/b", state(5, device=2))
    assert standing._identity("/a", state(5)) != standing._identity("/a", state(6))
    assert standing._identity("/a", state(5)) != standing._identity("/a", state(5, size=8))
    assert standing._identity("/a", state(5)) != standing._identity("/a", state(5, time=8))
    for unknown in (None, state(0)):  # some file systems have no numbers
        assert standing._identity("/a", unknown) == ("path", "/a")


def test_a_page_is_of_a_file(shelf: Shelf) -> None:
    file = shelf.of(shelf.file("a.tif"))
    shelf.know("a.tif#page=2")
    page = shelf.of("a.tif#page=2")
    assert (page.file, page.page, page.path) == (file.file, 2, file.path)
    assert page.path_of_image == f"{file.path}#page=2"
    assert page.is_real


def test_names_that_nobody_finds(shelf: Shelf) -> None:
    shelf.file("a.jpg")
    shelf.away.add("a.jpg")
    for name in ("a.jpg", "nul\0.jpg"):
        shelf.know(name)
        found = shelf.of(name)
        assert (found.trouble, found.path, found.path_of_image) == ("not at hand", None, None)
        assert (found.is_real, found.rank, found.is_link, found.is_direct) == (False, 3, False, True)
        assert found.file == ("name", name)


def test_a_file_that_is_gone_and_a_folder_in_its_place(shelf: Shelf) -> None:
    shelf.know("gone.jpg")
    (shelf.folder / "folder.jpg").mkdir()
    shelf.know("folder.jpg")
    for name in ("gone.jpg", "folder.jpg"):
        assert (shelf.of(name).trouble, shelf.of(name).rank) == ("not at hand", 3)
    assert shelf.of("gone.jpg").path == os.path.realpath(shelf.folder / "gone.jpg")
    (shelf.folder / "dangling.jpg").symlink_to("nowhere.jpg")
    shelf.know("dangling.jpg")
    assert (shelf.of("dangling.jpg").is_link, shelf.of("dangling.jpg").rank) == (True, 3)


@pytest.mark.parametrize(
    ("content", "time", "trouble"),
    [
        (b"content", 1_000_000_007, ""),
        (b"content", 1, ""),  # only touched
        (b"CONTENT", 1, "changed since it was added"),
        (b"longer content", 1_000_000_007, "changed since it was added"),
        (b"CONTENT", 1_000_000_007, ""),  # nobody sees that without reading all
    ],
)
def test_a_file_is_unchanged_by_its_size_and_time_or_its_content(
    shelf: Shelf, content: bytes, time: int, trouble: str
) -> None:
    shelf.file("a.jpg")
    (shelf.folder / "a.jpg").write_bytes(content)
    os.utime(shelf.folder / "a.jpg", ns=(5, time))
    assert shelf.of("a.jpg").trouble == trouble
    assert shelf.of("a.jpg").rank == (3 if trouble else 0)
    assert shelf.standings.has_content("a.jpg") == (content == b"content")


def test_content_that_cannot_be_read_is_none(shelf: Shelf) -> None:
    shelf.know("gone.jpg")
    assert not shelf.standings.has_content("gone.jpg")
    shelf.file("away.jpg")
    shelf.away.add("away.jpg")
    assert not shelf.standings.has_content("away.jpg")


def test_a_file_that_cannot_be_opened(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.file("a.jpg")

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", refuse)
    assert shelf.of("a.jpg").trouble == "cannot be read"


def test_files_are_looked_at_once_until_they_are_looked_at_again(shelf: Shelf) -> None:
    shelf.file("a.jpg")
    shelf.know("b.jpg")
    assert shelf.of("a.jpg").is_real
    assert not shelf.of("b.jpg").is_real
    (shelf.folder / "a.jpg").unlink()
    (shelf.folder / "mounted").symlink_to(".")
    shelf.know("mounted/a.jpg")
    assert shelf.of("a.jpg").is_real
    assert shelf.of("a.jpg") is shelf.of("a.jpg")
    assert shelf.of("mounted/a.jpg").file == shelf.of("a.jpg").file  # as it was found
    shelf.file("b.jpg")
    shelf.standings.look_again()
    assert not shelf.of("a.jpg").is_real
    assert shelf.of("b.jpg").is_real


def test_names_are_ordered_by_how_well_they_stand_then_by_their_length(shelf: Shelf) -> None:
    for name in ("long name.jpg", "b.jpg", "a.jpg"):
        shelf.file(name)
    (shelf.folder / "l").symlink_to("a.jpg")
    shelf.know("l")
    shelf.know("g")
    names = ["g", "l", "long name.jpg", "b.jpg", "a.jpg"]
    assert sorted(names, key=shelf.standings.order) == ["a.jpg", "b.jpg", "long name.jpg", "l", "g"]
