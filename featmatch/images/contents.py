"""The SHA-256 by which files of equal content are recognised."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

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


@lru_cache(maxsize=1)
def _file_of_pages(path: str, stamp: tuple[int, ...]) -> str:
    del stamp
    return sha256_of(path)


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Numbers that change when a file changes or another takes its path; found without reading it."""
    state = os.stat(path)
    return state.st_ino, state.st_mtime_ns, state.st_size
