from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featmatch.errors import FeatmatchError, UsageError
from featmatch.system import worker_process, workers
from featmatch.system.workers import Lost, in_order, processes_for, run
from tests.system.tasks import sys_has, task


def results(tasks: list[tuple[Any, ...]], jobs: int = 2, seconds: float = 60.0, **how: Any) -> list[Any]:
    return list(in_order(task, tasks, jobs=jobs, seconds=seconds, **how))


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    assert results([("value", number) for number in range(200)], jobs) == list(range(200))


def test_nothing_to_do() -> None:
    assert results([]) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_ends_costs_its_task_only(jobs: int) -> None:
    tasks: list[tuple[Any, ...]] = [("value", number) for number in range(20)]
    tasks[3] = ("exit", 3)
    tasks[4] = ("signal", signal.SIGSEGV)
    tasks[19] = ("signal", signal.SIGKILL)
    found = results(tasks, jobs)
    assert [number for number, result in enumerate(found) if isinstance(result, Lost)] == [3, 4, 19]
    assert [found[number].reason for number in (3, 4, 19)] == [
        "its process ended: exit status 3", "its process ended: SIGSEGV", "its process ended: SIGKILL",
    ]  # fmt: skip
    assert [result for result in found if not isinstance(result, Lost)] == [*range(3), *range(5, 19)]


def test_a_task_that_takes_too_long_costs_itself_only() -> None:
    tasks = [("value", 1), ("hang", 0), ("value", 2)]
    assert results(tasks, seconds=0.5) == [1, Lost("took more than 0.5 seconds"), 2]


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory here")
def test_a_task_that_wants_too_much_memory_costs_itself_only() -> None:
    tasks = [("memory", 1 << 20), ("memory", 1 << 30), ("memory", 1 << 20)]
    found = results(tasks, jobs=1, memory_bytes=1 << 30)
    assert found == [1 << 20, Lost("wants more than 1024 MB of memory"), 1 << 20]
    assert results([("memory", 1 << 30)], jobs=1) == [1 << 30]


def test_what_a_task_raises_is_raised() -> None:
    with pytest.raises(OSError, match="7"):
        results([("value", 1), ("raise", 7)])


def test_processes_stay_for_the_next_call() -> None:
    (first,) = results([("process",)], jobs=1)
    assert first != os.getpid()
    assert results([("process",)], jobs=1) == [first]


def test_what_goes_on_in_the_background_lets_others_go_first() -> None:
    usual = os.nice(0)
    with workers.in_background():
        behind = results([("process",), ("niceness",)], jobs=1)
        assert run(task, ("niceness",), seconds=60.0) == min(usual + 10, 19)
    before = results([("process",), ("niceness",)], jobs=1)
    assert (before[1], behind[1]) == (usual, min(usual + 10, 19))
    with workers.in_background():
        assert results([("process",)], jobs=1) == behind[:1]
    assert results([("process",)], jobs=1) == before[:1]


def test_a_process_makes_room_for_another_after_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    results([("exit", 0)], jobs=1)  # whatever process was there
    monkeypatch.setattr(worker_process, "_MOST_CALLS", 3)
    first, second, third, fourth, fifth = results([("process",)] * 5, jobs=1)
    assert first == second == third != fourth == fifth


def test_a_process_that_is_killed_while_idle_costs_nothing() -> None:
    (first,) = results([("process",)], jobs=1)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    (second,) = results([("process",)], jobs=1)
    assert second not in (first, os.getpid())


def test_leaving_early_again_and_again_costs_nothing() -> None:
    for _ in range(4):
        running = in_order(task, [("value", number) for number in range(100)], jobs=1, seconds=60.0)
        assert next(running) == 0
        running.close()


def test_processes_work_where_their_caller_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert results([("folder",)], jobs=1) == [os.getcwd()]
    monkeypatch.chdir(tmp_path)
    assert results([("folder",)], jobs=1) == [os.getcwd()] == [str(tmp_path)]


def test_processes_start_where_there_is_no_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.system.workers._take_idle", lambda niceness: None)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert results([("value", number) for number in range(4)], jobs=2) == [0, 1, 2, 3]
    with pytest.raises(FileNotFoundError):
        os.getcwd()  # as it was


