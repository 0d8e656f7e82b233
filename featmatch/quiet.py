"""Libraries written in C talk of damaged files on standard error; what went wrong is told once, by us."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys


def silence() -> None:
    """Let nothing more come out of the system's standard error, whoever writes to it."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)


def keep_decoders_quiet() -> None:
    """Silence standard error for all but Python, which goes on with a copy of it."""
    with contextlib.suppress(OSError, ValueError):  # no standard error, or another object in its place
        if sys.stderr.fileno() != 2:
            return
        spoken = io.FileIO(os.dup(2), "w")
        sys.stderr = io.TextIOWrapper(spoken, sys.stderr.encoding, sys.stderr.errors, write_through=True)
        faulthandler.enable(sys.stderr)  # of the end of this process itself people should hear
        silence()
