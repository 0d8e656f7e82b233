"""One process that answers calls, from the side of its parent; ``worker_loop`` is the other side."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

from featmatch.system.worker_loop import Lost

_START_SECONDS = 300.0
_MOST_CALLS = 500  # then another process takes its place, and what decoders leak is gone
_PIPE_BYTES = 1 << 20  # what Linux allows everybody; a picture and its features are 2 to 5 MB
_BROKEN = (EOFError, OSError, pickle.UnpicklingError)  # raised by a pipe whose process is gone
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)


class NotBegunError(Exception):
    """A process ended before it began with its task, or cannot be started."""


class Worker:
    """A process that answers one call after the other.

    Attributes:
        process: itself.
        niceness: how far it lets others go first.
    """

    def __init__(self, modules: Sequence[str] = (), niceness: int = 0) -> None:
        """Start one, which imports some modules; it is not waited for.

        Raises:
            OSError: the system starts none.
        """
        folder = working_folder()
        paths = [os.path.normpath(os.path.join(folder, path)) for path in sys.path if isinstance(path, str)]
        work = f"from featmatch.system.worker_loop import work; work({tuple(modules)!a}, {niceness})"
        program = f"import gc, sys; gc.disable(); sys.path[:] = {paths!a}; {work}"
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._expired = False
        self._calls = 0
        self.niceness = niceness
        self.process = subprocess.Popen(
            [sys.executable, *_flags(), "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what decoders say of damaged files
            env=os.environ | one_thread,
            start_new_session=True,  # Ctrl-C, or the end of a terminal, is for the parent to deal with
            creationflags=_WINDOWS_FLAGS,
        )
        self._widen_pipes()

    @property
    def is_alive(self) -> bool:
        """Whether it takes another call."""
        return not self._expired and self._calls < _MOST_CALLS and self.process.poll() is None

    def call(self, request: tuple[Any, ...], seconds: float) -> tuple[bool, Any]:
        """Call a function; say whether it returned, and what it returned or raised.

        Raises:
            NotBegunError: the process ended before it began.
        """
        assert self.process.stdin is not None
        self._calls += 1
        try:
            with self._kill_after(_START_SECONDS):
                pickle.dump(request, self.process.stdin, 5)
                self.process.stdin.flush()
                self._receive()
        except (*_BROKEN, RuntimeError) as error:  # the last: no thread can be started
            raise NotBegunError(self._stop_and_say_why(_START_SECONDS)) from error
        except BaseException:
            self.stop()
            raise
        try:
            with self._kill_after(seconds):
                answer: tuple[bool, Any] = self._receive()
                return answer
        except _BROKEN:
            return True, Lost(self._stop_and_say_why(seconds))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the process, whatever it is doing."""
        self.process.kill()
        self.close_pipes()
        self.process.wait()

    def close_pipes(self) -> None:
        """Close the pipes; what was not read is lost."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _widen_pipes(self) -> None:
        """Let a picture or its features pass in few steps, where the system has room for that; on Linux only."""
        if sys.platform == "linux":
            import fcntl

            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _receive(self) -> Any:
        assert self.process.stdout is not None
        return pickle.load(self.process.stdout)

    @contextlib.contextmanager
    def _kill_after(self, seconds: float) -> Generator[None, None, None]:
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # so that it is certain whether the process was killed

    def _expire(self) -> None:
        self._expired = True
        self.process.kill()

    def _stop_and_say_why(self, seconds: float) -> str:
        self.stop()
        return f"took more than {seconds:g} seconds" if self._expired else f"its process ended: {self._status()}"

    def _status(self) -> str:
        exitcode = self.process.returncode
        if exitcode >= 0:
            return f"exit status {exitcode}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-exitcode).name
        return f"signal {-exitcode}"


def working_folder() -> str:
    """The working directory, which names of files are relative to."""
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted, and no relative name leads anywhere
        return os.sep


def _flags() -> list[str]:
    """The interpreter's options, as multiprocessing passes them on."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return flags
