"""Which file of an image is read, and which is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import GreyImage
from featmatch.search.pictures import Pictures

STORED = GreyImage(np.zeros((3, 4), np.uint8), 400, 300, 100.0, 100.0, is_stored=True)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.full((600, 1200), 77, np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def pictures(files: dict[str, list[Path]], stamps: dict[str, tuple[int, int]], **options: Any) -> Pictures:
    """Of an index with one image, number 7, that has these names, and of a place where these files are.

    It keeps a picture of number 9 only.
    """
    catalog = SimpleNamespace(files_of=lambda image: list(stamps.items()) if image == 7 else [])
    snapshot: Any = SimpleNamespace(catalog=catalog, stored_picture={9: STORED}.get)
    places: Any = SimpleNamespace(paths_of=lambda name: [str(path) for path in files.get(name, [])])
    return Pictures(snapshot, places, **options)


def stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def test_the_file_is_read_at_1024_px(picture: Path) -> None:
    read = pictures({"a": [picture]}, {"a": stamp(picture)})
    grey = read.of(7)
    assert grey is not None
    assert (grey.pixels.shape, grey.width, grey.height) == ((512, 1024), 1200, 600)


def test_a_file_of_another_size_or_time_is_not_the_one(picture: Path) -> None:
    size, time = stamp(picture)
    for other in ((size + 1, time), (size, time + 1)):
        read = pictures({"a": [picture]}, {"a": other})
        assert read.of(7) is None


def test_any_of_its_names_will_do(picture: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "b.png"
    damaged.write_bytes(b"no picture")
    names = {"gone": (1, 1), "b": stamp(damaged), "elsewhere": (2, 2), "a": stamp(picture)}
    read = pictures({"b": [damaged], "gone": [tmp_path / "gone.png"], "a": [picture]}, names)
    assert read.of(7) is not None


def test_an_image_without_a_file_is_missing_others_are_not(picture: Path) -> None:
    read = pictures({"a": [picture]}, {"a": stamp(picture)})
    assert read.of(8) is None
    assert read.of(7) is not None


def test_a_page_has_the_stamp_of_its_file(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((60, 80), tone, np.uint8)) for tone in (10, 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    file = tmp_path / "a.tif"
    grey = pictures({"p": [Path(f"{file}#page=2")]}, {"p": stamp(file)}).of(7)
    assert grey is not None
    assert grey.pixels.mean() == 200


def test_what_decoding_may_cost_is_kept_to(picture: Path) -> None:
    read = pictures({"a": [picture]}, {"a": stamp(picture)}, decoding=DecodingOptions(max_pixels=1000))
    assert read.of(7) is None


def test_another_file_of_the_same_name_is_read_where_the_first_is_not_the_one(picture: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"something else")
    read = pictures({"a": [tmp_path / "gone.png", other, picture]}, {"a": stamp(picture)})
    assert read.of(7) is not None


def test_where_no_file_is_at_hand_the_index_may_have_a_picture(picture: Path) -> None:
    read = pictures({"a": [picture]}, {"a": stamp(picture)})
    assert read.of(9) is STORED
    found = read.of(7)
    assert found is not None
    assert not found.is_stored
