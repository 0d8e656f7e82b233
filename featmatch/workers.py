"""Tasks in processes of their own, in order, where one that crashes, hangs or wants all memory costs itself only.

Each process has a pipe and one task at a time, so that what a process was at when it ended is never in doubt. A pool
that shares one queue (joblib's, concurrent.futures', pebble's) loses all that it was at, or has to guess.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from featmatch.errors import FeatmatchError, UsageError
from featmatch.quiet import silence

MEMORY_BYTES = 4 << 30  # that one process may take; the largest pictures that are decoded want 2 to 3 GB
_START_SECONDS = 300.0
_AHEAD = 32  # tasks for each process that may be done before the first is taken: one slow task stops no other

_idle: list[_Worker] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they are the parent's


@dataclass(frozen=True)
class Lost:
    """What stands in for the result of a task that ended its process.

    Attributes:
        reason: in words.
    """

    reason: str


def in_order(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    *,
    jobs: int,
    seconds: float,
    memory_bytes: int = MEMORY_BYTES,
) -> Generator[Any, None, None]:
    """Call a function with each of the tasks, in processes; results come in the order of the tasks.

    A process stays for the next call: starting one takes longer than most tasks. It ends with its parent, however that
    ends.

    Args:
        function: can be pickled by its name.
        tasks: its arguments; taken as they are needed.
        jobs: processes at most.
        seconds: for each task; then its process is killed.
        memory_bytes: for each process; above it, tasks see a MemoryError.

    Yields:
        What the function returns, or a ``Lost``. What it raises is raised.
    """
    busy: set[_Worker] = set()
    ended = False
    folder = _working_folder()  # of relative names; a process may have been started in another

    def call(task: tuple[Any, ...]) -> Any:
        worker = _take_idle() or _Worker()
        with _lock:
            if ended:
                _idle.append(worker)
                return None
            busy.add(worker)
        succeeded, result = worker.call((function, task, memory_bytes, folder), seconds)
        with _lock:
            busy.discard(worker)
            if not ended and worker.process.is_alive():
                _idle.append(worker)
        if not succeeded:
            raise result
        return result

    waiting: deque[Future[Any]] = deque()
    threads = ThreadPoolExecutor(jobs)
    try:
        for task in tasks:
            waiting.append(threads.submit(call, task))
            if len(waiting) > _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        with _lock:
            ended = True
            for worker in busy:
                worker.process.terminate()
            spare = _idle[1:]
            del _idle[1:]
        threads.shutdown()
        for worker in spare:
            worker.stop()


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it is no more, and no relative name leads anywhere
        return os.sep


def _take_idle() -> _Worker | None:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.process.is_alive():  # somebody may have killed it meanwhile
                return worker
    return None


class _Worker:
    """A process that answers one call after the other."""

    def __init__(self) -> None:
        if multiprocessing.current_process().daemon:
            raise UsageError("a daemonic process of multiprocessing cannot do this: it may start no processes")
        with _lock:  # threads that import at once may see modules half made
            from joblib.externals.loky.backend import get_context  # starts no second copy of the caller's main module

        context: Any = get_context("loky")
        self._connection, theirs = context.Pipe()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True, env=one_thread)
        with _interrupts_held():
            try:
                self.process.start()
            except FileNotFoundError:
                with _at_the_top():
                    self.process.start()
        theirs.close()
        try:
            if self._connection.poll(_START_SECONDS) and self._connection.recv():
                return
        except (EOFError, OSError):
            pass
        self.stop()
        raise FeatmatchError("cannot start a process to work in")

    def call(self, request: tuple[Any, ...], seconds: float) -> tuple[bool, Any]:
        """Whether the function returned, and what it returned or raised."""
        try:
            self._connection.send(request)
            if self._connection.poll(seconds):
                answer: tuple[bool, Any] = self._connection.recv()
                return answer
            reason = f"took more than {seconds:g} seconds"
            self.stop()
        except (EOFError, OSError):
            self.process.join()
            reason = f"its process ended: {_how(self.process.exitcode)}"
        self._connection.close()
        return True, Lost(reason)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()


def _how(exitcode: int) -> str:
    if exitcode >= 0:
        return f"exit status {exitcode}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-exitcode).name
    return f"signal {-exitcode}"


@contextlib.contextmanager
def _at_the_top() -> Generator[None, None, None]:
    """No process can be started from a working directory that is no more."""
    with _lock:
        before = os.open(os.curdir, os.O_RDONLY)
        try:
            os.chdir(os.sep)
            yield
        finally:
            os.fchdir(before)
            os.close(before)


@contextlib.contextmanager
def _interrupts_held() -> Generator[None, None, None]:
    """Ctrl-C goes to all processes of a terminal; one that is just starting would complain of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection) -> None:
    """What a process does: answer calls until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    silence()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # where memory runs out, this process goes before its parent
    if sys.platform == "linux":
        threading.Thread(target=_end_with_parent, args=(connection.fileno(),), daemon=True).start()
    connection.send(True)
    while True:
        try:
            function, arguments, memory_bytes, folder = connection.recv()
        except EOFError:
            return
        _limit_memory(memory_bytes)
        try:
            os.chdir(folder)
            answer: tuple[bool, Any] = True, function(*arguments)
        except MemoryError:
            answer = True, Lost(f"wants more than {memory_bytes >> 20} MB of memory")
        except Exception as error:
            answer = False, error
        connection.send(answer)


def _end_with_parent(descriptor: int) -> None:
    """End this process when the other end of the pipe is closed, be it in the middle of a task."""
    poll = select.poll()
    poll.register(descriptor, 0)  # only that it was hung up
    poll.poll()
    os._exit(0)


def _limit_memory(limit: int) -> None:
    if sys.platform == "linux":  # elsewhere the limit is not there, or not kept
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
