"""What tests have other processes do. It imports little: each of those processes imports it, and pytest takes long."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from featmatch.system.worker_loop import at_work
from featmatch.system.workers import run


def task(kind: str, value: Any = 0) -> Any:  # noqa: PLR0911, PLR0912
    """What the processes are made to do; it is found by its name."""
    if kind == "exit":
        os._exit(value)
    if kind == "signal":
        os.kill(os.getpid(), value)
    if kind == "hang":
        signal.pause()
    if kind == "tell and hang":
        Path(value).write_text(str(os.getpid()))
        signal.pause()
    if kind == "memory":
        import numpy as np

        return len(np.empty(value, np.uint8))
    if kind == "raise":
        raise OSError(value)
    if kind == "process":
        return os.getpid()
    if kind == "niceness":
        return os.nice(0)
    if kind == "folder":
        return os.getcwd()
    if kind == "nested":
        return run(task, ("process",), seconds=60.0) == os.getpid()
    if kind == "limit":
        return memory_limit()
    if kind == "nested late":
        return run(task, ("process",), seconds=0.0)
    if kind == "nested limit":
        return run(task, ("limit",), seconds=60.0, memory_bytes=value), run(task, ("limit",), seconds=60.0)
    if kind == "print":
        os.write(1, value.encode())
        return os.read(0, 10)
    if kind == "noise":
        return os.write(2, b"from a decoder\n")
    return value


def state(what: str) -> Any:  # noqa: PLR0911
    """What the process is asked; it is found by its name."""
    if what == "at work":
        return at_work()
    if what == "interrupt":
        return signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if what == "limit":
        return memory_limit()
    if what == "streams":
        return os.read(0, 9), os.write(1, b"a decoder")
    if what == "threads":
        return [thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()]
    if what == "gc":
        return gc.isenabled()
    if what == "colorsys":
        return what in sys.modules
    if what == "hang":
        signal.pause()
    if what == "badness":
        return Path("/proc/self/oom_score_adj").read_text()
    raise KeyError(what)


def sys_has(*modules: str) -> list[bool]:
    return [module in sys.modules for module in modules]


def memory_limit() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def search_path() -> list[str]:
    return sys.path
