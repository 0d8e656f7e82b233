from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from featmatch import Index
from featmatch.adding.batches import Target
from featmatch.adding.pruning import remove_vanished
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog


def name_images(target: Target, paths: list[str]) -> None:
    """Let each of these names stand for an image of its own."""
    with change_catalog(target.catalog) as change:
        segment = change.next_segment()
        for number, path in enumerate(paths):
            change.name(path, change.add_image(f"{number:064x}", 1, (1, 1), 0, segment), 1)


@pytest.fixture
def files(target: Target, tmp_path: Path) -> dict[str, str]:
    """Files by their names below a folder, each of which the catalogue has."""
    made = {}
    for name in ("photos/a.png", "photos/deep/b.png", "photos 2/a.png", "scan.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        made[name] = str(path)
    name_images(target, list(made.values()))
    return made


def names(target: Target) -> list[str]:
    return list(Catalog(target.catalog).names())


def test_what_is_gone_below_a_folder_is_removed_and_nothing_else(
    target: Target, files: dict[str, str], tmp_path: Path
) -> None:
    os.unlink(files["photos/a.png"])
    shutil.rmtree(tmp_path / "photos" / "deep")
    os.unlink(files["photos 2/a.png"])
    assert remove_vanished([str(tmp_path / "photos")], target) == [files["photos/a.png"], files["photos/deep/b.png"]]
    assert names(target) == [files["photos 2/a.png"], files["scan.tif"]]
    tops = [str(tmp_path / "photos"), str(tmp_path / "photos 2")]
    assert remove_vanished(tops, target) == [files["photos 2/a.png"]]
    assert names(target) == [files["scan.tif"]]


def test_a_relative_path_is_one_from_here(
    target: Target, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.unlink(files["photos/a.png"])
    monkeypatch.chdir(tmp_path)
    assert remove_vanished(["photos"], target) == [files["photos/a.png"]]


def test_a_folder_that_is_gone_itself_removes_nothing(target: Target, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "photos").rename(tmp_path / "not mounted")
    before = target.catalog.read_bytes()
    assert remove_vanished([str(tmp_path / "photos")], target) == []
    assert target.catalog.read_bytes() == before


def test_where_all_is_there_the_catalogue_is_left_alone(target: Target, files: dict[str, str], tmp_path: Path) -> None:
    before = target.catalog.stat()
    assert remove_vanished([str(tmp_path)], target) == []
    assert target.catalog.stat().st_ino == before.st_ino


def test_pages_go_with_their_file(target: Target, files: dict[str, str], tmp_path: Path) -> None:
    scan = tmp_path / "two.tif"
    scan.write_bytes(b"")
    name_images(target, [f"{scan}#page=1", f"{scan}#page=2"])
    assert remove_vanished([str(tmp_path)], target) == []
    scan.unlink()
    assert remove_vanished([str(tmp_path)], target) == [f"{scan}#page=1", f"{scan}#page=2"]


def test_a_file_that_cannot_be_seen_is_not_gone(target: Target, files: dict[str, str], tmp_path: Path) -> None:
    os.unlink(files["photos/a.png"])
    os.symlink("a.png", files["photos/a.png"])  # a link to itself: whoever follows it gets an error
    assert remove_vanished([str(tmp_path)], target) == []
    os.unlink(files["photos/a.png"])
    os.symlink("no such file", files["photos/a.png"])
    assert remove_vanished([str(tmp_path)], target) == [files["photos/a.png"]]


def test_what_was_below_a_folder_that_is_a_file_now_is_gone(
    target: Target, files: dict[str, str], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "photos" / "deep")
    (tmp_path / "photos" / "deep").write_bytes(b"")
    assert remove_vanished([str(tmp_path / "photos")], target) == [files["photos/deep/b.png"]]


def test_what_is_gone_stays_until_it_is_pruned(small: Index, target: Target, files: dict[str, str]) -> None:
    os.unlink(files["photos/a.png"])
    top = os.path.dirname(files["photos/a.png"])
    os.unlink(files["photos/deep/b.png"])
    assert small.add([top], jobs=1).vanished == []
    assert files["photos/a.png"] in names(target)
    assert small.add([top], jobs=1, prune=True).vanished == [files["photos/a.png"], files["photos/deep/b.png"]]
