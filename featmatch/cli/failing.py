"""What ends a run before its time, in one line on standard error and an exit status."""

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
    """Say what went wrong, and return the exit status for it."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if os.environ.get("FEATMATCH_DEBUG") == "1":
        for line in "".join(traceback.format_exception(error)).splitlines():
            tell(line)
    if isinstance(error, click.Abort):  # how click passes an interrupt on
        error = error.__cause__ or KeyboardInterrupt()
    if isinstance(error, KeyboardInterrupt):
        return _ended_by(getattr(error, "signal", INTERRUPT))
    if isinstance(error, click.ClickException):
        said = io.StringIO()
        error.show(said)
        for line in said.getvalue().rstrip("\n").split("\n"):
            tell(line)
        return FAILED
    complain(_reason(error))
    return FAILED


def check_memory() -> None:
    """Refuse to begin where libraries in C would crash for want of memory.

    Raises:
        FeatmatchError: this process may not have enough.
    """
    if sys.platform == "win32":
        return
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed not in (resource.RLIM_INFINITY, -1) and allowed < _LEAST_BYTES:
        raise FeatmatchError(
            f"needs {_LEAST_BYTES >> 10} KB of address space to begin with; the limit (ulimit -v) is {allowed >> 10}"
        )


def let_go_of_output() -> None:
    """Forget what standard output did not take: that was told, and Python would say it again in its own way."""
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout.fileno())


def _ended_by(number: int) -> int:
    if number != BROKEN_PIPE:  # that nobody reads on is no failure; other tools die of it without a word
        what = _ENDED_BY[signal.Signals(number).name]
        complain(f"{what}; what was committed stays")
    return 128 + number


def _reason(error: BaseException) -> str:
    if isinstance(error, FeatmatchError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{os.fsdecode(error.filename)}: {error.strerror}"
        if error.errno == errno.ENOENT and _is_nowhere():
            return "the working directory is no more"
        return error.strerror
    return f"{type(error).__name__}: {error} (FEATMATCH_DEBUG=1 shows where)"


def _is_nowhere() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False
