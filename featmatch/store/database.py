"""The SQLite file of a catalogue: its tables, and how it is opened, since it may come from a stranger.

Nothing in it is run: the tables are compared with ours before anything is selected, so there are no views or triggers.
And no statement takes more steps than the size of the file explains.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featmatch.errors import StoreError
from featmatch.store.layout import open_index_file
from featmatch.store.schema import DESCRIPTION, tables_of_a_catalogue, tables_of_a_part
from featmatch.store.values import DIGEST_BYTES, Row, number

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
            self._write_unseen("main")
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
        found = self._tables("main")
        if only_description:
            ours = DESCRIPTION in found and {kind for kind, *_ in found} <= {"table", "index"}
        else:
            ours = _are_any(found, tables_of_a_catalogue())
        if not ours:
            raise StoreError(f"catalogue {self._path} is damaged: its tables are not those of an index")

    @property
    def has_parts(self) -> bool:
        """Whether the catalogue is of the format that has parts, be it none at present."""
        return any(name == "parts" for _, name, _, _ in self._tables("main"))

    def attach(self, path: Path, schema: str, size: int | None = None) -> None:
        """Open another file beside the first, with the same defences; compare its tables with ours.

        Args:
            path: of the file.
            schema: what SQL is to call it.
            size: in bytes, that the file must have; it is read only. None: it is written, by its one writer.

        Raises:
            StoreError: it cannot be opened, has another size, or is no part of a catalogue.
        """
        found = _size(path)
        if size not in (None, found):
            raise StoreError(f"{path} is damaged or missing: it has not the size it was written with")
        how = "mode=rw" if size is None else "mode=ro&immutable=1"
        self._most_steps += _STEPS_A_BYTE * found
        try:
            self.connection.execute(f"ATTACH ? AS {schema}", (f"{path.absolute().as_uri()}?{how}",))
            self.connection.execute(f"PRAGMA {schema}.mmap_size = 0")
            if size is None:
                self._write_unseen(schema)
            tables = self._tables(schema)
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        if size is not None and not any(
            len(tables) == len(known) and set(tables) == known for known in tables_of_a_part()
        ):
            raise StoreError(f"{path} is damaged: its tables are not those of a part")

    def _tables(self, schema: str) -> list[Row]:
        return self.rows(f"SELECT type, name, tbl_name, sql FROM {schema}.sqlite_master LIMIT 100")

    def _write_unseen(self, schema: str) -> None:
        """Write to a file that nobody else sees, and that is flushed as a whole."""
        self.connection.execute(f"PRAGMA {schema}.journal_mode = OFF")
        self.connection.execute(f"PRAGMA {schema}.synchronous = OFF")

    def allow_for_growth(self) -> None:
        """Let statements take as many steps as the present size of what is written explains."""
        pages, page_bytes = (self.rows(f"PRAGMA main.{one}")[0][0] for one in ("page_count", "page_size"))
        self._most_steps += _STEPS_A_BYTE * pages * page_bytes

    def number(self, statement: str, *values: Any) -> int | None:
        """The number that a statement selects; None, where it selects nothing.

        Raises:
            StoreError: it is none.
        """
        row = self.execute(statement, values).fetchone()
        try:
            return number(row[0]) if row else None
        except ValueError as error:
            raise StoreError(f"catalogue {self._path} is damaged: {error}") from error

    @property
    def _is_over(self) -> bool:
        return self._steps > self._most_steps

    def _is_too_much(self) -> bool:
        self._steps += _BETWEEN_LOOKS
        return self._is_over


def _are_any(found: Sequence[Row], known: Sequence[frozenset[Row]]) -> bool:
    return any(len(found) == len(tables) and set(found) == tables for tables in known)


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
