from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from featmatch import Index, StoreError, Vocabulary, VocabularyError, check
from featmatch.store.layout import (
    entries,
    is_half_written,
    is_of_segment,
    open_index_file,
    strangers,
    verify_layout,
)
from featmatch.store.writing import hold_writer_lock
from featmatch.system.files import open_file, replace_file
from tools.small_index import draw_pictures

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (tmp_path / "victim" / "sub").mkdir(parents=True)
    (tmp_path / "victim" / "precious.txt").write_text("precious")
    (tmp_path / "victim" / "sub" / "photo.jpg").write_text("precious as well")
    return tmp_path / "victim"


def link_to(target: str) -> Callable[[Path, Path], None]:
    return lambda path, victim: path.symlink_to(victim / target)


def pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


KINDS = {"file": link_to("precious.txt"), "folder": link_to("sub"), "nothing": link_to("none"), "pipe": pipe}
PLACES = [
    "catalog.sqlite", "vocabulary.npz", "pairs.log", "writer.lock", "segments", "segments/000001", "segments/000009",
    "segments/000009.partial", "catalog.sqlite.partial", "vocabulary.npz.7.partial", "anything", "segments/anything",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_an_index_with_a_link_or_a_pipe_is_neither_opened_nor_written(
    folder: Path, victim: Path, place: str, kind: str
) -> None:
    path = folder / place
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    KINDS[kind](path, victim)
    what = "a pipe or a device" if kind == "pipe" else "a link"
    told = f"{place} is {what}"
    with pytest.raises(StoreError, match=told):
        Index.open(folder)
    with pytest.raises(StoreError, match=told), hold_writer_lock(folder):
        raise AssertionError("it is written to")
    report = check(folder)
    assert not report
    assert [f"{folder / place} is {what}" in problem for problem in report.problems] == [True]
    with pytest.raises(StoreError, match=f"{place} is {what}.*nothing is repaired"):
        check(folder, repair=True)
    assert (victim / "precious.txt").read_text() == "precious"
    assert (victim / "sub" / "photo.jpg").exists()
    assert path.is_symlink() or path.is_fifo()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.npy", "segment.json"])
def test_the_files_of_a_segment_are_looked_at_too(folder: Path, victim: Path, name: str, kind: str) -> None:
    path = folder / "segments" / "000001" / name
    path.unlink()
    KINDS[kind](path, victim)
    with pytest.raises(StoreError, match=f"{name} is"):
        Index.open(folder)
    assert [name in problem for problem in check(folder).problems] == [True]


def test_a_link_that_comes_later_is_seen_by_writers(folder: Path, victim: Path) -> None:
    index = Index.open(folder)
    (folder / "segments" / "000009").symlink_to(victim / "sub")
    with pytest.raises(StoreError, match="000009 is a link"):
        index.remove(["anything"])
    assert (victim / "sub" / "photo.jpg").exists()


def test_the_folder_itself_may_be_reached_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    index = Index.open(tmp_path / "way")
    assert len(index) == 4
    index.remove([next(index.images()).name])
    assert check(tmp_path / "way")


def test_what_is_none_of_an_index_is_left_alone_and_named(folder: Path) -> None:
    mine = [
        folder / "notes.txt", folder / "x.partial", folder / "catalog.sqlite.partial.bak",
        folder / "vocabulary.npz.partial",
        folder / "segments" / "000009", folder / "segments" / "7", folder / "segments" / "0000001",
        folder / "segments" / "000007.old",
    ]  # fmt: skip
    for path in mine[:-2]:
        path.write_text("mine")
    for path in mine[-2:]:
        path.mkdir()
    (folder / "catalog.sqlite.partial").mkdir()
    report = check(folder)
    assert report
    assert report.leftovers == []
    assert report.foreign == sorted(map(str, [*mine, folder / "catalog.sqlite.partial"]))
    assert check(folder, repair=True).repairs == []
    assert all(path.exists() for path in mine)


def test_what_sqlite_would_take_for_a_journal_goes_before_it_is_read(folder: Path) -> None:
    for tail in ("journal", "wal", "shm"):
        (folder / f"catalog.sqlite.partial-{tail}").write_bytes(b"of somebody")
    assert len(check(folder).leftovers) == 3
    Index.open(folder).remove(["anything"])
    assert not list(folder.glob("*.partial*"))
    assert check(folder)


@pytest.mark.parametrize(
    ("name", "is_so"),
    [
        ("catalog.sqlite.partial", True), ("catalog.sqlite.partial-journal", True), ("vocabulary.npz.12.partial", True),
        ("pairs.log.12.partial", True), ("vocabulary.npz.partial", False), ("vocabulary.npz.x.partial", False),
        ("page.html.12.partial", False), ("catalog_sqlite.partial", False), ("catalog.sqlite.partial\n", False),
    ],
)  # fmt: skip
def test_names_of_half_written_files(name: str, is_so: bool) -> None:
    assert is_half_written(name) == is_so


@pytest.mark.parametrize(
    ("name", "is_so"),
    [
        ("000001", True), ("000001.partial", True), ("1234567", True), ("0000001", False), ("1", False), ("", False),
        ("000001.old", False), ("\u0660\u0660\u0660\u0660\u0660\u0661", False), ("000001\n", False),
    ],
)  # fmt: skip
def test_names_of_segments(name: str, is_so: bool) -> None:
    assert is_of_segment(name) == is_so


def test_a_hard_link_to_the_pairs_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    os.link(folder / "pairs.log", tmp_path / "other")
    before = (tmp_path / "other").read_bytes()
    index = Index.open(folder)
    pictures = draw_pictures(tmp_path / "more", 2, seed=9)
    index.add(pictures, jobs=1)
    assert index.groups(jobs=1).unremembered is None
    assert (tmp_path / "other").read_bytes() == before
    after = (folder / "pairs.log").read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)


