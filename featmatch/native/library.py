"""The compiled kernels, loaded as a plain shared library, and arrays checked before they are handed to it.

The library is built once for each instruction level, and the best that the processor has is loaded. All give the same
bits. The environment variable ``FEATMATCH_CPU`` forces one of ``LEVELS``, for tests.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from featmatch.errors import MissingFeatureError, UsageError

LEVELS = ("baseline", "avx2", "avx512")  # as numbered by cpu.c

_FOLDER = Path(__file__).parent
_SUFFIX = ".dll" if sys.platform == "win32" else ".so"

_I64, _F32, _POINTER = ctypes.c_int64, ctypes.c_float, ctypes.c_void_p
_PICTURE = [_POINTER, _I64, _I64, _I64, _POINTER, _I64]  # pixels, height, width, most_floats, workspace, its floats
_COMPARED = [_POINTER, _F32, _POINTER, _I64]  # centres, unit, descriptors, their number
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "featmatch_best_level": (ctypes.c_int32, []),
    "featmatch_built_from": (_I64, []),
    "featmatch_sift_workspace": (_I64, [_I64, _I64, _I64]),
    "featmatch_sift_doubled": (_I64, [_I64, _I64]),
    "featmatch_sift_kept": (_I64, [_I64, _I64, _I64]),
    "featmatch_sift_detect": (_I64, [*_PICTURE, _F32, _F32, _POINTER, _I64]),
    "featmatch_smooth": (_I64, [_POINTER, _I64, _I64, _POINTER, _I64, _POINTER, _POINTER, _POINTER]),
    "featmatch_lay_over": (_I64, [_POINTER, _I64, _I64, _POINTER, _I64, _I64, _POINTER, _POINTER]),
    "featmatch_align_sums": (_I64, [*[_POINTER] * 5, _I64, _I64, _POINTER, _POINTER]),
    "featmatch_similar": (_I64, [*[_POINTER] * 3, _I64, _I64, *[_POINTER] * 4]),
    "featmatch_may_fit": (
        _I64,
        [*[_POINTER] * 3, _I64, _POINTER, _I64, *[_POINTER] * 3, _I64, _I64, *[_POINTER] * 6],
    ),
    "featmatch_soften": (_I64, [_POINTER, _I64, _I64, _POINTER, _POINTER]),
    "featmatch_halve": (_I64, [_POINTER, _I64, _I64, _POINTER]),
    "featmatch_lay_parts": (
        _I64,
        [_POINTER, _I64, _I64, _POINTER, _POINTER, _I64, _I64, _I64, _POINTER, _I64, _I64, _I64, _POINTER, _POINTER],
    ),
    "featmatch_compare_cells": (_I64, [*[_POINTER] * 3, _I64, _I64, _POINTER, _I64, _I64, _F32, _POINTER]),
    "featmatch_compare_slopes": (_I64, [_POINTER, _POINTER, _I64, _I64, _POINTER, _POINTER, _I64, _POINTER, _POINTER]),
    "featmatch_sift_describe": (_I64, [*_PICTURE, _POINTER, _I64, _POINTER, _POINTER, _I64]),
    "featmatch_scan": (_I64, [*[_POINTER] * 3, _I64, _I64, _POINTER, _POINTER, _I64, _POINTER, _I64, _I64, _POINTER]),
    "featmatch_best": (_I64, [_POINTER, _I64, _POINTER, _I64, _POINTER, _I64, _POINTER, _I64, _POINTER, _I64]),
    "featmatch_hits": (_I64, [_POINTER, _POINTER, _I64, _POINTER, _I64, _POINTER, _I64, _POINTER]),
    "featmatch_rows": (_I64, [_POINTER, _I64, _POINTER, _I64, _POINTER, _I64]),
    "featmatch_words_pack": (_I64, [_POINTER, _POINTER, _I64]),
    "featmatch_words_probe": (_I64, [*_COMPARED, _I64, _POINTER]),
    "featmatch_words_nearest": (
        _I64,
        [*_COMPARED, _POINTER, _I64, _POINTER, _I64, _POINTER, _I64, _I64, _POINTER],
    ),
    "featmatch_words_sign": (_I64, [*_COMPARED, _POINTER, _I64, _POINTER, _I64, _POINTER, _I64, _POINTER]),
    "featmatch_reduce": (_I64, [_POINTER, _I64, _I64, _I64, _I64, _POINTER, _POINTER]),
    "featmatch_picture_pack": (_I64, [_POINTER, _I64, _I64, _I64, _POINTER, _I64]),
    "featmatch_picture_unpack": (_I64, [_POINTER, _I64, _I64, _I64, _I64, _POINTER]),
}


def library() -> ctypes.CDLL:
    """The kernels at the level of ``FEATMATCH_CPU``, or else at the best there is here.

    Raises:
        MissingFeatureError: they are not built, not for this machine, or from other sources than those beside them.
        UsageError: ``FEATMATCH_CPU`` is none of ``levels()``.
    """
    level = os.environ.get("FEATMATCH_CPU") or levels()[-1]
    if level not in levels():
        raise UsageError(f"FEATMATCH_CPU is {level!r:.40}; here it may be one of {', '.join(levels())}")
    return _loaded(level)


@functools.cache
def levels() -> tuple[str, ...]:
    """Those of ``LEVELS`` that this processor has, and for which the kernels are built: an old compiler may lack some.

    Raises:
        MissingFeatureError: as ``library`` does.
    """
    best = _loaded("baseline").featmatch_best_level()
    return tuple(level for level in LEVELS[: best + 1] if level == "baseline" or _path(level).exists())


def _path(level: str) -> Path:
    return _FOLDER / f"kernels_{level}{_SUFFIX}"


@functools.cache
def _loaded(level: str) -> ctypes.CDLL:
    try:
        kernels = ctypes.CDLL(str(_path(level)))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(kernels, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:  # there is none, it is another machine's, or an older one
        raise MissingFeatureError(
            f"featmatch's kernels are not built for this machine; install it anew: {error}"
        ) from error
    sources = sorted(_FOLDER.glob("*.[ch]"))  # in a working tree only
    if sources and kernels.featmatch_built_from() != zlib.crc32(b"".join(path.read_bytes() for path in sources)):
        raise MissingFeatureError("featmatch's kernels are older than their sources; install it anew: pip install -e .")
    return kernels


def address(array: NDArray[Any], dtype: DTypeLike, dimensions: int = 1, *, written: bool = False) -> int:
    """Where the elements of an array lie, for a kernel that takes them one row after the other.

    The caller keeps the array alive until the kernel has returned, and tells it the shape.

    Args:
        array: handed to a kernel.
        dtype: what the kernel takes it for.
        dimensions: how many it must have.
        written: whether the kernel writes to it.

    Raises:
        UsageError: it is of another type or shape, has gaps between its elements, or must not be written to.
    """
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != dimensions:
        raise UsageError(f"an array of {np.dtype(dtype)} with {dimensions} dimensions is needed, not {_kind(array)}")
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned and (flags.writeable or not written)):
        raise UsageError("an array is needed that is aligned, without gaps, and writable where results go into it")
    if flags.writeable and array.size:  # a third of the time, of a search with some hundred calls
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    return int(array.ctypes.data)


def _kind(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
