from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, features

from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import load_display, load_grey
from featmatch.images.sources import may_have_pages, page_count
from featmatch.names import page_name
from tests.images.bombs import png_that_says

Pixels = NDArray[np.uint8]


def encoded(image: Image.Image, suffix: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, suffix, **how)
    return file.getvalue()


def grey_of(source: Any) -> Pixels:
    return load_grey(source, longest_px=10_000).pixels


def likeness(a: Pixels, b: Pixels) -> float:
    """Correlation of two grey pictures, brought to one size."""
    first, second = (
        np.asarray(Image.fromarray(picture).resize((64, 48), Image.Resampling.BOX), float).ravel() for picture in (a, b)
    )
    return float(np.corrcoef(first, second)[0, 1])


def refusal(source: Any, max_pixels: int = MAX_PIXELS) -> ImageError:
    with pytest.raises(ImageError) as raised:
        load_grey(source, longest_px=640, decoding=DecodingOptions(max_pixels=max_pixels))
    return raised.value


@pytest.fixture(scope="module")
def photo(photos: dict[str, Pixels]) -> Image.Image:
    return Image.fromarray(photos["chelsea"]).resize((240, 160))


@pytest.fixture(scope="module")
def grey_photo(photo: Image.Image) -> Pixels:
    return np.asarray(photo.convert("L"))


# Formats


def heic(image: Image.Image, **how: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "LA"),
        ("WEBP", "RGB"), ("WEBP", "RGBA"), ("TIFF", "RGB"), ("TIFF", "P"), ("TIFF", "CMYK"), ("TIFF", "LAB"),
        ("BMP", "RGB"), ("BMP", "P"), ("GIF", "P"), ("PPM", "RGB"), ("PPM", "L"), ("JPEG2000", "RGB"),
        ("QOI", "RGB"), ("ICO", "RGBA"), ("MPO", "RGB"), ("DIB", "RGB"),
    ],
)  # fmt: skip
def test_what_pillow_writes_is_read(photo: Image.Image, grey_photo: Pixels, suffix: str, mode: str) -> None:
    from PIL import ImageCms

    if mode == "LAB":
        profiles = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
        image = ImageCms.profileToProfile(photo, profiles[0], profiles[1], outputMode="LAB")
        assert image is not None
    else:
        image = photo.convert(mode)
    content = encoded(image, suffix)
    assert likeness(grey_of(content), grey_photo) > 0.98
    assert likeness(np.asarray(Image.fromarray(load_display(content)).convert("L")), grey_photo) > 0.98


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tiff_compressions(photo: Image.Image, grey_photo: Pixels, compression: str) -> None:
    assert likeness(grey_of(encoded(photo, "TIFF", compression=compression)), grey_photo) > 0.98


def test_big_tiff(photo: Image.Image, grey_photo: Pixels) -> None:
    assert np.array_equal(grey_of(encoded(photo, "TIFF", big_tiff=True)), grey_photo)


def test_heic_with_its_orientation(photo: Image.Image, grey_photo: Pixels) -> None:
    content = heic(photo, quality=90)
    assert likeness(grey_of(content), grey_photo) > 0.98
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = load_display(heic(photo, quality=90, exif=exif.tobytes()))
    assert turned.shape == (240, 160, 3)
    assert likeness(np.asarray(Image.fromarray(turned).convert("L")), np.rot90(grey_photo, -1)) > 0.98


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
def test_avif(photo: Image.Image, grey_photo: Pixels) -> None:
    assert likeness(grey_of(encoded(photo, "AVIF", quality=90)), grey_photo) > 0.98


def test_inks_are_inverted_in_files_of_adobe_only(photo: Image.Image, grey_photo: Pixels) -> None:
    inks = photo.convert("CMYK")
    assert likeness(grey_of(encoded(inks, "JPEG", quality=95)), grey_photo) > 0.98
    content = encoded(ImageChops.invert(inks), "JPEG", quality=95)
    mark = content.index(b"\xff\xee\0\x0eAdobe")  # Pillow always writes it, and always inverts
    content = content[:mark] + content[mark + 16 :]
    assert likeness(grey_of(content), grey_photo) > 0.98
    assert likeness(np.asarray(Image.fromarray(load_display(content)).convert("L")), grey_photo) > 0.98


