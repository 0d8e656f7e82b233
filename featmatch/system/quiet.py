"""Standard streams: keep C libraries from writing about damaged files there, since featmatch reports them itself."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys


def silence(descriptor: int = 2) -> None:
    """Discard what this process writes to standard error (or another descriptor) from now on."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def keep_streams_open() -> None:
    """Open the null device in place of standard streams that are closed; else the next opened file would take one.

    Writing results is then an error, as it is in other tools; messages on standard error are lost.
    """
    for descriptor, how in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, how)  # gets the lowest free number
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # open as long as the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def keep_decoders_quiet() -> None:
    """Silence standard error for everything but Python, which writes to a copy of it."""
    with contextlib.suppress(OSError, ValueError):  # there is no standard error, or another object stands for it
        if sys.stderr.fileno() != 2:
            return
        spoken = io.FileIO(os.dup(2), "w")
        sys.stderr = io.TextIOWrapper(spoken, sys.stderr.encoding, sys.stderr.errors, write_through=True)
        faulthandler.enable(sys.stderr)  # a crash of this very process is reported
        silence()
