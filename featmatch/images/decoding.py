"""Files of strangers are decoded in a process of their own, within bounds of time, memory and size."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from featmatch.arguments import check_number, check_seconds
from featmatch.errors import ImageError, naming
from featmatch.images.formats import MAX_PIXELS, ImageSource
from featmatch.system.worker_loop import MEMORY_BYTES, Lost

Result = TypeVar("Result")


@dataclass(frozen=True)
class DecodingOptions:
    """What one image may cost."""

    timeout: float = 60.0  # seconds; more than 0
    max_pixels: int = MAX_PIXELS  # 1 or more; larger pictures are refused by their header

    def __post_init__(self) -> None:
        check_seconds(self.timeout, "timeout")
        check_number(self.max_pixels, "max_pixels", 1)

    @property
    def memory_bytes(self) -> int:
        """For its process: as much as the largest pictures need."""
        return MEMORY_BYTES * max(self.max_pixels, MAX_PIXELS) // MAX_PIXELS


USUAL = DecodingOptions()


def apart(function: Callable[..., Result], source: ImageSource, *more: object, options: DecodingOptions) -> Result:
    """Call a function with a source, more, and the options: in a process of its own for a file or its bytes.

    Raises:
        ImageError: what the function raises, or its process did not live to the end of it.
    """
    if not isinstance(source, (str, os.PathLike, bytes, bytearray)):
        return function(source, *more, options)
    from featmatch.system.workers import run  # not loaded where files are decoded

    given = os.fspath(source) if isinstance(source, os.PathLike) else source
    result: Result | Lost = run(
        function, (given, *more, options), seconds=options.timeout, memory_bytes=options.memory_bytes
    )
    if isinstance(result, Lost):
        with naming(source):
            raise ImageError("decode_failed", result.reason)
    return result
