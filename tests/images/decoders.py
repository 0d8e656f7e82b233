"""Decoders that other processes run: they import this module, and without pytest that takes less."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

from featmatch.errors import ImageError
from featmatch.images.decoding import DecodingOptions


def decoder(source: Any, kind: str, options: DecodingOptions) -> Any:
    """What files are made to do to whoever decodes them."""
    if kind == "crash":
        os.abort()
    if kind == "hang":
        signal.pause()
    if kind == "memory":
        return len(np.empty(options.memory_bytes, np.uint8))
    return os.getpid(), source


def refusing(source: Any, options: DecodingOptions) -> Any:
    raise ImageError("too_large", "so it is")


def telling(source: Any, options: DecodingOptions) -> Any:
    if os.path.exists(source):
        Path(source).write_text("told")  # waits for a reader
    return source
