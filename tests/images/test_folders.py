from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from featmatch.images.folders import image_files


def made(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_are_searched_for_every_format(tmp_path: Path) -> None:
    pictures = ["a.HEIC", "a.NEF", "a.avif", "a.dng", "a.jpg", "a.pdf", "a.tiff", "a.webp"]
    made(tmp_path, *pictures, "a.txt", "a.py", "a.mp4", "jpg", ".png")
    assert [os.path.basename(file) for file in image_files([tmp_path])] == pictures


def test_files_come_in_the_order_of_their_names_folder_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "photos/b.jpg", "photos/a.jpg", "photos/z/1.jpg", "photos/c/2.jpg", "photos/c/1.jpg")
    names = ["a.jpg", "b.jpg", "c/1.jpg", "c/2.jpg", "z/1.jpg"]
    assert list(image_files([tmp_path / "photos"])) == [str(tmp_path / "photos" / name) for name in names]
    monkeypatch.chdir(tmp_path)
    assert list(image_files(["./photos//"])) == [f"photos/{name}" for name in names]
    monkeypatch.chdir("photos")
    assert list(image_files(["."])) == names


def test_the_order_in_which_the_system_lists_files_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
        folders = ["z", "c"]
        yield top, folders, ["b.jpg", "a.jpg"]
        yield from ((os.path.join(top, name), [], ["2.jpg", "1.jpg"]) for name in folders)

    monkeypatch.setattr("os.path.isdir", lambda path: True)
    monkeypatch.setattr("os.walk", walk)
    names = ["a.jpg", "b.jpg", "c/1.jpg", "c/2.jpg", "z/1.jpg", "z/2.jpg"]
    assert list(image_files(["photos"])) == [f"photos/{name}" for name in names]


def test_files_are_passed_on_as_given_whatever_they_are(tmp_path: Path) -> None:
    made(tmp_path, "b.txt", "a.jpg")
    given = [tmp_path / "b.txt", tmp_path / "nothing.jpg", tmp_path / "x" / ".." / "a.jpg", tmp_path / "a.jpg"]
    assert list(image_files(given)) == [str(tmp_path / name) for name in ("b.txt", "nothing.jpg", "a.jpg", "a.jpg")]


def test_links_to_files_are_followed_and_those_to_folders_are_not(tmp_path: Path) -> None:
    made(tmp_path, "photos/a.jpg", "other/b.jpg")
    (tmp_path / "photos" / "linked.jpg").symlink_to(tmp_path / "other" / "b.jpg")
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    assert [os.path.basename(file) for file in image_files([tmp_path / "photos"])] == ["a.jpg", "linked.jpg"]
    (tmp_path / "link").symlink_to(tmp_path / "other")
    assert list(image_files([tmp_path / "link"])) == [str(tmp_path / "link" / "b.jpg")]  # as it was given