def dng(rgb: Pixels, orientation: int = 1, preview: bytes = b"") -> bytes:
    """The smallest camera raw file: one uncompressed Bayer mosaic of 16 bits, and maybe a JPEG preview."""
    light = ((rgb / 255.0) ** 2.2 * 16000).astype("<u2")
    height, width = light.shape[:2]
    mosaic = np.empty((height, width), "<u2")
    for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[y::2, x::2] = light[y::2, x::2, channel]

    def ratios(*values: int) -> bytes:
        return b"".join(struct.pack("<ii", value * 10000, 10000) for value in values)

    def short(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}H", *values)

    def long(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}I", *values)

    colours = [
        (50706, 1, bytes([1, 4, 0, 0])), (50708, 2, b"Test\0"), (50721, 10, ratios(1, 0, 0, 0, 1, 0, 0, 0, 1)),
        (50728, 5, ratios(1, 1, 1)), (50778, 3, short(21)),
    ]  # fmt: skip
    sensor = [
        (254, 4, long(0)), (256, 4, long(width)), (257, 4, long(height)), (258, 3, short(16)), (259, 3, short(1)),
        (262, 3, short(32803)), (273, 4, mosaic.tobytes()), (277, 3, short(1)), (278, 4, long(height)),
        (279, 4, long(mosaic.nbytes)), (33421, 3, short(2, 2)), (33422, 1, bytes([0, 1, 1, 2])),
        (50714, 3, short(0)), (50717, 4, long(16000)),
    ]  # fmt: skip
    camera = [(271, 2, b"Test\0"), (272, 2, b"Test\0"), (274, 3, short(orientation))]
    if not preview:
        return b"II*\0" + long(8) + _directory(8, sorted([*sensor, *camera, *colours]))
    size = Image.open(io.BytesIO(preview)).size
    shown = [
        (254, 4, long(1)), (256, 4, long(size[0])), (257, 4, long(size[1])), (258, 3, short(8, 8, 8)),
        (259, 3, short(7)), (262, 3, short(6)), (273, 4, preview), (277, 3, short(3)), (278, 4, long(size[1])),
        (279, 4, long(len(preview))),
    ]  # fmt: skip
    behind = _directory(8, sorted([*shown, *camera, *colours, (330, 4, long(0))]))
    first = _directory(8, sorted([*shown, *camera, *colours, (330, 4, long(8 + len(behind)))]))
    return b"II*\0" + long(8) + first + _directory(8 + len(behind), sorted(sensor))


