from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch.system import worker_process
from featmatch.system.worker_loop import MEMORY_BYTES, Lost
from featmatch.system.worker_process import NotBegunError, Worker, working_folder
from tests.system.tasks import search_path, task


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.stop()


def call(worker: Worker, function: Any, *arguments: Any, seconds: float = 60.0) -> tuple[bool, Any]:
    return worker.call((function, arguments, MEMORY_BYTES, os.getcwd()), seconds)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has wider pipes")
def test_its_pipes_are_wide_where_the_system_allows_it(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    widths = [fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) for pipe in (worker.process.stdin, worker.process.stdout) if pipe]
    assert widths == [1 << 20] * 2

    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "this user has as many wide pipes as it may")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    narrow = Worker()
    monkeypatch.undo()
    assert call(narrow, os.path.basename, "a/b") == (True, "b")
    narrow.stop()


def test_calls_are_answered_one_after_the_other(worker: Worker) -> None:
    assert call(worker, divmod, 17, 5) == (True, (3, 2))
    succeeded, error = call(worker, divmod, 17, 0)
    assert (succeeded, type(error)) == (False, ZeroDivisionError)
    assert call(worker, os.getpid) == (True, worker.process.pid)
    assert worker.is_alive


def test_it_has_a_session_and_threads_of_its_own_and_finds_what_its_parent_does(worker: Worker) -> None:
    assert call(worker, os.getsid, 0)[1] != os.getsid(0)  # Ctrl-C goes to the session of the terminal
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert call(worker, os.getenv, name) == (True, "1")  # the processes share the cores already
    assert call(worker, os.getenv, "PATH") == (True, os.environ["PATH"])
    assert call(worker, search_path) == (True, [os.path.normpath(path or os.getcwd()) for path in sys.path])


def test_it_has_the_options_of_the_interpreter() -> None:
    script = "from featmatch.system.worker_process import Worker; w = Worker(); w.stop(); print(*w.process.args[1:-2])"
    ended = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True, check=True)
    assert "-O" in ended.stdout.split()


@pytest.mark.parametrize(
    ("what", "number", "how"),
    [("exit", 0, "exit status 0"), ("exit", 3, "exit status 3"), ("signal", 6, "SIGABRT"), ("signal", 50, "signal 50")],
)
@pytest.mark.skipif(sys.platform != "linux", reason="has other signals")
def test_how_it_ended_is_told(worker: Worker, what: str, number: int, how: str) -> None:
    assert call(worker, task, what, number) == (True, Lost(f"its process ended: {how}"))
    assert not worker.is_alive


def test_a_call_that_takes_too_long_ends_it(worker: Worker) -> None:
    assert call(worker, task, "value", 7, seconds=float("inf")) == (True, 7)
    assert call(worker, task, "hang", seconds=0.2) == (True, Lost("took more than 0.2 seconds"))
    assert not worker.is_alive
    assert worker.process.returncode == -signal.SIGKILL


def test_what_ended_while_it_was_idle_does_not_begin(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(NotBegunError, match=r"^its process ended: SIGKILL$"):
        call(worker, task, "value", 7)


def test_what_does_not_answer_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_flags", lambda: ["-c", "import time; time.sleep(1000)"])
    monkeypatch.setattr(worker_process, "_START_SECONDS", 0.3)
    worker = Worker()
    with pytest.raises(NotBegunError, match=r"^took more than 0.3 seconds$"):
        call(worker, task, "value", 7)
    assert not worker.is_alive


@pytest.mark.parametrize("receives", [0, 1])
def test_a_call_that_is_interrupted_ends_it(worker: Worker, monkeypatch: pytest.MonkeyPatch, receives: int) -> None:
    answers: Iterator[bool] = iter([True] * receives)

    def receive() -> Any:
        for answer in answers:
            return answer
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "_receive", receive)
    with pytest.raises(KeyboardInterrupt):
        call(worker, task, "value", 7)
    assert worker.process.returncode == -signal.SIGKILL


def test_nothing_is_left_of_one_that_is_stopped() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        worker = Worker()
        worker.stop()
        worker.stop()
        worker.close_pipes()
        assert worker.process.stdin is not None
        assert worker.process.stdout is not None
        assert worker.process.stdin.closed
        assert worker.process.stdout.closed
        assert not worker.is_alive


def test_a_working_directory_that_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert working_folder() == str(tmp_path)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert working_folder() == os.sep
