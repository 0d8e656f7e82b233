from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from featmatch import Index
from featmatch.errors import StoreError
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, LOCK, SEGMENTS, segment_folder
from featmatch.store.reader import Reader
from featmatch.store.writing import become_writer, clear_leftovers, hold_writer_lock, leftovers
from tests.store.segments import make_index


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An index of one segment."""
    make_index(tmp_path, (3, 5))
    return tmp_path


def from_a_thread(work: Callable[[], object]) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised where it is waited for
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def test_there_is_one_writer_at_a_time(made: Path) -> None:
    def write() -> None:
        with hold_writer_lock(made):
            raise AssertionError("two write")

    with hold_writer_lock(made):
        with pytest.raises(StoreError, match="by another thread of this process"):
            from_a_thread(write)
        for wait in (False, True):  # it would wait for itself
            with pytest.raises(StoreError, match="by this very call"), hold_writer_lock(made, wait=wait):
                raise AssertionError("two write")
    with FileLock(made / LOCK), pytest.raises(StoreError, match="by another process"):
        write()
    with hold_writer_lock(made):
        pass


def test_an_index_is_the_same_by_another_name(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("links") / "other"
    other.symlink_to(made)
    with hold_writer_lock(made), pytest.raises(StoreError, match="by this very call"), hold_writer_lock(other):
        raise AssertionError("two write")


def test_the_lock_is_let_go_when_writing_fails(made: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold_writer_lock(made):
        raise ZeroDivisionError
    with hold_writer_lock(made):
        pass


def test_an_error_of_the_system_says_where(made: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(StoreError, match=f"cannot write to {nowhere}: No such file"), hold_writer_lock(nowhere):
        pass
    with pytest.raises(StoreError, match=f"cannot write to {made}: disk full"), hold_writer_lock(made):
        raise OSError(28, "disk full")
    with pytest.raises(StoreError, match="cannot write to there: disk full"), hold_writer_lock(made):
        raise OSError(28, "disk full", b"there")


def test_a_lock_that_is_another_file_too_is_not_opened(made: Path) -> None:
    (made / LOCK).write_text("precious")
    os.link(made / LOCK, made / "precious.txt")
    with pytest.raises(StoreError, match="is a hard link"), hold_writer_lock(made):
        raise AssertionError("it is opened")
    (made / "precious.txt").unlink()
    with hold_writer_lock(made):
        pass


def test_leftovers_are_told_from_what_is_live_and_what_is_not_ours(made: Path) -> None:
    stale = [
        made / "catalog.sqlite.partial", made / SEGMENTS / "000002", made / SEGMENTS / "000003.partial",
        made / "vocabulary.npz.3.partial",
    ]  # fmt: skip
    foreign = [made / "notes.txt", made / SEGMENTS / "000004", made / SEGMENTS / "old"]
    for path in stale[1:3]:
        path.mkdir()
        (path / "x.npy").write_bytes(b"half")
    for path in (stale[0], stale[3], *foreign[:2]):
        path.write_text("anything")
    foreign[2].mkdir()
    catalog = Catalog(made / CATALOG)
    assert leftovers(made, catalog) == (sorted(stale), sorted(foreign))
    assert clear_leftovers(made) == sorted(stale)
    assert leftovers(made, catalog) == ([], sorted(foreign))
    assert segment_folder(made, 1).is_dir()


def test_a_writer_starts_from_the_newest_state_and_sees_its_own(folder: Path) -> None:
    reader = Reader(folder)
    first, second, *_ = [record.name for record in reader.images()]
    Index.open(folder).remove([first])
    (folder / SEGMENTS / "000009").mkdir()
    with pytest.raises(ZeroDivisionError), become_writer(reader):
        assert not (folder / SEGMENTS / "000009").exists()
        assert len(reader) == 3
        with change_catalog(folder / CATALOG) as change:
            change.remove([second])
        assert len(reader) == 3
        raise ZeroDivisionError
    assert len(reader) == 2


def test_a_writer_may_wait_for_another(folder: Path) -> None:
    reader = Reader(folder)
    lock = FileLock(folder / LOCK)
    lock.acquire()
    with pytest.raises(StoreError, match="by another process"), become_writer(reader):
        raise AssertionError("two write")
    waiting = threading.Thread(target=lambda: become_writer(reader, wait=True).__enter__())
    waiting.start()
    lock.release()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_link_in_the_folder_is_refused_before_anything_is_opened(made: Path, tmp_path: Path) -> None:
    (made / "pairs.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"), hold_writer_lock(made):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("wait", "timeout"), [(False, 0), (True, -1)])
def test_who_waits_waits_for_ever(made: Path, monkeypatch: pytest.MonkeyPatch, wait: bool, timeout: int) -> None:
    asked: list[float] = []

    class Lock(FileLock):
        def __init__(self, path: Path, timeout: float) -> None:
            asked.append(timeout)
            super().__init__(path, timeout=timeout)

    monkeypatch.setattr("filelock.FileLock", Lock)
    with hold_writer_lock(made, wait=wait):
        pass
    assert asked == [timeout]
