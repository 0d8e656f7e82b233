from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from featmatch.errors import ImageError, UsageError
from featmatch.images import sources
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.sources import may_have_pages, open_header, open_image, page_count
from featmatch.system import worker_loop

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def png(picture: Any = GREY) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(png())
    return tmp_path / "a.png"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Three pages of one grey each, 10, 20 and 30."""
    first, *others = [Image.new("L", (4, 3), 10 * page) for page in (1, 2, 3)]
    first.save(tmp_path / "scan.tif", save_all=True, append_images=others)
    return tmp_path / "scan.tif"


def error_of(source: Any, max_pixels: int = MAX_PIXELS) -> ImageError:
    with pytest.raises(ImageError) as raised, open_image(source, max_pixels):
        pass
    return raised.value


# Sources


@pytest.mark.parametrize("kind", [str, Path, Path.read_bytes, lambda path: bytearray(path.read_bytes()), Image.open])
def test_all_kinds_of_sources_are_the_same_picture(photo: Path, kind: Any) -> None:
    with contextlib.ExitStack() as stack:
        source = kind(photo)
        if isinstance(source, Image.Image):
            stack.enter_context(source)
        with open_image(source) as image:
            assert np.array_equal(np.asarray(image), GREY)
    with open_image(GREY) as image:
        assert np.array_equal(np.asarray(image), GREY)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 3), (3, 4, 4)])
def test_arrays_that_are_pictures(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for seen in (array, array[::-1], np.asfortranarray(array)):
        with open_image(seen) as image:
            assert np.array_equal(np.asarray(image), seen)


@pytest.mark.parametrize("source", [
    GREY.astype(np.uint16), GREY.astype(bool), GREY[:0], GREY[:, :0], GREY[0], np.zeros((3, 4, 2), np.uint8),
    np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 3, 1), np.uint8), np.uint8(3), 3, None, [1], object(),
])  # fmt: skip
def test_what_is_no_image_is_misuse(source: Any) -> None:
    with pytest.raises(UsageError), open_image(source):
        pass


def test_a_pil_image_of_the_caller_is_not_changed(photo: Path) -> None:
    with Image.open(photo) as given, open_image(given) as image:
        image.paste(99, (0, 0, 4, 3))
        assert np.array_equal(np.asarray(given), GREY)


def test_files_are_closed_again(photo: Path) -> None:
    with open_image(photo) as image:
        file: Any = image.fp  # type: ignore[attr-defined]
        assert not file.closed
    assert file.closed
    Image.open(photo).save(photo, "BMP")
    with open_header(str(photo)) as (_, header, _):
        file = header.fp  # type: ignore[union-attr]
        assert not file.closed
    assert file.closed


def test_each_page_by_its_name(scan: Path) -> None:
    for name, grey in ((scan, 10), (f"{scan}#page=1", 10), (f"{scan}#page=2", 20), (Path(f"{scan}#page=3"), 30)):
        with open_image(name) as image:
            assert image.getpixel((0, 0)) == grey
    with open_image(scan.read_bytes()) as image:
        assert image.getpixel((0, 0)) == 10
    error = error_of(f"{scan}#page=4")
    assert (error.status, error.message, error.name) == ("not_found", "has no page 4", f"{scan}#page=4")


def test_an_animation_is_its_first_frame_that_shows_something() -> None:
    file, shown = io.BytesIO(), Image.new("L", (40, 30), 200)
    shown.paste(0, (0, 0, 20, 30))
    Image.new("L", (40, 30), 9).save(file, "GIF", save_all=True, append_images=[shown])
    with open_image(file.getvalue()) as image:
        assert image.convert("L").getpixel((0, 0)) == 0


# Bounds


@pytest.mark.parametrize("kind", [str, Path.read_bytes, lambda path: np.array(Image.open(path)), Image.open])
def test_a_picture_may_have_as_many_pixels_as_are_allowed(photo: Path, kind: Any) -> None:
    with contextlib.ExitStack() as stack:
        source = kind(photo)
        if isinstance(source, Image.Image):
            stack.enter_context(source)
        with open_image(source, 12) as image:
            assert image.size == (4, 3)
        error = error_of(source, 11)
    assert (error.status, error.message) == ("too_large", "4 x 3 pixels; 11 at most (max-pixels)")


@pytest.mark.parametrize(("max_pixels", "bound"), [(10, MAX_PIXELS // 2), (4 * MAX_PIXELS, 2 * MAX_PIXELS)])
def test_only_a_worker_changes_the_bound_of_pillow(
    photo: Path, monkeypatch: pytest.MonkeyPatch, max_pixels: int, bound: int
) -> None:
    monkeypatch.setattr(worker_loop, "_at_work", threading.Event())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7_000_000)
    for at_work, expected in ((False, 7_000_000), (True, bound)):
        if at_work:
            worker_loop.be_at_work()
        with contextlib.suppress(ImageError), open_image(photo, max_pixels):
            pass
        assert expected == Image.MAX_IMAGE_PIXELS


# Errors


def test_a_path_that_leads_to_no_file(tmp_path: Path, photo: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, status, message in (
        (tmp_path / "nothing", "not_found", "no such file"), (photo / "below", "not_found", "no such file"),
        (tmp_path, "decode_failed", "is a folder"), (tmp_path / "pipe", "decode_failed", "not a regular file"),
    ):  # fmt: skip
        error = error_of(path)
        assert (error.status, error.message, error.name) == (status, message, str(path))


def test_what_decoders_raise_is_an_image_error(photo: Path) -> None:
    bomb, unknown = Image.DecompressionBombError("large"), UnidentifiedImageError("what is it")
    for raised, status, message in (
        (bomb, "too_large", "more than 50 pixels (max-pixels)"),
        (unknown, "decode_failed", "not an image, or of an unknown format"),
        (SyntaxError("broken"), "decode_failed", "SyntaxError: broken"),
        (OSError("short"), "decode_failed", "OSError: short"),
    ):
        with pytest.raises(ImageError) as caught, open_image(photo, 50):
            raise raised
        assert (caught.value.status, caught.value.message, caught.value.name) == (status, message, str(photo))
        assert caught.value.__cause__ is raised


@pytest.mark.parametrize("error", [MemoryError(), UsageError("misuse"), ImageError("too_large", "x", "y")])
def test_what_has_a_meaning_of_its_own_passes(photo: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, open_image(photo):
        raise error
    assert raised.value is error


def test_warnings_of_decoders_are_not_heard(photo: Path) -> None:
    with open_image(photo):
        warnings.warn("odd metadata", stacklevel=1)


# Headers


def test_a_header_has_the_format_and_what_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    for suffix, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tif", "TIFF")):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(GREY).save(path, exif=exif)
        with open_header(str(path)) as (name, image, found):
            assert image is not None
            assert (name, image.size, found[271]) == (kind, (4, 3), "Maker")


def test_files_that_only_other_decoders_read_are_not_opened_for_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "open_format", None)
    exif = Image.Exif()
    exif[271], exif[50706] = "Maker", b"\1\4\0\0"
    for name, content, kind, maker in (
        ("a.dng", exif.tobytes()[6:], "RAW", "Maker"), ("a.raf", b"FUJIFILMCCD-RAW", "RAW", None),
        ("a.pdf", b"%PDF-1.7", "PDF", None),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with open_header(str(tmp_path / name)) as (found, image, tags):
            assert (found, image, tags.get(271)) == (kind, None, maker)


def test_a_header_of_a_page(scan: Path) -> None:
    with open_header(f"{scan}#page=2") as (name, image, _):
        assert image is not None
        assert (name, image.getpixel((0, 0))) == ("TIFF", 20)
    with open_header(str(scan)) as (_, image, _):
        assert image is not None
        assert image.getpixel((0, 0)) == 10
    with pytest.raises(ImageError, match="no such file"), open_header(f"{scan}.nothing"):
        pass


# Pages


def test_pages_are_counted(scan: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (page_count(str(scan)), page_count(str(photo))) == (3, 1)
    monkeypatch.setattr(sources, "MAX_PAGES", 3)
    assert page_count(str(scan)) == 3
    monkeypatch.setattr(sources, "MAX_PAGES", 2)
    with pytest.raises(ImageError) as raised:
        page_count(str(scan))
    error = raised.value
    assert (error.status, error.message, error.name) == ("too_large", "3 pages; 2 at most", str(scan))


def test_a_file_has_one_page_at_least(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "count_pages", lambda file: 0)
    assert page_count(str(photo)) == 1


def test_files_that_may_have_pages(scan: Path, photo: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = (scan, photo, tmp_path / "nothing", tmp_path, tmp_path / "pipe")
    assert [may_have_pages(str(path)) for path in paths] == [True, False, False, False, False]


def test_a_file_that_may_not_be_read_has_no_pages(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str) -> Iterator[Any]:
        raise PermissionError(path)

    monkeypatch.setattr(sources, "_open_file", refused)
    assert not may_have_pages(str(scan))
