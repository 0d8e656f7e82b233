"""The file format of ``pairs.log``: the pairs that ``groups`` found before. What a record means, grouping knows.

The file starts with a magic line; each run appends one record, a small archive of arrays with a checksum. So whatever
ends a run, the records before it stay. All in it can be found again: the file may be lost, and a record that is damaged
is not believed.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.geometry.exact import determinants_of_maps
from featmatch.store.layout import PAIRS, open_index_file
from featmatch.system.arrays import read_archive
from featmatch.system.files import flush_folder, replace_file

MAGIC = b"featmatch pairs 3\n"  # in those before, queries were the images added later
_OLDER = (b"featmatch pairs 1\n", b"featmatch pairs 2\n")  # passed over, and written anew
_HEAD = struct.Struct("<Q32s32s")  # length of what follows, its SHA-256, and that of these two
# The type of each array of a record, and how many axes it has; N images and M pairs. The lengths of the others follow.
_ARRAYS = {
    "images": ("<i8", 1),
    "digests": ("<u8", 1),
    "between": ("<i8", 2),
    "homography": ("<f8", 3),
    "counts": ("<i4", 2),
    "evidence": ("<f8", 2),
}
_MOST_OF_MAP = 1e12  # px, or parts of 1, in a homography; more is no map between pictures

Columns = Mapping[str, NDArray[Any]]


def read_records(folder: Path) -> Iterator[Columns]:
    """The records of an index from the first one on, up to where the file is not as it was written.

    A record whose checksum is right, but whose arrays cannot be, is left out.

    Yields:
        images (N,) int64 with digests (N,) uint64, and between (M, 2) int64 with homography (M, 3, 3) float64,
        counts (M, 3) int32 and evidence (M, 9) float64.
    """
    try:
        with open_index_file(folder / PAIRS) as file:
            for content in _whole_records(file):
                try:
                    columns = _checked_columns(content)
                except ValueError:
                    continue
                yield columns
    except OSError:
        return


def append_record(folder: Path, columns: Columns) -> None:
    """Append one record after the last whole one; the caller holds the writer's lock.

    Args:
        folder: of the index.
        columns: as ``read_records`` yields them.

    Raises:
        StoreError: it cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **columns)
    body = content.getvalue()
    head = struct.pack("<Q32s", len(body), hashlib.sha256(body).digest())
    path = folder / PAIRS
    try:
        is_new = not path.exists()
        if not is_new and path.lstat().st_nlink > 1:  # a hard link: only the index's own file is to grow
            with open_index_file(path) as former, replace_file(path) as copy:
                shutil.copyfileobj(former, copy)
        with path.open("r+b" if not is_new else "w+b") as file:
            for _ in _whole_records(file):
                pass  # to the end of what is whole
            if file.tell() < len(MAGIC):
                file.seek(0)
                file.write(MAGIC)
            file.truncate()
            file.write(head + hashlib.sha256(head).digest() + body)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            flush_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def is_damaged(folder: Path) -> bool:
    """Whether something is not as it was written; the unfinished end of a run that was killed is no damage.

    Raises:
        StoreError: the file cannot be read.
    """
    path = folder / PAIRS
    if not path.exists():
        return False
    try:
        with open_index_file(path) as file:
            for content in _whole_records(file):
                _checked_columns(content)
            good = file.tell()
            rest = file.read()
    except ValueError:
        return True
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if good < len(MAGIC):
        return not MAGIC.startswith(rest) and not rest.startswith(_OLDER)
    if len(rest) < _HEAD.size:
        return False
    length, _, checksum = _HEAD.unpack(rest[: _HEAD.size])
    return bool(hashlib.sha256(rest[: _HEAD.size - 32]).digest() != checksum) or len(rest) >= _HEAD.size + length


def _whole_records(file: BinaryIO) -> Iterator[bytes]:
    """The contents of the whole records from the start; the file is left where they end."""
    end, size = 0, os.fstat(file.fileno()).st_size
    if file.read(len(MAGIC)) == MAGIC:
        end = len(MAGIC)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum, of_head = _HEAD.unpack(head)
            if hashlib.sha256(head[:-32]).digest() != of_head or length > size - file.tell():
                break
            content = file.read(length)
            if hashlib.sha256(content).digest() != checksum:
                break
            end = file.tell()
            yield content
    file.seek(end)


def _checked_columns(content: bytes) -> Columns:
    """The arrays of a record, or a ValueError where they are no pairs of images."""
    columns = read_archive(content, _ARRAYS)
    images, pairs = len(columns["images"]), len(columns["between"])
    shapes = [columns[name].shape for name in _ARRAYS]
    if shapes != [(images,), (images,), (pairs, 2), (pairs, 3, 3), (pairs, 3), (pairs, 9)]:
        raise ValueError(f"its arrays do not go together: {shapes}")
    between, homographies, evidence = columns["between"], columns["homography"], columns["evidence"]
    if (between[:, 0] == between[:, 1]).any() or (columns["counts"] < 0).any() or (columns["counts"][:, :2] > 1).any():
        raise ValueError("a pair of an image with itself, or a count that is none")
    # Each is used both ways, and divided by its last number.
    if (
        not (np.abs(homographies) <= _MOST_OF_MAP).all()
        or not (np.abs(homographies[:, 2, 2]) * _MOST_OF_MAP >= 1).all()
    ):
        raise ValueError("a homography maps nothing")
    if not (np.abs(determinants_of_maps(homographies)) * _MOST_OF_MAP >= 1).all():
        raise ValueError("a homography maps a picture to a line")
    shares = evidence[:, 3:]
    if not np.isfinite(evidence[:, :2]).all() or not (evidence[:, 2] < np.inf).all():
        raise ValueError("a pair's evidence is no number")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("a share is not between 0 and 1")
    return columns