def test_tasks_are_taken_as_they_are_needed() -> None:
    taken = 0

    def tasks() -> Iterator[tuple[Any, ...]]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield ("value", number)

    for how, most in (({}, 100), ({"ahead": 1}, 2)):
        taken = 0
        running = in_order(task, tasks(), jobs=1, seconds=60.0, **how)
        assert next(running) == 0
        assert 1 < taken <= most
        running.close()
        assert taken <= most


def test_leaving_early_ends_what_is_at_work(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "told")
    running = in_order(task, [("value",), ("tell and hang", tmp_path / "told"), ("hang",)], jobs=1, seconds=60.0)
    next(running)
    process = int((tmp_path / "told").read_text())
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_decoders_print_stays_away_from_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert results([("noise",)]) == [len("from a decoder\n")]
    assert capfd.readouterr().err == ""


def test_the_first_processes_of_all_can_be_started_at_once(tmp_path: Path) -> None:
    script = "from featmatch.system.workers import in_order; print(*in_order(abs, [(-1,)] * 4, jobs=4, seconds=60.0))"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("1 1 1 1\n", "")


def test_a_process_that_may_start_none_works_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(multiprocessing.current_process())["_config"], "daemon", True)
    assert results([("process",), ("value", 7)], jobs=1) == [os.getpid(), 7]
    assert run(task, ("process",), seconds=60.0) == os.getpid()
    with pytest.raises(UsageError, match="daemonic"):
        results([("value",)], jobs=2)


def test_a_worker_calls_by_itself() -> None:
    assert results([("nested",)], jobs=1) == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory here")
def test_what_a_worker_calls_has_its_own_bounds() -> None:
    assert results([("nested limit", 3 << 30)], memory_bytes=5 << 30) == [(3 << 30, workers.MEMORY_BYTES)]
    assert results([("nested late",)]) == [Lost("took more than 0 seconds")]
    here = task("limit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featmatch.system.workers.may_start", lambda: False)
        assert task("nested limit", 3 << 30) == (here, here)
        assert task("nested late") == os.getpid()


def test_one_call() -> None:
    assert run(task, ("process",), seconds=60.0) != os.getpid()
    assert run(task, ("signal", signal.SIGABRT), seconds=60.0) == Lost("its process ended: SIGABRT")
    assert run(task, ("hang",), seconds=0.2) == Lost("took more than 0.2 seconds")
    assert run(task, ("value", 7), seconds=60.0) == 7
    with pytest.raises(OSError, match="odd"):
        run(task, ("raise", "odd"), seconds=60.0)


def test_a_process_that_was_prepared_is_used() -> None:
    workers._stop_idle()
    workers.prepare()
    workers.prepare()
    (prepared,) = workers._idle
    assert run(task, ("process",), seconds=60.0) == prepared.process.pid


def test_a_prepared_process_has_imported_what_was_named() -> None:
    workers._stop_idle()
    workers.prepare("wave", "colorsys")
    assert run(sys_has, ("wave", "colorsys", "sndhdr"), seconds=60.0) == [True, True, False]
    workers._stop_idle()
    assert run(sys_has, ("wave",), seconds=60.0) == [False]


def test_nothing_is_prepared_where_no_process_may_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    workers._stop_idle()
    monkeypatch.setattr(workers, "may_start", lambda: False)
    workers.prepare()
    assert workers._idle == []


def test_one_process_stays_of_many() -> None:
    results([("value", number) for number in range(200)], jobs=3)
    assert len(workers._idle) == 1


