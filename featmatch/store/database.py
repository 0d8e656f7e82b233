"""The SQLite file of a catalogue: its tables, and how it is opened, since it may come from a stranger.

Nothing in it is run: the tables are compared with ours before anything is selected, so there are no views or triggers.
And no statement takes more steps than the size of the file explains.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from featmatch.errors import StoreError
from featmatch.store import text_search
from featmatch.store.layout import open_index_file
from featmatch.store.values import DIGEST_BYTES, Row

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    images INTEGER NOT NULL,           -- those with tombstones counted
    features INTEGER NOT NULL,
    manifest BLOB NOT NULL             -- SHA-256 of its segment.json
);
CREATE TABLE images (                  -- contents of files, each once
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL UNIQUE,       -- of the file
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,            -- px, as displayed
    height INTEGER NOT NULL,
    features INTEGER NOT NULL,
    segment INTEGER REFERENCES segments (id),  -- null: its features were lost, and it waits to be added again
    format TEXT,                       -- what the file says of itself
    taken TEXT,                        -- ISO 8601
    camera TEXT,
    caption TEXT
);
CREATE TABLE names (                   -- under which they are known
    id INTEGER PRIMARY KEY,
    name NOT NULL UNIQUE,              -- text; bytes where the file's name is no UTF-8
    image INTEGER NOT NULL REFERENCES images (id),
    mtime_ns INTEGER NOT NULL,         -- of the file; -1: to be compared by content
    text TEXT
);
CREATE INDEX names_of_images ON names (image);
CREATE TABLE verdicts (                -- what the user said of pairs of files, in the index or not
    a BLOB NOT NULL,                   -- SHA-256 of the one
    b BLOB NOT NULL,                   -- and of the other
    copy INTEGER NOT NULL,             -- 1: a copy, 0: none
    PRIMARY KEY (a, b),
    CHECK (a < b AND copy IN (0, 1))
) WITHOUT ROWID;
CREATE INDEX verdicts_by_other ON verdicts (b);
CREATE TABLE tombstones (              -- of images that are no more, but whose features are still in a segment
    image INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL REFERENCES segments (id),
    features INTEGER NOT NULL
);
"""

# How far a statement may go: scanning a catalogue takes some 3 steps a byte at most, and a step some 10 ns.
_STEPS, _STEPS_A_BYTE = 20_000_000, 16
_BETWEEN_LOOKS = 100_000

_LIMITS = {
    "SQLITE_LIMIT_LENGTH": 1 << 24,  # bytes of a text, a BLOB or a row
    "SQLITE_LIMIT_SQL_LENGTH": 1 << 16,
    "SQLITE_LIMIT_COLUMN": 100,
    "SQLITE_LIMIT_EXPR_DEPTH": 100,
    "SQLITE_LIMIT_COMPOUND_SELECT": 10,
    "SQLITE_LIMIT_TRIGGER_DEPTH": 1,
}

_DESCRIPTION = (
    "table", "meta", "meta", "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)  # fmt: skip


class Database:
    """A connection whose transactions are begun and committed by hand, and whose work is bounded.

    Args:
        path: of the file.
        is_written: by its one writer; else it never changes.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, path: Path, *, is_written: bool = False) -> None:
        self._path = path
        self._steps = 0
        self._most_steps = _STEPS + _STEPS_A_BYTE * _size(path)
        how = "mode=rwc" if is_written else "mode=ro&immutable=1"
        try:
            self.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"catalogue {path}: {error}") from error
        self.close = self.connection.close
        try:
            self._defend(is_written)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"catalogue {path} is damaged: {error}") from error

    def _defend(self, is_written: bool) -> None:
        connection = self.connection
        if hasattr(connection, "setlimit"):  # Python 3.11
            for name, most in _LIMITS.items():
                connection.setlimit(getattr(sqlite3, name), most)
        connection.set_progress_handler(self._is_too_much, _BETWEEN_LOOKS)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA mmap_size = 0")
        if is_written:
            connection.execute("PRAGMA journal_mode = OFF")  # nobody else sees it, and it is flushed as a whole
            connection.execute("PRAGMA synchronous = OFF")
        else:
            connection.execute("PRAGMA query_only = ON")
        if hasattr(connection, "setconfig"):  # Python 3.12
            connection.setconfig(vars(sqlite3)["SQLITE_DBCONFIG_DEFENSIVE"], True)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement; raises sqlite3.Error, OverflowError or UnicodeError, where the file is damaged."""
        self._steps = 0
        return self.connection.execute(statement, values)

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """All rows that a statement selects.

        Raises:
            StoreError: the file is damaged.
        """
        try:
            return self.execute(statement, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            why = "it takes more work than its size explains" if self._is_over else str(error)
            raise StoreError(f"catalogue {self._path} is damaged: {why}") from error

    def verify_tables(self, *, only_description: bool = False) -> None:
        """Compare what there is of tables, indexes, views and triggers with ours, to the letter.

        Args:
            only_description: check no more than that the version can be read: that table never changed, and there
                are no views or triggers.

        Raises:
            StoreError: there is something else.
        """
        found = self.rows("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")
        if only_description:
            ours = _DESCRIPTION in found and {kind for kind, *_ in found} <= {"table", "index"}
        else:
            ours = any(len(found) == len(known) and set(found) == known for known in _known_tables())
        if not ours:
            raise StoreError(f"catalogue {self._path} is damaged: its tables are not those of an index")

    @property
    def _is_over(self) -> bool:
        return self._steps > self._most_steps

    def _is_too_much(self) -> bool:
        self._steps += _BETWEEN_LOOKS
        return self._is_over


@cache
def _known_tables() -> tuple[frozenset[Row], frozenset[Row]]:
    """What an index has, without and with that by which names are looked up by their words."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        tables = frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    return tables, tables | text_search.TABLES


def is_intact(path: Path) -> bool:
    """Whether a catalogue is to the byte as it was written.

    Raises:
        StoreError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_index_file(path) as file:
            left = os.fstat(file.fileno()).st_size - DIGEST_BYTES
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            return file.read() == digest.digest()
    except OSError as error:
        raise StoreError(f"cannot read catalogue {path}: {error.strerror}") from error


def _size(path: Path) -> int:
    """In bytes, of a file that is there: one whose changes SQLite keeps nowhere else (no write-ahead log)."""
    try:
        with open_index_file(path) as file:
            head = file.read(20)
            if head.startswith(b"SQLite format 3\0") and head[18:] != b"\1\1":
                raise StoreError(f"catalogue {path} is damaged: it is not as featmatch writes it")
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise StoreError(f"cannot read catalogue {path}: {error.strerror}") from error
