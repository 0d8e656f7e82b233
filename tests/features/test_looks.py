"""How a picture as a whole is described and compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featmatch.evaluation.edits import jpeg
from featmatch.features.looks import (
    FORMS,
    LEAST_DETAIL,
    LOOK,
    colour_likeness,
    likeness,
    original_from_undone,
    undone,
)
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from tests.plain_pictures import blobs, described, gradient, in_form


@pytest.mark.parametrize("form", range(FORMS))
def test_each_form_is_undone_and_maps_its_pixels_back(form: int) -> None:
    picture = blobs(1)
    edited = in_form(picture, form)
    assert (undone(edited, form) == picture).all()
    matrix, size = original_from_undone(form, edited.shape[1], edited.shape[0])
    assert size == (picture.shape[1], picture.shape[0])
    x, y = project(matrix, np.array([[5.0, 9.0]]))[0].round().astype(int)
    assert (picture[y, x] == edited[9, 5]).all()


@pytest.mark.parametrize("form", range(FORMS))
def test_the_forms_of_a_query_hold_the_look_of_its_original(form: int) -> None:
    original, edited = described(blobs(2)), described(in_form(blobs(2), form))
    assert int(np.bitwise_count(edited.phashes[form] ^ original.phashes[0])) <= 2
    values = likeness(edited.looks, np.repeat(original.looks[:1], FORMS))
    assert values.argmax() == form
    assert values[form] > 0.9 * original.detail


def test_likeness_grows_with_what_there_is_to_tell() -> None:
    rich, unlike, plain = (described(picture).looks[:1] for picture in (blobs(3), blobs(4), gradient(90, 140)))
    assert likeness(rich, rich) > 10
    assert likeness(rich, unlike) < LEAST_DETAIL
    assert likeness(plain, plain) < LEAST_DETAIL
    assert likeness(rich, plain) < LEAST_DETAIL
    negative = described(255 - blobs(3)).looks[:1]
    assert likeness(rich, negative) < -10


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_one_tone_has_no_detail(grey: int) -> None:
    assert described(np.full((50, 80, 3), grey, np.uint8)).detail == 0


def test_colours_are_told_apart_and_survive_compression() -> None:
    red, blue = (np.full((64, 64, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200)))
    looks = [described(picture).looks[:1] for picture in (red, jpeg(red, 30), blue)]
    assert colour_likeness(looks[0], looks[1]) > 0.98
    assert colour_likeness(looks[0], looks[2]) < 0.5


def test_what_is_kept_of_an_image_is_small() -> None:
    assert LOOK.itemsize + np.dtype(np.uint64).itemsize <= 128


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F"])
def test_every_kind_of_picture_has_colours(mode: str) -> None:
    picture = Image.fromarray(blobs(5))
    if mode == "LAB":
        picture = Image.new("LAB", picture.size, (90, 30, 30))
    elif mode == "I;16":
        picture = picture.convert("L").convert("I").convert("I;16")
    else:
        picture = picture.convert(mode)
    grey = load_grey(picture, longest_px=2000, colours=True)
    assert grey.colours is not None
    assert grey.colours.shape == (64, 64, 3)
    assert grey.colours.dtype == np.uint8
    assert load_grey(picture, longest_px=2000).colours is None


def test_reading_the_colours_leaves_the_grey_pixels_as_they_are(tmp_path: Path, photo_folder: Path) -> None:
    with Image.open(photo_folder / "astronaut.png") as picture:
        picture.save(tmp_path / "a.jpg", quality=90)
    for longest_px in (100, 256, 2000):
        with_colours = load_grey(tmp_path / "a.jpg", longest_px=longest_px, colours=True)
        np.testing.assert_array_equal(with_colours.pixels, load_grey(tmp_path / "a.jpg", longest_px=longest_px).pixels)