def test_a_call_may_take_as_long_as_it_wants() -> None:
    assert run(task, ("value", 7), seconds=float("inf")) == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_the_processes_of_a_parent_are_not_those_of_its_fork() -> None:
    script = (
        "import os\n"
        "from featmatch.system import workers\n"
        "first = workers.run(os.getpid, (), seconds=60.0)\n"
        "if os.fork() == 0:\n"
        "    assert workers._idle == []\n"
        "    own = workers.run(os.getpid, (), seconds=60.0)\n"
        "    workers._at_exit()\n"
        "    os._exit(7 if own != first else 8)\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 7\n"
        "assert workers.run(os.getpid, (), seconds=60.0) == first\n"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_idle_processes_end_when_their_parent_does() -> None:
    script = "import os; from featmatch.system.workers import run; print(run(os.getpid, (), seconds=60.0))"
    ended = subprocess.run([sys.executable, "-X", "dev", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr == ""  # no pipe is left open, no process unwaited for
    subprocess.run(["tail", f"--pid={int(ended.stdout)}", "-f", os.devnull], timeout=60, check=True)


def test_collecting_garbage_is_off_during_imports_only() -> None:
    workers._stop_idle()
    assert run(gc.isenabled, (), seconds=60.0)


@pytest.mark.parametrize(
    ("jobs", "tasks", "processes"),
    [(1, 9, 1), (4, 9, 4), (12, 9, 9), (-1, 99, 8), (-2, 99, 7), (-7, 99, 2), (-8, 99, 1), (-99, 99, 1), (-1, 3, 3)],
)
def test_processes_for_tasks(monkeypatch: pytest.MonkeyPatch, jobs: int, tasks: int, processes: int) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    assert processes_for(jobs, tasks) == processes


@pytest.mark.parametrize("tasks", [0, 1])
def test_one_process_for_one_task_or_none_and_no_core_is_counted(monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    monkeypatch.setattr("joblib.cpu_count", None)  # importing it takes a while
    assert [processes_for(jobs, tasks) for jobs in (-3, -1, 1, 5)] == [1, 1, 1, 1]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    script = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "from featmatch.system.workers import processes_for; print(processes_for(-1, 99))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "1\n"


def test_what_a_decoder_reads_or_writes_is_not_ours() -> None:
    assert run(task, ("print", "all over the answer"), seconds=60.0) == b""


def test_results_of_any_size_come_back() -> None:
    content = os.urandom(1 << 22)
    assert run(task, ("value", content), seconds=60.0) == content


class Refusing:
    """Stands in for ``Popen``: the system starts so many processes only after so many tries."""

    def __init__(self, failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.started = failures, subprocess.Popen
        workers._stop_idle()
        monkeypatch.setattr("featmatch.system.workers._PAUSES", (0.0, 0.0))
        monkeypatch.setattr("featmatch.system.worker_process.subprocess.Popen", self)

    def __call__(self, *arguments: Any, **how: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self.started(*arguments, **how)


def test_a_process_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Refusing(2, monkeypatch)
    assert results([("value", 1), ("value", 2)], jobs=1) == [1, 2]
    assert refusing.left == -1


def test_trying_to_start_a_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Refusing(1000, monkeypatch)
    with pytest.raises(FeatmatchError, match=r"cannot start a process.*temporarily unavailable"):
        results([("value", 1)], jobs=1)
    assert refusing.left == 1000 - 3
    workers.prepare()  # is no promise
    assert workers._idle == []


def test_as_many_processes_as_can_be_started_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = Refusing(0, monkeypatch)
    workers.prepare()
    refusing.left = 1000
    assert results([("value", number) for number in range(100)], jobs=4) == list(range(100))


def test_processes_that_end_before_they_begin_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    workers._stop_idle()
    monkeypatch.setattr("featmatch.system.workers._PAUSES", (0.0, 0.0))
    monkeypatch.setattr("featmatch.system.worker_process._flags", lambda: ["-c", "raise SystemExit(9)"])
    with pytest.raises(FeatmatchError, match="its process ended: exit status 9"):
        run(task, ("value", 1), seconds=60.0)


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from featmatch.system.workers import in_order\n"
        "from tests.system.tasks import task\n"
        "for result in in_order(task, [('process',), ('hang',)], jobs=1, seconds=60.0): print(result, flush=True)\n"
    )
    root = str(Path(__file__).parents[2])
    with subprocess.Popen([sys.executable, "-c", script, root], cwd=tmp_path, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        os.kill(process, 0)
        parent.kill()
        assert parent.stdout.read() == b""
    ended = subprocess.run(["tail", f"--pid={process}", "-f", os.devnull], timeout=60, check=False)
    assert ended.returncode == 0
