"""The SHA-256 by which files of equal content are recognised."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

from PIL import ExifTags, Image

from featmatch.names import page_name, split_page
from featmatch.system.files import sha256_of


def content_of(path: str) -> str:
    """SHA-256 of the file of an image, hexadecimal; each page of a file has one of its own.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    file, page = split_page(path)
    if page is None:
        return sha256_of(file)
    return hashlib.sha256(page_name(_file_of_pages(file, stamp_of(file)), page).encode()).hexdigest()


def content_of_pixels(picture: Image.Image) -> str:
    """SHA-256 of a picture that is no file, hexadecimal: the same for an array and a PIL image of the same pixels.

    Raises:
        OSError: it was opened lazily, and its pixels cannot be read.
    """
    pixels = picture.tobytes()
    turn = picture.getexif().get(ExifTags.Base.Orientation, 1)
    head = f"pixels {picture.mode} {picture.width} {picture.height} {turn} {picture.getpalette()}\n"
    return hashlib.sha256(head.encode() + pixels).hexdigest()


@lru_cache(maxsize=1)
def _file_of_pages(path: str, stamp: tuple[int, ...]) -> str:
    del stamp
    return sha256_of(path)


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Numbers that change when a file changes or another takes its path; found without reading it."""
    state = os.stat(path)
    return state.st_ino, state.st_mtime_ns, state.st_size
