"""Reading arrays from files that a stranger may have made.

Sizes in a header are compared with the file before memory of that size is allocated. Nothing is unpickled (arrays of
objects are refused like any other unexpected type), and nothing is decompressed.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAPPED_BYTES = 1 << 20  # smaller columns are read at once: a mapping holds a file open, and few may be open

_HEADER_BYTES = 4096  # of an array: NumPy writes 128
_DIRECTORY_BYTES = 4096  # of an archive of a few arrays
_END = 22  # bytes of an archive's last record, which holds the length of its directory
_LONG_END = 20  # bytes of the record before it in archives of several GB, which holds it as well


def read_column(file: BinaryIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The one column of a ``.npy`` file: (N,) of ``dtype``, memory-mapped if it is large.

    Raises:
        ValueError: it is of another type or shape, or the file is longer or shorter than its header says.
    """
    (length,) = _shape(file, dtype, 1, os.fstat(file.fileno()).st_size)
    place = file.tell()
    if place + length * dtype.itemsize < MAPPED_BYTES:
        return np.frombuffer(bytearray(file.read()), dtype)
    # Mapped, but without the cost of np.memmap at each step.
    return np.asarray(np.memmap(file, dtype, "r", place, (length,)))


def read_archive(
    content: bytes, wanted: Mapping[str, tuple[str, int]], optional: frozenset[str] = frozenset()
) -> dict[str, NDArray[Any]]:
    """The arrays of a ``.npz`` file as ``np.savez`` writes it, by name.

    Args:
        content: of the file.
        wanted: dtype and number of axes of each array by name. Other arrays are refused.
        optional: names of arrays that may be missing.

    Raises:
        ValueError: it is no such file, is compressed, or holds other arrays.
    """
    _bound_directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(set(names)) < len(names) or not wanted.keys() - optional <= set(names) <= wanted.keys():
                raise ValueError(f"it holds {', '.join(sorted(names))}")
            return {name: _member(archive, member, *wanted[name]) for name, member in zip(names, members, strict=True)}
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _bound_directory(content: bytes) -> None:
    """Refuse an archive of a long directory: ``zipfile`` makes an object of each entry."""
    end = content[-_END:]
    is_short = (
        len(end) == _END and end.startswith(b"PK\5\6") and int.from_bytes(end[12:16], "little") < _DIRECTORY_BYTES
    )
    if not is_short or content[-_END - _LONG_END :].startswith(b"PK\6\7"):
        raise ValueError("it is no archive of a few arrays")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, dtype: str, axes: int) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{member.filename} is compressed")
    content = bytearray(archive.read(member))
    file = io.BytesIO(content)
    shape = _shape(file, np.dtype(dtype), axes, len(content))
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape)


def _shape(file: BinaryIO, dtype: np.dtype[Any], axes: int, size: int) -> tuple[int, ...]:
    """Read the header of an array; return its shape, once it is as expected and fits the size of the file."""
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("an array is of another format")
        shape, is_fortran, found = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER_BYTES)
    except Exception as error:  # NumPy answers damaged headers with errors of every kind
        raise ValueError(str(error)) from error
    if found != dtype or len(shape) != axes or (is_fortran and axes > 1) or min(shape, default=0) < 0:
        raise ValueError(f"an array is of another type or shape: {found} {shape}")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"an array of {shape} is not all of its file")
    return shape
