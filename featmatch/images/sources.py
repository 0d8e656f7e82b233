"""Where a picture comes from (a path, the bytes of a file, an array, a PIL image) -> a PIL image, not decoded yet."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from PIL import Image, UnidentifiedImageError

from featmatch.errors import ImageError, UsageError, name_errors
from featmatch.images.archives import read_member
from featmatch.images.formats import MAX_PIXELS, check_size, count_pages, open_format
from featmatch.images.frames import seek_first_shown
from featmatch.images.kinds import TIFF_MAGIC, begins_like_pages, kind_of
from featmatch.names import split_member, split_page
from featmatch.system.worker_loop import at_work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | NDArray[np.uint8] | Image.Image"

MAX_PAGES = 10_000


def buffered(source: Any) -> Any:
    """The bytes of a stream, which are needed more than once; any other source as it is.

    Raises:
        UsageError: what is read from the stream are no bytes.
    """
    if not callable(getattr(source, "read", None)):
        return source
    content = source.read()
    if not isinstance(content, (bytes, bytearray)):
        raise UsageError(f"an image is read from a stream of bytes, not of {type(content).__name__}")
    return bytes(content)


@contextlib.contextmanager
def open_image(source: ImageSource, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open a source lazily; errors of decoders inside the ``with`` block become an ``ImageError``.

    Of a file with several pages this is the first, unless the path ends in ``#page=N``; of an animation the first frame
    that is not blank. A path that ends in ``#member=NAME`` is that of a picture in an archive.

    Raises:
        ImageError: it cannot be read, or has more than ``max_pixels`` pixels.
        UsageError: it is of no type or shape that is an image.
    """
    with name_errors(source), _raise_image_errors(max_pixels), contextlib.ExitStack() as stack:
        if at_work():  # else Pillow's own bound, for all of the process, is not ours to change
            Image.MAX_IMAGE_PIXELS = max(max_pixels, MAX_PIXELS) // 2
        if isinstance(source, Image.Image):
            check_size(*source.size, max_pixels)
            image = source.copy()  # draft and load change an image in place; the caller's stays as it is
        elif isinstance(source, (bytes, bytearray)):
            image = stack.enter_context(open_format(io.BytesIO(source), 1, max_pixels))
        elif isinstance(source, (str, os.PathLike)):
            file, page = _file_and_page(os.fspath(source))
            image = stack.enter_context(open_format(stack.enter_context(file), page or 1, max_pixels))
        else:
            image = picture_of(source)
        check_size(*image.size, max_pixels)
        seek_first_shown(image)
        yield image


@contextlib.contextmanager
def open_header(source: str | bytes) -> Iterator[tuple[str, Image.Image | None, Image.Exif]]:
    """Open a file, or its bytes, for what they say: format, the image where it opens without decoding, EXIF.

    Raises:
        ImageError: it cannot be read.
    """
    with _raise_image_errors(), contextlib.ExitStack() as stack:
        file: IO[bytes]
        if isinstance(source, bytes):
            file, page = io.BytesIO(source), None
        else:
            path, page = split_page(source)
            file = stack.enter_context(_open_file(path))
        kind = kind_of(file)
        if kind in ("pdf", "raw"):
            exif = Image.Exif()
            if file.read(4) in TIFF_MAGIC:
                file.seek(0)
                exif.load_from_fp(file)
            yield kind.upper(), None, exif
        else:
            image = stack.enter_context(open_format(file, page or 1, MAX_PIXELS))
            yield image.format or kind.upper(), image, image.getexif()


def page_count(path: str) -> int:
    """Number of pages of a file: 1 for all but TIFF and PDF. To be called where a decoder may crash.

    Raises:
        ImageError: it cannot be read, or has too many pages.
    """
    with name_errors(path), _raise_image_errors(), _open_file(path) as file:
        pages = count_pages(file)
        if pages > MAX_PAGES:
            raise ImageError("too_large", f"{pages} pages; {MAX_PAGES} at most")
        return max(pages, 1)


def may_have_pages(path: str) -> bool:
    """Whether a file is of a format that can have several pages. No more than its first bytes are looked at."""
    try:
        with _open_file(path) as file:
            return begins_like_pages(file)
    except (ImageError, OSError):
        return False


@contextlib.contextmanager
def _raise_image_errors(max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Raise what decoders raise as an ``ImageError``, and keep their warnings to ourselves."""
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


def _file_and_page(path: str) -> tuple[IO[bytes], int | None]:
    member = split_member(path)
    if member is not None:
        return io.BytesIO(read_member(*member)), None
    file, page = split_page(path)
    return _open_file(file), page


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


def picture_of(array: Any) -> Image.Image:
    """An array as a picture.

    Raises:
        UsageError: it is no array, or of no type or shape that is an image.
    """
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
