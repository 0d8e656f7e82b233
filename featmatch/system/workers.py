"""Calling functions in other processes: a call that crashes, hangs or takes all memory costs nothing but itself.

Each process has two pipes and one task at a time, so it is always known which task ended it. A pool whose processes
share one queue (joblib's, pebble's) loses all tasks under way, or has to guess. A process is a new Python that gets
nothing of the caller but the search path: no copy of its main module, no fork of its threads. It imports what its first
call needs, or what ``prepare`` named, and nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from featmatch.errors import FeatmatchError, UsageError
from featmatch.system.worker_loop import MEMORY_BYTES, Lost, at_work, limit_memory
from featmatch.system.worker_process import NotBegunError, Worker, working_folder

__all__ = ["MEMORY_BYTES", "Lost", "in_order", "may_start", "prepare", "processes_for", "run"]

_PAUSES = (0.05, 0.2, 1.0, 3.0)  # seconds before each further try to start a process
_AHEAD = 32  # so that a slow task stops no other

_BACKGROUND = 10  # niceness: others go first

_niceness: ContextVar[int] = ContextVar("niceness", default=0)
_idle: list[Worker] = []
_freed = threading.Condition()  # guards the list, and the calls under way


@contextlib.contextmanager
def in_background() -> Generator[None, None, None]:
    """Calls that this thread begins meanwhile go on in processes of a lower priority, which no other calls use."""
    token = _niceness.set(_BACKGROUND)
    try:
        yield
    finally:
        _niceness.reset(token)


def in_order(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    *,
    jobs: int,
    seconds: float,
    memory_bytes: int = MEMORY_BYTES,
    ahead: int = _AHEAD,
) -> Generator[Any, None, None]:
    """Call a function with each of the tasks, in other processes; results come in the order of the tasks.

    Processes are kept for later calls, since starting one takes longer than most tasks. They end with their parent,
    however that ends. A process that may start none (see ``may_start``) calls the function itself, without bounds.

    Args:
        function: one that can be pickled by its name.
        tasks: its arguments; taken from the iterable as they are needed.
        jobs: processes at most. Where fewer can be started, those do the work.
        seconds: that each task may take; then its process is killed.
        memory_bytes: that each process may take; beyond it, tasks get a MemoryError.
        ahead: results for each process that may wait for the caller, or for an earlier one.

    Yields:
        What the function returns; or a ``Lost``, where the task ended its process or took too much. An exception of
        the function is raised here.

    Raises:
        FeatmatchError: no process can be started.
        UsageError: this process may start none, and several jobs are asked for.
    """
    if not may_start():
        if jobs > 1:
            raise UsageError("a daemonic process of multiprocessing may start no processes: jobs=1 works in itself")
        for task in tasks:
            yield function(*task)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    calls = _Calls()
    folder = working_folder()  # of relative names; a process may have been started in another
    waiting: deque[Future[Any]] = deque()
    threads = ThreadPoolExecutor(jobs)
    try:
        for task in tasks:
            waiting.append(threads.submit(calls.call, (function, task, memory_bytes, folder), seconds))
            if len(waiting) > ahead * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        calls.end()
        threads.shutdown()
        _stop_idle(calls.niceness, but=1)


def run(
    function: Callable[..., Any], arguments: tuple[Any, ...], *, seconds: float, memory_bytes: int = MEMORY_BYTES
) -> Any:
    """Call a function once, as ``in_order`` does; in this process, where it may start no other.

    A worker keeps to the bounds of its own calls, too: to that of time by giving up what came too late.
    """
    if not may_start():
        limit_memory(memory_bytes)
        began = time.monotonic()
        result = function(*arguments)
        late = at_work() and time.monotonic() - began > seconds
        return Lost(f"took more than {seconds:g} seconds") if late else result
    return _Calls().call((function, arguments, memory_bytes, working_folder()), seconds)


def prepare(*modules: str, processes: int = 1) -> None:
    """Start processes for the first calls to come, and do not wait for them.

    Args:
        modules: names of those that the calls will need; the processes import them while the caller is busy elsewhere.
        processes: that are to be idle.
    """
    with contextlib.suppress(OSError), _freed:
        while may_start() and len(_idle) < processes:
            _idle.append(Worker(modules))


def processes_for(jobs: int, tasks: int) -> int:
    """How many processes to share some tasks between: at least one, and no more than there are tasks.

    Args:
        jobs: as many processes; or, as joblib has it, -1: one for each core, -2: one less, and so on. Cores that this
            process may not use, by its affinity or the limits of its container, do not count.
        tasks: how many there are.

    >>> processes_for(8, tasks=3)
    3
    """
    if jobs < 0 and tasks > 1:
        import joblib  # takes longer to import than many a command to run

        jobs += 1 + joblib.cpu_count()
    return max(min(jobs, tasks), 1)


def may_start() -> bool:
    """Whether this process may start others: it is neither a worker nor a daemonic process of multiprocessing."""
    process = sys.modules.get("multiprocessing.process")
    return not at_work() and not (process is not None and process.current_process().daemon)


class _Calls:
    """Concurrent calls that can be stopped together."""

    def __init__(self) -> None:
        self._busy: set[Worker] = set()
        self._ended = False
        self.niceness = _niceness.get()

    def call(self, request: tuple[Any, ...], seconds: float) -> Any:
        """What a process answers. If it ended before it began, as while it was idle, another is tried."""
        pauses = iter(_PAUSES)
        while True:
            try:
                succeeded, result = self._try(request, seconds)
            except (NotBegunError, OSError) as error:
                self._await_another(pauses, error)
                continue
            if not succeeded:
                raise result
            return result

    def _try(self, request: tuple[Any, ...], seconds: float) -> tuple[bool, Any]:
        worker = self._take(lambda: _take_idle(self.niceness)) or self._take(lambda: Worker(niceness=self.niceness))
        if worker is None:
            return True, None  # stopped
        try:
            return worker.call(request, seconds)
        finally:
            self._give_back(worker)

    def _take(self, source: Callable[[], Worker | None]) -> Worker | None:
        with _freed:
            worker = None if self._ended else source()
            if worker is not None:
                self._busy.add(worker)
            return worker

    def end(self) -> None:
        """Stop the calls under way, by killing their processes."""
        with _freed:
            self._ended = True
            for worker in self._busy:
                worker.process.kill()
            _freed.notify_all()

    def _await_another(self, pauses: Iterator[float], error: Exception) -> None:
        """Wait until a process of these calls is free; where there is none, wait for a moment.

        Raises:
            FeatmatchError: all tries to start a process failed.
        """
        with _freed:
            if self._ended or any(one.niceness == self.niceness for one in _idle):
                return
            if self._busy:
                _freed.wait()
                return
            pause = next(pauses, None)
            if pause is None:
                raise FeatmatchError(f"cannot start a process to work in: {error}") from error
            _freed.wait(pause)

    def _give_back(self, worker: Worker) -> None:
        with _freed:
            self._busy.discard(worker)
            alike = sum(one.niceness == worker.niceness for one in _idle)
            kept = worker.is_alive and not self._ended and alike < (os.cpu_count() or 1)
            if kept:
                _idle.append(worker)
            _freed.notify_all()
        if not kept:
            worker.stop()


def _take_idle(niceness: int) -> Worker | None:
    with _freed:
        for worker in reversed([one for one in _idle if one.niceness == niceness]):
            _idle.remove(worker)
            if worker.is_alive:  # somebody may have killed it meanwhile
                return worker
            worker.stop()
    return None


def _stop_idle(niceness: int | None = None, but: int = 0) -> None:
    with _freed:
        spare = [one for one in _idle if niceness in (None, one.niceness)][but:]
        for worker in spare:
            _idle.remove(worker)
    for worker in spare:
        worker.stop()


def _after_fork() -> None:
    """Forget the processes in a forked child: they are its parent's."""
    for worker in _idle:
        worker.process.returncode = 0
    _idle.clear()
    _freed.release()


def _at_exit() -> None:
    """Kill the idle processes, without waiting for their end, which takes longer."""
    for worker in _idle:
        worker.process.kill()
        worker.process.returncode = 0
        worker.close_pipes()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_freed.acquire, after_in_parent=_freed.release, after_in_child=_after_fork)
