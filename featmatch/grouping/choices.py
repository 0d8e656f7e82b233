"""Cache of the originals that were chosen before, in the user's cache folder.

To choose an original the files of its group are decoded, which takes far longer than all else once the pairs are known.
The choices are not kept in the index: they decide which files can be deleted, and an index may come from a stranger.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import PIL

from featmatch.grouping import choosing, detail, sameness
from featmatch.grouping.choosing import Choice, Contender
from featmatch.images.contents import content_of

_SCHEMA = "CREATE TABLE IF NOT EXISTS choices (key BLOB PRIMARY KEY, choice TEXT NOT NULL) WITHOUT ROWID"
_MOST = 100_000  # choices; when there are more, all are dropped
_BROKEN = (OSError, sqlite3.Error, ValueError, KeyError, TypeError, AttributeError)  # what a damaged cache raises


def key_of(group: Sequence[Contender]) -> bytes:
    """SHA-256 of what a choice depends on: all that is known of the images but ids and paths, and the code."""
    known = []
    for one in group:
        columns = {name: value for name, value in vars(one).items() if name not in ("id", "path", "placed")}
        placed = None if one.placed is None else [value.hex() for value in one.placed.ravel().tolist()]
        known.append([columns, placed, one.path is not None])
    return hashlib.sha256(json.dumps([_ways(), known]).encode()).digest()


@cache
def _ways() -> list[str]:
    """Versions of the code that chooses: another one may choose otherwise."""
    sources = [hashlib.sha256(Path(str(module.__file__)).read_bytes()) for module in (choosing, detail, sameness)]
    return [cv2.__version__, PIL.__version__, *(source.hexdigest() for source in sources)]


def recall(groups: Sequence[Sequence[Contender]]) -> list[Choice | None]:
    """The cached choice for each group; None: there is none."""
    found: list[Choice | None] = [None] * len(groups)
    with contextlib.suppress(*_BROKEN), _connected() as connection:
        for number, group in enumerate(groups):
            row = connection.execute("SELECT choice FROM choices WHERE key = ?", (key_of(group),)).fetchone()
            found[number] = None if row is None else _read(row[0], group)
    return found


def keep(group: Sequence[Contender], choice: Choice) -> None:
    """Add the choice for a group to the cache, if its files have the contents that the catalogue says they have.

    The key is made from the catalogue's checksums, but the choice from the files: a false catalogue must not cache a
    choice for other contents. If the cache cannot be written, nothing happens.
    """
    with contextlib.suppress(*_BROKEN):
        if all(one.path is None or content_of(one.path) == one.content for one in group):
            _keep(group, choice)


def _keep(group: Sequence[Contender], choice: Choice) -> None:
    with _connected() as connection, connection:
        if connection.execute("SELECT count(*) FROM choices").fetchone()[0] > _MOST:
            connection.execute("DELETE FROM choices")
        connection.execute("INSERT OR REPLACE INTO choices VALUES (?, ?)", (key_of(group), _written(choice, group)))


def _written(choice: Choice, group: Sequence[Contender]) -> str:
    """A choice as JSON; images are named by their content (SHA-256), as ids differ from index to index."""
    contents = {one.id: one.content for one in group}
    own = {contents[image]: said for image, said in choice.own.items()}
    return json.dumps({"original": contents[choice.original], "by": choice.by, "own": own})


def _read(text: str, group: Sequence[Contender]) -> Choice:
    """The inverse of ``_written``; raises one of ``_BROKEN`` on other text."""
    images = {one.content: one.id for one in group}
    choice = Choice(**json.loads(text))
    own = {images[content]: said for content, said in choice.own.items()}  # type: ignore[index]  # as they were written
    return dataclasses.replace(choice, original=images[choice.original], own=own)  # type: ignore[index]


@contextlib.contextmanager
def _connected() -> Iterator[sqlite3.Connection]:
    from platformdirs import user_cache_path

    folder = user_cache_path("featmatch")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "choices.sqlite")) as connection:
        connection.execute(_SCHEMA)
        yield connection
