"""Files may come from strangers: they are decoded in another process, within bounds of time, memory and size."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from featmatch.arguments import check_number, check_seconds
from featmatch.errors import ImageError, name_errors
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
    if not isinstance(source, (str, os.PathLike, bytes, bytearray)):
        return function(source, *more, options)
    from featmatch.system.workers import run  # 3 ms, which processes that decode files do without

    given = os.fspath(source) if isinstance(source, os.PathLike) else source
    result: Result | Lost = run(
        function, (given, *more, options), seconds=options.timeout, memory_bytes=options.memory_bytes
    )
    if isinstance(result, Lost):
        with name_errors(source):
            raise ImageError("decode_failed", result.reason)
    return result
