"""Which files of this machine may be read because an index names them. Kept for each user, outside of any index.

An index can come from a stranger, who may write any name into it. So a name is followed only into folders that this
user gave to ``add`` or ``--root``, or into the folder that holds the index.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from featmatch.errors import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trusted (
    place BLOB NOT NULL,       -- real path of an index
    made INTEGER NOT NULL,     -- when it was made: another index at the same path inherits nothing
    path BLOB NOT NULL,        -- of a folder or a file that it may lead to
    PRIMARY KEY (place, made, path)
) WITHOUT ROWID
"""
_WAIT_SECONDS = 30.0  # for another process that writes
_SO = "of the files of an index, later commands read only those beside it, or below --root"


def covers(trusted: Collection[str], path: str) -> bool:
    """Whether an absolute, normalised path is one of those trusted or lies below one. Nothing is looked up on disk."""
    while path not in trusted:
        above = os.path.dirname(path)
        if above == path:
            return False
        path = above
    return True


def spellings(path: str) -> set[str]:
    """An absolute path as it is spelled, and with all links followed."""
    return {os.path.normpath(path), os.path.realpath(path)}


def beside(index: Path) -> frozenset[str]:
    """The folder that holds an index; none where that is the root of the disk, which holds everything."""
    folder = os.path.dirname(os.path.realpath(index))
    return frozenset() if os.path.dirname(folder) == folder else frozenset((folder,))


def trusted_paths(index: Path) -> frozenset[str]:
    """The folders and files that this user gave to ``add`` for an index.

    Raises:
        StoreError: the record of them cannot be read.
    """
    with _raise_store_errors():
        file = _file()
        if not file.exists():
            return frozenset()
        with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as connection:
            rows = connection.execute("SELECT path FROM trusted WHERE place = ? AND made = ?", identity_of(index))
            return frozenset(os.fsdecode(path) for (path,) in rows)


def trust(index: Path, paths: Iterable[str]) -> None:
    """Remember folders and files that this user gave to ``add`` for an index.

    Raises:
        StoreError: they cannot be remembered.
    """
    with _raise_store_errors(), _change_record() as connection:
        place, made = identity_of(index)
        connection.execute("DELETE FROM trusted WHERE place = ? AND made != ?", (place, made))
        rows = ((place, made, os.fsencode(path)) for path in paths)
        connection.executemany("INSERT OR IGNORE INTO trusted VALUES (?, ?, ?)", rows)


def trust_alike(copy: Path, index: Path) -> None:
    """Trust for a copy of an index what is trusted for the index, if the record can be read and written."""
    with contextlib.suppress(StoreError):
        trust(copy, trusted_paths(index))


def forget_below(folder: Path) -> None:
    """Forget all folders and files of the indexes in a folder, if the record can be written."""
    with contextlib.suppress(StoreError), _raise_store_errors():
        if not _file().exists():
            return
        start = os.fsencode(os.path.join(os.path.realpath(folder), ""))
        with _change_record() as connection:
            connection.execute("DELETE FROM trusted WHERE substr(place, 1, ?) = ?", (len(start), start))


def _file() -> Path:
    from platformdirs import user_state_path

    folder = user_state_path("featmatch")
    if not folder.is_absolute():
        raise StoreError(f"there is no folder to keep what you add in: {_SO}")
    return folder / "trusted.sqlite"


def identity_of(index: Path) -> tuple[bytes, int]:
    """What identifies an index: its real path, and when its vocabulary was written, which never changes."""
    return os.fsencode(os.path.realpath(index)), os.stat(index / "vocabulary.npz").st_mtime_ns


@contextlib.contextmanager
def _change_record() -> Iterator[sqlite3.Connection]:
    file = _file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")  # two processes at once: the one waits for the other
        connection.execute(_SCHEMA)
        yield connection
        connection.execute("COMMIT")


@contextlib.contextmanager
def _raise_store_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error, ValueError, TypeError) as error:
        raise StoreError(f"cannot use the record of what you added ({_file()}: {error}): {_SO}") from error