def _directory(start: int, tags: list[tuple[int, int, bytes]]) -> bytes:
    """A TIFF directory that begins at this place of a file, followed by what does not fit into it."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}
    entries, behind = struct.pack("<H", len(tags)), b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, kind, value in tags:
        count = 1 if tag == 273 else len(value) // sizes[kind]
        place = struct.pack("<I", after + len(behind))
        if len(value) > 4:
            behind += value + b"\0" * (len(value) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + (place if len(value) > 4 else value.ljust(4, b"\0"))
    return entries + struct.pack("<I", 0) + behind


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, -1), (8, 1), (3, 2)])
def test_camera_raw_is_read_at_half_its_size(photos: dict[str, Pixels], orientation: int, turns: int) -> None:
    pytest.importorskip("rawpy")
    rgb = photos["coffee"][:320, :480]
    shown = np.rot90(np.asarray(Image.fromarray(rgb).convert("L")), turns)
    grey = grey_of(dng(rgb, orientation))
    assert grey.shape == (shown.shape[0] // 2, shown.shape[1] // 2)
    assert likeness(grey, shown) > 0.9


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("size", "expected"), [((480, 320), 480), ((240, 160), 240)])
def test_camera_raw_gives_its_preview_where_that_is_of_full_size(
    photos: dict[str, Pixels], size: tuple[int, int], expected: int, orientation: int
) -> None:
    pytest.importorskip("rawpy")
    rgb = photos["coffee"][:320, :480]
    preview = encoded(Image.fromarray(255 - rgb).resize(size), "JPEG", quality=95)  # negative, to tell it from the raw
    content = dng(rgb, orientation, preview)
    grey = grey_of(content)
    assert max(grey.shape) == expected
    assert (grey.shape[0] > grey.shape[1]) == (orientation == 6)
    shown = np.rot90(np.asarray(Image.fromarray(rgb).convert("L")), {1: 0, 6: -1}[orientation])
    assert likeness(grey, shown) * (-1 if expected == 480 else 1) > 0.9
    assert max(load_display(content).shape) == expected


def test_pdf_page_is_drawn_at_its_size(photo: Image.Image, grey_photo: Pixels) -> None:
    pytest.importorskip("pypdfium2")
    content = encoded(photo, "PDF", resolution=72)
    grey = load_grey(content, longest_px=10_000)
    assert (grey.width, grey.height) == pytest.approx((500, 333), abs=1)  # 240 x 160 points, at 150 dots an inch
    assert likeness(grey.pixels, grey_photo) > 0.98
    huge = encoded(photo, "PDF", resolution=0.1)
    assert max(grey_of(huge).shape) == 4000


@pytest.mark.parametrize("suffix", ["PNG", "TIFF", "HEIF", "PDF", "DNG"])
def test_content_decides_not_the_name(photo: Image.Image, grey_photo: Pixels, tmp_path: Path, suffix: str) -> None:
    make: dict[str, Callable[[], bytes]] = {
        "HEIF": lambda: heic(photo),
        "DNG": lambda: dng(np.asarray(photo)),
    }
    if suffix in ("PDF", "DNG"):
        pytest.importorskip({"PDF": "pypdfium2", "DNG": "rawpy"}[suffix])
    path = tmp_path / "photo.jpg"
    path.write_bytes(make.get(suffix, lambda: encoded(photo, suffix))())
    assert likeness(grey_of(path), grey_photo) > 0.9


@pytest.mark.parametrize("suffix", ["GIF", "WEBP", "PNG", "TIFF", "PDF"])
def test_the_first_of_several_is_taken(photos: dict[str, Pixels], suffix: str) -> None:
    first, second = (Image.fromarray(photos[name]).resize((240, 160)) for name in ("coffee", "chelsea"))
    content = encoded(first, suffix, save_all=True, append_images=[second])
    assert likeness(grey_of(content), np.asarray(first.convert("L"))) > 0.97


# What is not installed


@pytest.mark.usefixtures("decoded_here")
@pytest.mark.parametrize(
    ("extra", "content"),
    [
        ("heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("raw", b"FUJIFILMCCD-RAW 0201"),
        ("raw", b"II*\0\x10\0\0\0CR\2\0"),
        ("raw", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"),
        ("pdf", b"%PDF-1.4\n"),
    ],
)
def test_what_is_missing_is_named(extra: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("featmatch.images.formats.importlib.import_module", import_module)
    error = refusal(content)
    assert error.status == "decode_failed"
    assert error.message.endswith(f"pip install featmatch[{extra}]")


@pytest.mark.usefixtures("decoded_here")
def test_avif_is_named_where_pillow_is_built_without_it(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    error = refusal(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf")
    assert (error.status, error.message) == ("decode_failed", "AVIF needs more: pip install featmatch[heif]")


# Bounds


def test_page_of_unknown_programs_is_not_run() -> None:
    assert refusal(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n").status == "decode_failed"


def _tiff(tags: dict[int, int]) -> bytes:
    """A TIFF file of one directory and no pixels."""
    plain = {258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 279: 64}
    entries = [(tag, 4, struct.pack("<I", value)) for tag, value in sorted({**plain, **tags}.items())]
    return b"II*\0" + struct.pack("<I", 8) + _directory(8, entries) + bytes(64)


@pytest.mark.parametrize(
    "content",
    [
        _tiff({256: 1 << 20, 257: 1 << 20}),
        _tiff({256: 16, 257: 16, 322: 1 << 15, 323: 1 << 14, 324: 8, 325: 64}),
        b"P5\n100000 100000\n255\n",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b"," + bytes(4) + b"\1\0\1\0\0\2\2\x44\1\0;",
    ],
    ids=["TIFF", "TIFF tile", "PGM", "BMP", "GIF"],
)
def test_bombs_are_refused_by_their_size(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_decoding(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", no_decoding)
    assert refusal(content).status == "too_large"


def test_bomb_in_an_icon(photo: Image.Image) -> None:
    bomb = png_that_says(20_000, 20_000)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(bomb), 22)
    assert refusal(struct.pack("<HHH", 0, 1, 1) + entry + bomb).status == "too_large"


def test_bomb_of_a_raw_file(photos: dict[str, Pixels]) -> None:
    pytest.importorskip("rawpy")
    assert refusal(dng(photos["coffee"][:128, :128]), 100 * 100).status == "too_large"


def test_bomb_of_a_heic_file(photo: Image.Image) -> None:
    content = heic(photo)
    assert refusal(content, 100 * 100).status == "too_large"


def test_pil_image_is_refused_before_it_is_decoded(photo: Image.Image) -> None:
    with Image.open(io.BytesIO(encoded(photo, "PNG"))) as image:
        assert refusal(image, 100 * 100).status == "too_large"
        assert image.fp is not None  # decoding would have closed it


@pytest.mark.usefixtures("decoded_here")
def test_only_the_first_frame_is_decoded(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(photo, "GIF", save_all=True, append_images=[photo.rotate(turn) for turn in (90, 180, 270)])
    frames = []

    def seek(self: Any, frame: int) -> None:
        frames.append(frame)

    monkeypatch.setattr("PIL.GifImagePlugin.GifImageFile.seek", seek)
    assert grey_of(content).shape == (160, 240)
    assert set(frames) <= {0}


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "I;16", "I", "F"])
def test_grey_is_the_same_in_strips(photo: Image.Image, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = photo.convert("I").convert(mode) if mode == "I;16" else photo.convert(mode)
    whole = grey_of(image)
    monkeypatch.setattr("featmatch.images.pixels._STRIP_PIXELS", 1000)
    assert np.array_equal(grey_of(image), whole)


# Pages


@pytest.fixture
def paged(photos: dict[str, Pixels], tmp_path: Path) -> dict[str, Path]:
    """A TIFF and a PDF file of three pages, and a photo."""
    pages = [Image.fromarray(photos[name]).resize((240, 160)) for name in ("coffee", "chelsea", "rocket")]
    files = {name: tmp_path / f"scan.{name}" for name in ("tif", "pdf", "jpg")}
    pages[0].save(files["tif"], save_all=True, append_images=pages[1:])
    pages[0].save(files["pdf"], save_all=True, append_images=pages[1:], resolution=72)
    pages[0].save(files["jpg"])
    return files


@pytest.mark.parametrize("suffix", ["tif", "pdf"])
def test_each_page_is_read_by_its_name(paged: dict[str, Path], photos: dict[str, Pixels], suffix: str) -> None:
    path = str(paged[suffix])
    assert page_count(path) == 3
    assert may_have_pages(path)
    for page, name in enumerate(("coffee", "chelsea", "rocket"), 1):
        shown = np.asarray(Image.fromarray(photos[name]).convert("L"))
        assert likeness(grey_of(page_name(path, page)), shown) > 0.95
    assert np.array_equal(grey_of(path), grey_of(page_name(path, 1)))
    assert refusal(page_name(path, 4)).status == "not_found"


def test_a_photo_has_one_page(paged: dict[str, Path]) -> None:
    path = str(paged["jpg"])
    assert page_count(path) == 1
    assert not may_have_pages(path)
    assert not may_have_pages(path + ".missing")
    assert np.array_equal(grey_of(page_name(path, 1)), grey_of(path))
    assert refusal(page_name(path, 2)).status == "not_found"


def test_too_many_pages(paged: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.images.sources.MAX_PAGES", 2)
    with pytest.raises(ImageError) as raised:
        page_count(str(paged["tif"]))
    assert raised.value.status == "too_large"
