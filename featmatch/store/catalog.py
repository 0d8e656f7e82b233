"""What may be asked of the catalogue of an index: images, their names, tombstones, live segments and verdicts."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from operator import itemgetter

from featmatch.errors import MissingFeatureError
from featmatch.names import is_unicode
from featmatch.store import text_search
from featmatch.store.open_catalog import MOST_VALUES, OpenCatalog
from featmatch.store.records import NO_FILE_NS, ImageRecord, SegmentRecord, Totals, stamp_of_row
from featmatch.store.values import digest, from_sql, number, to_sql

TEXT_SEARCH = "text_search"  # in the description: whether names can be looked up by their words
PICTURES = "pictures"  # likewise: whether small pictures are kept of images that are added; they are, if it is missing

_RECORDS = (
    "SELECT names.id, image, name, bytes, mtime_ns, hex(sha256), width, height, features, text, "
    "format, taken, camera, caption FROM {names} JOIN {images} ON images.id = image"
)


class Catalog(OpenCatalog):
    """One generation of the catalogue, and what may be asked of it. Safe to share between threads."""

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
        condition, values = self._fitting(match)
        statement = f"{_RECORDS} WHERE names.id > ? AND segment IS NOT NULL {condition} ORDER BY names.id LIMIT 1000"
        rows = self._in_order(statement, -1, *values)
        yield from self._each_parsed(lambda row: ImageRecord.of_row(row[1:]), rows)

    def records_of(self, images: Sequence[int]) -> list[ImageRecord]:
        """What is known of some images, in the order of their numbers, under each of their names."""
        rows = self._of_each(f"{_RECORDS} WHERE segment IS NOT NULL AND image", images)
        rows.sort(key=lambda row: (row[1], row[0]))
        return self._parsed(lambda row: ImageRecord.of_row(row[1:]), rows)

    def stamps_of(self, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Size in bytes and time of change (ns) of the files of some names, as they were indexed."""
        rows = self._of_each(
            "SELECT name, bytes, mtime_ns FROM {names} JOIN {images} ON images.id = image "
            "WHERE segment IS NOT NULL AND name",
            map(to_sql, names),
        )
        return dict(self._parsed(stamp_of_row, rows))

    def sizes_among(self, sizes: Iterable[int]) -> set[int]:
        """Those of some sizes (bytes) that a file of an image has that can be found."""
        rows = self._of_each("SELECT DISTINCT bytes FROM {images} WHERE segment IS NOT NULL AND bytes", sizes)
        return {size for (size,) in rows}

    def queued(self) -> list[str]:
        """Names of images whose features were lost, and that wait to be added again."""
        rows = self.each("SELECT names.id, name FROM {names} JOIN {images} ON images.id = image WHERE segment IS NULL")
        return self._parsed(lambda row: from_sql(row[1]), sorted(rows))

    def names(self, *, only_files: bool = False) -> Iterator[str]:
        """All names in the order in which they were added, also of images that wait to be added again.

        Args:
            only_files: those that stand for files, and not for images that were given from memory.
        """
        rows = self._in_order("SELECT id, name, mtime_ns FROM {names} WHERE id > ? ORDER BY id LIMIT 1000", -1)
        kept = (row for row in rows if not only_files or row[2] != NO_FILE_NS)
        return self._each_parsed(lambda row: from_sql(row[1]), kept)

    def names_beginning(self, beginnings: Iterable[str]) -> list[str]:
        """All names that begin with one of some texts, in the order in which they were added."""
        limits = dict.fromkeys(limit for text in beginnings for limit in _limits_of(text))
        rows = self._in_pages(
            lambda some: (
                f"WITH wanted (low, high) AS (VALUES {','.join(['(?, ?)'] * (len(some) // 2))}) "
                "SELECT id, name FROM wanted JOIN {names} ON name >= low AND name < high"
            ),
            list(chain.from_iterable(limits)),
        )
        return self._parsed(lambda row: from_sql(row[1]), sorted(set(rows)))

    def fitting(self, match: str) -> list[int]:
        """Numbers of the images that have a name that fits, in order; raises as ``images``."""
        condition, values = self._fitting(match)
        return sorted(
            image for (image,) in self.each(f"SELECT DISTINCT image FROM {{names}} WHERE true {condition}", *values)
        )

    def names_of(self, images: Sequence[int], match: str | None = None) -> dict[int, list[str]]:
        """The names of images, by number; of ``match``, only those that fit. Raises as ``images``."""
        found: dict[int, list[str]] = {image: [] for image in images}
        condition, values = self._fitting(match)
        rows = self._of_each(
            f"SELECT image, name FROM {{names}} WHERE true {condition} AND image", found, *values, order="ORDER BY id"
        )
        for image, name in self._parsed(lambda row: (number(row[0], 1), from_sql(row[1])), rows):
            found[image].append(name)
        return found

    def files_of(self, image: int) -> list[tuple[str, tuple[int, int]]]:
        """The names of an image, each with size in bytes and time of change (ns) of its file as it was indexed."""
        rows = self.each(
            "SELECT name, bytes, mtime_ns FROM {names} JOIN {images} ON images.id = image "
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
        statement = f"SELECT id FROM {{images}} WHERE id > ? AND segment IS NOT NULL {condition}"
        if match is None:
            rows = self._in_order(f"{statement} ORDER BY id LIMIT {MOST_VALUES}", after, *values)
            yield from (number for (number,) in rows)
            return
        fitting = [number for number in self.fitting(match) if number > after]
        for start in range(0, len(fitting), MOST_VALUES):  # a page is shown before all are found
            page = self._of_each(f"{statement} AND id", fitting[start : start + MOST_VALUES], after, *values)
            yield from sorted(number for (number,) in page)

    def count(self, after: int = 0, form: str | None = None) -> int:
        """How many ``numbers`` there are."""
        condition, values = _of_form(form)
        statement = f"SELECT count(*) FROM {{images}} WHERE segment IS NOT NULL {condition} AND id > ?"
        return sum(int(count) for (count,) in self.each(statement, *values, after))

    def newest(self) -> int:
        """Number of the image that was added last, of those that are still there; 0 where there is none."""
        rows = self.each("SELECT id FROM {images} ORDER BY id DESC LIMIT 1")
        return max((int(newest) for (newest,) in rows), default=0)

    def in_order_of_contents(self) -> list[int]:
        """Numbers of all images, in the order of their contents (SHA-256)."""
        sorted_parts = (
            self.rows(one.select("SELECT sha256, id FROM {images} ORDER BY sha256")) for one in self.sources
        )
        return [number for _, number in heapq.merge(*sorted_parts, key=itemgetter(0))]

    def known_among(self, names: Iterable[str]) -> set[str]:
        """Those of some names that there are."""
        rows = self._of_each("SELECT name FROM {names} WHERE name", map(to_sql, names))
        return set(self._parsed(lambda row: from_sql(row[0]), rows))

    def image_with(self, sha256: str) -> int | None:
        """The image of this content, if it can be found."""
        found = self.each("SELECT id FROM {images} WHERE sha256 = ? AND segment IS NOT NULL", bytes.fromhex(sha256))
        return found[0][0] if found else None

    def contents_of(self, images: Iterable[int]) -> dict[int, str]:
        """SHA-256 of the files of images, hexadecimal, by number; of those that can be found."""
        found = self._of_each("SELECT id, hex(sha256) FROM {images} WHERE segment IS NOT NULL AND id", images)
        return dict(self._parsed(lambda row: (number(row[0], 1), digest(row[1])), found))

    def named_with(self, contents: Iterable[str], match: str | None = None) -> dict[str, tuple[int, list[str]]]:
        """The images of contents (SHA-256), and their names, by content; of ``match``, only names that fit.

        Raises as ``images``.
        """
        condition, values = self._fitting(match)
        rows = self._of_each(
            "SELECT hex(sha256), image, name FROM {names} JOIN {images} ON images.id = image "
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
        found = self.each(
            "SELECT hex(sha256) FROM {names} JOIN {images} ON images.id = image WHERE name = ?", to_sql(name)
        )
        return self._parsed(lambda row: digest(row[0]), found)[0] if found else None

    def verdicts(self) -> dict[tuple[int, int], bool]:
        """User verdicts by pair of images, older number first: True = copy."""
        judged = self.rows("SELECT a, b, copy FROM verdicts")
        contents = {content for a, b, _ in judged for content in (a, b)}
        images: dict[bytes, int] = dict(self._of_each("SELECT sha256, id FROM {images} WHERE sha256", contents))
        here = [(images[a], images[b], bool(is_copy)) for a, b, is_copy in judged if a in images and b in images]
        return {(min(one, other), max(one, other)): is_copy for one, other, is_copy in sorted(here)}

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
        rows = self.rows(  # of itself; parts are counted
            "SELECT (SELECT count(*) FROM names JOIN images ON images.id = image WHERE segment IS NOT NULL), "
            "(SELECT coalesce(sum(features), 0) FROM images WHERE segment IS NOT NULL), "
            "(SELECT count(*) FROM tombstones), (SELECT count(*) FROM images WHERE segment IS NULL), "
            "(SELECT count(*) FROM verdicts), (SELECT coalesce(min(features), 0) FROM images)"
        )
        own = self._parsed(Totals.of_row, rows)[0]
        return replace(
            own,
            names=own.names + sum(part.names - part.hidden_names for part in self.part_files),
            features=own.features + sum(part.features - part.hidden_features for part in self.part_files),
        )

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
        table = text_search.TABLE
        return f"AND names.id IN (SELECT rowid FROM {{schema}}.{table} WHERE {table} MATCH ?)", (asked,)


def _of_form(form: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if form is None else ("AND format = ? COLLATE NOCASE", (form,))


def _limits_of(beginning: str) -> list[tuple[str | bytes, str | bytes]]:
    """Where the names that begin with a text begin, and end: as text, and as bytes, if the rest is no UTF-8."""
    as_bytes = os.fsencode(beginning)
    limits: list[tuple[str | bytes, str | bytes]] = [(as_bytes, as_bytes[:-1] + bytes([as_bytes[-1] + 1]))]
    if is_unicode(beginning):
        limits.append((beginning, beginning[:-1] + chr(ord(beginning[-1]) + 1)))
    return limits
