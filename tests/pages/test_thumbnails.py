from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import ImageError
from featmatch.images.pixels import load_display
from featmatch.pages.thumbnails import embedded


def shown(address: str) -> Image.Image:
    head, content = address.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_picture_is_scaled_down_to_what_is_wanted(
    photos: dict[str, NDArray[np.uint8]], tmp_path: Path, suffix: str
) -> None:
    image = Image.fromarray(photos["coffee"])  # 600 x 400
    image.save(tmp_path / f"a.{suffix}", quality=95)
    small = np.asarray(image.resize((90, 60), Image.Resampling.LANCZOS)).astype(float)
    for pixels in (load_display(tmp_path / f"a.{suffix}", longest_px=90), np.asarray(shown(embedded(image, 90)))):
        assert pixels.shape == (60, 90, 3)
        assert np.abs(pixels - small).mean() < 8  # of JPEG, and its colours at half the size


def test_picture_is_never_scaled_up() -> None:
    assert shown(embedded(np.zeros((7, 9), np.uint8), 90)).size == (9, 7)


def test_large_jpeg_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (1201, 801), "red").save(tmp_path / "a.jpg", exif=exif)
    assert shown(embedded(tmp_path / "a.jpg", 100)).size == (67, 100)


def test_unreadable_picture_says_why(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        embedded(tmp_path / "a.jpg", 100)
