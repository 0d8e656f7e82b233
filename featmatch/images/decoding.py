"""Files may come from strangers: they are decoded in another process, within bounds of time, memory and size."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from featmatch.arguments import check_number, check_seconds
from featmatch.errors import ImageError
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.sources import ImageSource
from featmatch.system.worker_loop import MEMORY_BYTES, Lost

Result = TypeVar("Result")


@dataclass(frozen=True)
class DecodingOptions:
    """What decoding one image may cost."""

    timeout: float = 60.0  # seconds; more than 0
    max_pixels: int = MAX_PIXELS  # 1 or more; larger pictures are refused by their header

    def __post_init__(self) -> None:
        check_seconds(self.timeout, "timeout")
        check_number(self.max_pixels, "max_pixels", 1)

    @property
    def memory_bytes(self) -> int:
        """Memory that its process may take, bytes: as much as a picture of ``max_pixels`` needs."""
        return MEMORY_BYTES * max(self.max_pixels, MAX_PIXELS) // MAX_PIXELS


USUAL = DecodingOptions()


def decode_apart(
    function: Callable[..., Result], source: ImageSource, *more: object, options: DecodingOptions
) -> Result:
    """Call ``function(source, *more, options)``: in another process where the source is a file or its bytes.

    Raises:
        ImageError: the function raised it; or its process crashed, or took too long or too much memory.
    """
    file = file_of(source)
    if file is None:
        return function(source, *more, options)
    from featmatch.system.workers import run  # 3 ms, which processes that decode files do without

    result: Result | Lost = run(
        function, (file, *more, options), seconds=options.timeout, memory_bytes=options.memory_bytes
    )
    if isinstance(result, Lost):
        raise _error_of(source, result)
    return result


def decode_each(
    function: Callable[..., Result], sources: Iterable[ImageSource], *more: object, options: DecodingOptions
) -> Generator[tuple[ImageSource, Result | ImageError], None, None]:
    """``decode_apart`` of many, one after the other: while the caller is busy with one, the next is decoded.

    Yields:
        Each source with what the function returned, or with its ``ImageError``.
    """
    from featmatch.system.workers import in_order

    taken: deque[ImageSource] = deque()

    def tasks() -> Iterator[tuple[object, ...]]:
        for source in sources:
            taken.append(source)
            yield function, file_of(source), *more, options

    results = in_order(
        _decode_file, tasks(), jobs=1, seconds=options.timeout, memory_bytes=options.memory_bytes, ahead=1
    )
    with contextlib.closing(results):
        for result in results:
            source = taken.popleft()
            if isinstance(result, Lost):
                yield source, _error_of(source, result)
            elif result is None:
                yield source, _or_error(function, source, *more, options)
            else:
                yield source, result


def file_of(source: ImageSource) -> str | bytes | None:
    """The path of a file, or its bytes; None for what is a picture already, or no source at all."""
    given = os.fspath(source) if isinstance(source, os.PathLike) else source
    if isinstance(given, bytearray):
        return bytes(given)
    return given if isinstance(given, (str, bytes)) else None


def _decode_file(
    function: Callable[..., Result], file: str | bytes | None, *more: object
) -> Result | ImageError | None:
    return None if file is None else _or_error(function, file, *more)


def _or_error(function: Callable[..., Result], *arguments: object) -> Result | ImageError:
    try:
        return function(*arguments)
    except ImageError as error:
        return error


def _error_of(source: ImageSource, lost: Lost) -> ImageError:
    name = str(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else None
    return ImageError("decode_failed", lost.reason, name)
