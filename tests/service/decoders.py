"""A decoder that other processes run: they import this module, and without the service that takes less."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np

from featmatch.search.query import _load_timed


def treacherous(source: Any, *more: Any) -> Any:
    """Decodes a picture, but for those whose last byte says otherwise."""
    last = source[-1:] if isinstance(source, bytes) else b""
    if last == b"C":
        os.kill(os.getpid(), signal.SIGSEGV)
    if last == b"K":
        os.kill(os.getpid(), signal.SIGKILL)
    if last == b"H":
        threading.Event().wait()
    if last == b"M":
        np.ones(1 << 40, np.uint8)
    return _load_timed(source, *more)
