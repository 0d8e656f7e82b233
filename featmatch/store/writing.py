"""The one writer of an index: its lock, and what it clears away before it begins."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock

from featmatch.errors import StoreError
from featmatch.files import flush_folder
from featmatch.store.catalog import Catalog

# Folders that this process writes to: by device and number, since one folder has many names.
_at_work: dict[tuple[int, int], tuple[int, int]] = {}  # -> the process and its thread


@contextlib.contextmanager
def writing(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the one writer's lock; the system lets go of it when the process ends, however it ends.

    Args:
        folder: of the index.
        wait: for another writer to end, rather than failing at once.

    Raises:
        StoreError: another writer is at work, or the folder cannot be written to.
    """
    try:
        state = os.stat(folder)
        place, us = (state.st_dev, state.st_ino), (os.getpid(), threading.get_ident())
        if _at_work.get(place) == us:  # in a callback, say; to wait for oneself would take for ever
            raise StoreError(f"{folder} is being written to by this very call")
        # A lock that other threads have is another's to this one, as one of another process is.
        with filelock.FileLock(folder / "writer.lock", timeout=-1 if wait else 0):
            _at_work[place] = us
            try:
                yield
            finally:
                _at_work.pop(place, None)
    except filelock.Timeout as error:
        process, _ = _at_work.get(place, (None, None))
        who = "another thread of this process" if process == us[0] else "another process"
        raise StoreError(f"{folder} is being written to by {who}") from error
    except OSError as error:
        where = folder if error.filename is None else os.fsdecode(error.filename)
        raise StoreError(f"cannot write to {where}: {error.strerror or error}") from error


def leftovers(folder: Path, catalog: Catalog) -> list[Path]:
    """What interrupted writers left: segments that never became live or no longer are, and half-written files."""
    live = {f"{record.id:06d}" for record in catalog.segments()}
    stale = [entry for entry in folder.glob("segments/*") if entry.name not in live]
    return sorted([*stale, *folder.glob("*.partial")])


def clear_leftovers(folder: Path) -> list[Path]:
    """Delete what interrupted writers left; the caller is the writer."""
    flush_folder(folder)  # the generation that knows of no such segments must be there to stay
    stale = leftovers(folder, Catalog(folder / "catalog.sqlite"))
    for path in stale:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return stale
