from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from featmatch.images import rasters
from featmatch.images.pixels import load_grey
from featmatch.images.rasters import narrowed

HOLE = np.s_[5:15, 20:40]
NO_DATA_TAG = 42113


def heights(dtype: Any = np.float32) -> NDArray[Any]:
    y, x = np.mgrid[:30, :50]
    values: NDArray[Any] = (100 + 10 * x + y).astype(dtype)
    return values


def tiff(values: NDArray[Any], no_data: str | None = None) -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if no_data is not None:
        tags[NO_DATA_TAG] = no_data
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", tiffinfo=tags)
    return file.getvalue()


def pixels(content: bytes) -> NDArray[np.uint8]:
    return load_grey(content, longest_px=100).pixels


def with_hole(values: NDArray[Any], filled: float) -> NDArray[Any]:
    values = values.copy()
    values[HOLE] = filled
    return values


@pytest.mark.parametrize(
    "filled", [-9999, -99999, -32767, -32768, -3.4028234663852886e38, 1e38, np.nan, np.inf, -np.inf]
)
def test_floats_are_scaled_by_what_is_data(filled: float) -> None:
    plain, holed = pixels(tiff(heights())), pixels(tiff(with_hole(heights(), filled)))
    assert (holed[HOLE] == 128).all()
    outside = np.ones(plain.shape, bool)
    outside[HOLE] = False
    assert np.array_equal(holed[outside], plain[outside])


@pytest.mark.parametrize("filled", [-500, 0, 9000])
def test_what_the_file_names_is_no_data(filled: float) -> None:
    holed = pixels(tiff(with_hole(heights(), filled), f"{filled}\0"))
    assert (holed[HOLE] == 128).all()
    assert (holed[0, 0], holed[-1, -1]) == (0, 255)


def test_low_values_that_belong_to_the_data_are_data() -> None:
    deep = np.linspace(-9999, 8000, 1500, dtype=np.float32).reshape(30, 50)
    assert (pixels(tiff(deep))[0, 0], pixels(tiff(deep))[-1, -1]) == (0, 255)


@pytest.mark.parametrize(("dtype", "filled"), [(np.uint16, 65535), (np.int32, -9999), (np.int32, 1 << 30)])
def test_whole_numbers_are_shifted_by_what_is_data(dtype: Any, filled: int) -> None:
    plain = pixels(tiff(heights(dtype)))
    holed = pixels(tiff(with_hole(heights(dtype), filled), str(filled)))
    assert (holed[HOLE] == 128).all()
    assert np.array_equal(holed[-1], plain[-1])


def test_eight_bits_have_no_data_too() -> None:
    values = (heights() / 4).astype(np.uint8)
    holed = pixels(tiff(with_hole(values, 255), "255"))
    assert (holed[HOLE] == 128).all()
    assert np.array_equal(holed[-1], values[-1])


@pytest.mark.parametrize("no_data", ["nan", "none", "", "1e400", "-9999.0 "])
def test_odd_words_for_no_data_do_no_harm(no_data: str, tmp_path: Path) -> None:
    assert pixels(tiff(heights(), no_data))[-1, -1] == 255
    assert pixels(tiff(heights(np.uint16), no_data))[-1, -1] == heights()[-1, -1] // 4


def test_nothing_but_no_data_is_flat() -> None:
    assert np.unique(pixels(tiff(np.full((30, 50), np.nan, np.float32)))).tolist() == [128]


def test_what_is_no_number_is_no_data_beside_what_the_file_names() -> None:
    values = with_hole(heights(), -500)
    values[0, :3], values[0, 3:5] = np.nan, 1e38
    holed = pixels(tiff(values, "-500"))
    assert (holed[HOLE] == 128).all()
    assert (holed[0, :5] == 128).all()
    assert (holed[1, 0], holed[-1, -1]) == (0, 255)


def test_a_narrow_range_of_floats_spans_all_greys() -> None:
    narrow = pixels(tiff(heights() * np.float32(1e-11)))
    assert (narrow.min(), narrow.max()) == (0, 255)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("filled", [-9999, -500])
def test_strips_change_nothing(dtype: Any, filled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = with_hole(heights(dtype), filled)
    values[::-1].sort(axis=0)  # the brightest pixels are not in the last strip
    image = Image.fromarray(values)
    image.info["no_data"] = -500.0 if filled == -500 else None
    whole = np.asarray(narrowed(image))
    for strip_pixels in (1, 50, 400, 1499):
        monkeypatch.setattr(rasters, "_STRIP_PIXELS", strip_pixels)
        assert np.array_equal(np.asarray(narrowed(image)), whole)


@pytest.mark.parametrize(("filled", "stated"), [(-500, None), (-9999, "-1")])
def test_a_low_value_apart_from_all_else_is_data_if_it_is_no_mark(filled: float, stated: str | None) -> None:
    holed = pixels(tiff(with_hole(heights(), filled), stated))
    assert (holed[HOLE] == 0).all()
    assert 0 < holed[0, 0] < holed[-1, -1] == 255
