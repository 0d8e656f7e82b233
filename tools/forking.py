"""Runs the tests of a copy of the working tree in a fork, which finds most imports done."""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

_MEMORY = 4 << 30  # bytes of data that a process of a mutant may have
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True)
class Stage:
    """Tests that are run together: arguments of pytest, and after how long a mutant is taken for an endless one.

    Other work slows a machine down, so most is counted in time of the processor.
    """

    arguments: tuple[str, ...]
    processor_s: int = resource.RLIM_INFINITY  # of any one process
    limit_s: float = math.inf  # by the clock


def passes(tree: Path, stage: Stage, *, sound: bool = False) -> bool:
    """Run pytest in a fork of this process, with a copy of a working tree as all that it knows of the project.

    Args:
        tree: the top of the copy. What the tests print is kept beside it.
        stage: what to run.
        sound: the tree is no mutant: keep the bytecode of its tests, and the names of all modules that were imported.

    Returns:
        Whether all was well, in time.
    """
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        try:
            _be_the_tests(tree, stage, sound)
        finally:
            os._exit(70)
    try:
        status = _status_of(process, stage.limit_s)
        return status in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    finally:
        _end_children()
        shutil.rmtree(tree.parent / "tmp", ignore_errors=True)


def _status_of(process: int, limit_s: float) -> int | None:
    """Wait for a process, and for orphans, which tests may wait to see gone; None: it takes too long."""
    end = time.monotonic() + limit_s
    with open(os.pidfd_open(process), "rb") as ending:
        while time.monotonic() < end:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == process:
                return os.waitstatus_to_exitcode(status)
            if ended == 0:
                select.select([ending], [], [], 0.05)
    return None


def _be_the_tests(tree: Path, stage: Stage, sound: bool) -> None:
    end_with_parent()
    output = os.open(tree.parent / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor, source in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(source, descriptor)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (stage.processor_s, stage.processor_s))
    temporary = tree.parent / "tmp"
    temporary.mkdir()
    os.environ.update(PYTHONPATH=str(tree), TMPDIR=str(temporary), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    tempfile.tempdir = None
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    if not sound:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    own = {path.stem for path in tree.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    options = ("-x", "-q", "-p", "no:cacheprovider", f"--basetemp={temporary / 'pytest'}")
    status = pytest.main([*options, *stage.arguments], plugins=[_Order(tree.parent / "order.json")])
    if sound:
        others = [name for name in sys.modules if name.partition(".")[0] not in own]
        (tree.parent / "imported").write_text("\n".join(others))
    sys.stdout.flush()
    os._exit(status)


class _Order:
    """A plugin of pytest: tests that failed often come first, then those that took little time.

    Args:
        file: where, from one run to the next, each test has a number: minus its failures, or the seconds that it took.
    """

    def __init__(self, file: Path):
        self._file = file
        self._numbers: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._numbers.get(item.nodeid, 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        number = self._numbers.setdefault(report.nodeid, 0)
        if report.failed:
            self._numbers[report.nodeid] = min(number, 0) - 1
        elif number >= 0 and report.when != "teardown":
            self._numbers[report.nodeid] = report.duration + (number if report.when == "call" else 0)

    def pytest_sessionfinish(self) -> None:
        unfinished = self._file.with_suffix(".new")  # this process may be killed at any time
        unfinished.write_text(json.dumps(self._numbers))
        unfinished.replace(self._file)


def processor_s() -> float:
    """Of all child processes that have ended."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _end_children() -> None:
    """End what tests left running, be it in sessions of its own: orphans come to this process."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=5)


def end_with_parent() -> None:
    """Be killed when the parent of this process ends, however it does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Be the parent of processes below this one whose own parent has ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
