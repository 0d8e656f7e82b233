"""The catalogue of an index, open: an SQLite file that never changes, and parts of a large one (``parts.py``).

A writer puts another file in its place, the next generation (``generation.py``). So readers need no lock and never
wait, each keeps the generation that it opened, and a read-only folder is as good as any.
"""

from __future__ import annotations

import heapq
import json
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from featmatch.errors import StoreError
from featmatch.store.database import Database
from featmatch.store.parts import Source, attached
from featmatch.store.values import Row, from_sql

FORMAT_VERSION = 3
OPENCV_SIFT_VERSION = 2  # of indexes in which "sift" is OpenCV's; all else is as it is now
PARTS_VERSION = 4  # of indexes whose catalogue has parts, as soon as it has many names; all else is as in 3
_READABLE = (OPENCV_SIFT_VERSION, FORMAT_VERSION, PARTS_VERSION)
MOST_VALUES = 900  # in one statement; SQLite's limit was 999 for long

Stamp: TypeAlias = "tuple[int, ...]"
Parsed = TypeVar("Parsed")


class OpenCatalog:
    """One generation of the catalogue, open for reading. Safe to share between threads.

    Attributes:
        path: of its file, or by now of a newer one.
        stamp: numbers that tell this generation from the others.
        meta: the description of the index, with the names that detectors have now.
        part_files: its parts, the oldest first.
        sources: where images and names lie: itself, and its parts.
    """

    def __init__(self, path: Path) -> None:
        """Open the newest generation.

        Raises:
            StoreError: it is no catalogue, or one of another version.
        """
        self.path = path
        self._lock = threading.Lock()
        while True:
            self.stamp = _stamp(path)
            self._database = Database(path)
            self.close = weakref.finalize(self, self._database.connection.close)
            if not self.superseded:
                try:
                    self._database.verify_tables(only_description=True)
                    self.meta = self._read_meta()
                    self._database.verify_tables()
                    self.part_files = attached(self._database, path.parent)
                    break
                except StoreError:
                    if not self.superseded:
                        raise  # else a writer has merged its parts since it was opened
            self.close()  # replaced meanwhile: it is not known which one was opened
        self.sources = [Source(), *map(Source.of_part, self.part_files)]

    @property
    def superseded(self) -> bool:
        """Whether there is a newer generation."""
        return _stamp(self.path) != self.stamp

    @property
    def root(self) -> str | None:
        """The folder that names are relative to, if the index was given one."""
        return self.folder("root")

    def folder(self, key: str) -> str | None:
        """A folder that the description names: an absolute path, or None."""
        path = self.meta.get(key)
        return path if isinstance(path, str) and os.path.isabs(path) and "\0" not in path else None

    def _of_each(self, statement: str, wanted: Iterable[Any], *values: Any, order: str = "") -> list[Row]:
        """All rows that a statement selects whose last column is one of some values, which may be many."""
        return self._in_pages(
            lambda some: f"{statement} IN ({','.join('?' * len(some))}) {order}", list(dict.fromkeys(wanted)), *values
        )

    def _in_pages(self, statement: Callable[[Sequence[Any]], str], wanted: Sequence[Any], *values: Any) -> list[Row]:
        """All rows of statements that are made for as many of some values as one may have; ``values`` come first."""
        rows: list[Row] = []
        for start in range(0, len(wanted), MOST_VALUES):
            some = wanted[start : start + MOST_VALUES]
            rows += self.each(statement(some), *values, *some)
        return rows

    def _in_order(self, statement: str, after: int, *values: Any) -> Iterator[Row]:
        """All rows of all sources by their first value, a number; read page by page, those above ``after``."""

        def rows_of(source: Source) -> Iterator[Row]:
            last = after
            while page := self.rows(source.select(statement), last, *values):
                yield from page
                last = page[-1][0]

        return heapq.merge(*map(rows_of, self.sources), key=itemgetter(0))

    def each(self, statement: str, *values: Any) -> list[Row]:
        """All rows that a statement selects of each source (``Source.select``).

        Raises:
            StoreError: a file is damaged.
        """
        return [row for source in self.sources for row in self.rows(source.select(statement), *values)]

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """All rows that a statement selects.

        Raises:
            StoreError: the file is damaged.
        """
        with self._lock:
            return self._database.rows(statement, *values)

    def _parsed(self, parse: Callable[[Row], Parsed], rows: Iterable[Row]) -> list[Parsed]:
        """What ``parse`` makes of each row; a StoreError where it raises a ValueError."""
        return list(self._each_parsed(parse, rows))

    def _each_parsed(self, parse: Callable[[Row], Parsed], rows: Iterable[Row]) -> Iterator[Parsed]:
        try:
            for row in rows:
                yield parse(row)
        except ValueError as error:
            raise StoreError(f"catalogue {self.path} is damaged: {error}") from error

    def _read_meta(self) -> dict[str, Any]:
        try:
            meta = {key: json.loads(value) for key, value in self.rows("SELECT key, value FROM meta LIMIT 100")}
            if meta.get("root") is not None:
                from_sql(meta["root"])
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreError(f"catalogue {self.path} is damaged: {error}") from error
        if meta.get("version") not in _READABLE:
            raise StoreError(
                f"{self.path.parent} is an index of format {meta.get('version')}; "
                f"this featmatch reads {_READABLE[0]} to {_READABLE[-1]}"
            )
        features = meta.get("features")
        if meta["version"] == OPENCV_SIFT_VERSION and isinstance(features, dict) and features.get("detector") == "sift":
            meta["features"] = {**features, "detector": "opencv-sift"}
        return meta


def _stamp(path: Path) -> Stamp:
    try:
        state = os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot read catalogue {path}: {error.strerror}") from error
    return state.st_ino, state.st_size, state.st_mtime_ns
