"""Files of every format -> a PIL image, within bounds and where possible not decoded yet.

The content decides the format, not the name.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from featmatch.errors import ImageError, UsageError, naming
from featmatch.images.frames import seek_first_shown
from featmatch.names import split_page
from featmatch.system.worker_loop import at_work, limit_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image"

# Above this Pillow itself refuses to decode (a "decompression bomb"); all other decoders are held to the same bound.
MAX_PIXELS = 2 * 89_478_485
MAX_PAGES = 10_000

_HEIF_SUFFIXES = (".heic", ".heif", ".hif")
_RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
_PILLOW_SUFFIXES = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".icns", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf",
    ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".tif", ".tiff", ".webp",
)  # fmt: skip
SUFFIXES = frozenset((*_PILLOW_SUFFIXES, *_HEIF_SUFFIXES, *_RAW_SUFFIXES, ".pdf"))

# Of Pillow's formats those that pictures come in and whose first bytes tell them; the first five are always loaded.
_PILLOW_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "PSD", "QOI", "ICO", "ICNS", "DIB")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM")
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))

_NEW_SUBFILE_TYPE, _PHOTOMETRIC, _ORIENTATION, _TILE_WIDTH, _TILE_LENGTH, _SUB_IFDS, _NO_DATA, _DNG_VERSION = (
    254, 262, 274, 322, 323, 330, 42113, 50706,
)  # fmt: skip
_SENSOR_PHOTOMETRICS = frozenset((32803, 34892))  # colour filter array, linear raw
_ORIENTATION_OF_FLIP = {3: 3, 5: 8, 6: 6}  # LibRaw's way to say it -> EXIF's
_FULL_SIZE = 0.9  # of a raw file's sides: cameras cut a few rows off their previews

_PDF_DPI = 150.0  # a page of A4 gets 1240 x 1754 pixels, near the working size of large pictures
_PDF_LONGEST_PX = 4000
_PDF_MEMORY_BYTES = 1 << 30  # a page is 64 MB at most; one drawn of others, again and again, wants all there is
_pdfium_lock = threading.Lock()  # pdfium is not for several threads at once


def page_count(path: str) -> int:
    """Number of pages of a file: 1, but for TIFF and PDF. To be called where a decoder may crash.

    Raises:
        ImageError: it cannot be read, or has too many pages.
    """
    with naming(path), _told(), contextlib.ExitStack() as stack:
        file = stack.enter_context(_open_file(path))
        kind = _kind(file)
        if kind == "pdf":
            with _pdfium_lock, contextlib.closing(_pdf(file)) as document:
                pages = len(document)
        elif kind == "tiff":
            tiff: Any = stack.enter_context(_open_pillow(file))
            pages = tiff.n_frames
        else:
            return 1
        if pages > MAX_PAGES:
            raise ImageError("too_large", f"{pages} pages; {MAX_PAGES} at most")
        return max(pages, 1)


def may_have_pages(path: str) -> bool:
    """Whether a file begins as those do that can have several pages. No more of it is looked at."""
    try:
        with _open_file(path) as file:
            head = file.read(1024)
            return head.lstrip().startswith(b"%PDF-") or head.startswith(_TIFF_MAGIC)
    except (ImageError, OSError):
        return False


@contextlib.contextmanager
def opened(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open any kind of source lazily; whatever goes wrong until it is closed is told as an ImageError.

    Of a file with several pages it is the first, but for a path that ends in ``#page=N``; of an animation the first
    frame that is not blank.
    """
    with naming(source), _told(max_pixels), contextlib.ExitStack() as stack:
        if at_work():  # else Pillow's own bound, for all of the process, is not ours to change
            Image.MAX_IMAGE_PIXELS = max(max_pixels, MAX_PIXELS) // 2
        if isinstance(source, Image.Image):
            _bound(*source.size, max_pixels)
            image = source.copy()  # draft and load change an image in place; the caller's stays as it is
        elif isinstance(source, (bytes, bytearray)):
            image = stack.enter_context(_open_any(io.BytesIO(source), 1, max_pixels))
        elif isinstance(source, (str, os.PathLike)):
            path, page = split_page(os.fspath(source))
            image = stack.enter_context(_open_any(stack.enter_context(_open_file(path)), page or 1, max_pixels))
        else:
            image = _from_array(source)
        _bound(*image.size, max_pixels)
        seek_first_shown(image)
        yield image


