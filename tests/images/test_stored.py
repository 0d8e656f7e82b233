"""The small grey picture that an index keeps of an image."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.geometry.maps import project
from featmatch.images import stored
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.images.stored import (
    FINER_PX,
    FINER_STEP,
    LONGEST_PX,
    NO_PICTURE,
    STEP,
    packed_picture,
    read_head,
    restored_picture,
    stored_picture,
)


def grey_of(pixels: NDArray[np.uint8], width: int, height: int) -> GreyImage:
    return GreyImage(pixels, width, height, width / pixels.shape[1], height / pixels.shape[0])


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    """Brighter to the right, and a little downwards."""
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(200 * columns // width + 50 * rows // height, np.uint8)


def rough(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(256, size=(height, width), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((600, 800), (192, 256)),
        ((800, 600), (256, 192)),
        ((256, 3), (256, 3)),
        ((100, 2000), (13, 256)),
        ((1, 3000), (1, 256)),
        ((40, 30), (40, 30)),
    ],
)
def test_the_longer_side_is_reduced_and_small_pictures_keep_their_size(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    packed = packed_picture(grey_of(ramp(*shape), 2 * shape[1], 2 * shape[0]), 256, 24)
    assert read_head(packed) == (expected[::-1], 24)
    restored = restored_picture(packed, 2 * shape[1], 2 * shape[0])
    assert restored.pixels.shape == expected
    assert (restored.width, restored.height) == (2 * shape[1], 2 * shape[0])
    whole = ramp(*expected).astype(int)
    assert np.abs(restored.pixels - whole).max() <= 16 or min(shape) < 9


def test_its_px_lie_where_those_of_the_original_do() -> None:
    restored = restored_picture(stored_picture(grey_of(ramp(600, 800), 1600, 1200)), 1600, 1200)
    assert restored.is_stored
    corners = project(restored.original_from_working, np.array([[-0.5, -0.5], [511.5, 383.5]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [1599.5, 1199.5]])


def test_what_a_working_picture_shows_beyond_the_original_is_left_out() -> None:
    # 100 x 80 px of the original lie from px 3 and 2 on; what is around them is white.
    pixels = np.full((84, 105), 255, np.uint8)
    pixels[2:82, 3:103] = ramp(80, 100)
    grey = GreyImage(pixels, 200, 160, 2.0, 2.0, -6.0, -4.0)
    np.testing.assert_array_equal(stored_picture(grey), stored_picture(grey_of(ramp(80, 100), 200, 160)))


def test_a_reduced_jpeg_that_was_turned_is_shown_whole(tmp_path: Path) -> None:
    picture = Image.fromarray(ramp(1203, 1609))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    grey = load_grey(tmp_path / "a.jpg", longest_px=200)
    restored = restored_picture(stored_picture(grey), grey.width, grey.height)
    height, width = restored.pixels.shape
    assert abs(height - 200) <= 1
    assert abs(width - 150) <= 1
    assert np.abs(restored.pixels.T[::-1] - ramp(width, height).astype(int)).max() < 12


def test_size_and_step_can_be_chosen() -> None:
    grey = grey_of(rough(300, 400), 400, 300)
    lengths = [len(packed_picture(grey, side, step)) for side, step in ((128, 60), (128, 20), (300, 20))]
    assert lengths == sorted(lengths)
    assert read_head(packed_picture(grey, 300, 20)) == ((300, 225), 20)


def test_pictures_are_finer_where_that_takes_few_bytes() -> None:
    for pixels, expected in (
        (ramp(600, 800), ((FINER_PX, 384), FINER_STEP)),
        (rough(600, 800), ((LONGEST_PX, 192), STEP)),
    ):
        kept = stored_picture(grey_of(pixels, 800, 600))
        assert read_head(kept) == expected
        assert kept.tobytes() == packed_picture(grey_of(pixels, 800, 600), expected[0][0], expected[1]).tobytes()


def test_the_bound_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = grey_of(ramp(600, 800), 800, 600)
    length = len(packed_picture(grey, FINER_PX, FINER_STEP))
    for most, expected in ((length, FINER_PX), (length - 1, LONGEST_PX)):
        monkeypatch.setattr(stored, "FINER_BYTES", most)
        assert read_head(stored_picture(grey))[0][0] == expected


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has 0 bytes"),
        (bytes([9, 0, 9, 0]), "has 4 bytes"),
        (struct.pack("<HHB", 0, 9, 24), "0 x 9 px"),
        (struct.pack("<HHB", 9, 0, 24), "9 x 0 px"),
        (struct.pack("<HHB", 1025, 9, 24), "1025 x 9 px"),
        (struct.pack("<HHB", 9, 1025, 24), "9 x 1025 px"),
        (struct.pack("<HHB", 9, 9, 0), "9 x 9 px in steps of 0"),
    ],
)
def test_bytes_that_no_picture_begins_with_are_refused(content: bytes, told: str) -> None:
    for use in (read_head, lambda given: restored_picture(given, 90, 90)):
        with pytest.raises(ValueError, match=told):
            use(np.frombuffer(content, np.uint8))


def test_a_head_alone_is_a_picture() -> None:
    pixels = restored_picture(np.frombuffer(struct.pack("<HHB", 1024, 1024, 255), np.uint8), 5, 5).pixels
    assert pixels.shape == (1024, 1024)
    assert len(NO_PICTURE) == 0
