"""One index that is served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from featmatch import Index
from featmatch.service.mounted import Mounted
from featmatch.service.options import ServeOptions
from featmatch.service.problems import Problem
from featmatch.service.slots import Slots
from featmatch.service.thumbnails import Thumbnails


@pytest.fixture
def mounted(index: Index, drawn: list[Path], tmp_path: Path) -> Mounted:
    options = ServeOptions(allow_paths=(drawn[0].parent,))
    return Mounted(index, options, Slots(1, 1, 9), Thumbnails(tmp_path), "/photos")


def test_images_by_number_and_by_name(mounted: Mounted, drawn: list[Path]) -> None:
    assert mounted.image(2).names == (str(drawn[1]),)
    assert mounted.image_named(str(drawn[1])).record.id == 2
    assert mounted.file_of(mounted.image(2)) == str(drawn[1])
    assert mounted.links_of(2) == {"image": "/photos/v1/images/2", "thumbnail": "/photos/v1/images/2/thumbnail"}
    with pytest.raises(Problem, match="no_such_image"):
        mounted.image(9)
    with pytest.raises(Problem, match="no_such_image"):
        mounted.image_named("nobody")


def test_each_state_of_the_index_has_a_name(mounted: Mounted, index: Index, drawn: list[Path]) -> None:
    first = mounted.generation(mounted.snapshot())
    assert mounted.generation(mounted.snapshot()) == first
    index.add_images([("a", drawn[5].read_bytes())])
    assert mounted.generation(mounted.snapshot()) != first


@pytest.mark.parametrize("path", ["/etc/passwd", "a.png", "FOLDER/../x", "FOLDER\0", "FOLDERx", ""])
def test_paths_that_may_not_be_read(mounted: Mounted, drawn: list[Path], path: str) -> None:
    folder = str(drawn[0].parent)
    assert mounted.allowed_path(folder) == folder
    assert mounted.allowed_path(os.path.join(folder, "new.png"))
    with pytest.raises(Problem, match="path_not_allowed"):
        mounted.allowed_path(path.replace("FOLDER", folder))


def test_nothing_is_written_unless_it_is_asked_for(mounted: Mounted) -> None:
    with pytest.raises(Problem, match="read_only"):
        mounted.must_write()
    assert mounted.is_intact()


def test_files_of_an_index_that_another_user_made_are_read_where_the_service_may(
    index: Index, drawn: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    (tmp_path / "link").symlink_to(drawn[0].parent)
    for folder, may in ((drawn[0].parent, True), (tmp_path / "link", True), (tmp_path / "elsewhere", False)):
        options = ServeOptions(allow_paths=(folder,))
        mounted = Mounted(Index.open(index.folder), options, Slots(1, 1, 9), Thumbnails(tmp_path))
        if may:
            assert mounted.file_of(mounted.image(2)) == str(drawn[1])
        else:
            with pytest.raises(Problem, match="file_gone"):
                mounted.file_of(mounted.image(2))
