"""The next generation of the catalogue: how a writer changes it.

A writer changes a copy, appends the SHA-256 of it (SQLite does not look behind its last page), flushes it, and renames
it into place. That rename is the commit: a crash leaves the index as before or as after.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featmatch.errors import StoreError
from featmatch.store import parts, text_search
from featmatch.store.catalog import TEXT_SEARCH
from featmatch.store.database import Database
from featmatch.store.layout import clear_aside, open_index_file, part_file
from featmatch.store.open_catalog import FORMAT_VERSION, OPENCV_SIFT_VERSION, PARTS_VERSION
from featmatch.store.parts import Part, Source, attached
from featmatch.store.records import NO_FILE_NS
from featmatch.store.schema import IMAGE_COLUMNS, NAME_COLUMNS, OF_PARTS, SCHEMA
from featmatch.store.values import DIGEST_BYTES, to_sql
from featmatch.system.files import flush_folder, sha256_of

if TYPE_CHECKING:
    from featmatch.images.metadata import Metadata


_RECENT = "SELECT count(*) FROM main.names JOIN main.images ON images.id = image WHERE segment IS NOT NULL"


class Change:
    """What a writer does to its copy of the catalogue."""

    def __init__(self, connection: Database, folder: Path) -> None:
        """Change a copy that is open, of the catalogue of the index in ``folder``."""
        self._connection = connection
        self._folder = folder
        self._parts = attached(connection, folder)
        self._is_to_shrink = False
        self.replaced: list[Path] = []  # files that go when this is committed
        self._left: set[int] = set()  # images that lost a name, and may get another before the change is complete
        self._reworded: set[int] | None = set()  # names whose words may have changed; None: all

    def describe(self, key: str, value: Any) -> None:
        """Set one entry of the description."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def next_segment(self) -> int:
        """The first segment number that was never used."""
        return 1 + (self._connection.number("SELECT seq FROM main.sqlite_sequence WHERE name = 'segments'") or 0)

    def add_segment(self, number: int, images: int, features: int, manifest: bytes) -> None:
        """Make a segment live."""
        self._connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (number, images, features, manifest))

    def image_with(self, sha256: str) -> int | None:
        """The image of this content, if it can be found or is about to be."""
        return self._number("SELECT id FROM {images} WHERE sha256 = ? AND segment IS NOT NULL", bytes.fromhex(sha256))

    def add_image(
        self,
        sha256: str,
        size: int,
        sides: tuple[int, int],
        features: int,
        segment: int,
        metadata: Metadata | None = None,
        number: int | None = None,
    ) -> int:
        """Make an image live whose features are in a segment; return its number. One that waited keeps its own.

        Args:
            sha256: of the file, hexadecimal.
            size: of the file, in bytes.
            sides: width and height, px, as displayed.
            features: how many there are.
            segment: that they are in.
            metadata: of the file.
            number: that it is to have, of a block that was kept for this index; None: the next one.
        """
        row = {"bytes": size, "width": sides[0], "height": sides[1], "features": features, "segment": segment}
        row |= vars(metadata) if metadata else {}
        new = {} if number is None else {"id": number}
        self._bring_up(self.image_with(sha256))
        self._connection.execute(
            f"INSERT INTO images (sha256, {', '.join([*row, *new])}) VALUES (?{', ?' * len([*row, *new])}) "
            f"ON CONFLICT (sha256) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in row)}",
            (bytes.fromhex(sha256), *row.values(), *new.values()),
        )
        image = self.image_with(sha256)
        assert image is not None
        self._reword("image = ?", image)
        return image

    def name(self, name: str, image: int, mtime_ns: int, text: str | None = None) -> None:
        """Let a name stand for an image from now on; an image that has no name left is removed."""
        before = self._image_named(name)
        self._bring_up(before)
        self._bring_up(image)
        self._connection.execute(
            "INSERT INTO names (id, name, image, mtime_ns, text) "
            "VALUES (1 + max(?, coalesce((SELECT max(id) FROM main.names), 0)), ?, ?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET image = excluded.image, "
            "mtime_ns = excluded.mtime_ns, text = coalesce(excluded.text, text)",
            (max((part.last_name for part in self._parts), default=0), to_sql(name), image, mtime_ns, text),
        )
        self._reword("name = ?", to_sql(name))
        if before is not None and before != image:
            self._left.add(before)

    def remove(self, names: Iterable[str]) -> list[str]:
        """Take names out, and images that have none left; return those of the names that were in."""
        gone = []
        for name in names:
            image = self._image_named(name)
            if image is not None:
                self._bring_up(image)
                self._reword("name = ?", to_sql(name))
                self._connection.execute("DELETE FROM names WHERE name = ?", (to_sql(name),))
                self._left.add(image)
                gone.append(name)
        return gone

    def judge(self, a: str, b: str, is_copy: bool | None) -> bool:
        """Keep the verdict on two contents (SHA-256): True = copy; None removes it. Return whether there was one."""
        pair = sorted(map(bytes.fromhex, (a, b)))
        before = self._connection.execute("DELETE FROM verdicts WHERE a = ? AND b = ?", pair).rowcount
        if is_copy is not None:
            self._connection.execute("INSERT INTO verdicts VALUES (?, ?, ?)", (*pair, is_copy))
        return before > 0

    def replace_segments(self, old: Sequence[int], new: int | None) -> None:
        """Let the images of old segments be in a new one, and forget the old ones with their tombstones."""
        marks = ",".join("?" * len(old))
        for part in self._parts:
            if new is None:
                lost = Source.of_part(part).select(f"SELECT id FROM {{images}} WHERE segment IN ({marks})")
                for (image,) in self._connection.execute(lost, old).fetchall():
                    self._bring_up(image)
            else:
                self._connection.execute(f"UPDATE placed SET segment = ? WHERE segment IN ({marks})", (new, *old))
        self._connection.execute(f"UPDATE images SET segment = ? WHERE segment IN ({marks})", (new, *old))
        self._connection.execute(f"DELETE FROM tombstones WHERE segment IN ({marks})", old)
        self._connection.execute(f"DELETE FROM segments WHERE id IN ({marks})", old)

    def shrink(self) -> None:
        """Give back the room of rows that were deleted; of all parts one is left at most."""
        self._reworded = None
        self._is_to_shrink = True

    def distrust(self) -> None:
        """Mend what does not fit together, and have the next ``add`` compare every file by its content."""
        self._connection.execute("REINDEX main.images")
        self._connection.execute("REINDEX main.names")
        self._connection.execute("REINDEX main.verdicts")
        self._gather()
        self._connection.execute("DELETE FROM names WHERE image NOT IN (SELECT id FROM images)")
        self._connection.execute("DELETE FROM tombstones WHERE image IN (SELECT id FROM images)")
        rows = self._connection.execute("SELECT id FROM images WHERE id NOT IN (SELECT image FROM names)")
        self._left.update(image for (image,) in rows)
        self._connection.execute("UPDATE images SET segment = NULL WHERE segment NOT IN (SELECT id FROM segments)")
        self._connection.execute("DELETE FROM tombstones WHERE segment NOT IN (SELECT id FROM segments)")
        self._connection.execute("UPDATE names SET mtime_ns = -1 WHERE mtime_ns != ?", (NO_FILE_NS,))
        self._reworded = None

    def _image_named(self, name: str) -> int | None:
        return self._number("SELECT image FROM {names} WHERE name = ?", to_sql(name))

    def _number(self, statement: str, *values: Any) -> int | None:
        """The number that a statement selects of the first source that it selects something of."""
        for source in (Source(), *map(Source.of_part, self._parts)):
            found = self._connection.number(source.select(statement), *values)
            if found is not None:
                return found
        return None

    def _bring_up(self, image: int | None) -> None:
        """Have an image and its names in the catalogue itself, where they can be changed."""
        execute = self._connection.execute
        if image is None or not self._parts or execute("SELECT 1 FROM main.images WHERE id = ?", (image,)).fetchone():
            return
        for part in self._parts:
            select = Source.of_part(part).select
            copied = execute(
                select(f"INSERT INTO main.images SELECT {IMAGE_COLUMNS} FROM {{images}} WHERE id = ?"), (image,)
            )
            if copied.rowcount:
                execute(
                    select(f"INSERT INTO main.names SELECT {NAME_COLUMNS} FROM {{names}} WHERE image = ?"), (image,)
                )
                execute(
                    "INSERT INTO hidden "
                    "SELECT ?, id, (SELECT count(*) FROM main.names WHERE image = images.id), features "
                    "FROM main.images WHERE id = ?",
                    (part.id, image),
                )
                self._reword("image = ?", image)
                return

    def _gather(self) -> None:
        """Have all images in the catalogue itself; of what is there twice, one is left."""
        for part in self._parts:
            for table, columns in (("images", IMAGE_COLUMNS), ("names", NAME_COLUMNS)):
                statement = f"INSERT OR IGNORE INTO main.{table} SELECT {columns} FROM {{{table}}}"
                self._connection.execute(Source.of_part(part).select(statement))
        self._forget(self._parts)
        self._reworded = None

    def _forget(self, merged: Sequence[Part]) -> None:
        parts.forget(self._connection, merged)
        self.replaced += [part_file(self._folder, part.id) for part in merged]
        self._parts = [part for part in self._parts if part not in merged]

    def settle(self) -> None:
        """Move images to a part, if there are many, and give back room; all else is done and committed."""
        database = self._connection
        self._parts = parts.parts_of(database)
        recent = database.number(_RECENT) or 0
        every = recent + sum(part.names - part.hidden_names for part in self._parts)
        if self._is_to_shrink and every <= parts.RECENT_NAMES:
            if self._parts:
                database.execute("BEGIN")
                self._gather()
                self._update_text_search()
                database.execute("COMMIT")
        elif self._is_to_shrink and self._can_have_parts:
            self._move_to_part(self._parts)
        elif (recent > parts.RECENT_NAMES or any(map(parts.is_worn, self._parts))) and self._can_have_parts:
            self._move_to_part(parts.to_merge(self._parts, recent))
        elif not self._is_to_shrink:
            return
        database.execute("VACUUM main")

    @property
    def _can_have_parts(self) -> bool:
        """Whether the words of names can be kept, and the index is not one that stays in the format it has."""
        version = self._connection.number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'version'")
        return version != OPENCV_SIFT_VERSION and text_search.is_available(self._connection.execute)

    def _move_to_part(self, merged: Sequence[Part]) -> None:
        """Have the images of the catalogue itself and of some parts in one part."""
        database = self._connection
        if not database.has_parts:
            database.connection.executescript(OF_PARTS)
        parts.write_part(database, self._folder, merged)
        database.execute("BEGIN")
        self._forget(merged)
        self.describe("version", PARTS_VERSION)
        text_search.write_all(database.execute)
        database.execute("COMMIT")

    def complete(self) -> None:
        """Put tombstones in place of images that have no name left."""
        for image in sorted(self._left):
            nameless = "FROM images WHERE id = ? AND NOT EXISTS (SELECT 1 FROM names WHERE image = images.id)"
            self._connection.execute(
                f"INSERT INTO tombstones SELECT id, segment, features {nameless} AND segment IS NOT NULL", (image,)
            )
            self._connection.execute(f"DELETE {nameless}", (image,))
        self._left = set()
        self._update_text_search()

    def _reword(self, condition: str, value: Any) -> None:
        if self._reworded is not None:
            rows = self._connection.execute(f"SELECT id FROM names WHERE {condition}", (value,))
            self._reworded.update(number for (number,) in rows)

    def _update_text_search(self) -> None:
        """Keep the words of the names in step, where this SQLite can; the next writer that can catches up."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (TEXT_SEARCH,)).fetchone()
        able, in_step = text_search.is_available(self._connection.execute), row is not None and json.loads(row[0])
        if able and not in_step and self._parts:
            self._gather()  # their names have changed since the words were written
        if able and (self._reworded is None or not in_step):
            text_search.write_all(self._connection.execute)
        elif able and self._reworded:
            text_search.write(self._connection.execute, self._reworded)
        if able != in_step and (able or self._reworded != set()):
            self.describe(TEXT_SEARCH, able)
        self._reworded = set()


def create_catalog(path: Path, meta: dict[str, Any]) -> None:
    """Make the first generation."""
    with _next_generation(path) as change:
        change._connection.connection.executescript(SCHEMA)
        change._connection.execute("BEGIN")
        for key, value in {"version": FORMAT_VERSION, **meta}.items():
            change.describe(key, value)


@contextlib.contextmanager
def change_catalog(path: Path) -> Iterator[Change]:
    """Make the next generation; if anything is raised, there is none. The caller holds the writer's lock.

    Raises:
        StoreError: the catalogue is damaged.
        OSError: it cannot be written.
    """
    with _next_generation(path, path) as change:
        change._connection.execute("BEGIN")
        yield change


@contextlib.contextmanager
def _next_generation(path: Path, former: Path | None = None) -> Iterator[Change]:
    aside = path.with_name(path.name + ".partial")
    try:
        clear_aside(aside)
        if former is not None:
            with open_index_file(former) as source, aside.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.truncate(copy.tell() - DIGEST_BYTES)
        with contextlib.closing(Database(aside, is_written=True)) as connection:
            if former is not None:
                connection.verify_tables()
            change = Change(connection, path.parent)
            yield change
            change.complete()
            connection.execute("COMMIT")
            connection.allow_for_growth()
            change.settle()
        digest = bytes.fromhex(sha256_of(aside))
        with aside.open("ab") as file:
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        flush_folder(path.parent)
        for replaced in change.replaced:  # readers that have them open keep them
            with contextlib.suppress(OSError):
                replaced.unlink()
    except sqlite3.Error as error:
        raise StoreError(f"catalogue {path}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
