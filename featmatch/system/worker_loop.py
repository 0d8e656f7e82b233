"""The loop of a process that ``workers`` started: it answers calls until its parent is gone."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Any

MEMORY_BYTES = 4 << 30  # that one process may take; decoding the largest pictures takes 2 to 3 GB

_at_work = threading.Event()


@dataclass(frozen=True)
class Lost:
    """Result of a task that ended its process, or took too much time or memory.

    Attributes:
        reason: why there is no other result, in words.
    """

    reason: str


def at_work() -> bool:
    """Whether this process is a worker: it is bounded as a whole, and starts no others."""
    return _at_work.is_set()


def be_at_work() -> None:
    """Let this process count as a worker."""
    _at_work.set()


def limit_memory(limit: int) -> None:
    """Limit the memory of this process, if it is a worker, until its next call; on Linux only."""
    if sys.platform == "linux" and at_work():
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))


def work(modules: Sequence[str] = (), niceness: int = 0) -> None:
    """Answer calls. Each gets two answers: one when it begins, and one with its result.

    Args:
        modules: imported before the first call comes, which may be sooner than it is ready.
        niceness: how far this process lets others go first, where the system can do that.
    """
    be_at_work()
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # where memory runs out, the system kills this process before its parent
    requests: SimpleQueue[Any] = SimpleQueue()
    answers = _take_over(1, "wb")
    threading.Thread(target=_read, args=(_take_over(0, "rb"), requests), daemon=True).start()
    for module in modules:
        importlib.import_module(module)
    while True:
        request = requests.get()
        gc.enable()  # off until now: collecting takes a tenth of the time of the imports
        _send(answers, True)
        if isinstance(request, BaseException):
            _send(answers, (False, request))
            return
        _send(answers, _call(*request))


def _read(pipe: IO[bytes], requests: SimpleQueue[Any]) -> None:
    """Pass requests on. When the parent is gone, or closes its pipe, end this process, even in the middle of a task."""
    while True:
        try:
            request: Any = pickle.load(pipe)
        except EOFError:
            os._exit(0)
        except BaseException as error:
            request = error
        requests.put(request)


def _call(function: Any, arguments: tuple[Any, ...], memory_bytes: int, folder: str) -> tuple[bool, Any]:
    limit_memory(memory_bytes)
    try:
        os.chdir(folder)
        return True, function(*arguments)
    except MemoryError:
        return True, Lost(f"wants more than {memory_bytes >> 20} MB of memory")
    except Exception as error:
        return False, error


def _send(pipe: IO[bytes], answer: object) -> None:
    pickle.dump(answer, pipe, 5)
    pipe.flush()


def _take_over(descriptor: int, mode: str) -> IO[Any]:
    """Keep standard input or output for our own use; decoders that use it get the null device."""
    pipe = os.fdopen(os.dup(descriptor), mode)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    return pipe
