"""The catalogue of an index: images, tombstones and live segments, in one SQLite file.

Every change is one transaction, so a crash leaves the index as before or as after. Readers open it read-only and
never wait: they read what was committed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featmatch.errors import StoreError

FORMAT_VERSION = 1

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (id INTEGER PRIMARY KEY AUTOINCREMENT, images INTEGER NOT NULL, features INTEGER NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name NOT NULL,               -- text; bytes where the file's name is no UTF-8
    bytes INTEGER NOT NULL,      -- size of the file
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,        -- of the file
    width INTEGER NOT NULL,      -- px, as displayed
    height INTEGER NOT NULL,
    features INTEGER NOT NULL,
    text TEXT,
    segment INTEGER NOT NULL REFERENCES segments (id),
    removed INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX live_names ON images (name) WHERE removed = 0;
CREATE INDEX removed_images ON images (segment, id) WHERE removed = 1;
"""


@dataclass(frozen=True)
class ImageRecord:
    """What the catalogue knows of one image.

    Attributes:
        id: its number, never used again for another.
        name: the path as it was given to ``add``.
        bytes: size of the file.
        mtime_ns: when the file was changed last.
        sha256: of the file, hexadecimal.
        width: px, as displayed.
        height: px, as displayed.
        features: how many of its features are in the index.
        text: what ``add`` was told of it, or None.
    """

    id: int
    name: str
    bytes: int
    mtime_ns: int
    sha256: str
    width: int
    height: int
    features: int
    text: str | None


_COLUMNS = "id, name, bytes, mtime_ns, sha256, width, height, features, text"


class Catalog:
    """The SQLite file of an index. Connections live as long as one operation, so threads can share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def create(cls, path: Path, meta: dict[str, Any]) -> Catalog:
        """Make the file with its tables and description, in one transaction."""
        catalog = cls(path)
        with catalog._writing() as connection:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in {"version": FORMAT_VERSION, **meta}.items()],
            )
        return catalog

    def meta(self) -> dict[str, Any]:
        """The description that the index was made with.

        Raises:
            StoreError: it is no catalogue, or one of another version.
        """
        with self._reading() as connection:
            rows = connection.execute("SELECT key, value FROM meta").fetchall()
        try:
            meta = {key: json.loads(value) for key, value in rows}
        except (ValueError, TypeError) as error:
            raise StoreError(f"catalogue {self._path} is damaged: {error}") from error
        if meta.get("version") != FORMAT_VERSION:
            raise StoreError(
                f"{self._path.parent} is an index of format {meta.get('version')}; "
                f"this featmatch reads {FORMAT_VERSION}"
            )
        return meta

    def live(self) -> tuple[list[int], set[int]]:
        """Live segments and removed images, both by number, as of one moment."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            segments = [row[0] for row in connection.execute("SELECT id FROM segments ORDER BY id")]
            removed = {row[0] for row in connection.execute("SELECT id FROM images WHERE removed = 1")}
        return segments, removed

    def next_numbers(self) -> tuple[int, int]:
        """The first image number and the first segment number that were never used."""
        with self._reading() as connection:
            used = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        return used.get("images", 0) + 1, used.get("segments", 0) + 1

    def add(self, segment: int, features: int, images: Sequence[ImageRecord]) -> None:
        """Make a segment live together with its images; older images of the same names are removed."""
        with self._writing() as connection:
            connection.execute("INSERT INTO segments VALUES (?, ?, ?)", (segment, len(images), features))
            connection.executemany(
                "UPDATE images SET removed = 1 WHERE name = ? AND removed = 0",
                [(_to_sql(image.name),) for image in images],
            )
            connection.executemany(
                f"INSERT INTO images ({_COLUMNS}, segment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        image.id, _to_sql(image.name), image.bytes, image.mtime_ns, image.sha256,
                        image.width, image.height, image.features, image.text, segment,
                    )
                    for image in images
                ],
            )  # fmt: skip

    def remove(self, names: Iterable[str]) -> list[str]:
        """Set tombstones; return those of the names that were live."""
        with self._writing() as connection:
            return [
                name
                for name in names
                if connection.execute(
                    "UPDATE images SET removed = 1 WHERE name = ? AND removed = 0", (_to_sql(name),)
                ).rowcount
            ]

    def images(self) -> Iterator[ImageRecord]:
        """All live images, in the order of their numbers."""
        with self._reading() as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} FROM images WHERE removed = 0 ORDER BY id"):
                yield _record(row)

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Size in bytes and time of change (ns) of each live image, by name."""
        with self._reading() as connection:
            rows = connection.execute("SELECT name, bytes, mtime_ns FROM images WHERE removed = 0")
            return {_from_sql(name): (size, mtime) for name, size, mtime in rows}

    def names(self, ids: Sequence[int]) -> dict[int, str]:
        """The names of images, by number."""
        with self._reading() as connection:
            marks = ",".join("?" * len(ids))
            rows = connection.execute(f"SELECT id, name FROM images WHERE id IN ({marks})", list(ids))
            return {number: _from_sql(name) for number, name in rows}

    def totals(self) -> tuple[int, int, int]:
        """Numbers of live images, of their features, and of removed images that still take room."""
        with self._reading() as connection:
            images, features, removed = connection.execute(
                "SELECT count(*) FILTER (WHERE removed = 0), "
                "coalesce(sum(features) FILTER (WHERE removed = 0), 0), count(*) FILTER (WHERE removed = 1) FROM images"
            ).fetchone()
        return images, features, removed

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._connected("ro") as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected("rwc") as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _connected(self, mode: str) -> Iterator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
            try:
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"catalogue {self._path}: {error}") from error


def _record(row: tuple[Any, ...]) -> ImageRecord:
    return ImageRecord(row[0], _from_sql(row[1]), *row[2:])


def _to_sql(name: str) -> str | bytes:
    """Names are text; a file name that is no UTF-8 (Python holds it with surrogates) is kept as its bytes."""
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        return os.fsencode(name)


def _from_sql(name: str | bytes) -> str:
    return name if isinstance(name, str) else os.fsdecode(name)