@contextlib.contextmanager
def header(path: str, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[str, Image.Image | None, Image.Exif]]:
    """Open a file for what it says of its picture: its format, the image where it opens without decoding, its EXIF."""
    with _told(max_pixels), contextlib.ExitStack() as stack:
        file, page = split_page(path)
        handle = stack.enter_context(_open_file(file))
        kind = _kind(handle)
        if kind in ("pdf", "raw"):
            exif = Image.Exif()
            if handle.read(4) in _TIFF_MAGIC:
                handle.seek(0)
                exif.load_from_fp(handle)
            yield kind.upper(), None, exif
        else:
            image = stack.enter_context(_open_any(handle, page or 1, max_pixels))
            yield image.format or kind.upper(), image, image.getexif()


@contextlib.contextmanager
def _told(max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata and large pictures; what matters is raised
            yield
    except (ImageError, UsageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", f"more than {max_pixels} pixels (max-pixels)") from error
    except UnidentifiedImageError as error:
        raise ImageError("decode_failed", "not an image, or of an unknown format") from error
    except Exception as error:  # decoders answer damaged files with errors of every kind
        raise ImageError("decode_failed", f"{type(error).__name__}: {error}") from error


def _bound(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError("too_large", f"{width} x {height} pixels; {max_pixels} at most (max-pixels)")


def _open_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a regular file; a pipe or a device could block or never end."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("not_found", "no such file") from error
    if stat.S_ISDIR(mode):
        raise ImageError("decode_failed", "is a folder")
    if not stat.S_ISREG(mode):
        raise ImageError("decode_failed", "not a regular file")
    return Path(path).open("rb")


def _from_array(array: Any) -> Image.Image:
    import numpy as np

    if not isinstance(array, np.ndarray):
        raise UsageError(f"not an image: {type(array).__name__} (path, bytes, array or PIL image wanted)")
    if (
        array.dtype != np.uint8
        or array.size == 0
        or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))
    ):
        raise UsageError(f"an image array is (H, W), (H, W, 3) or (H, W, 4) uint8, not {array.shape} {array.dtype}")
    return Image.fromarray(np.ascontiguousarray(array))


def _kind(file: IO[bytes]) -> str:
    """Who is to open a file, by its first bytes."""
    head = file.read(1024)
    file.seek(0)
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(_RAW_MAGIC) or head[6:14] == b"HEAPCCDR" or head[4:12] == b"ftypcrx ":
        return "raw"
    if head.startswith(_TIFF_MAGIC):
        return "raw" if head[8:10] == b"CR" or _is_raw_tiff(file, head) else "tiff"
    if head[4:8] == b"ftyp":
        brands = {head[start : start + 4] for start in (8, *range(16, min(int.from_bytes(head[:4], "big"), 1024), 4))}
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIF_BRANDS:
            return "heif"
    return "pillow"


def _is_raw_tiff(file: IO[bytes], head: bytes) -> bool:
    """Whether a TIFF file is a camera's: its first picture is a sensor's, or a preview of one that comes later."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:16] if head[2:3] == b"+" or head[3:4] == b"+" else head[:8])
        file.seek(tags.next)
        tags.load(file)
        return (
            _DNG_VERSION in tags
            or tags.get(_PHOTOMETRIC) in _SENSOR_PHOTOMETRICS
            or (_SUB_IFDS in tags and bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1))
        )
    except Exception:  # a damaged directory; who opens the file says what is wrong
        return False
    finally:
        file.seek(0)


def _open_any(file: IO[bytes], page: int, max_pixels: int) -> Image.Image:
    kind = _kind(file)
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
        _bound(image.tag_v2.get(_TILE_WIDTH, 0), image.tag_v2.get(_TILE_LENGTH, 0), max_pixels)
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
    """The camera's own picture where it is there at full size, else the sensor's, four of its pixels to one.

    The camera's is what copies were made from, and is read in a fraction of the time; a small one would lose small
    crops. Half the size of a sensor is still above the working size, and needs no colours to be made up.
    """
    rawpy = _extra("rawpy", "raw", "a camera's raw file")
    with rawpy.imread(file) as raw:
        _bound(raw.sizes.raw_width, raw.sizes.raw_height, max_pixels)
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
