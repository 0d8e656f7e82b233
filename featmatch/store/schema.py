"""The tables of a catalogue and of its parts; what a file has is compared with them to the letter."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import cache

from featmatch.store import text_search
from featmatch.store.values import Row

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
# Of a catalogue that has parts.
OF_PARTS = """
CREATE TABLE parts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 BLOB NOT NULL,              -- of its file
    bytes INTEGER NOT NULL,
    images INTEGER NOT NULL,           -- those that are hidden counted
    names INTEGER NOT NULL,
    features INTEGER NOT NULL,
    last_name INTEGER NOT NULL
);
CREATE TABLE placed (                  -- where images of a part are
    part INTEGER NOT NULL REFERENCES parts (id),
    written INTEGER NOT NULL,          -- the segment that they were in when the part was written
    segment INTEGER NOT NULL REFERENCES segments (id),  -- and the one that they are in
    PRIMARY KEY (part, written)
) WITHOUT ROWID;
CREATE TABLE hidden (                  -- images that are in a part, but are no more, or are among those above by now
    part INTEGER NOT NULL REFERENCES parts (id),
    image INTEGER NOT NULL,
    names INTEGER NOT NULL,            -- that it has there
    features INTEGER NOT NULL,
    PRIMARY KEY (part, image)
) WITHOUT ROWID;
"""
# Of a part; columns as above.
OF_A_PART = """
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    features INTEGER NOT NULL,
    segment INTEGER NOT NULL,          -- see placed
    format TEXT,
    taken TEXT,
    camera TEXT,
    caption TEXT
);
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name NOT NULL,
    image INTEGER NOT NULL REFERENCES images (id),
    mtime_ns INTEGER NOT NULL,
    text TEXT
);
"""
INDEXES_OF_A_PART = (  # made when the rows are there, which takes less time
    "CREATE UNIQUE INDEX images_by_content ON images (sha256)",
    "CREATE INDEX images_by_bytes ON images (bytes)",
    "CREATE UNIQUE INDEX names_by_name ON names (name)",
    "CREATE INDEX names_of_images ON names (image)",
)
IMAGE_COLUMNS = "id, sha256, bytes, width, height, features, segment, format, taken, camera, caption"
NAME_COLUMNS = "id, name, image, mtime_ns, text"

DESCRIPTION = (
    "table", "meta", "meta", "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)  # fmt: skip


@cache
def tables_of_a_catalogue() -> tuple[frozenset[Row], ...]:
    """What an index has, without and with parts, and without and with that by which names are looked up by words."""
    return tuple(
        _made(schema) | words for schema in (SCHEMA, SCHEMA + OF_PARTS) for words in (frozenset(), text_search.TABLES)
    )


@cache
def tables_of_a_part() -> tuple[frozenset[Row], ...]:
    """What a part has."""
    return (_made(OF_A_PART + ";".join(INDEXES_OF_A_PART)) | text_search.TABLES,)


def _made(schema: str) -> frozenset[Row]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        return frozenset(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"))
