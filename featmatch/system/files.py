"""Files and folders: opening only regular ones, digests, sizes, and writing so that a crash leaves no half file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO


def open_file(path: str | os.PathLike[str], *, through_links: bool = True) -> BinaryIO:
    """Open a regular file for reading: no pipe, which might block, and no device.

    Args:
        path: of the file.
        through_links: whether it may be a link to one.

    Raises:
        OSError: there is none, it is no regular file, or it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags if through_links else flags | getattr(os, "O_NOFOLLOW", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file")
    return os.fdopen(handle, "rb")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        return sha256_of_rest(file)


def sha256_of_rest(file: IO[bytes]) -> str:
    """SHA-256 of the rest of an open file, hexadecimal."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder, bytes; files deleted meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            state = path.lstat()
        except OSError:
            continue
        total += state.st_size if stat.S_ISREG(state.st_mode) else 0
    return total


@contextlib.contextmanager
def replace_file(target: Path) -> Iterator[IO[bytes]]:
    """Write a file under another name, and rename it over ``target`` once all of it is on the disk.

    Whatever ends the ``with`` block early, Ctrl-C too, leaves the former file as it was.

    Raises:
        OSError: it cannot be written; or ``target`` is a device or a pipe, which a file must not replace.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OSError(errno.EINVAL, "is a device or a pipe", str(target))
    aside = target.with_name(f"{target.name}.{os.getpid()}.partial")
    aside.unlink(missing_ok=True)
    try:
        with aside.open("xb") as file:  # a new file, so that no link is written through
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Make files created or renamed in a folder survive a power cut, where the system lets folders be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
