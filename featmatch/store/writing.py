"""The one writer of an index: its lock, and what it clears away before it begins."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from featmatch.errors import StoreError, WriterBusyError
from featmatch.store.catalog import Catalog
from featmatch.store.layout import (
    CATALOG,
    LOCK,
    OWN_NAMES,
    PARTS,
    SEGMENTS,
    entries,
    is_half_written,
    is_of_part,
    is_of_segment,
    part_file,
    segment_folder,
    verify_layout,
)
from featmatch.store.reader import Reader
from featmatch.system.files import flush_folder

# Folders that this process writes to: by device and number, since one folder has many names.
_at_work: dict[tuple[int, int], tuple[int, int]] = {}  # -> the process and its thread


@contextlib.contextmanager
def hold_writer_lock(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the one writer's lock; the system lets go of it when the process ends, however it ends.

    Args:
        folder: of the index.
        wait: for another writer to end, rather than failing at once.

    Raises:
        StoreError: another writer is at work, or the folder cannot be written to, or something in it is a link.
    """
    import filelock  # 15 ms, which readers do without

    verify_layout(folder)
    lock = folder / LOCK
    try:
        state = os.stat(folder)
        place, us = (state.st_dev, state.st_ino), (os.getpid(), threading.get_ident())
        if _at_work.get(place) == us:  # in a callback, say; it would wait for itself for ever
            raise WriterBusyError(f"{folder} is being written to by this very call")
        if lock.exists() and lock.lstat().st_nlink > 1:  # some versions of filelock empty what they open
            raise StoreError(f"{lock} is a hard link: another file may be meant; delete it, and it is made anew")
        # A lock that other threads have is another's to this one, as one of another process is.
        with filelock.FileLock(lock, timeout=-1 if wait else 0):
            _at_work[place] = us
            try:
                yield
            finally:
                _at_work.pop(place, None)
    except filelock.Timeout as error:
        process, _ = _at_work.get(place, (None, None))
        who = "another thread of this process" if process == us[0] else "another process"
        raise WriterBusyError(f"{folder} is being written to by {who}") from error
    except OSError as error:
        where = folder if error.filename is None else os.fsdecode(error.filename)
        raise StoreError(f"cannot write to {where}: {error.strerror or error}") from error


@contextlib.contextmanager
def become_writer(reader: Reader, *, wait: bool = False) -> Iterator[None]:
    """Be the one writer of an index that is open, from its newest state on; what was committed is seen afterwards.

    Args:
        reader: the index.
        wait: for another writer to end, rather than failing at once.

    Raises:
        StoreError: as ``hold_writer_lock``.
    """
    with hold_writer_lock(reader.folder, wait=wait):
        clear_leftovers(reader.folder)
        reader.refresh()
        try:
            yield
        finally:
            reader.refresh()


def leftovers(folder: Path, catalog: Catalog) -> tuple[list[Path], list[Path]]:
    """What interrupted writers left (dead segments, half-written files), and what does not belong to an index."""
    live = {segment_folder(folder, record.id) for record in catalog.segments()}
    live |= {part_file(folder, part.id) for part in catalog.part_files}
    stale, foreign = [], []
    for path in entries(folder / SEGMENTS):
        if not is_of_segment(path.name) or not path.is_dir():
            foreign.append(path)
        elif path not in live:
            stale.append(path)
    for path in entries(folder / PARTS):
        if not is_of_part(path.name) or not path.is_file():
            foreign.append(path)
        elif path not in live:
            stale.append(path)
    for path in sorted(folder.iterdir()):
        if is_half_written(path.name) and path.is_file():
            stale.append(path)
        elif path.name not in OWN_NAMES:
            foreign.append(path)
    return sorted(stale), sorted(foreign)


def clear_leftovers(folder: Path) -> list[Path]:
    """Delete what interrupted writers left; the caller is the writer, and has looked for links."""
    flush_folder(folder)  # the generation that knows of no such segments must be there to stay
    stale, _ = leftovers(folder, Catalog(folder / CATALOG))
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return stale
