"""A file of any format -> a PIL image, within bounds and where possible not decoded yet.

The content decides the format, not the name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import threading
from typing import IO, Any

from PIL import Image, TiffImagePlugin

from featmatch.errors import ImageError
from featmatch.images.kinds import kind_of
from featmatch.system.worker_loop import limit_memory

# Above this Pillow itself refuses to decode (a "decompression bomb"); all other decoders are held to the same bound.
MAX_PIXELS = 2 * 89_478_485

# The formats of Pillow that pictures come in and that are recognised by their first bytes; the first five are always
# loaded.
_PILLOW_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "PSD", "QOI", "ICO", "ICNS", "DIB")

_ORIENTATION, _TILE_WIDTH, _TILE_LENGTH, _NO_DATA = 274, 322, 323, 42113  # tags of TIFF
_ORIENTATION_OF_FLIP = {3: 3, 5: 8, 6: 6}  # LibRaw's way to say it -> EXIF's
_FULL_SIZE = 0.9  # of a raw file's sides: cameras cut a few rows off their previews

_PDF_DPI = 150.0  # a page of A4 gets 1240 x 1754 pixels, near the working size of large pictures
_PDF_LONGEST_PX = 4000
_PDF_MEMORY_BYTES = 1 << 30  # a page is 64 MB at most; one drawn of others, again and again, wants all there is
_pdfium_lock = threading.Lock()  # pdfium is not for several threads at once


def open_format(file: IO[bytes], page: int, max_pixels: int) -> Image.Image:
    """Open a file by the decoder that its content asks for.

    Args:
        file: at its start; it stays open as long as the image.
        page: of a TIFF or PDF file, from 1.
        max_pixels: a picture that says it is larger is refused.

    Raises:
        ImageError: it has no such page, is too large, or needs a package that is not installed.
        Exception: what decoders raise for damaged files.
    """
    kind = kind_of(file)
    if page > 1 and kind not in ("pdf", "tiff"):
        raise ImageError("not_found", f"has no page {page}")
    if kind == "pdf":
        return _open_pdf(file, page)
    if kind == "raw":
        return _open_raw(file, max_pixels)
    if kind == "heif":
        image: Image.Image = _extra("pillow_heif", "heif", "HEIC").HeifImageFile(file)
        return image
    if kind == "avif":
        return _open_avif(file)
    return _open_pillow(file, page, max_pixels)


def count_pages(file: IO[bytes]) -> int:
    """Number of pages that a file has: 1 for all but TIFF and PDF.

    Raises:
        Exception: what decoders raise for damaged files.
    """
    kind = kind_of(file)
    if kind == "pdf":
        with _pdfium_lock, contextlib.closing(_pdf(file)) as document:
            return len(document)
    if kind == "tiff":
        image: Any = _open_pillow(file)
        return int(image.n_frames)
    return 1


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture of more pixels than allowed.

    Raises:
        ImageError: it has more.
    """
    if width * height > max_pixels:
        raise ImageError("too_large", f"{width} x {height} pixels; {max_pixels} at most (max-pixels)")


def _extra(module: str, extra: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImageError("decode_failed", f"{what} needs more: pip install featmatch[{extra}]") from error


def _open_pillow(file: IO[bytes], page: int = 1, max_pixels: int = MAX_PIXELS) -> Image.Image:
    image = Image.open(file, formats=_PILLOW_FORMATS)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if page > 1:
            try:
                image.seek(page - 1)
            except EOFError as error:
                raise ImageError("not_found", f"has no page {page}") from error
        check_size(image.tag_v2.get(_TILE_WIDTH, 0), image.tag_v2.get(_TILE_LENGTH, 0), max_pixels)
        with contextlib.suppress(ValueError, AttributeError):
            if _NO_DATA in image.tag_v2:
                image.info["no_data"] = float(image.tag_v2[_NO_DATA].strip("\0 "))
    return image


def _open_avif(file: IO[bytes]) -> Image.Image:
    Image.init()
    if "AVIF" not in Image.OPEN:
        raise ImageError("decode_failed", "AVIF needs more: pip install featmatch[heif]")
    return Image.open(file, formats=("AVIF",))


def _open_raw(file: IO[bytes], max_pixels: int) -> Image.Image:
    """The camera's own JPEG where the file holds it at full size, else the sensor's pixels, four to one.

    Copies were made from the camera's JPEG, and it is read in a fraction of the time; in a small preview small crops
    would be lost. Half the size of a sensor is still above the working size, and needs no interpolation of colours.
    """
    rawpy = _extra("rawpy", "raw", "a camera's raw file")
    with rawpy.imread(file) as raw:
        check_size(raw.sizes.raw_width, raw.sizes.raw_height, max_pixels)
        try:
            preview = raw.extract_thumb()
        except rawpy.LibRawError:
            preview = None
        if preview is not None and preview.format == rawpy.ThumbFormat.JPEG:
            image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
            if max(image.size) >= _FULL_SIZE * max(raw.sizes.width, raw.sizes.height):
                image.getexif().setdefault(_ORIENTATION, _ORIENTATION_OF_FLIP.get(raw.sizes.flip, 1))
                return image
        return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))


def _pdf(file: IO[bytes]) -> Any:
    limit_memory(_PDF_MEMORY_BYTES)
    return _extra("pypdfium2", "pdf", "PDF").PdfDocument(file)


def _open_pdf(file: IO[bytes], page: int) -> Image.Image:
    with _pdfium_lock, contextlib.closing(_pdf(file)) as document:
        if page > len(document):
            raise ImageError("not_found", f"has no page {page}")
        sheet = document[page - 1]
        scale = min(_PDF_DPI / 72.0, _PDF_LONGEST_PX / max(sheet.get_size()))
        image: Image.Image = sheet.render(scale=scale).to_pil().copy()  # the bitmap goes with the document
        return image
