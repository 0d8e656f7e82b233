"""Texts that are kept from run to run in the user's cache folder, by keys: what takes long to find, and may be lost.

They are not kept in an index, which may come from a stranger. What cannot be read counts as not kept, and where nothing
can be written, nothing happens.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import PIL

from featmatch.system.shipped import shipped_file

_FITS = ("probability.json", "whole.json")

_SCHEMA = "CREATE TABLE IF NOT EXISTS texts (key BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
# What a damaged file, and a text that is not as it was written, raise.
BROKEN = (OSError, sqlite3.Error, ValueError, KeyError, TypeError, AttributeError)


def key_of(*depends_on: Any) -> bytes:
    """SHA-256 of what can be written as JSON."""
    return hashlib.sha256(json.dumps(depends_on).encode()).digest()


@cache
def code_of_all() -> list[str]:
    """Versions of all code that looks at pictures and compares them."""
    package = Path(__file__).parents[1]
    sources = sorted([*package.rglob("*.py"), *package.rglob("*.so"), *map(shipped_file, _FITS)])
    return [cv2.__version__, PIL.__version__, *digests_of(sources)]


def digests_of(sources: Iterable[Path]) -> list[str]:
    """SHA-256 of files of code: another version of it may find something else."""
    return [hashlib.sha256(source.read_bytes()).hexdigest() for source in sources]


@dataclass(frozen=True)
class KeptTexts:
    """The texts of one kind, in a file of their own.

    Attributes:
        name: of the kind, and of its file.
        most: texts; when there are more, all are dropped.
    """

    name: str
    most: int = 100_000

    def recall(self, keys: Iterable[bytes]) -> dict[bytes, str]:
        """The texts with these keys; those that are not kept are left out."""
        found = {}
        with contextlib.suppress(*BROKEN), self._connected() as connection:
            for key in keys:
                row = connection.execute("SELECT text FROM texts WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    found[key] = row[0]
        return found

    def keep(self, texts: Mapping[bytes, str]) -> None:
        """Add texts by their keys, in place of those that have these keys."""
        with contextlib.suppress(*BROKEN), self._connected() as connection, connection:
            if connection.execute("SELECT count(*) FROM texts").fetchone()[0] > self.most:
                connection.execute("DELETE FROM texts")
            connection.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", texts.items())

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        from platformdirs import user_cache_path

        folder = user_cache_path("featmatch")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(folder / f"{self.name}.sqlite")) as connection:
            connection.execute(_SCHEMA)
            yield connection
