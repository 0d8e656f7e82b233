"""How a picture as a whole is described and compared."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from featmatch.evaluation.edits import jpeg
from featmatch.features.looks import (
    FORMS,
    LEAST_DETAIL,
    LOOK,
    LookArray,
    colour_likeness,
    likeness,
    original_from_undone,
    undone,
    whole_picture,
)
from featmatch.geometry.maps import project
from featmatch.images.pixels import GreyImage, load_grey
from tests.plain_pictures import Picture, blobs, described, gradient, in_form


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


def grey_image(pixels: Picture, colours: Picture | None = None) -> GreyImage:
    return GreyImage(pixels, pixels.shape[1], pixels.shape[0], 1.0, 1.0, colours=colours)


def noise(seed: int, shape: tuple[int, ...] = (32, 32)) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_the_layout_is_the_lowest_frequencies_in_steps_of_a_twelfth_of_an_octave() -> None:
    for number, pixels in enumerate((noise(0), np.full((32, 32), 200, np.uint8), noise(1) // 40)):
        waves = dctn(pixels.astype(np.float64), norm="ortho")[:8, :8].ravel()
        steps = np.sign(waves) * np.minimum(np.round(12 * np.log2(1 + np.abs(waves) / 4)), 127)
        layout = whole_picture(grey_image(pixels)).looks["layout"][0]
        assert np.abs(layout - steps).max() <= (number == 1)  # of one tone only rounding is left
        assert len(set(layout.tolist())) > 20 or number == 1


def test_every_form_is_described_as_the_picture_that_it_undoes() -> None:
    pixels, colours = noise(2), noise(3, (64, 64, 3))
    forms = whole_picture(grey_image(pixels, colours))
    for form in range(FORMS):
        upright = whole_picture(grey_image(np.ascontiguousarray(undone(pixels, form)), colours))
        assert forms.phashes[form] == upright.phashes[0]
        assert forms.looks[form] == upright.looks[0]
    assert len(set(forms.phashes.tolist())) == len(forms.looks) == 8
    assert forms.detail == likeness(forms.looks[:1], forms.looks[:1])[0]


def test_a_picture_is_described_at_32_px_by_the_mean_of_its_areas() -> None:
    large = noise(4, (96, 160))
    small = np.round(large.reshape(32, 3, 32, 5).mean(axis=(1, 3))).astype(np.uint8)
    found, expected = (whole_picture(grey_image(pixels)).looks["layout"][0].astype(int) for pixels in (large, small))
    assert np.abs(found - expected).max() <= 2  # for how halves are rounded


def look(layout: NDArray[np.generic], colours: tuple[int, ...] = ()) -> LookArray:
    one = np.zeros(1, LOOK)
    one["layout"][0] = layout
    one["colours"][0, : len(colours)] = colours
    return one


def plain_likeness(a: LookArray, b: LookArray) -> float:
    """``likeness`` of two looks, written out."""
    total = 0.0
    one, other = (
        [np.sign(step) * 4 * (2 ** (abs(step) / 12) - 1) for step in looks["layout"][0].tolist()] for looks in (a, b)
    )
    for low, high in pairwise((0.5, 1.8, 3.2, 4.8, 6.5, 11.0)):
        band = [8 * down + across for down in range(8) for across in range(8) if low <= math.hypot(down, across) < high]
        products = [one[place] * other[place] for place in band]
        energies = [sum(waves[place] ** 2 for place in band) + 36 * len(band) for waves in (one, other)]
        r = sum(products) / math.sqrt(energies[0] * energies[1])
        squares = sum(product**2 for product in products)
        count = sum(map(abs, products)) ** 2 / squares if squares else 0
        total -= np.sign(r) * max(count - 1, 0) / 2 * math.log(1 - min(r * r, 0.999))
    return total


def test_likeness_is_as_it_is_defined() -> None:
    random = np.random.default_rng(5)
    layouts = [random.integers(-100, 101, 64), random.integers(-30, 31, 64), np.zeros(64), np.full(64, 127)]
    layouts += [layouts[0] + random.integers(-4, 5, 64), -layouts[0], layouts[0] // 2, np.arange(64)]
    looks = [look(layout) for layout in layouts]
    for a in looks:
        for b in looks:
            assert likeness(a, b)[0] == pytest.approx(plain_likeness(a, b), rel=1e-9, abs=1e-9)
    both = likeness(np.concatenate(looks), np.concatenate(looks[::-1]))
    assert both == pytest.approx([likeness(a, b)[0] for a, b in zip(looks, looks[::-1], strict=True)])
    assert likeness(looks[0], looks[4])[0] > 20


def test_the_mean_of_a_picture_says_nothing() -> None:
    dark, light = noise(6) // 2, noise(6) // 2 + 120
    described_so = [whole_picture(grey_image(pixels)).looks[:1] for pixels in (dark, light)]
    assert likeness(*described_so)[0] == pytest.approx(likeness(described_so[0], described_so[0])[0], rel=1e-6)


def test_the_likeness_of_colours_is_that_of_bhattacharyya() -> None:
    nothing = np.zeros(64)
    red, green = look(nothing, (255,)), look(nothing, (0, 255))
    half, black = look(nothing, (180, 180)), look(nothing)
    assert colour_likeness(red, red).tolist() == [1.0]
    assert colour_likeness(red, green).tolist() == [0.0]
    assert colour_likeness(red, half)[0] == pytest.approx(0.5**0.5)
    assert colour_likeness(red, black).tolist() == colour_likeness(black, black).tolist() == [0.0]


@pytest.mark.parametrize(
    ("colours", "shares"),
    [
        ([(0, 0, 0)], {(0, 0, 0): 1.0}), ([(255, 255, 255)], {(2, 2, 2): 1.0}),
        ([(255, 0, 0), (0, 0, 255)], {(2, 0, 0): 0.5, (0, 0, 2): 0.5}),
        ([(51, 0, 255)], {(0, 0, 2): 0.6, (1, 0, 2): 0.4}),
        ([(0, 204, 0)], {(0, 1, 0): 0.4, (0, 2, 0): 0.6}),
        ([(51, 51, 51)], {place: 0.6 ** (3 - sum(place)) * 0.4 ** sum(place) for place in np.ndindex(2, 2, 2)}),
    ],
)  # fmt: skip
def test_colours_are_spread_over_the_nearest_of_27(
    colours: list[tuple[int, int, int]], shares: dict[tuple[int, int, int], float]
) -> None:
    pixels = np.array(colours * (64 * 64 // len(colours)), np.uint8).reshape(64, 64, 3)
    found = whole_picture(grey_image(noise(7), pixels)).looks["colours"]
    expected = np.zeros((3, 3, 3))
    for place, share in shares.items():
        expected[place] = round(share**0.5 * 255)
    assert found.tolist() == [expected.ravel().tolist()] * FORMS
    assert whole_picture(grey_image(noise(7))).looks["colours"].max() == 0


@pytest.mark.parametrize("form", range(FORMS))
def test_every_pixel_of_a_form_is_mapped_to_where_it_came_from(form: int) -> None:
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    before = undone(pixels, form)
    matrix, (width, height) = original_from_undone(form, 5, 3)
    assert before.shape == (height, width)
    for y, x in np.ndindex(3, 5):
        to = matrix @ [x, y, 1]
        assert before[int(to[1]), int(to[0])] == pixels[y, x]
    assert matrix[2].tolist() == [0, 0, 1]


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