def test_a_lock_that_is_another_file_as_well_is_not_opened(folder: Path, victim: Path) -> None:
    (folder / "writer.lock").unlink(missing_ok=True)
    os.link(victim / "precious.txt", folder / "writer.lock")
    with pytest.raises(StoreError, match="hard link"):
        Index.open(folder).remove(["anything"])
    assert (victim / "precious.txt").read_text() == "precious"


def test_a_file_is_replaced_not_what_a_link_in_its_way_leads_to(tmp_path: Path, victim: Path) -> None:
    (tmp_path / f"file.{os.getpid()}.partial").symlink_to(victim / "precious.txt")
    with replace_file(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    assert (victim / "precious.txt").read_text() == "precious"


def test_only_real_files_are_opened(tmp_path: Path, victim: Path) -> None:
    pipe(tmp_path / "pipe", victim)
    (tmp_path / "link").symlink_to(victim / "precious.txt")
    for path in (tmp_path / "pipe", tmp_path / "link"):
        with pytest.raises(StoreError):
            open_index_file(path)
    for place in (tmp_path / "pipe", victim):
        with pytest.raises(OSError, match="no file"):
            open_file(place)
    with open_file(tmp_path / "link") as file:  # what the user says may be a link
        assert file.read() == b"precious"
    with pytest.raises(OSError, match=r"link|symbolic"):
        open_file(tmp_path / "link", through_links=False)
    with pytest.raises(FileNotFoundError):
        open_index_file(tmp_path / "nothing")
    with pytest.raises(VocabularyError, match="no file"):
        Vocabulary.load(tmp_path / "pipe")


def test_folders_are_listed_without_following(tmp_path: Path, victim: Path) -> None:
    assert entries(tmp_path / "nothing") == []
    assert [path.name for path in entries(victim)] == ["precious.txt", "sub"]
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(StoreError, match="no folder"):
        entries(tmp_path / "link")
    assert list(strangers(tmp_path)) == [f"{tmp_path / 'link'} is a link; an index holds files and folders only"]
    verify_layout(victim)


def test_a_link_that_comes_after_the_look_is_not_followed(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(victim / "precious.txt")
    monkeypatch.setattr("featmatch.store.layout.refuse_links", lambda path: None)
    with pytest.raises(OSError, match=r"link|symbolic"):
        open_index_file(tmp_path / "link")
