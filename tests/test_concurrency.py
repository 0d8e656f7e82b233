"""One writer and many readers, in threads and in processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from featmatch import FeatmatchError, Index, StoreError, Vocabulary, check
from featmatch.store.generation import change_catalog
from featmatch.system.worker_loop import be_at_work
from tools.small_index import draw_pictures, settle, small_index

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),  # the threads are NumPy's, and idle
]
_FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else multiprocessing.get_context()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    settle()
    return draw_pictures(tmp_path_factory.mktemp("pictures"), 8)


@pytest.fixture
def index(pictures: list[Path], small_words: Vocabulary, tmp_path: Path) -> Index:
    index = small_index(tmp_path / "index", small_words)
    index.add(pictures[:2], jobs=1)
    return index


def in_process(task: Callable[[], object]) -> int:
    """Exit status of a forked process that does it."""
    process = _FORK.Process(target=task)
    process.start()
    process.join()
    return process.exitcode or 0


def write_for_a_while(index: Index, pictures: list[Path]) -> None:
    for picture in pictures[2:6]:
        index.add([picture], jobs=1)
    index.remove([str(picture) for picture in pictures[2:4]])
    index.compact()


def read_until(index: Index, pictures: list[Path], done: Callable[[], bool]) -> int:
    """Each state that is seen is whole: the first two are always there, the others all or nothing."""
    reads = 0
    while not done() or reads < 3:
        index.refresh()
        names = {record.name for record in index.images()}
        assert {str(picture) for picture in pictures[:2]} <= names
        assert len(index) >= 2
        snapshot = index.snapshot
        in_segments = [number for segment in snapshot.segments.values() for number in segment.ids.tolist()]
        assert {record.id for record in snapshot.catalog.images()} <= set(in_segments) - snapshot.removed
        assert str(pictures[0]) in [match.name for match in index.query(pictures[0])]
        reads += 1
    return reads


@pytest.mark.parametrize("shared", [True, False])
def test_threads_read_while_one_writes(index: Index, pictures: list[Path], shared: bool) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        readers = [
            pool.submit(read_until, index if shared else Index.open(index.folder), pictures, done.is_set)
            for _ in range(2)
        ]
        try:
            write_for_a_while(index, pictures)
        finally:
            done.set()
        assert all(reader.result() for reader in readers)
    assert check(index.folder)


def test_a_process_reads_while_another_writes(index: Index, pictures: list[Path]) -> None:
    writer = _FORK.Process(target=write_for_a_while, args=(Index.open(index.folder), pictures))
    writer.start()
    assert read_until(Index.open(index.folder), pictures, lambda: not writer.is_alive())
    writer.join()
    assert writer.exitcode == 0
    assert len(Index.open(index.folder)) == 4


def test_readers_do_not_wait_for_a_writer_that_stands_still_in_its_commit(index: Index, pictures: list[Path]) -> None:
    stopped = Index.open(index.folder)

    def stop_at_rename(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def write() -> None:
        os.replace = stop_at_rename  # type: ignore[assignment]
        stopped.add(pictures[2:3], jobs=1)

    writer = _FORK.Process(target=write)
    writer.start()
    os.waitid(os.P_PID, writer.pid or 0, os.WSTOPPED | os.WNOWAIT)
    try:
        assert len(Index.open(index.folder)) == 2
        index.refresh()
        assert [match.name for match in index.query(pictures[0])] == [str(pictures[0])]
        with pytest.raises(StoreError, match="being written"):
            index.add(pictures[3:4], jobs=1)
    finally:
        writer.kill()
        writer.join()
    assert len(index.add(pictures[2:4], jobs=1).added) == 2
    assert check(index.folder) and not check(index.folder).leftovers


def test_a_writer_that_is_killed_leaves_no_process_behind(index: Index, tmp_path: Path) -> None:
    new = draw_pictures(tmp_path / "new", 30, seed=2)
    reading, writing = _FORK.Pipe(duplex=False)

    started: list[int] = []

    class Started(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self.pid)

    def stop_with_processes(done: int, total: int) -> None:
        del total
        if done == 20:
            writing.send(started)
            signal.pause()

    def write() -> None:
        vars(subprocess)["Popen"] = Started
        try:
            index.add(new, jobs=2, progress=stop_with_processes)
        finally:
            writing.send([])  # it ended before that

    writer = _FORK.Process(target=write)
    writer.start()
    workers = reading.recv()
    writer.kill()
    writer.join()
    assert len(workers) == 2
    for worker in workers:
        subprocess.run(["tail", f"--pid={worker}", "-f", os.devnull], timeout=60, check=True)
    assert len(index.add(new).added) == 30
    assert check(index.folder) and not check(index.folder).leftovers


@pytest.mark.parametrize(
    "write",
    [
        lambda index: index.add([], wait=True),
        lambda index: index.remove([], wait=True),
        lambda index: index.compact(wait=True),
        lambda index: check(index.folder, repair=True, wait=True),
    ],
)
def test_a_second_writer_waits_if_told_so(index: Index, write: Callable[[Index], object]) -> None:
    lock = FileLock(index.folder / "writer.lock")
    lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write, index)
        assert not waiting.done()
        lock.release()
        waiting.result()


def test_refresh_of_what_has_not_changed_keeps_the_snapshot(index: Index, pictures: list[Path]) -> None:
    before = index.snapshot
    index.refresh()
    assert index.snapshot is before
    index.add(pictures[2:3], jobs=1)
    after = index.snapshot
    assert after is not before
    assert after.segments[1] is before.segments[1]  # open already


def test_a_reader_lets_go_of_what_it_no_longer_needs(index: Index, pictures: list[Path]) -> None:
    reader = Index.open(index.folder)
    catalog = reader.snapshot.catalog
    index.add(pictures[2:3], jobs=1)
    reader.refresh()
    assert catalog.close.alive
    del catalog
    if sys.platform == "linux":
        deleted = [os.readlink(f"/proc/self/fd/{handle}") for handle in os.listdir("/proc/self/fd") if handle != "0"
                   and os.path.islink(f"/proc/self/fd/{handle}")]  # fmt: skip
        assert not [target for target in deleted if str(index.folder) in target and "(deleted)" in target]


def test_a_folder_of_another_user_can_be_read_but_not_written(index: Index, pictures: list[Path]) -> None:
    folder = index.folder
    (folder / "writer.lock").unlink(missing_ok=True)

    def visit() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
            be_at_work()  # who may not even start this Python decodes in this process
        reader = Index.open(folder)
        assert [match.name for match in reader.query(pictures[0])] == [str(pictures[0])]
        assert check(folder)
        for write in (
            lambda: reader.add(pictures, jobs=1), lambda: reader.remove([str(pictures[0])]), reader.compact,
            lambda: check(folder, repair=True),
        ):  # fmt: skip
            with pytest.raises(FeatmatchError, match="cannot write"):
                write()

    parents = [folder, *folder.rglob("*"), *list(folder.parents)[:-2], *list(pictures[0].parents)[:-2]]
    modes = {path: path.stat().st_mode for path in parents}
    try:
        for path in modes:
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert in_process(visit) == 0
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_two_processes_that_create_an_index_make_one(small_words: Vocabulary, tmp_path: Path) -> None:
    processes = [_FORK.Process(target=small_index, args=(tmp_path / "index", small_words)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert check(tmp_path / "index") and not check(tmp_path / "index").leftovers


def test_a_change_of_the_catalogue_needs_no_reader_to_let_go(index: Index) -> None:
    readers = [Index.open(index.folder) for _ in range(3)]
    iterators = [reader.images() for reader in readers]
    for iterator in iterators:
        next(iterator)
    with change_catalog(index.folder / "catalog.sqlite") as change:
        change.describe("root", "/somewhere")
    assert [reader.root for reader in readers] == [None] * 3
    assert all(len(list(iterator)) == 1 for iterator in iterators)


@pytest.mark.parametrize("wait", [False, True])
def test_two_threads_that_add_hear_the_truth(index: Index, pictures: list[Path], wait: bool) -> None:
    started, enough = threading.Event(), threading.Event()
    last = len(pictures) - 1

    def at_work(done: int, total: int) -> None:
        started.set()
        enough.wait()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(index.add, pictures[:last], jobs=1, progress=at_work)
        started.wait()
        other = Index.open(index.folder)  # of another name, as another part of a program would have it
        second = pool.submit(other.add, pictures[last:], jobs=1, wait=wait)
        said = "" if wait else str(second.exception())  # told at once: the first is still at work
        enough.set()
        first.result()
        if wait:
            second.result()
    assert said.endswith("" if wait else "is being written to by another thread of this process")
    index.refresh()
    assert [record.name for record in index.images()] == [str(path) for path in pictures[: len(pictures) - (not wait)]]
    index.remove([str(pictures[0])])  # nobody is at work now


def test_a_writer_that_waits_for_itself_is_told_so(index: Index, pictures: list[Path]) -> None:
    for wait in (False, True):

        def writes(done: int, total: int, wait: bool = wait) -> None:
            index.remove([str(pictures[0])], wait=wait)

        with pytest.raises(StoreError, match="is being written to by this very call"):
            index.add(pictures, jobs=1, progress=writes)
    with pytest.raises(StoreError, match="by another process"), FileLock(index.folder / "writer.lock"):
        index.remove([])
