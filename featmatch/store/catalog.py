"""The catalogue of an index: images, their names, tombstones and live segments, in one SQLite file.

The file never changes: a writer puts another in its place, the next generation (``generation.py``). So readers need no
lock and never wait, each keeps the generation that it opened, and a read-only folder is as good as any.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from featmatch.errors import MissingFeatureError, StoreError
from featmatch.names import is_unicode
from featmatch.store import text_search
from featmatch.store.database import Database
from featmatch.store.records import NO_FILE_NS, ImageRecord, SegmentRecord, Totals, stamp_of_row
from featmatch.store.values import Row, digest, from_sql, number, to_sql

FORMAT_VERSION = 3
OPENCV_SIFT_VERSION = 2  # of indexes in which "sift" is OpenCV's; all else is as it is now
_READABLE = (OPENCV_SIFT_VERSION, FORMAT_VERSION)
TEXT_SEARCH = "text_search"  # in the description: whether names can be looked up by their words
PICTURES = "pictures"  # likewise: whether small pictures are kept of images that are added; they are, if it is missing
_MOST_VALUES = 900  # in one statement; SQLite's limit was 999 for long

_RECORDS = (
    "SELECT names.id, image, name, bytes, mtime_ns, hex(sha256), width, height, features, text, "
    "format, taken, camera, caption FROM names JOIN images ON images.id = image"
)

Stamp: TypeAlias = "tuple[int, ...]"
Parsed = TypeVar("Parsed")


class Catalog:
    """One generation of the catalogue, open for reading. Safe to share between threads.

    Attributes:
        path: of its file, or by now of a newer one.
        stamp: numbers that tell this generation from the others.
        meta: the description of the index, with the names that detectors have now.
    """

    def __init__(self, path: Path) -> None:
        """Open the newest generation.

        Raises:
            StoreError: it is no catalogue, or one of another version.
        """
        self.path = path
        while True:
            self.stamp = _stamp(path)
            self._database = Database(path)
            self.close = weakref.finalize(self, self._database.connection.close)
            if _stamp(path) == self.stamp:
                break
            self.close()  # replaced meanwhile: it is not known which one was opened
        self._lock = threading.Lock()
        self._database.verify_tables(only_description=True)
        self.meta = self._read_meta()
        self._database.verify_tables()

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

    @cached_property
    def has_verdicts(self) -> bool:
        """Whether there is any verdict on a pair of images."""
        return bool(self.rows("SELECT 1 FROM verdicts LIMIT 1"))

    def segments(self) -> list[SegmentRecord]:
        """The live segments, in the order of their numbers."""
        rows = self.rows(
            "SELECT id, images, features, manifest, "
            "(SELECT coalesce(sum(features), 0) FROM tombstones WHERE segment = segments.id), "
            "(SELECT count(*) FROM tombstones WHERE segment = segments.id) FROM segments ORDER BY id"
        )
        return self._parsed(SegmentRecord.of_row, rows)

    def removed(self) -> frozenset[int]:
        """Numbers of the images that were removed and are still in segments."""
        return frozenset(image for (image,) in self.rows("SELECT image FROM tombstones"))

    def images(self, match: str | None = None) -> Iterator[ImageRecord]:
        """Each name that can be found, in the order in which the names were added; of ``match``, only those that fit.

        Raises:
            UsageError: there is no word in ``match``.
            MissingFeatureError: this SQLite, or that of the last writer, has no full-text search.
        """
        last = -1
        condition, values = self._fitting(match)
        while page := self.rows(
            f"{_RECORDS} WHERE names.id > ? AND segment IS NOT NULL {condition} ORDER BY names.id LIMIT 1000",
            last, *values,
        ):  # fmt: skip
            yield from self._parsed(lambda row: ImageRecord.of_row(row[1:]), page)
            last = page[-1][0]

    def records_of(self, images: Sequence[int]) -> list[ImageRecord]:
        """What is known of some images, in the order of their numbers, under each of their names."""
        found: list[ImageRecord] = []
        distinct = sorted(set(images))
        for start in range(0, len(distinct), _MOST_VALUES):
            some = distinct[start : start + _MOST_VALUES]
            marks = ",".join("?" * len(some))
            rows = self.rows(
                f"{_RECORDS} WHERE image IN ({marks}) AND segment IS NOT NULL ORDER BY image, names.id", *some
            )
            found += self._parsed(lambda row: ImageRecord.of_row(row[1:]), rows)
        return found

    def stamps_of(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Size in bytes and time of change (ns) of the files of some names, as they were indexed."""
        rows = self._of_each(
            "SELECT name, bytes, mtime_ns FROM names JOIN images ON images.id = image "
            "WHERE segment IS NOT NULL AND name",
            map(to_sql, names),
        )
        return dict(self._parsed(stamp_of_row, rows))

    def sizes_among(self, sizes: Iterable[int]) -> set[int]:
        """Those of some sizes (bytes) that a file of an image has that can be found."""
        rows = self._of_each("SELECT DISTINCT bytes FROM images WHERE segment IS NOT NULL AND bytes", sizes)
        return {size for (size,) in rows}

    def queued(self) -> list[str]:
        """Names of images whose features were lost, and that wait to be added again."""
        rows = self.rows(
            "SELECT name FROM names JOIN images ON images.id = image WHERE segment IS NULL ORDER BY names.id"
        )
        return self._parsed(lambda row: from_sql(row[0]), rows)

    def names(self, *, only_files: bool = False) -> Iterator[str]:
        """All names in the order in which they were added, also of images that wait to be added again.

        Args:
            only_files: those that stand for files, and not for images that were given from memory.
        """
        last = -1
        while page := self.rows("SELECT id, name, mtime_ns FROM names WHERE id > ? ORDER BY id LIMIT 1000", last):
            last = page[-1][0]
            kept = (row for row in page if not only_files or row[2] != NO_FILE_NS)
            yield from self._parsed(lambda row: from_sql(row[1]), kept)

    def names_beginning(self, beginnings: Iterable[str]) -> list[str]:
        """All names that begin with one of some texts, in the order in which they were added."""
        limits = dict.fromkeys(limit for text in beginnings for limit in _limits_of(text))
        rows = self._in_pages(
            lambda some: (
                f"WITH wanted (low, high) AS (VALUES {','.join(['(?, ?)'] * (len(some) // 2))}) "
                "SELECT id, name FROM wanted JOIN names ON name >= low AND name < high"
            ),
            list(chain.from_iterable(limits)),
        )
        return self._parsed(lambda row: from_sql(row[1]), sorted(set(rows)))

    def fitting(self, match: str) -> list[int]:
        """Numbers of the images that have a name that fits, in order; raises as ``images``."""
        condition, values = self._fitting(match)
        rows = self.rows(f"SELECT DISTINCT image FROM names WHERE true {condition} ORDER BY image", *values)
        return [image for (image,) in rows]

    def names_of(self, images: Sequence[int], match: str | None = None) -> dict[int, list[str]]:
        """The names of images, by number; of ``match``, only those that fit. Raises as ``images``."""
        found: dict[int, list[str]] = {image: [] for image in images}
        distinct = list(found)
        condition, values = self._fitting(match)
        for start in range(0, len(distinct), _MOST_VALUES):
            some = distinct[start : start + _MOST_VALUES]
            marks = ",".join("?" * len(some))
            rows = self.rows(
                f"SELECT image, name FROM names WHERE image IN ({marks}) {condition} ORDER BY id", *some, *values
            )
            for image, name in self._parsed(lambda row: (number(row[0], 1), from_sql(row[1])), rows):
                found[image].append(name)
        return found

    def files_of(self, image: int) -> list[tuple[str, tuple[int, int]]]:
        """The names of an image, each with size in bytes and time of change (ns) of its file as it was indexed."""
        rows = self.rows(
            "SELECT name, bytes, mtime_ns FROM names JOIN images ON images.id = image "
            "WHERE image = ? ORDER BY names.id",
            image,
        )
        return self._parsed(stamp_of_row, rows)

    def numbers(self, after: int = 0, match: str | None = None, form: str | None = None) -> Iterator[int]:
        """Numbers of the images that can be found, in order.

        Args:
            after: those above this one only.
            match: words that one of the names must have; None: any.
            form: format of the file, as "JPEG"; None: any.

        Raises:
            UsageError: there is no word in ``match``.
            MissingFeatureError: as ``images``.
        """
        condition, values = _of_form(form)
        statement = f"SELECT id FROM images WHERE segment IS NOT NULL {condition} AND "
        if match is None:
            while page := self.rows(f"{statement} id > ? ORDER BY id LIMIT {_MOST_VALUES}", *values, after):
                yield from (number for (number,) in page)
                after = page[-1][0]
            return
        fitting = [number for number in self.fitting(match) if number > after]
        for start in range(0, len(fitting), _MOST_VALUES):
            some = fitting[start : start + _MOST_VALUES]
            marks = ",".join("?" * len(some))
            rows = self.rows(f"{statement} id IN ({marks}) ORDER BY id", *values, *some)
            yield from (number for (number,) in rows)

    def count(self, after: int = 0, form: str | None = None) -> int:
        """How many ``numbers`` there are."""
        condition, values = _of_form(form)
        statement = f"SELECT count(*) FROM images WHERE segment IS NOT NULL {condition} AND id > ?"
        return int(self.rows(statement, *values, after)[0][0])

    def newest(self) -> int:
        """Number of the image that was added last, of those that are still there; 0 where there is none."""
        return int(self.rows("SELECT max(id) FROM images")[0][0] or 0)

    def in_order_of_contents(self) -> list[int]:
        """Numbers of all images, in the order of their contents (SHA-256)."""
        return [number for (number,) in self.rows("SELECT id FROM images ORDER BY sha256")]

    def known_among(self, names: Iterable[str]) -> set[str]:
        """Those of some names that there are."""
        rows = self._of_each("SELECT name FROM names WHERE name", map(to_sql, names))
        return set(self._parsed(lambda row: from_sql(row[0]), rows))

    def image_with(self, sha256: str) -> int | None:
        """The image of this content, if it can be found."""
        found = self.rows("SELECT id FROM images WHERE sha256 = ? AND segment IS NOT NULL", bytes.fromhex(sha256))
        return found[0][0] if found else None

    def contents_of(self, images: Iterable[int]) -> dict[int, str]:
        """SHA-256 of the files of images, hexadecimal, by number; of those that can be found."""
        found = self._of_each("SELECT id, hex(sha256) FROM images WHERE segment IS NOT NULL AND id", images)
        return dict(self._parsed(lambda row: (number(row[0], 1), digest(row[1])), found))

    def named_with(self, contents: Iterable[str], match: str | None = None) -> dict[str, tuple[int, list[str]]]:
        """The images of contents (SHA-256), and their names, by content; of ``match``, only names that fit.

        Raises as ``images``.
        """
        condition, values = self._fitting(match)
        rows = self._of_each(
            "SELECT hex(sha256), image, name FROM names JOIN images ON images.id = image "
            f"WHERE segment IS NOT NULL {condition} AND sha256",
            map(bytes.fromhex, contents), *values, order="ORDER BY names.id",
        )  # fmt: skip
        found: dict[str, tuple[int, list[str]]] = {}
        parsed = self._parsed(lambda row: (digest(row[0]), number(row[1], 1), from_sql(row[2])), rows)
        for content, image, name in parsed:
            found.setdefault(content, (image, []))[1].append(name)
        return found

    def content_named(self, name: str) -> str | None:
        """SHA-256 of the file that a name stood for when it was added, hexadecimal."""
        found = self.rows("SELECT hex(sha256) FROM names JOIN images ON images.id = image WHERE name = ?", to_sql(name))
        return self._parsed(lambda row: digest(row[0]), found)[0] if found else None

    def verdicts(self) -> dict[tuple[int, int], bool]:
        """User verdicts by pair of images, older number first: True = copy."""
        rows = self.rows(
            "SELECT min(one.id, other.id), max(one.id, other.id), copy FROM verdicts "
            "JOIN images AS one ON one.sha256 = a JOIN images AS other ON other.sha256 = b"
        )
        return {(older, newer): bool(is_copy) for older, newer, is_copy in sorted(rows)}

    def verdicts_by_content(self) -> dict[tuple[str, str], bool]:
        """User verdicts by pair of contents (SHA-256), whether their images are here or not: True = copy."""
        rows = self.rows("SELECT hex(a), hex(b), copy FROM verdicts")
        return dict(self._parsed(lambda row: ((digest(row[0]), digest(row[1])), bool(row[2])), sorted(rows)))

    def verdicts_of(self, sha256: str) -> dict[str, bool]:
        """User verdicts on a content and others, by the others (SHA-256): True = copy."""
        content = bytes.fromhex(sha256)
        rows = self.rows(
            "SELECT hex(b), copy FROM verdicts WHERE a = ? UNION ALL SELECT hex(a), copy FROM verdicts WHERE b = ?",
            content, content,
        )  # fmt: skip
        return dict(self._parsed(lambda row: (digest(row[0]), bool(row[1])), sorted(rows)))

    def totals(self) -> Totals:
        """Counts of names, features, images and verdicts."""
        rows = self.rows(
            "SELECT (SELECT count(*) FROM names JOIN images ON images.id = image WHERE segment IS NOT NULL), "
            "(SELECT coalesce(sum(features), 0) FROM images WHERE segment IS NOT NULL), "
            "(SELECT count(*) FROM tombstones), (SELECT count(*) FROM images WHERE segment IS NULL), "
            "(SELECT count(*) FROM verdicts), (SELECT coalesce(min(features), 0) FROM images)"
        )
        return self._parsed(Totals.of_row, rows)[0]

    def _fitting(self, match: str | None) -> tuple[str, tuple[str, ...]]:
        """A condition for a WHERE clause on names, and its values."""
        if match is None:
            return "", ()
        asked = text_search.expression(match)
        with self._lock:
            able = text_search.is_available(self._database.execute)
        if not able:
            raise MissingFeatureError("this Python's SQLite was built without FTS5: names cannot be looked up by words")
        if not self.meta.get(TEXT_SEARCH):
            raise MissingFeatureError("a Python whose SQLite has no FTS5 wrote the index last; add to it with this one")
        return f"AND names.id IN (SELECT rowid FROM {text_search.TABLE} WHERE {text_search.TABLE} MATCH ?)", (asked,)

    def _of_each(self, statement: str, wanted: Iterable[Any], *values: Any, order: str = "") -> list[Row]:
        """All rows that a statement selects whose last column is one of some values, which may be many."""
        return self._in_pages(
            lambda some: f"{statement} IN ({','.join('?' * len(some))}) {order}", list(dict.fromkeys(wanted)), *values
        )

    def _in_pages(self, statement: Callable[[Sequence[Any]], str], wanted: Sequence[Any], *values: Any) -> list[Row]:
        """All rows of statements that are made for as many of some values as one may have; ``values`` come first."""
        rows: list[Row] = []
        for start in range(0, len(wanted), _MOST_VALUES):
            some = wanted[start : start + _MOST_VALUES]
            rows += self.rows(statement(some), *values, *some)
        return rows

    def rows(self, statement: str, *values: Any) -> list[Row]:
        """All rows that a statement selects.

        Raises:
            StoreError: the file is damaged.
        """
        with self._lock:
            return self._database.rows(statement, *values)

    def _parsed(self, parse: Callable[[Row], Parsed], rows: Iterable[Row]) -> list[Parsed]:
        """What ``parse`` makes of each row; a StoreError where it raises a ValueError."""
        try:
            return [parse(row) for row in rows]
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
                f"this featmatch reads {' and '.join(map(str, _READABLE))}"
            )
        features = meta.get("features")
        if meta["version"] == OPENCV_SIFT_VERSION and isinstance(features, dict) and features.get("detector") == "sift":
            meta["features"] = {**features, "detector": "opencv-sift"}
        return meta


def _of_form(form: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if form is None else ("AND format = ? COLLATE NOCASE", (form,))


def _limits_of(beginning: str) -> list[tuple[str | bytes, str | bytes]]:
    """Where the names that begin with a text begin, and end: as text, and as bytes, if the rest is no UTF-8."""
    as_bytes = os.fsencode(beginning)
    limits: list[tuple[str | bytes, str | bytes]] = [(as_bytes, as_bytes[:-1] + bytes([as_bytes[-1] + 1]))]
    if is_unicode(beginning):
        limits.append((beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1)))
    return limits


def _stamp(path: Path) -> Stamp:
    try:
        state = os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot read catalogue {path}: {error.strerror}") from error
    return state.st_ino, state.st_size, state.st_mtime_ns
