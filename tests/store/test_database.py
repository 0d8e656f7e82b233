"""What a catalogue of a stranger may say, and what is done about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from featmatch.errors import StoreError
from featmatch.store import database
from featmatch.store.catalog import Catalog
from featmatch.store.database import Database
from featmatch.store.generation import change_catalog, create_catalog
from tools.forging import in_catalog

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_catalog(tmp_path / "catalog.sqlite", {"features": {"detector": "sift"}})
    with change_catalog(tmp_path / "catalog.sqlite") as change:
        for content, name in enumerate(("a.jpg", "b.jpg", "latin-1 caf\udce9.jpg"), 1):
            change.name(name, change.add_image(f"{content:064x}", 9, (640, 480), 10, 1), 7, "told")
        change.add_segment(1, 3, 30, bytes(32))
    return tmp_path / "catalog.sqlite"


def test_a_catalogue_without_words_to_search_is_one_too(path: Path) -> None:
    in_catalog(path.parent, "DROP TABLE searched")
    assert len(list(Catalog(path).names())) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (x)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE INDEX more ON names (text)",
        "CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM images; END",
        "DROP INDEX names_of_images",
        "DROP TABLE verdicts",
        "ALTER TABLE tombstones ADD COLUMN more",
        "UPDATE sqlite_master SET sql = replace(sql, 'mtime_ns INTEGER', 'mtime_ns  INTEGER') WHERE name = 'names'",
        "UPDATE sqlite_master SET type = 'view', sql = 'CREATE VIEW tombstones AS SELECT 1', rootpage = 0 "
        "WHERE name = 'tombstones'",
        "UPDATE sqlite_master SET sql = replace(sql, 'diacritics 2', 'diacritics 1') WHERE name = 'searched'",
    ],
)
def test_other_tables_are_refused_by_readers_and_writers(path: Path, statement: str) -> None:
    in_catalog(path.parent, statement)
    for use in (Catalog, lambda path: change_catalog(path).__enter__()):
        with pytest.raises(StoreError, match="its tables are not those of an index"):
            use(path)
    assert not path.with_name("catalog.sqlite.partial").exists()


@pytest.mark.parametrize("kind", ["view", "table"])
def test_the_description_is_asked_only_where_it_is_a_table(path: Path, kind: str) -> None:
    view = f"CREATE VIEW meta AS {ENDLESS.replace('count(*)', 'i AS key, i AS value')}"
    other = "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"
    sql = {"view": f"type = 'view', rootpage = 0, sql = '{view}'", "table": f"sql = '{other}'"}[kind]
    in_catalog(path.parent, f"UPDATE sqlite_master SET {sql} WHERE name = 'meta'")
    with pytest.raises(StoreError, match="its tables are not those of an index"):
        Catalog(path)


def test_work_is_bounded_by_the_size_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEPS", 1_000_000)
    catalog = Catalog(path)
    with pytest.raises(StoreError, match="more work than its size explains"):
        catalog.rows(ENDLESS)
    for _ in range(3):  # each statement has the same bound
        assert catalog.rows(f"{ENDLESS.replace('FROM n)', 'FROM n LIMIT 50000)', 1)}") == [(50_000,)]


def test_a_large_catalogue_may_take_more_work(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEPS", 0)
    monkeypatch.setattr(database, "_STEPS_A_BYTE", 100)
    assert Catalog(path).rows(f"{ENDLESS.replace('FROM n)', 'FROM n LIMIT 50000)', 1)}") == [(50_000,)]


def test_readers_cannot_write_and_nothing_is_trusted(path: Path) -> None:
    catalog = Catalog(path)
    for pragma, value in {"query_only": 1, "trusted_schema": 0, "cell_size_check": 1, "mmap_size": 0}.items():
        assert catalog.rows(f"PRAGMA {pragma}") in ([(value,)], [])  # without mmap, SQLite says nothing of it
    with pytest.raises(StoreError, match="readonly"):
        catalog.rows("CREATE TABLE more (x)")
    if hasattr(sqlite3.Connection, "setlimit"):  # Python 3.11
        with pytest.raises(StoreError, match=r"too (big|long)"):
            catalog.rows("SELECT zeroblob(20000000)")


def test_a_write_ahead_log_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[18:20] = b"\2\2"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not as featmatch writes it"):
        Catalog(path)
    assert [file.name for file in path.parent.iterdir()] == ["catalog.sqlite"]


NONSENSE: dict[str, list[str]] = {
    "names": [
        "name = 7", "name = 7.5", "name = CAST('c.jpg' AS BLOB)", "name = 'a' || char(0)", "name = x'ff00'",
    ],
    "rows": [
        "mtime_ns = 'now'", "mtime_ns = 1.5", "text = x'ff'",
    ],
    "images": [
        "width = 0", "width = -1", "width = 1 << 40", "width = 'wide'", "width = 0.5", "height = 0", "bytes = -1",
        "bytes = x'00'",
        "features = -1", "features = 1 << 40", "features = 'many'", "sha256 = 'text'", "sha256 = x'00'",
        "caption = x'00'", "camera = x'00'", "taken = x'00'", "format = x'00'",
    ],
    "segments": [
        "id = -1", "id = 0", "images = -1", "images = 'x'", "features = 1 << 32", "manifest = 7", "manifest = x'00'",
    ],
}  # fmt: skip


@pytest.mark.parametrize("change", NONSENSE["names"] + NONSENSE["rows"])
def test_a_name_that_cannot_be_is_not_believed(path: Path, change: str) -> None:
    in_catalog(path.parent, f"UPDATE names SET {change} WHERE id = 2")
    catalog = Catalog(path)
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        list(catalog.images())
    if change in NONSENSE["names"]:
        for use in (lambda: list(catalog.names()), lambda: catalog.names_of([1, 2]), lambda: catalog.files_of(2)):
            with pytest.raises(StoreError, match="is no name of a file"):
                use()


@pytest.mark.parametrize("change", NONSENSE["images"])
def test_an_image_that_cannot_be_is_not_believed(path: Path, change: str) -> None:
    in_catalog(path.parent, f"UPDATE images SET {change} WHERE id = 2")
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        list(Catalog(path).images())


@pytest.mark.parametrize("change", ["features = -1", "features = 'many'", "features = x'00'", "features = 1 << 62"])
def test_counts_that_cannot_be_are_not_believed(path: Path, change: str) -> None:
    in_catalog(path.parent, f"UPDATE images SET {change} WHERE id > 1")
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        Catalog(path).totals()


@pytest.mark.parametrize("change", NONSENSE["segments"])
def test_a_segment_that_cannot_be_is_not_believed(path: Path, change: str) -> None:
    in_catalog(path.parent, f"UPDATE segments SET {change}")
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        Catalog(path).segments()


@pytest.mark.parametrize("tombstone", ["(9, 1, 'x')", "(9, 1, 31)", "(9, 1, -1)"])
def test_what_was_removed_cannot_be_more_than_there_was(path: Path, tombstone: str) -> None:
    in_catalog(path.parent, f"INSERT INTO tombstones VALUES {tombstone}")
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        Catalog(path).segments()


@pytest.mark.parametrize("root", [7, ["a"], "a\0b", {"a": 1}, True, 0, [], False])
def test_a_root_that_is_no_path_is_not_believed(path: Path, root: Any) -> None:
    with change_catalog(path) as change:
        change.describe("root", root)
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        Catalog(path)


@pytest.mark.parametrize("value", ["{", "[" * 200_000, "1" * 5000])
def test_a_description_that_is_none_is_not_believed(path: Path, value: str) -> None:
    in_catalog(path.parent, "UPDATE meta SET value = ? WHERE key = 'features'", values=(value,))
    with pytest.raises(StoreError, match=r"catalog\.sqlite is damaged"):
        Catalog(path)


@pytest.mark.parametrize("seq", ["'x'", "-1", "9223372036854775807", "x'00'"])
def test_the_next_segment_has_a_number(path: Path, seq: str) -> None:
    in_catalog(path.parent, f"UPDATE sqlite_sequence SET seq = {seq} WHERE name = 'segments'")
    with pytest.raises(StoreError, match="no number"), change_catalog(path) as change:
        change.next_segment()


def test_what_is_told_of_a_name_is_text_when_its_words_are_written(path: Path) -> None:
    in_catalog(
        path.parent, "UPDATE names SET text = x'00' WHERE id = 2", "UPDATE images SET caption = x'00' WHERE id = 1"
    )
    for image, name in enumerate(("a.jpg", "b.jpg"), 1):
        with pytest.raises(StoreError, match="no text"), change_catalog(path) as change:
            change.name(name, image, 8)
    catalog = Catalog(path)
    assert {mtime for _, mtime in catalog.stamps_of(catalog.names()).values()} == {7}


def test_a_database_elsewhere_is_none(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").mkdir()
    with pytest.raises(StoreError, match="catalog"):
        Database(tmp_path / "catalog.sqlite")


def test_many_names_may_be_written_to_a_small_catalogue(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_STEPS", 200_000)
    monkeypatch.setattr(database, "_STEPS_A_BYTE", 0)
    with change_catalog(path) as change:
        for number in range(5000):
            change.name(f"{number}.jpg", 1, 7)
    monkeypatch.undo()
    assert len(list(Catalog(path).names())) == 5003


@pytest.mark.parametrize("kind", ["VIEW more AS SELECT 1", "TRIGGER more AFTER INSERT ON meta BEGIN SELECT 1; END"])
def test_the_version_is_not_asked_where_something_could_be_run(path: Path, kind: str) -> None:
    in_catalog(path.parent, f"CREATE {kind}", "UPDATE meta SET value = '99' WHERE key = 'version'")
    with pytest.raises(StoreError, match="its tables are not those of an index"):
        Catalog(path)
