from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import ImageError, UsageError
from featmatch.images import pixels as pixels_module
from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import GreyImage, load_display, load_grey
from tests.images.bombs import png_that_says

ORIENTATION = 0x0112
# What a viewer does to the stored pixels: the definition of the EXIF tag, in NumPy.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
WHOLE = 10_000


def ramp(height: int = 24, width: int = 40) -> NDArray[np.uint8]:
    """Grey from 0 to 255, every pixel of another value than its neighbours, and no symmetry."""
    y, x = np.mgrid[:height, :width]
    picture = np.asarray((3 * x + 5 * y) % 256, np.uint8)
    picture[-1, -1] = 255
    return picture


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """RGB that survives JPEG."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=2).astype(np.uint8)


def dots(height: int, width: int, places: list[tuple[float, float]], radius: float) -> NDArray[np.uint8]:
    """Bright Gaussian dots with their centres at x, y, px."""
    y, x = np.mgrid[:height, :width]
    light = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * radius**2)) for cx, cy in places)
    return np.asarray(np.rint(255 * np.clip(light, 0, 1)), np.uint8)


def centre_of_light(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """x, y of the only dot."""
    y, x = np.indices(pixels.shape)
    weight = np.where(pixels > 8, pixels, 0).astype(float)
    return np.array([[(x * weight).sum(), (y * weight).sum()]], np.float32) / np.float32(weight.sum())


def encoded(image: Image.Image, suffix: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, suffix, **how)
    return file.getvalue()


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def grey_of(source: Any) -> NDArray[np.uint8]:
    return load_grey(source, longest_px=WHOLE).pixels


def status_of(source: Any) -> str:
    with pytest.raises(ImageError) as raised:
        load_grey(source, longest_px=640)
    with pytest.raises(ImageError) as raised_by_display:
        load_display(source)
    assert raised.value.status == raised_by_display.value.status
    assert str(raised.value)
    return raised.value.status


# Sources


def test_path_string_bytes_array_and_pil_image_are_the_same_picture(tmp_path: Path) -> None:
    picture = ramp()
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    sources: list[Any] = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), picture]
    for source in [*sources, Image.fromarray(picture)]:
        grey = load_grey(source, longest_px=WHOLE)
        assert np.array_equal(grey.pixels, picture)
        assert (grey.width, grey.height, grey.scale_x, grey.scale_y) == (40, 24, 1.0, 1.0)
        assert np.array_equal(load_display(source), np.repeat(picture[..., None], 3, axis=2))


def test_colour_array_is_rgb() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 0] = 200
    assert np.array_equal(load_display(picture), picture)
    assert np.all(grey_of(picture) == round(0.299 * 200))


def test_fourth_channel_of_an_array_is_opacity() -> None:
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[..., :3] = 250
    picture[0, :, 3] = 255
    grey = grey_of(picture)
    assert np.all(grey[0] == 250)
    assert np.all(np.abs(grey[1].astype(int) - 128) <= 1)


def test_array_that_is_a_strided_view_is_read_as_seen() -> None:
    picture = np.repeat(ramp()[..., None], 3, axis=2)
    assert np.array_equal(grey_of(picture[::-1, ::2]), ramp()[::-1, ::2])


def test_result_is_no_view_of_the_array() -> None:
    picture = ramp()
    before = picture.copy()
    grey = load_grey(picture, longest_px=WHOLE).pixels
    grey[:] = 0
    load_display(picture)[:] = 0
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "I;16"])
def test_callers_pil_image_stays_as_it_is(mode: str) -> None:
    image = Image.fromarray(ramp()).convert("I").convert("I;16") if mode == "I;16" else Image.new(mode, (40, 24))
    image.info["comment"] = "mine"
    before = image.copy()
    load_grey(image, longest_px=16)
    load_display(image)
    assert (image.mode, image.size, image.info) == (before.mode, before.size, before.info)
    assert image.tobytes() == before.tobytes()


def test_callers_open_jpeg_is_neither_closed_nor_reduced(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(400, 640)).save(path)
    with Image.open(path) as image:
        small = load_grey(image, longest_px=64)
        assert max(small.pixels.shape) == 64
        assert image.size == (640, 400)
        assert np.array_equal(np.asarray(image), load_display(path))


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4), bool),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        None,
        7,
        ["a.jpg"],
    ],
    ids=lambda source: f"{source.dtype}{source.shape}" if isinstance(source, np.ndarray) else repr(source),
)
def test_what_is_no_image_by_type_or_shape_is_misuse(source: Any) -> None:
    with pytest.raises(UsageError):
        load_grey(source, longest_px=640)
    with pytest.raises(UsageError):
        load_display(source)


@pytest.mark.parametrize("name", ["with space.png", 'it\'s "so".png', "two\nlines.png", "日本語の写真.png", "-x.png"])
def test_names_of_any_characters(tmp_path: Path, name: str) -> None:
    Image.fromarray(ramp()).save(tmp_path / name)
    assert np.array_equal(grey_of(tmp_path / name), ramp())


def test_name_that_is_no_unicode(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        with open(path, "wb") as file:
            file.write(encoded(Image.fromarray(ramp()), "PNG"))
    except OSError:
        pytest.skip("this file system has Unicode names only")
    assert np.array_equal(grey_of(os.fsdecode(path)), ramp())


# EXIF orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_picture_is_turned_as_a_viewer_shows_it(suffix: str, orientation: int) -> None:
    stored = smooth(24, 40)
    how: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    content = encoded(Image.fromarray(stored), suffix, exif=with_orientation(orientation), **how.get(suffix, {}))
    shown = UPRIGHT[orientation](stored).astype(int)
    displayed = load_display(content)
    assert displayed.shape == shown.shape
    assert np.abs(displayed - shown).max() <= 6
    grey = load_grey(content, longest_px=WHOLE)
    assert (grey.height, grey.width) == grey.pixels.shape == shown.shape[:2]
    assert np.abs(grey.pixels - shown @ [0.299, 0.587, 0.114]).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "TIFF"])
def test_open_pil_image_is_turned_like_its_file(suffix: str, orientation: int) -> None:
    content = encoded(Image.fromarray(smooth(24, 40)), suffix, exif=with_orientation(orientation))
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(load_grey(image, longest_px=WHOLE).pixels, grey_of(content))
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(load_display(image), load_display(content))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    content = encoded(Image.fromarray(ramp()), "PNG", exif=with_orientation(value))
    assert np.array_equal(grey_of(content), ramp())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_no_reason_to_refuse() -> None:
    content = encoded(Image.fromarray(smooth(24, 40)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert grey_of(content).shape == (24, 40)


# Working size and coordinates


@pytest.mark.parametrize(
    ("size", "longest_px", "shortest_px", "expected"),
    [
        ((100, 60), 200, 0, (100, 60)),
        ((100, 60), 50, 0, (50, 30)),
        ((60, 100), 50, 0, (30, 50)),
        ((100, 60), 400, 200, (200, 120)),
        ((100, 60), 400, 80, (100, 60)),
        ((101, 67), 50, 0, (50, 33)),
        ((1000, 1), 100, 0, (100, 1)),
        ((1, 1), 100, 100, (100, 100)),
    ],
)
def test_working_size(size: tuple[int, int], longest_px: int, shortest_px: int, expected: tuple[int, int]) -> None:
    picture = np.full((size[1], size[0]), 77, np.uint8)
    grey = load_grey(picture, longest_px=longest_px, shortest_px=shortest_px)
    assert grey.pixels.shape == expected[::-1]
    assert grey.pixels.dtype == np.uint8
    assert np.all(grey.pixels == 77)
    assert (grey.width, grey.height) == size
    assert grey.scale_x == pytest.approx(size[0] / expected[0])
    assert grey.scale_y == pytest.approx(size[1] / expected[1])


def test_corners_of_the_working_picture_are_corners_of_the_original() -> None:
    grey = GreyImage(np.zeros((30, 50), np.uint8), 100, 90, 2.0, 3.0)
    corners = np.array([[-0.5, -0.5], [49.5, 29.5], [0, 0]], np.float32)
    mapped = grey.to_original(corners)
    assert mapped.dtype == np.float32
    assert mapped.tolist() == [[-0.5, -0.5], [99.5, 89.5], [0.5, 1.0]]
    assert grey.to_original(np.empty((0, 2), np.float32)).shape == (0, 2)


@pytest.mark.parametrize("size", [(600, 400), (601, 399), (397, 611)])
@pytest.mark.parametrize(("longest_px", "shortest_px"), [(WHOLE, 0), (300, 0), (127, 0), (WHOLE, 901)])
def test_dot_is_found_where_it_was(size: tuple[int, int], longest_px: int, shortest_px: int) -> None:
    place = (0.7 * size[0], 0.3 * size[1])
    picture = dots(size[1], size[0], [place], radius=12)
    grey = load_grey(picture, longest_px=longest_px, shortest_px=shortest_px)
    found = grey.to_original(centre_of_light(grey.pixels))
    assert found[0] == pytest.approx(place, abs=0.15)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1600, 1200), (1603, 1197)])
def test_dot_is_found_in_a_jpeg_decoded_at_reduced_size(size: tuple[int, int], orientation: int) -> None:
    shown_size = size if orientation < 5 else size[::-1]
    place = (0.7 * shown_size[0], 0.3 * shown_size[1])
    shown = dots(shown_size[1], shown_size[0], [place], radius=40)
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = np.ascontiguousarray(UPRIGHT[inverse](shown))
    assert stored.shape == (size[1], size[0])
    content = encoded(Image.fromarray(stored), "JPEG", quality=95, exif=with_orientation(orientation))
    grey = load_grey(content, longest_px=190)
    assert max(grey.pixels.shape) == 190
    assert (grey.width, grey.height) == shown_size
    assert grey.to_original(centre_of_light(grey.pixels))[0] == pytest.approx(place, abs=0.6)


# Kinds of pixels


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_brought_to_eight(suffix: str) -> None:
    picture = ramp()
    deep = picture.astype(np.uint16) * 257
    content = encoded(Image.fromarray(deep), suffix)
    assert np.array_equal(grey_of(content), picture)
    assert np.array_equal(load_display(content)[..., 1], picture)


def test_dim_sixteen_bits_keep_their_detail() -> None:
    deep = ramp().astype(np.uint16) * 16  # twelve bits of a camera or scanner
    assert np.array_equal(grey_of(encoded(Image.fromarray(deep), "PNG")), ramp())


def test_palette() -> None:
    image = Image.fromarray(smooth(24, 40)).quantize(32)
    expected = np.asarray(image.convert("RGB"))
    content = encoded(image, "PNG")
    assert np.array_equal(load_display(content), expected)
    assert np.array_equal(grey_of(content), np.asarray(image.convert("RGB").convert("L")))


def test_one_bit_is_black_and_white() -> None:
    picture = ramp() > 100
    content = encoded(Image.fromarray(picture), "PNG")
    assert np.array_equal(grey_of(content), picture * np.uint8(255))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_are_grey_whatever_colour_they_hide(mode: str) -> None:
    opaque = np.zeros((24, 40), np.uint8)
    opaque[:, :20] = 255
    image = Image.fromarray(ramp()).convert(mode)
    image.putalpha(Image.fromarray(opaque))
    grey = grey_of(encoded(image, "PNG"))
    assert np.array_equal(grey[:, :20], ramp()[:, :20])
    assert len(np.unique(grey[:, 20:])) == 1
    assert np.array_equal(load_display(image)[..., 0], grey)


def test_transparent_palette_entry_is_grey() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 255, 255, 10, 10, 10])
    image.paste(0, (0, 0, 4, 8))
    grey = grey_of(encoded(image, "PNG", transparency=0))
    assert np.all(np.abs(grey[:, :4].astype(int) - 128) <= 1)
    assert np.all(grey[:, 4:] == 10)


def test_cmyk_jpeg() -> None:
    content = encoded(Image.fromarray(smooth(24, 40)).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert np.abs(load_display(content).astype(int) - smooth(24, 40)).max() <= 8
    assert np.abs(grey_of(content) - smooth(24, 40) @ [0.299, 0.587, 0.114]).max() <= 8


def test_cmyk_jpeg_decoded_at_reduced_size() -> None:
    content = encoded(Image.fromarray(smooth(480, 640)).convert("CMYK"), "JPEG", quality=95)
    reduced = load_grey(content, longest_px=80).pixels
    expected = smooth(60, 80) @ [0.299, 0.587, 0.114]
    assert np.abs(reduced - expected).max() <= 8


def test_first_frame_of_an_animation() -> None:
    first, second = (Image.fromarray(picture).quantize(256) for picture in (ramp(), ramp()[::-1]))
    content = encoded(first, "GIF", save_all=True, append_images=[second], duration=100)
    assert np.abs(grey_of(content).astype(int) - ramp()).max() <= 4


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 1e6)])
def test_float_pixels_span_the_grey_range(low: float, high: float) -> None:
    values = (low + (high - low) * ramp().astype(np.float32) / 255).astype(np.float32)
    grey = grey_of(encoded(Image.fromarray(values), "TIFF"))
    assert np.abs(grey.astype(int) - ramp()).max() <= 2


def test_float_pixels_without_a_range_or_without_numbers() -> None:
    values = np.full((24, 40), 3.5, np.float32)
    assert len(np.unique(grey_of(encoded(Image.fromarray(values), "TIFF")))) == 1
    values[0], values[1], values[2] = np.nan, np.inf, -np.inf
    assert grey_of(encoded(Image.fromarray(values), "TIFF")).shape == (24, 40)


# What cannot be read


def test_misnamed_file_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(Image.fromarray(ramp()), "PNG"))
    assert np.array_equal(grey_of(path), ramp())


def test_missing_file_is_not_found(tmp_path: Path) -> None:
    assert status_of(tmp_path / "none.jpg") == "not_found"
    assert status_of(str(tmp_path / "none.jpg")) == "not_found"


def test_path_below_a_file_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert status_of(tmp_path / "a" / "b.jpg") == "not_found"


def test_broken_link_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert status_of(tmp_path / "a.jpg") == "not_found"


@pytest.mark.parametrize("content", [b"", b"\0", b"just some text\n" * 50, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image_fails_to_decode(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert status_of(path) == "decode_failed"
    assert status_of(content) == "decode_failed"


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "JPEG2000"])
def test_truncated_file_whose_rows_are_not_known_fails_to_decode(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    content = encoded(Image.fromarray(noise), suffix)
    path = tmp_path / "a.jpg"
    path.write_bytes(content[: len(content) // 2])
    assert status_of(path) == "decode_failed"


def test_folder_fails_to_decode(tmp_path: Path) -> None:
    assert status_of(tmp_path) == "decode_failed"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert status_of(tmp_path / "a.jpg") == "decode_failed"


def test_path_with_a_null_character_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        load_grey("a\0b.jpg", longest_px=640)


@pytest.mark.usefixtures("decoded_here")
def test_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_that_says(20_000, 20_000))

    def no_decoding(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_decoding)
    assert status_of(path) == "too_large"
    assert status_of(path.read_bytes()) == "too_large"


def test_picture_a_little_above_pillows_warning_is_read_without_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (179_000, 500)).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_grey(path, longest_px=1790).pixels.shape == (5, 1790)


def test_image_error_survives_pickling() -> None:
    import pickle

    copy = pickle.loads(pickle.dumps(ImageError("too_large", "big")))
    assert (copy.status, copy.message, str(copy)) == ("too_large", "big", "big")


@pytest.mark.parametrize("longest_px", [20, 60, 200])
def test_large_pictures_are_resized_where_they_are_decoded_to_the_same_pixels(
    longest_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(Image.fromarray(smooth(90, 120)).convert("RGB"), "JPEG")
    options: Any = (longest_px, 0, True, DecodingOptions())
    apart, grey = pixels_module._decode_grey(content, *options), load_grey(content, longest_px=longest_px, colours=True)
    assert isinstance(
        apart, pixels_module._Decoded
    )  # little is sent between processes, and OpenCV is not loaded for it
    monkeypatch.setattr(pixels_module, "_LARGE_PIXELS", apart.grey.width * apart.grey.height)
    assert isinstance(pixels_module._decode_grey(content, *options), pixels_module._Decoded)
    monkeypatch.setattr(pixels_module, "_LARGE_PIXELS", apart.grey.width * apart.grey.height - 1)
    whole = pixels_module._decode_grey(content, *options)
    assert isinstance(whole, GreyImage)
    for field, value in vars(grey).items():
        assert np.array_equal(getattr(whole, field), value), field


def test_a_picture_to_be_shown_is_decoded_at_twice_its_size_or_a_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.fromarray(smooth(600, 800)).convert("RGB"), "JPEG")
    sizes: list[tuple[int, int]] = []

    def load(image: Image.Image) -> bool:
        image.load()
        sizes.append(image.size)
        return False

    monkeypatch.setattr(pixels_module, "load", load)
    bounds = (100, 300, 800, None)
    shown = [pixels_module._decode_display(content, longest_px, DecodingOptions()) for longest_px in bounds]
    assert [picture.shape for picture in shown] == [(75, 100, 3), (225, 300, 3), (600, 800, 3), (600, 800, 3)]
    assert sizes == [(400, 300), (800, 600), (800, 600), (800, 600)]
