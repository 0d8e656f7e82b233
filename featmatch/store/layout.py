"""What lies in the folder of an index, and under which names.

An index may come from a stranger. So nothing in it is a link, which would lead out of it, nor a pipe or a device: that
is looked at, without following, before anything is opened or written. The folder itself may be reached through a link.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from featmatch.errors import StoreError, VocabularyError
from featmatch.system import files
from featmatch.words.vocabulary import Vocabulary

CATALOG, VOCABULARY, PAIRS, LOCK = "catalog.sqlite", "vocabulary.npz", "pairs.log", "writer.lock"
SEGMENTS, PARTS = "segments", "parts"  # folders
CLUSTER_FILE = "cluster.json"  # in a folder that holds several indexes
OWN_NAMES = frozenset((CATALOG, VOCABULARY, PAIRS, LOCK, SEGMENTS, PARTS))

_HALF_WRITTEN = re.compile(
    rf"{re.escape(CATALOG)}\.partial(-journal|-wal|-shm)?|({re.escape(VOCABULARY)}|{re.escape(PAIRS)})\.\d+\.partial",
    re.ASCII,
)
_SEGMENT = re.compile(r"(\d{6}|[1-9]\d{6,})(\.partial)?", re.ASCII)
_PART = re.compile(r"(\d{6}|[1-9]\d{6,})\.sqlite(\.partial(-journal|-wal|-shm)?)?", re.ASCII)


def segment_folder(index: Path, number: int) -> Path:
    """Where a segment of an index is.

    >>> segment_folder(Path("photos.fm"), 7).as_posix()
    'photos.fm/segments/000007'
    """
    return index / SEGMENTS / f"{number:06d}"


def part_file(index: Path, number: int) -> Path:
    """Where a part of the catalogue of an index is.

    >>> part_file(Path("photos.fm"), 7).as_posix()
    'photos.fm/parts/000007.sqlite'
    """
    return index / PARTS / f"{number:06d}.sqlite"


def no_index(folder: Path) -> StoreError:
    """What to raise where there is no index, though one is meant."""
    if os.path.lexists(folder / CLUSTER_FILE):
        return StoreError(f"{folder} is a cluster; this takes one index, such as one of its shards")
    return StoreError(f"{folder} is no featmatch index, or none that may be read")


def is_half_written(name: str) -> bool:
    """Whether this is the name of a file that a writer has not finished."""
    return _HALF_WRITTEN.fullmatch(name) is not None


def is_of_segment(name: str) -> bool:
    """Whether this is the name of a segment's folder, finished or half written."""
    return _SEGMENT.fullmatch(name) is not None


def is_of_part(name: str) -> bool:
    """Whether this is the name of a part of the catalogue, finished or half written."""
    return _PART.fullmatch(name) is not None


def entries(folder: Path) -> list[Path]:
    """What lies in a folder of an index, by name; nothing, where there is no such folder.

    Raises:
        StoreError: the folder, or something in it, is neither a file nor a folder; or it cannot be read.
    """
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise StoreError(f"{folder} is no folder, but has to be one in an index")
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror or error}") from error
    for path in found:
        refuse_links(path)
    return found


def refuse_links(path: Path) -> None:
    """Raise a StoreError, where a path in an index is neither a file nor a folder, but a link, a pipe or a device."""
    try:
        state = path.lstat()
    except FileNotFoundError:  # another writer may have deleted it meanwhile
        return
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    mode, tag = state.st_mode, getattr(state, "st_reparse_tag", 0)  # a junction of Windows looks like a folder
    is_link = stat.S_ISLNK(mode) or (tag != 0 and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0))
    if is_link or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        what = "a link" if is_link else "a pipe or a device"
        raise StoreError(f"{path} is {what}; an index holds files and folders only")


def verify_layout(index: Path) -> None:
    """Raise a StoreError, where something in an index is a link, a pipe or a device.

    Segments are not gone into: each file of one is looked at when it is opened.
    """
    entries(Path(os.path.realpath(index)))
    entries(index / SEGMENTS)
    entries(index / PARTS)


def strangers(index: Path) -> Iterator[str]:
    """All links, pipes and devices in an index, at any depth, in words."""
    folders = [Path(os.path.realpath(index))]
    while folders:
        for path in _names(folders.pop()):
            try:
                refuse_links(path)
            except StoreError as error:
                yield str(error)
            else:
                if path.is_dir():
                    folders.append(path)


def _names(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # another writer may have deleted it meanwhile; who opens it says what is wrong
        return []


def clear_aside(database: Path) -> None:
    """Delete what was left of a database that is to be made, and what SQLite would take for its past."""
    for tail in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + tail).unlink(missing_ok=True)


def open_index_file(path: Path) -> BinaryIO:
    """Open a file of an index for reading: a real file, which is reached through no link, and waits for nobody.

    Raises:
        StoreError: it is a link, a pipe or a device.
        OSError: there is none, or it cannot be read.
    """
    refuse_links(path)
    return files.open_file(path, through_links=False)


def vocabulary_of(index: Path) -> Vocabulary:
    """The vocabulary of an index.

    Raises:
        StoreError: it is no file.
        VocabularyError: as ``Vocabulary.load``.
    """
    path = index / VOCABULARY
    try:
        with open_index_file(path) as file:
            return Vocabulary.read(file, str(path))
    except OSError as error:
        raise VocabularyError(f"cannot read vocabulary {path}: {error.strerror}") from error
