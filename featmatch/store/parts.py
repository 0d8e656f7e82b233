"""Parts of a large catalogue: files with the rows of former commits, which never change.

A commit writes the catalogue anew. So that its cost does not grow with the collection, a catalogue with many rows moves
them to a part, and is small again; parts are merged so that each is at least twice as large as the next, and a row is
copied a few times only. An image lies in one place, with all of its names: before any of it is changed it is brought
into the catalogue, which hides it in the part that has it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featmatch.errors import StoreError
from featmatch.store import text_search
from featmatch.store.database import Database
from featmatch.store.layout import clear_aside, open_index_file, part_file
from featmatch.store.schema import IMAGE_COLUMNS, INDEXES_OF_A_PART, NAME_COLUMNS, OF_A_PART
from featmatch.store.values import DIGEST_BYTES, Row, number
from featmatch.system.files import flush_folder, sha256_of, sha256_of_rest

RECENT_NAMES = 50_000  # that a catalogue keeps itself; 16 MB are written for a commit
MOST_PARTS = 8  # SQLite opens 10 files beside the first
_GROWTH = 2
_MOST_HIDDEN = 1 / 8  # of the images of a part, before it is written anew


_COPY_IMAGES = f"""
INSERT INTO fresh.images ({IMAGE_COLUMNS}) SELECT {IMAGE_COLUMNS} FROM {{images}}
WHERE segment IS NOT NULL ORDER BY id"""
_COPY_NAMES = f"""
INSERT INTO fresh.names ({NAME_COLUMNS}) SELECT {NAME_COLUMNS} FROM {{names}} WHERE EXISTS
(SELECT 1 FROM {{schema}}.images AS own WHERE own.id = names.image AND own.segment IS NOT NULL) ORDER BY id"""
_COPY_WORDS = f"""
INSERT INTO fresh.{text_search.TABLE} (rowid, words)
SELECT kept.id, c0 FROM {{schema}}.{text_search.TABLE}_content AS kept
JOIN {{names}} ON names.id = kept.id WHERE kept.id IN (SELECT id FROM fresh.names) ORDER BY kept.id"""


@dataclass(frozen=True)
class Part:
    """What the catalogue knows of a part.

    Attributes:
        id: its number, never used again for another.
        sha256: of its file.
        bytes: size of its file.
        images: in it, those that are hidden included.
        names: of them.
        features: of them.
        last_name: the highest number of a name.
        hidden: images in it that are no more, or are in the catalogue itself.
        hidden_names: of them.
        hidden_features: of them.
    """

    id: int
    sha256: bytes
    bytes: int
    images: int
    names: int
    features: int
    last_name: int
    hidden: int
    hidden_names: int
    hidden_features: int

    @classmethod
    def of_row(cls, row: Row) -> Part:
        """From values in the order of the attributes."""
        part, sha256, size, images, names, features, last_name, hidden, hidden_names, hidden_features = row
        if not isinstance(sha256, bytes) or len(sha256) != DIGEST_BYTES:
            raise ValueError(f"the checksum of part {part!r:.80} is none")
        return cls(
            number(part, 1), sha256, number(size), number(images), number(names), number(features), number(last_name),
            number(hidden, 0, images), number(hidden_names, 0, names), number(hidden_features, 0, features),
        )  # fmt: skip

    @property
    def schema(self) -> str:
        """What SQL calls it."""
        return f"part{self.id}"


@dataclass(frozen=True)
class Source:
    """Where rows lie: in the catalogue itself, or in a part. As SQL says it.

    Attributes:
        schema: of the file.
        images: a table of the images that are in it, as ``images``.
        names: a table of their names, as ``names``.
    """

    schema: str = "main"
    images: str = "main.images"
    names: str = "main.names"

    @classmethod
    def of_part(cls, part: Part) -> Source:
        """Those that are not hidden, in the segments in which they are by now."""
        hidden = "SELECT 1 FROM main.hidden WHERE hidden.part = {} AND hidden.image = one.{}"
        segment = (
            f"(SELECT placed.segment FROM main.placed WHERE part = {part.id} AND written = one.segment) AS segment"
        )
        columns = IMAGE_COLUMNS.replace("segment", segment)
        shown = [f"WHERE NOT EXISTS ({hidden.format(part.id, column)})" for column in ("id", "image")]
        return cls(
            part.schema,
            f"(SELECT {columns} FROM {part.schema}.images AS one {shown[0]}) AS images",
            f"(SELECT * FROM {part.schema}.names AS one {shown[1]}) AS names",
        )

    def select(self, statement: str) -> str:
        """A statement for this source: ``{images}`` and ``{names}`` are its tables, ``{schema}`` is its file."""
        return statement.format(images=self.images, names=self.names, schema=self.schema)


def attached(database: Database, folder: Path) -> list[Part]:
    """Open the parts of a catalogue beside it.

    Raises:
        StoreError: one is missing, or is not as it was written, as far as its size and its tables tell.
    """
    parts = parts_of(database)
    for part in parts:
        database.attach(part_file(folder, part.id), part.schema, part.bytes)
    return parts


def parts_of(database: Database) -> list[Part]:
    """What a catalogue knows of its parts, the oldest first; none, where its format has none.

    Raises:
        StoreError: it is damaged.
    """
    if not database.has_parts:
        return []
    sums = ("count(*)", "coalesce(sum(names), 0)", "coalesce(sum(features), 0)")
    hidden = ", ".join(f"(SELECT {one} FROM hidden WHERE part = parts.id)" for one in sums)
    rows = database.rows(f"SELECT parts.*, {hidden} FROM parts ORDER BY id LIMIT {MOST_PARTS + 1}")
    try:
        parts = [Part.of_row(row) for row in rows]
        if len(parts) > MOST_PARTS:
            raise ValueError("it has too many parts")
    except ValueError as error:
        raise StoreError(f"the catalogue is damaged: {error}") from error
    return parts


def damaged_part(folder: Path, part: Part) -> str | None:
    """What is wrong with the file of a part, compared with its checksum; None: nothing."""
    path = part_file(folder, part.id)
    try:
        with open_index_file(path) as file:
            return None if sha256_of_rest(file) == part.sha256.hex() else f"{path} is not as it was written"
    except OSError as error:
        return f"{path}: {error.strerror or error}"


def to_merge(parts: Sequence[Part], names: int) -> list[Part]:
    """Which parts become one with so many names that the catalogue has itself.

    Each that is left is twice as large as the next newer one, and little of it is hidden.
    """
    kept, merged = list(parts), []
    while kept and (len(kept) >= MOST_PARTS or kept[-1].names < _GROWTH * names):
        merged.append(kept.pop())
        names += merged[-1].names
    return sorted([*merged, *filter(is_worn, kept)], key=lambda part: part.id)


def is_worn(part: Part) -> bool:
    """Whether so much of a part is hidden that it should be written anew."""
    return part.hidden > part.images * _MOST_HIDDEN


def write_part(database: Database, folder: Path, merged: Sequence[Part]) -> None:
    """Move the images that can be found to a new part, and copy those of some parts there, in their order.

    Args:
        database: the writer's copy of the catalogue; no transaction is open.
        folder: of the index.
        merged: the parts.

    Raises:
        StoreError: one of the parts is damaged: damage must not get a new checksum.
        OSError: the part cannot be written.
    """
    for part in merged:
        if problem := damaged_part(folder, part):
            raise StoreError(f"{problem}; see featmatch check {folder}")
    execute = database.execute
    sources = [*map(Source.of_part, merged), Source()]
    new = 1 + (database.number("SELECT seq FROM main.sqlite_sequence WHERE name = 'parts'") or 0)
    path = part_file(folder, new)
    aside = path.with_name(path.name + ".partial")
    path.parent.mkdir(exist_ok=True)
    flush_folder(folder)
    try:
        _fill(database, aside, sources)
        counted = execute(
            "SELECT (SELECT count(*) FROM fresh.images), (SELECT count(*) FROM fresh.names), "
            "(SELECT coalesce(sum(features), 0) FROM fresh.images), (SELECT coalesce(max(id), 0) FROM fresh.names)"
        ).fetchone()
        segments = execute("SELECT DISTINCT segment FROM fresh.images").fetchall()
        execute("DETACH fresh")
        _flush(aside)
        sha256, size = sha256_of(aside), aside.stat().st_size
        os.replace(aside, path)
        flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
    execute("BEGIN")
    execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", (new, bytes.fromhex(sha256), size, *counted))
    for (segment,) in segments:
        execute("INSERT INTO placed VALUES (?, ?, ?)", (new, segment, segment))
    execute("DELETE FROM main.names WHERE image IN (SELECT id FROM main.images WHERE segment IS NOT NULL)")
    execute("DELETE FROM main.images WHERE segment IS NOT NULL")
    execute("COMMIT")


def forget(database: Database, parts: Iterable[Part]) -> None:
    """Take parts out of the catalogue; their files stay until it is committed."""
    for part in parts:
        for statement in (
            "DELETE FROM parts WHERE id = ?",
            "DELETE FROM hidden WHERE part = ?",
            "DELETE FROM placed WHERE part = ?",
        ):
            database.execute(statement, (part.id,))


def _fill(database: Database, aside: Path, sources: Sequence[Source]) -> None:
    """Write the rows of some sources to a new file, which stays open as ``fresh``."""
    clear_aside(aside)
    with contextlib.closing(Database(aside, is_written=True)) as made:
        made.connection.executescript(OF_A_PART + text_search.SCHEMA)
    database.attach(aside, "fresh")
    execute = database.execute
    execute("BEGIN")
    for source in sources:
        for statement in (_COPY_IMAGES, _COPY_NAMES, _COPY_WORDS):
            execute(source.select(statement))
    for statement in INDEXES_OF_A_PART:
        execute(statement.replace("INDEX ", "INDEX fresh.", 1))
    execute("COMMIT")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
