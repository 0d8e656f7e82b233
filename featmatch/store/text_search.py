"""Looking names up by their words: a full-text table (SQLite's FTS5) within the catalogue.

Words are what letters and digits make, so "harbour" is in "photos/Harbour_2019.jpg"; case and diacritics do not count.
Where a script has no spaces between words, each of its characters is one, and several in a row are looked for as such.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import Any, TypeAlias

from featmatch.errors import StoreError, UsageError
from featmatch.store.values import Row

Execute: TypeAlias = "Callable[..., sqlite3.Cursor]"  # runs one statement on the catalogue

TABLE = "searched"  # rows have the numbers of names
SCHEMA = f"""CREATE VIRTUAL TABLE {TABLE} USING fts5 (words, columnsize=0, tokenize="unicode61 remove_diacritics 2")"""
# What SQLite makes of it: the table, and those that it keeps its words in; (type, name, table, SQL).
TABLES = frozenset(
    ("table", name, name, statement)
    for name, statement in (
        (TABLE, SCHEMA),
        (f"{TABLE}_data", f"CREATE TABLE '{TABLE}_data'(id INTEGER PRIMARY KEY, block BLOB)"),
        (f"{TABLE}_idx", f"CREATE TABLE '{TABLE}_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID"),
        (f"{TABLE}_content", f"CREATE TABLE '{TABLE}_content'(id INTEGER PRIMARY KEY, c0)"),
        (f"{TABLE}_config", f"CREATE TABLE '{TABLE}_config'(k PRIMARY KEY, v) WITHOUT ROWID"),
    )
)

# Thai and Lao, kana and Chinese characters
_WITHOUT_SPACES = re.compile(
    "([\u0e00-\u0eff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)

_SELECT = "SELECT names.id, name, text, taken, camera, caption FROM main.names JOIN main.images ON images.id = image"
# What FTS5 keeps of each row is a plain table, which can be read without it.
_STALE = f"""
SELECT names.id, name, text, taken, camera, caption, c0 FROM {{names}} JOIN {{images}} ON images.id = image
LEFT JOIN {{schema}}.{TABLE}_content AS kept ON kept.id = names.id WHERE names.id > ? ORDER BY names.id LIMIT 1000"""
_NAMELESS = f"SELECT id FROM {{schema}}.{TABLE}_content WHERE id NOT IN (SELECT id FROM {{schema}}.names) LIMIT 20"


def is_available(execute: Execute) -> bool:
    """Whether this SQLite was built with FTS5, as nearly all are."""
    return bool(execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchall())


def expression(match: str) -> str:
    """What FTS5 is asked for: each word of ``match`` must be there, as a whole word or the beginning of one.

    Raises:
        UsageError: there is no word in it.

    >>> expression("Harbour 2019")
    '"harbour"* "2019"*'
    """
    parts = [part for part in re.sub('["\\0]', " ", _plain(match)).split() if any(map(_is_of_a_word, part))]
    if not parts:
        raise UsageError(f"there is no word to look for in {match!r}")
    # In quotes nothing is an operator; what FTS5 takes apart within them must stand in a row.
    return " ".join(f'"{_taken_apart(part)}"*' for part in parts)


def write_all(execute: Execute) -> None:
    """Make the table anew, of all names."""
    execute(f"DROP TABLE IF EXISTS main.{TABLE}")
    execute(SCHEMA)
    for row in execute(_SELECT):
        _insert(execute, row)


def write(execute: Execute, names: Iterable[int]) -> None:
    """Bring the rows of some names up to date; those of names that are no more go."""
    for name in names:
        execute(f"DELETE FROM main.{TABLE} WHERE rowid = ?", (name,))
        for row in execute(f"{_SELECT} WHERE names.id = ?", (name,)).fetchall():
            _insert(execute, row)


def problems(rows: Callable[..., list[Row]], select: Callable[[str], str], schema: str) -> Iterator[str]:
    """Where the table is damaged, or not in step with the names.

    Args:
        rows: selects from the catalogue.
        select: makes a statement one for the source whose table it is (``Source.select``).
        schema: of this source.
    """
    try:
        if rows("SELECT 1 FROM pragma_module_list WHERE name = 'fts5vocab'") and _differs_when_rebuilt(rows, schema):
            yield "other words are found than those of the names"
    except StoreError as error:
        yield f"the words of names cannot be looked up: {error}"
    for (number,) in rows(select(_NAMELESS)):
        yield f"there are words, but no name {number}"
    last = -1
    while page := rows(select(_STALE), last):
        yield from (f"the words are not those of name {row[0]}" for row in page if _words_of(*row[1:-1]) != row[-1])
        last = page[-1][0]


def _differs_when_rebuilt(rows: Callable[..., list[Row]], schema: str) -> bool:
    """Whether the words that can be looked up are others than those of a table that is made of the same texts."""
    rows("PRAGMA query_only = OFF")  # for tables that are gone with the connection; the file cannot be written to
    try:
        rows(SCHEMA.replace(TABLE, "temp.fresh", 1))
        rows(f"INSERT INTO temp.fresh (rowid, words) SELECT id, c0 FROM {schema}.{TABLE}_content")
        rows(f"CREATE VIRTUAL TABLE temp.kept_words USING fts5vocab ({schema}, {TABLE}, row)")
        rows("CREATE VIRTUAL TABLE temp.fresh_words USING fts5vocab (temp, fresh, row)")
        both = ("kept_words", "fresh_words")
        return any(
            rows(f"SELECT * FROM temp.{one} EXCEPT SELECT * FROM temp.{other} LIMIT 1")
            for one, other in (both, both[::-1])
        )
    finally:
        for table in ("kept_words", "fresh_words", "fresh"):
            rows(f"DROP TABLE IF EXISTS temp.{table}")
        rows("PRAGMA query_only = ON")


def _insert(execute: Execute, row: Row) -> None:
    execute(f"INSERT INTO main.{TABLE} (rowid, words) VALUES (?, ?)", (row[0], _words_of(*row[1:])))


def _words_of(name: Any, *others: Any) -> str:
    if not isinstance(name, (str, bytes)) or not all(isinstance(other, (str, NoneType)) for other in others):
        raise StoreError("the catalogue is damaged: a name, or what is told of one, is no text")
    told = name if isinstance(name, str) else name.decode(errors="replace")
    return _taken_apart(_plain("\n".join([told, *filter(None, others)])))


def _plain(text: str) -> str:
    """One way to write each character, and no case; what is no UTF-8 separates words."""
    return unicodedata.normalize("NFKC", text.encode(errors="replace").decode()).casefold()


def _taken_apart(text: str) -> str:
    return _WITHOUT_SPACES.sub(r" \1 ", text).strip()


def _is_of_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"
