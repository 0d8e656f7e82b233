"""A decoder that other processes run: they import this module, and without pytest that takes less."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from featmatch.adding.one_image import index_file


def treacherous(name: str, *arguments: Any) -> Any:
    """``index_file`` with a decoder that some names are too much for."""
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in name:
        time.sleep(1000)
    if "memory" in name:
        np.ones(1 << 40, np.uint8)
    return index_file(name, *arguments)
