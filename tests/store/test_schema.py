from __future__ import annotations

import sqlite3

from featmatch.store.parts import Source
from featmatch.store.schema import IMAGE_COLUMNS, NAME_COLUMNS, OF_A_PART, OF_PARTS, SCHEMA, tables_of_a_catalogue
from featmatch.store.text_search import TABLES


def test_the_tables_are_those_that_sqlite_makes_here() -> None:
    """What is compared when an index is opened is what this SQLite writes."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    assert set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")) == tables_of_a_catalogue()[0]
    rows = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    before = set(connection.execute(rows))
    if connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchall():
        statement = next(sql for _, name, _, sql in TABLES if name == "searched")
        connection.execute(statement)
        assert set(connection.execute(rows)) - before == TABLES
    connection.close()


def test_a_part_has_the_columns_of_a_catalogue_in_their_order() -> None:
    for schema in (SCHEMA + OF_PARTS, OF_A_PART):
        connection = sqlite3.connect(":memory:")
        connection.executescript(schema)
        for table, columns in (("images", IMAGE_COLUMNS), ("names", NAME_COLUMNS)):
            found = connection.execute(Source().select(f"SELECT * FROM {{{table}}}")).description
            assert ", ".join(name for name, *_ in found) == columns
        connection.close()
