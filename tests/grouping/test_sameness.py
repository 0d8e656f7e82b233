from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmatch.geometry.maps import Matrix
from featmatch.grouping.sameness import _CELL_PX, _SHIFT_PX, _cells, colours_lost, difference, holds_more
from tests.grouping.edited import Picture, as_jpeg, blurred, sharpened

Photos = dict[str, NDArray[np.uint8]]
Grey = NDArray[np.uint8]
DIFFERS, PASTED, PLAIN = "differs from the original in places", "pasted into the original", "too plain to be compared"


def captioned(photo: Picture) -> Picture:
    copy = photo.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((20, 20, 140, 90), fill=(255, 255, 255))
    draw.text((30, 30), "another\nfilling", fill=(0, 0, 0), font_size=28)
    return copy


def framed(photo: Picture) -> Picture:
    canvas = Image.fromarray(np.random.default_rng(2).integers(0, 255, (12, 18, 3)).astype(np.uint8))
    canvas = canvas.resize((photo.width * 3 // 2, photo.height * 3 // 2), Image.Resampling.BICUBIC)
    canvas.paste(photo, (60, 50))
    return canvas


@pytest.mark.parametrize(
    ("edit", "own"),
    [
        (lambda photo: photo, ""),
        (as_jpeg(60), ""),
        (blurred(1.5), ""),
        (sharpened(), ""),
        (captioned, "differs from the original in places"),
        (lambda photo: Image.new("RGB", photo.size, (90, 90, 90)), "differs from the original in places"),
    ],
)
def test_a_copy_is_looked_at_closely(photos: Photos, edit: Callable[[Picture], Picture], own: str) -> None:
    photo = Image.fromarray(photos["coffee"])
    a, b = (np.asarray(one.convert("L")) for one in (edit(photo), photo))
    assert difference(a, b, np.eye(3), negative=False).startswith(own)
    assert bool(difference(a, b, np.eye(3), negative=False)) == bool(own)
    assert bool(difference(255 - a, b, np.eye(3), negative=True)) == bool(own)


def test_plain_pictures_are_not_given_away() -> None:
    plain = np.full((300, 400), 90, np.uint8)
    assert difference(plain, plain, np.eye(3), negative=False).startswith("too plain")


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
def test_a_crop_is_told_from_what_was_pasted_in(photos: Photos, name: str) -> None:
    photo = Image.fromarray(photos[name])
    at = np.array([[1.0, 0, 60], [0, 1, 50], [0, 0, 1]])
    crop = photo.crop((60, 50, 360, 300))
    grey = [np.asarray(one.convert("L")) for one in (photo, crop, framed(crop))]
    assert difference(grey[1], grey[0], at, negative=False) == ""
    assert difference(grey[1], grey[2], at, negative=False) == "pasted into the original"


def test_another_filling_of_one_form_is_no_waste(tmp_path: Path) -> None:
    sheets = []
    for filling in ("Ada Lovelace, 12 St James's Square, 1815", "Grace Hopper, 7 Broad Street, New York, 1906"):
        sheet = Image.new("L", (1000, 1300), 250)
        draw = ImageDraw.Draw(sheet)
        for row in range(24):
            draw.text(
                (60, 60 + 50 * row), f"{row + 1}. What is to be entered here is printed on all", fill=0, font_size=22
            )
            draw.line((60, 96 + 50 * row, 940, 96 + 50 * row), fill=120)
        for row in range(12):
            draw.text((560, 60 + 100 * row), filling[row : row + 28], fill=40, font_size=24)
        sheets.append(sheet)
    a, b = (np.asarray(sheet) for sheet in sheets)
    assert difference(a, b, np.eye(3), negative=False) == "differs from the original in places"
    assert difference(np.asarray(as_jpeg(60)(sheets[0])), a, np.eye(3), negative=False) == ""


def texture(width: int = 400, height: int = 300, seed: int = 1, low: int = 60, high: int = 190, blob: int = 6) -> Grey:
    """Soft blobs of some px, so that each cell has structure."""
    blobs = np.random.default_rng(seed).integers(low, high, (height // blob, width // blob)).astype(np.uint8)
    return np.asarray(cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def told(picture: Grey, original: Grey, way: Matrix | None = None, *, negative: bool = False) -> str:
    return difference(picture, original, np.eye(3) if way is None else way, negative=negative)


def with_plain_cells(picture: Grey, *cells: tuple[int, int]) -> Grey:
    """The picture with these cells (row, column) made plain, and what is around them a little, too."""
    changed = picture.copy()
    for row, column in cells:
        top, left = 5 + 24 * row, 5 + 24 * column
        changed[top - 3 : top + 27, left - 3 : left + 27] = 128
    return changed


def test_one_cell_may_contradict_and_of_many_some_more() -> None:
    small = texture()  # 192 cells
    assert told(with_plain_cells(small, (3, 4)), small) == ""
    assert told(with_plain_cells(small, (3, 4), (7, 9)), small) == DIFFERS
    assert told(small, with_plain_cells(small, (3, 4), (7, 9))) == DIFFERS
    large = texture(800, 300)  # 396
    assert told(with_plain_cells(large, (3, 4), (7, 9)), large) == ""
    assert told(with_plain_cells(large, (3, 4), (7, 9), (3, 20)), large) == DIFFERS


def test_another_texture_in_two_cells_contradicts_too() -> None:
    picture, other = texture(), texture(seed=2)
    changed = picture.copy()
    changed[60:120, 60:120] = other[60:120, 60:120]
    assert told(changed, picture) == DIFFERS


def test_cells_that_are_plain_in_both_say_nothing() -> None:
    def lively(cells: int, contrast: float = 1.0) -> Grey:
        picture = np.full((300, 400), 125, np.uint8)
        for number in range(cells):
            top, left = 5 + 24 * (number // 8), 5 + 48 * (number % 8)
            patch = texture()[top : top + 24, left : left + 24] - 125.0
            picture[top : top + 24, left : left + 24] = 125 + contrast * patch
        return picture

    assert told(lively(8), lively(8)) == ""
    assert told(lively(7), lively(7)).startswith(PLAIN)
    assert told(lively(8, 0.1), lively(8, 0.1)).startswith(PLAIN)


@pytest.mark.parametrize(("shift", "found"), [(0, ""), (4, ""), (-5, ""), (9, DIFFERS)])
def test_cells_may_lie_a_little_elsewhere(shift: int, found: str) -> None:
    wide = texture(460, 360)
    for x, y in ((shift, 0), (0, shift)):
        way = np.array([[1.0, 0, 30 + x], [0, 1, 30 + y], [0, 0, 1]])
        assert told(np.ascontiguousarray(wide[30:330, 30:430]), wide, way) == found


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_an_original_of_another_size(factor: float) -> None:
    picture = texture()
    size = round(400 * factor), round(300 * factor)
    original = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    way = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    for scale in (1, -2, 1e3, 1e-3):  # a homography is the same times any number
        assert told(picture, original, scale * way) == ""
    assert told(texture(seed=2), original, way) == DIFFERS


def test_large_pictures_are_compared_at_a_smaller_size() -> None:
    picture = texture(2400, 300)
    assert told(picture, picture) == ""
    assert told(texture(2400, 300, seed=2), picture) == DIFFERS
    # A stroke that fills a cell at the full size fills a quarter of one at half of it.
    assert told(with_plain_cells(picture, (3, 4), (7, 9), (3, 20), (5, 30), (5, 60)), picture) in ("", DIFFERS)


def test_a_negative_is_compared_with_its_tones_turned() -> None:
    picture = texture()
    assert told(255 - picture, picture, negative=True) == ""
    assert told(255 - picture, picture) == DIFFERS
    assert told(picture, picture, negative=True) == DIFFERS


def test_only_what_the_original_covers_is_compared() -> None:
    wide = texture(800, 300)
    half = np.ascontiguousarray(wide[:, :400])
    assert told(wide, half) == ""  # of the other half nothing is known
    low = texture(800, 150)
    assert told(low, np.ascontiguousarray(low[:, :30])).startswith(PLAIN)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(("step", "found"), [(40, PASTED), (4, "")])
def test_a_seam_along_any_side(turns: int, step: int, found: str) -> None:
    """The original is brighter from one side of the picture on."""
    original = texture(500, 500, low=110, high=140)
    original[:, 100:] += np.uint8(step)
    picture = np.ascontiguousarray(original[100:400, 100:400])
    turned = [np.ascontiguousarray(np.rot90(one, turns)) for one in (picture, original)]
    way = np.array([[1.0, 0, 100], [0, 1, 100], [0, 0, 1]])
    assert told(turned[0], turned[1], way) == found


@pytest.mark.parametrize(("step", "found"), [(5, ""), (8, PASTED)])
def test_a_seam_in_a_soft_picture_is_more_than_a_few_grey_levels(step: int, found: str) -> None:
    original = texture(500, 500, low=60, high=180, blob=25)
    original[:, 100:] += np.uint8(step)
    way = np.array([[1.0, 0, 100], [0, 1, 100], [0, 0, 1]])
    assert told(np.ascontiguousarray(original[100:400, 100:400]), original, way) == found


def test_a_seam_may_be_blurred() -> None:
    original = texture(500, 500, low=60, high=180, blob=25).astype(np.float64)
    original += np.interp(np.arange(500), [96.5, 102.5], [0, 50])
    way = np.array([[1.0, 0, 100], [0, 1, 100], [0, 0, 1]])
    pixels = original.astype(np.uint8)
    assert told(np.ascontiguousarray(pixels[100:400, 100:400]), pixels, way) == PASTED


def test_an_edge_elsewhere_is_no_seam() -> None:
    original = texture(500, 500, low=110, high=140)
    way = np.array([[1.0, 0, 100], [0, 1, 100], [0, 0, 1]])
    for place in (92, 108):  # of the picture's left side at 100
        edged = original.copy()
        edged[:, place:] += np.uint8(40)
        assert told(np.ascontiguousarray(edged[100:400, 100:400]), edged, way) == ""
    busy = texture(500, 500, low=0, high=255)
    busy[:, 100:] = np.maximum(busy[:, 100:], 30)  # small beside the other steps
    assert told(np.ascontiguousarray(busy[100:400, 100:400]), busy, way) == ""


def test_where_the_original_ends_there_is_no_seam() -> None:
    picture = texture()
    assert told(picture, picture) == ""
    original = texture(500, 300, low=110, high=140)
    original[:, 100:] += np.uint8(40)
    part = np.ascontiguousarray(original[:, 100:])
    way = np.array([[1.0, 0, 100], [0, 1, 0], [0, 0, 1]])
    assert told(part, original, way) == PASTED
    beyond = np.ascontiguousarray(original[:, 95:])  # the picture goes on where the original ends
    assert told(part, beyond, np.array([[1.0, 0, 5], [0, 1, 0], [0, 0, 1]])) == ""


def tinted(path: Path, colour: tuple[int, int, int]) -> str:
    Image.fromarray(np.full((40, 50, 3), colour, np.uint8)).save(path)
    return str(path)


def test_colours_are_lost_where_one_is_grey_and_the_other_is_not(tmp_path: Path) -> None:
    grey, tint = tinted(tmp_path / "grey.png", (100, 100, 102)), tinted(tmp_path / "tint.png", (100, 104, 100))
    pale, red = tinted(tmp_path / "pale.png", (100, 100, 111)), tinted(tmp_path / "red.png", (113, 100, 100))
    assert colours_lost(red, grey)
    assert not colours_lost(pale, grey)
    assert not colours_lost(red, tint)
    assert not colours_lost(grey, red)
    at_the_bounds = tinted(tmp_path / "b.png", (100, 103, 100)), tinted(tmp_path / "c.png", (112, 100, 100))
    assert not colours_lost(red, at_the_bounds[0])
    assert not colours_lost(at_the_bounds[1], grey)
    ramp = np.repeat(np.arange(0, 250, 5, dtype=np.uint8)[None, :, None], 40, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    assert colours_lost(red, str(tmp_path / "ramp.png"))  # light and dark are no colours


@pytest.mark.parametrize("kind", ["RAW", "PDF", "PSD"])
def test_some_formats_hold_more_whatever_is_in_them(tmp_path: Path, kind: str) -> None:
    assert holds_more(tinted(tmp_path / "a.png", (1, 2, 3)), kind)


def test_frames_and_pages_are_more_than_one_picture(tmp_path: Path) -> None:
    one, two = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "red")
    for name in ("a.tif", "a.gif", "a.png"):
        one.save(tmp_path / name)
        assert not holds_more(str(tmp_path / name), name[2:].upper())
        one.save(tmp_path / name, save_all=True, append_images=[two])
        assert holds_more(str(tmp_path / name), None)


@pytest.mark.parametrize(("kind", "more"), [("JPEG", True), (None, True), ("HEIF", False), ("AVIF", False)])
def test_what_pillow_cannot_read_is_kept_unless_its_format_is_known(
    tmp_path: Path, kind: str | None, more: bool
) -> None:
    (tmp_path / "a").write_bytes(b"no picture")
    assert holds_more(str(tmp_path / "a"), kind) == more


def test_each_cell_with_structure_says_whether_it_is_the_same() -> None:
    """Three rows of four cells: one blank in one picture, one that shows something else, the rest the same."""
    random = np.random.default_rng(4)
    size = 2 * _SHIFT_PX + 3 * _CELL_PX, 2 * _SHIFT_PX + 4 * _CELL_PX
    one = random.uniform(0, 255, (size[0] // 4 + 1, size[1] // 4 + 1)).repeat(4, 0).repeat(4, 1)[: size[0], : size[1]]
    other, mask = one.copy(), np.ones(size, np.float32)
    other[cell(0, 1)] = 128
    other[cell(2, 2)] = one[cell(0, 0)]
    first, second = (np.asarray(picture, np.float32) for picture in (one, other))
    assert _cells(first, second, mask) == (2, 12)
    mask[cell(0, 1)] = 0
    assert _cells(first, second, mask) == (1, 11)
    assert _cells(first, first, np.ones(size, np.float32)) == (0, 12)


def cell(row: int, column: int) -> tuple[slice, slice]:
    top, left = (_SHIFT_PX + number * _CELL_PX for number in (row, column))
    return slice(top, top + _CELL_PX), slice(left, left + _CELL_PX)
