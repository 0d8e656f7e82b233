"""Sheets that the test lays before a background: where they are found, and what they show laid flat."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.features.sheets import corners_of_sheets, sheets_of
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from tests.plain_pictures import before_a_background, blobs, gradient

Picture = NDArray[np.uint8]
SEEN = np.array([[120.0, 60], [520, 110], [480, 400], [90, 330]])  # clockwise from the upper left


def drawing() -> Picture:
    """A flag of 300 x 200 px: three colours, and a disc in its upper left part."""
    picture = np.full((200, 300, 3), (200, 30, 40), np.uint8)
    picture[:, 100:200] = (245, 245, 245)
    picture[:, 200:] = (20, 60, 160)
    cv2.circle(picture, (60, 50), 30, (250, 205, 30), -1)
    return picture


def grey_of(picture: Picture) -> Picture:
    return load_grey(picture, longest_px=2000).pixels


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_corners_of_a_sheet_are_found_in_turn(turns: int, mirrored: bool) -> None:
    picture = np.rot90(before_a_background(drawing(), SEEN), turns)
    picture = np.ascontiguousarray(picture[:, ::-1] if mirrored else picture)
    width = picture.shape[1]
    x, y = SEEN.T
    for turn in range(turns):
        x, y = y, (640, 480)[turn % 2] - 1 - x
    if mirrored:
        x = width - 1 - x
    expected = np.stack([x, y], axis=1)
    expected = expected[::-1] if mirrored else expected
    expected = np.roll(expected, -int(expected.sum(axis=1).argmin()), axis=0)
    found = corners_of_sheets(grey_of(picture))
    np.testing.assert_allclose(found[0], expected, atol=6)
    assert len(found) <= 3
    for corners in found:
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        assert (sides[:, 0] * after[:, 1] > sides[:, 1] * after[:, 0]).all()  # clockwise, y down


def test_laid_flat_a_sheet_is_the_picture_that_was_laid_there() -> None:
    grey = load_grey(before_a_background(drawing(), SEEN), longest_px=2000, colours=True)
    sheet = sheets_of(grey)[0]
    height, width = sheet.grey.pixels.shape
    assert 330 < width < 430
    assert 250 < height < 310
    flat = cv2.resize(grey_of(drawing()), (width, height), interpolation=cv2.INTER_AREA)
    off = np.abs(cv2.blur(sheet.grey.pixels, (9, 9)).astype(int) - cv2.blur(flat, (9, 9)))
    assert off.mean() < 4
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    np.testing.assert_allclose(project(sheet.original_from_sheet, corners), SEEN, atol=6)
    assert sheet.grey.colours is not None
    left, middle, right = (sheet.grey.colours[40, column].astype(int) for column in (10, 32, 54))
    assert left[0] > left[2] + 100
    assert middle.min() > 200
    assert right[2] > right[0] + 80


def test_a_sheet_is_told_in_px_of_the_picture_as_it_was() -> None:
    large = cv2.resize(before_a_background(drawing(), SEEN), (1280, 960), interpolation=cv2.INTER_CUBIC)
    reduced = load_grey(np.asarray(large, np.uint8), longest_px=640, colours=True)
    sheet = sheets_of(reduced)[0]
    corner = project(sheet.original_from_sheet, np.array([[-0.5, -0.5]]))[0]
    np.testing.assert_allclose(corner, 2 * SEEN[0] + 0.5, atol=12)


def test_colours_are_not_made_up() -> None:
    (sheet, *_) = sheets_of(load_grey(before_a_background(drawing(), SEEN), longest_px=2000))
    assert sheet.grey.colours is None


@pytest.mark.parametrize("picture", [blobs(1, 640, 480), gradient(90, 140), np.full((480, 640, 3), 7, np.uint8)])
def test_where_no_edges_bound_anything_there_is_no_sheet(picture: Picture) -> None:
    assert corners_of_sheets(grey_of(picture)) == []


def test_noise_bounds_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
    assert corners_of_sheets(noise) == []


@pytest.mark.parametrize(("side", "found"), [(230, True), (150, False)])
def test_a_sheet_takes_a_tenth_of_the_picture_at_least(side: int, found: bool) -> None:
    square = np.array([[200.0, 120], [200 + side, 130], [195 + side, 125 + side], [205, 120 + side]])
    white = np.full((100, 100, 3), 240, np.uint8)
    assert bool(corners_of_sheets(grey_of(before_a_background(white, square)))) is found


def test_three_sides_bound_no_sheet() -> None:
    ground = np.full((480, 640, 3), 20, np.uint8)
    ground[100:380, 150:] = 230  # goes on to the right border
    assert corners_of_sheets(grey_of(ground)) == []


def test_tiny_pictures_have_none() -> None:
    for shape in ((1, 1), (8, 3), (31, 200), (3, 4000)):
        assert corners_of_sheets(np.zeros(shape, np.uint8)) == []


@pytest.mark.parametrize(("side", "found"), [(10, False), (80, True)])
def test_before_a_background_full_of_edges_no_sheet_is_looked_for(side: int, found: bool) -> None:
    picture = before_a_background(drawing(), SEEN)
    rows, columns = np.indices(picture.shape[:2])
    squares = np.where((rows // side + columns // side) % 2, 60, 190).astype(np.uint8)
    is_sheet = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(is_sheet, SEEN.astype(np.int32), 1)
    picture = np.where(is_sheet[..., None] > 0, picture, squares[..., None])
    assert bool(corners_of_sheets(grey_of(picture))) == found
