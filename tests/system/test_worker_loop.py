"""The loop of a worker, in a process that a test writes to and reads from as ``workers`` does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featmatch.system import worker_loop
from featmatch.system.worker_loop import MEMORY_BYTES, Lost, at_work, be_at_work, limit_memory
from tests.system.tasks import state

resource = pytest.importorskip("resource", reason="no limits here")

ROOT = str(Path(__file__).parents[2])


class Loop:
    """A process that works, with imports of these modules."""

    def __init__(self, *modules: str) -> None:
        program = f"import gc; gc.disable(); from featmatch.system.worker_loop import work; work({modules!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def send(self, request: bytes) -> None:
        self.requests.write(request)
        self.requests.flush()

    def ask(self, function: Any, *arguments: Any, memory_bytes: int = MEMORY_BYTES, folder: str = ROOT) -> Any:
        self.send(pickle.dumps((function, arguments, memory_bytes, folder)))
        assert self.answer() is True  # it has begun
        return self.answer()

    def answer(self) -> Any:
        return pickle.load(self.answers)

    def end(self) -> None:
        self.process.kill()
        self.requests.close()
        self.answers.close()
        self.process.wait()


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.end()


def test_calls_are_answered_one_after_the_other(loop: Loop, tmp_path: Path) -> None:
    assert loop.ask(divmod, 17, 5) == (True, (3, 2))
    succeeded, error = loop.ask(divmod, 17, 0)
    assert (succeeded, type(error)) == (False, ZeroDivisionError)
    assert loop.ask(os.getcwd, folder=str(tmp_path)) == (True, str(tmp_path))
    assert loop.ask(os.getcwd) == (True, ROOT)
    succeeded, error = loop.ask(os.getcwd, folder=str(tmp_path / "nothing"))
    assert (succeeded, type(error)) == (False, FileNotFoundError)


def test_what_a_worker_is_while_it_works(loop: Loop) -> None:
    assert loop.ask(state, "at work") == (True, True)
    assert loop.ask(state, "interrupt") == (True, True)  # Ctrl-C is for the parent to deal with
    assert loop.ask(state, "gc") == (True, True)  # off for the imports only
    assert loop.ask(state, "streams") == (True, (b"", 9))
    assert loop.ask(state, "threads") == (True, [True])  # the one that reads stops nothing from ending
    if sys.platform == "linux":
        assert loop.ask(state, "badness") == (True, "500\n")


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of memory here")
def test_memory_is_limited_anew_by_each_call(loop: Loop) -> None:
    assert loop.ask(state, "limit", memory_bytes=1 << 30) == (True, 1 << 30)
    assert loop.ask(np.ones, 1 << 28, memory_bytes=1 << 30) == (True, Lost("wants more than 1024 MB of memory"))
    assert loop.ask(state, "limit", memory_bytes=3 << 30) == (True, 3 << 30)


def test_modules_are_imported_before_the_first_call() -> None:
    for modules, loaded in (((), False), (("colorsys",), True)):
        loop = Loop(*modules)
        try:
            assert loop.ask(state, "colorsys") == (True, loaded)
        finally:
            loop.end()


def test_a_request_that_cannot_be_understood_is_answered_and_the_last(loop: Loop) -> None:
    loop.send(b"cno_such_module\nnothing\n.")
    assert loop.answer() is True
    succeeded, error = loop.answer()
    assert (succeeded, type(error)) == (False, ModuleNotFoundError)
    assert loop.process.wait(60) == 0


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_when_its_parent_is_gone(loop: Loop, busy: bool) -> None:
    if busy:
        loop.send(pickle.dumps((state, ("hang",), MEMORY_BYTES, ROOT)))
        assert loop.answer() is True
    loop.requests.close()
    assert loop.process.wait(60) == 0


# In this process


@pytest.fixture
def not_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_loop, "_at_work", threading.Event())


@pytest.mark.usefixtures("not_at_work")
def test_only_workers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda kind: (5, 1000))
    monkeypatch.setattr("resource.setrlimit", lambda kind, both: limits.append(both))
    monkeypatch.setattr(sys, "platform", "linux")
    limit_memory(100)
    assert (at_work(), limits) == (False, [])
    be_at_work()
    limit_memory(100)
    limit_memory(2000)
    monkeypatch.setattr("resource.getrlimit", lambda kind: (5, -1))
    limit_memory(2000)
    assert (at_work(), limits) == (True, [(100, 1000), (1000, 1000), (2000, -1)])
    monkeypatch.setattr(sys, "platform", "darwin")
    limit_memory(100)
    assert len(limits) == 3
