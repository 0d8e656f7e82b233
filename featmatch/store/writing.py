"""The one writer of an index: its lock, and what it clears away before it begins."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from featmatch.errors import StoreError
from featmatch.files import flush_folder
from featmatch.store.catalog import Catalog


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
        with filelock.FileLock(folder / "writer.lock", timeout=-1 if wait else 0):
            yield
    except filelock.Timeout as error:
        raise StoreError(f"{folder} is being written to by another process") from error
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from error


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
