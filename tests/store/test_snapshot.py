from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from featmatch.errors import StoreError
from featmatch.images.stored import restored_picture
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.segment import Segment
from featmatch.store.segment_writer import write_segment
from featmatch.store.snapshot import Snapshot
from tests.store.segments import WORDS, made_images, make_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two segments, of images 1 to 3 and 4 to 5."""
    make_index(tmp_path, (3, 5, 0), (7, 1))
    return tmp_path


def test_it_holds_the_live_segments_and_what_was_removed_of_them(folder: Path) -> None:
    with change_catalog(folder / CATALOG) as change:
        change.remove(["2.jpg"])
    snapshot = Snapshot.open(folder, WORDS)
    assert {number: segment.ids.tolist() for number, segment in snapshot.segments.items()} == {1: [1, 2, 3], 2: [4, 5]}
    assert snapshot.removed == {2}
    assert snapshot.catalog.path == folder / CATALOG


def test_an_index_without_segments_has_a_state_too(tmp_path: Path) -> None:
    make_index(tmp_path)
    snapshot = Snapshot.open(tmp_path, WORDS)
    assert (snapshot.segments, snapshot.removed) == ({}, frozenset())


def test_segments_that_are_open_already_are_not_opened_again(folder: Path) -> None:
    before = Snapshot.open(folder, WORDS)
    shutil.rmtree(segment_folder(folder, 1))
    after = Snapshot.open(folder, WORDS, {1: before.segments[1]})
    assert after.segments[1] is before.segments[1]
    assert after.segments[2] is not before.segments[2]


def test_an_image_in_two_segments_is_damage(tmp_path: Path) -> None:
    make_index(tmp_path, (3, 5))
    with change_catalog(tmp_path / CATALOG) as change:
        manifest = write_segment(segment_folder(tmp_path, 2), made_images(9, [4]), [2], WORDS)
        change.add_segment(2, 1, 4, manifest)
    with pytest.raises(StoreError, match="an image is in two segments"):
        Snapshot.open(tmp_path, WORDS)


@pytest.mark.parametrize(("images", "features"), [(2, 8), (4, 8), (3, 7), (3, 9)])
def test_a_segment_is_as_large_as_the_catalogue_says(tmp_path: Path, images: int, features: int) -> None:
    make_index(tmp_path)
    with change_catalog(tmp_path / CATALOG) as change:
        manifest = write_segment(segment_folder(tmp_path, 1), made_images(1, [3, 5, 0]), [1, 2, 3], WORDS)
        change.add_segment(1, images, features, manifest)
    with pytest.raises(StoreError, match=r"segments/000001 is damaged: it is not as large as the catalogue says"):
        Snapshot.open(tmp_path, WORDS)


def test_a_segment_that_a_writer_merged_meanwhile_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Segment.open
    calls = 0

    def open_late(where: Path, words: int, manifest: bytes) -> Segment:
        nonlocal calls
        calls += 1
        if calls == 2:
            with change_catalog(folder / CATALOG) as change:
                change.replace_segments([2], None)
            shutil.rmtree(segment_folder(folder, 2))
        return opened(where, words, manifest)

    monkeypatch.setattr(Segment, "open", open_late)
    assert list(Snapshot.open(folder, WORDS).segments) == [1]
    shutil.rmtree(segment_folder(folder, 1))
    with pytest.raises(StoreError, match="segments/000001"):
        Snapshot.open(folder, WORDS)


def test_an_image_has_one_place(folder: Path) -> None:
    snapshot = Snapshot.open(folder, WORDS)
    for image, number, row in ((1, 1, 0), (3, 1, 2), (5, 2, 1)):
        assert snapshot.place_of(image) == (snapshot.segments[number], row)
    with pytest.raises(StoreError, match="image 6 is in no segment"):
        snapshot.place_of(6)


def test_stored_pictures_are_those_of_their_images(folder: Path) -> None:
    snapshot = Snapshot.open(folder, WORDS)
    made = [*made_images(1, [3, 5, 0]), *made_images(2, [7, 1])]
    for image, one in enumerate(made, 1):
        found = snapshot.stored_picture(image)
        if len(one.picture) == 0:
            assert found is None
        else:
            assert found is not None
            assert (found.width, found.height) == (one.width, one.height)
            np.testing.assert_array_equal(found.pixels, restored_picture(one.picture, 1, 1).pixels)
    assert [len(one.picture) > 0 for one in made] == [True, True, False, True, True]
