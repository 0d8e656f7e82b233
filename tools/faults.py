"""What can befall a writer, and how a process is made to suffer it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featmatch import FeatmatchError

_STEPS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "truncate", "open")
_NOBODY = 65534


@dataclass(frozen=True)
class Fault:
    """What befalls a writer: nothing, or one of the kinds below at its n-th step.

    Kinds: "before" and "after" kill it there, "later" kills it after so many seconds, "ENOSPC" and "EIO" let the call
    fail, "full" lets no file grow above so many bytes, "read-only" takes the right to write away.
    """

    kind: str = ""
    number: float = 0


class Steps:
    """Counts the calls that a commit is made of, and lets a fault happen at one of them."""

    def __init__(self, fault: Fault) -> None:
        self.count = 0
        self._fault = fault

    def watch(self) -> None:
        """Patch the calls, in this process for good."""
        for name in _STEPS:
            setattr(os, name, self._counted(getattr(os, name)))
        connect = sqlite3.connect
        steps = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                try:
                    return steps._counted(super().execute)(*arguments)  # type: ignore[no-any-return]
                except OSError as error:
                    raise sqlite3.OperationalError("disk I/O error") from error

        sqlite3.connect = lambda *arguments, **options: connect(  # type: ignore[assignment]
            *arguments, factory=Connection, **options
        )

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            here = self.count == self._fault.number
            if here and self._fault.kind == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if here and self._fault.kind in ("ENOSPC", "EIO"):
                code = getattr(errno, self._fault.kind)
                raise OSError(code, os.strerror(code))
            try:
                return call(*arguments, **options)
            finally:
                if here and self._fault.kind == "after":
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted


def suffered(work: Callable[[], object], index: Path, fault: Fault) -> str:
    """Do some work on an index under a fault, in this process for good; what came of it, in words."""
    try:
        steps = Steps(fault)
        steps.watch()
        if fault.kind == "full":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(fault.number), resource.RLIM_INFINITY))
        if fault.kind == "read-only":
            os.setuid(_NOBODY) if os.geteuid() == 0 else os.chmod(index, 0o500)
        work()
        return f"done after {steps.count}"
    except FeatmatchError:
        return "error"
    except BaseException as error:  # whatever else it is, is a failure
        return f"{type(error).__name__}: {error}"
    finally:
        if fault.kind == "read-only" and os.geteuid() not in (0, _NOBODY):
            os.chmod(index, 0o700)
