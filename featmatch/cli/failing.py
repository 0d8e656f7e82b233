"""How a run that fails or is interrupted ends: with one line on standard error, and an exit status."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback

import click

from featmatch.cli.common import FAILED, complain, tell
from featmatch.errors import FeatmatchError
from featmatch.system.ending import BROKEN_PIPE, INTERRUPT
from featmatch.system.quiet import silence

_LEAST_BYTES = 1 << 30
_ENDED_BY = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}


def status_of(error: BaseException) -> int:
    """Report what went wrong, and return the exit status for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if os.environ.get("FEATMATCH_DEBUG") == "1":
        for line in "".join(traceback.format_exception(error)).splitlines():
            tell(line)
    if isinstance(error, click.Abort):  # how click reports an interrupt
        error = error.__cause__ or KeyboardInterrupt()
    if isinstance(error, KeyboardInterrupt):
        return _ended_by(getattr(error, "signal", INTERRUPT))
    if isinstance(error, click.ClickException):
        message = io.StringIO()
        error.show(message)
        for line in message.getvalue().rstrip("\n").split("\n"):
            tell(line)
        return FAILED
    complain(_reason(error))
    return FAILED


def check_memory() -> None:
    """Refuse to start where libraries in C would crash because the process may not use enough memory.

    Raises:
        FeatmatchError: the limit on address space is below 1 GB.
    """
    if sys.platform == "win32":
        return
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed not in (resource.RLIM_INFINITY, -1) and allowed < _LEAST_BYTES:
        raise FeatmatchError(
            f"needs at least {_LEAST_BYTES >> 10} KB of address space; the limit (ulimit -v) is {allowed >> 10} KB"
        )


def let_go_of_output() -> None:
    """Discard output that could not be written: the error was reported, and Python would report it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout.fileno())


def _ended_by(number: int) -> int:
    if number != BROKEN_PIPE:  # as other tools do, end silently when nobody reads the output
        complain(f"{_ENDED_BY[signal.Signals(number).name]}; what was committed stays")
    return 128 + number


def _reason(error: BaseException) -> str:
    if isinstance(error, FeatmatchError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)}: {error.strerror}"
        if error.errno == errno.ENOENT and _has_no_working_directory():
            return "the working directory no longer exists"
        return error.strerror
    return f"{type(error).__name__}: {error} (set FEATMATCH_DEBUG=1 to see where)"


def _has_no_working_directory() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False
