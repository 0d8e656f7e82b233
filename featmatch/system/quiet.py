"""Libraries written in C talk of damaged files on standard error; what went wrong is told once, by us."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys


def silence(descriptor: int = 2) -> None:
    """Let nothing more come out of the system's standard error (or another), whoever writes to it."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


def keep_streams_open() -> None:
    """Put something in the place of standard streams that are closed, or the next file that is opened takes it.

    To write results is then an error, as it is for other tools; what is said beside them is not heard.
    """
    for descriptor, how in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, how)  # gets the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def keep_decoders_quiet() -> None:
    """Silence standard error for all but Python, which goes on with a copy of it."""
    with contextlib.suppress(OSError, ValueError):  # no standard error, or another object in its place
        if sys.stderr.fileno() != 2:
            return
        spoken = io.FileIO(os.dup(2), "w")
        sys.stderr = io.TextIOWrapper(spoken, sys.stderr.encoding, sys.stderr.errors, write_through=True)
        faulthandler.enable(sys.stderr)  # of the end of this process itself people should hear
        silence()
