"""How an index is made into one that a stranger could send, with all checksums made right.

``tools/attacks.py`` has what is done with these.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch import Vocabulary
from featmatch.store import pair_log
from featmatch.store.layout import CATALOG, PAIRS, VOCABULARY, segment_folder
from featmatch.store.segment import MANIFEST
from featmatch.store.values import DIGEST_BYTES

Attack = Callable[[Path, Path], object]
"""Takes the index, and the folder of somebody else that it may be turned against."""


def both(*attacks: Attack) -> Attack:
    """One attack after the other."""

    def attack(index: Path, victim: Path) -> None:
        for one in attacks:
            one(index, victim)

    return attack


def without(name: str) -> Attack:
    """A file of the index is missing."""
    return lambda index, _: (index / name).unlink()


# Tools: each leaves all checksums right.


def in_catalog(index: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
    """Change the catalogue; values go with each statement that has a place for them."""
    path = index / CATALOG
    content = path.read_bytes()[:-DIGEST_BYTES]
    path.write_bytes(content)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement, values if "?" in statement else ())
    seal(path, path.read_bytes())


def seal(path: Path, content: bytes) -> None:
    """Write a catalogue with its checksum."""
    path.write_bytes(content + hashlib.sha256(content).digest())


def made_by(name: str, kind: str, statement: str) -> Attack:
    """A catalogue that says that it was made with other SQL."""
    other = "UPDATE sqlite_master SET type = ?1, sql = ?2, rootpage = CASE ?1 WHEN 'view' THEN 0 ELSE rootpage END"
    return lambda index, _: in_catalog(index, f"{other} WHERE name = '{name}'", values=(kind, statement))


def column(index: Path, name: str, content: bytes | NDArray[Any], segment: int = 1) -> None:
    """Put another column in a segment's place, as an array or as all of its file."""
    folder = segment_folder(index, segment)
    if not isinstance(content, bytes):
        file = io.BytesIO()
        np.save(file, content)
        content = file.getvalue()
    (folder / f"{name}.npy").write_bytes(content)
    before = json.loads((folder / MANIFEST).read_bytes())
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    described(index, json.dumps({**before, "files": {**before["files"], f"{name}.npy": entry}}), segment)


def described(index: Path, text: str, segment: int = 1) -> None:
    """Put another manifest in a segment's place."""
    (segment_folder(index, segment) / MANIFEST).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    in_catalog(index, f"UPDATE segments SET manifest = x'{digest}' WHERE id = {segment}")


def changed(name: str, change: Callable[[NDArray[Any]], object], segment: int = 1) -> Attack:
    """A column with other numbers, changed in place."""

    def attack(index: Path, _: Path) -> None:
        values = np.load(segment_folder(index, segment) / f"{name}.npy")
        change(values)
        column(index, name, values, segment)

    return attack


def filled(name: str, value: int, rows: Any = slice(None), segment: int = 1) -> Attack:
    """A column with one number in some rows."""
    return changed(name, lambda values: values.__setitem__(rows, value), segment)


def pictures(change: Callable[[NDArray[np.uint8]], object], most: int | None = None) -> Attack:
    """Stored pictures, each changed in place, and cut off after ``most`` bytes; the lengths fit."""

    def attack(index: Path, _: Path) -> None:
        lengths, content = (np.load(segment_folder(index, 1) / f"{name}.npy") for name in ("picture_bytes", "pictures"))
        each = [one[:most] for one in np.split(content, np.cumsum(lengths)[:-1])]
        for one in each:
            change(one)
        column(index, "picture_bytes", np.array([len(one) for one in each], np.uint32))
        column(index, "pictures", np.concatenate(each))

    return attack


def other_column(name: str, content: bytes | NDArray[Any]) -> Attack:
    """Another column in the place of one."""
    return lambda index, _: column(index, name, content)


def manifest(text: str) -> Attack:
    """Another manifest in the place of one."""
    return lambda index, _: described(index, text)


def meta(index: Path, key: str, value: Any, *, is_json: bool = False) -> None:
    """Let the catalogue describe the index otherwise, by a value, or by what is there in place of one in JSON."""
    text = value if is_json else json.dumps(value)
    in_catalog(index, "INSERT OR REPLACE INTO meta VALUES (?, ?)", values=(key, text))


def options(**other: Any) -> Attack:
    """A catalogue that says that features are taken otherwise."""
    taken = {"detector": "sift", "longest_px": 2000, "shortest_px": 0, "features": 60, "features_at_longest": 4000}
    return said("features", taken | other)


def said(key: str, value: Any, *, is_json: bool = False) -> Attack:
    """A catalogue that describes the index otherwise."""
    return lambda index, _: meta(index, key, value, is_json=is_json)


def vocabulary(index: Path, **changes: Any) -> None:
    """Put another vocabulary in the place of the index's, with its fingerprint."""
    made = replace(Vocabulary.load(index / VOCABULARY), **changes)
    told = {"format": "featmatch vocabulary", "version": 1, "detector": made.detector, "search": made.search}
    told |= {"probes": made.probes, "fingerprint": made.fingerprint, "provenance": made.provenance}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, meta=np.frombuffer(json.dumps(told).encode(), np.uint8), **made.arrays())
    meta(index, "vocabulary", made.fingerprint)
    vocabulary_file(index, content.getvalue())


def vocabulary_file(index: Path, content: bytes) -> None:
    """Put another file in the place of the vocabulary's."""
    (index / VOCABULARY).write_bytes(content)
    meta(index, "vocabulary_file", hashlib.sha256(content).hexdigest())


def member(name: str, content: bytes, *, also: bool = False) -> Attack:
    """Another member in the vocabulary's archive, in place of the one of that name, or beside it."""

    def attack(index: Path, _: Path) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(index / VOCABULARY) as former, zipfile.ZipFile(archive, "w") as made:
            for one in former.namelist():
                if also or one != name:
                    made.writestr(one, former.read(one))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of names that are there twice
                made.writestr(name, content)
        vocabulary_file(index, archive.getvalue())

    return attack


def compressed(name: str, start: bytes, zeros: int) -> Attack:
    """A member that is small in the archive, and large out of it: its start, and very many zeros."""

    def attack(index: Path, _: Path) -> None:
        archive = io.BytesIO()
        how = zipfile.ZIP_DEFLATED
        with (
            zipfile.ZipFile(index / VOCABULARY) as former,
            zipfile.ZipFile(archive, "w", how, compresslevel=1) as made,
        ):
            for one in former.namelist():
                if one != name:
                    made.writestr(one, former.read(one))
            with made.open(name, "w") as file:
                file.write(start)
                for _number in range(zeros >> 20):
                    file.write(bytes(1 << 20))
        vocabulary_file(index, archive.getvalue())

    return attack


def header(shape: str, descr: str = "'|u1'") -> bytes:
    """What an array of that shape begins with."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def crafted(**changes: Any) -> Attack:
    """A vocabulary of which some things are others."""
    return lambda index, _: vocabulary(index, **changes)


def offsets(values: Any, dtype: Any = np.int64) -> Attack:
    """A vocabulary whose words are in other cells."""
    return lambda index, _: vocabulary(index, cell_offsets=np.array(values, dtype))


def idf(change: Callable[[NDArray[Any]], Any]) -> Attack:
    """A vocabulary with other weights."""
    return lambda index, _: vocabulary(index, idf=change(Vocabulary.load(index / VOCABULARY).idf.copy()))


def pairs(**arrays: Any) -> Attack:
    """One record of pairs, with other arrays than there are; a column of None is missing."""

    def attack(index: Path, _: Path) -> None:
        with closing(sqlite3.connect(f"file:{index / CATALOG}?mode=ro&immutable=1", uri=True)) as connection:
            rows = connection.execute("SELECT id, hex(sha256) FROM images ORDER BY id").fetchall()
        ids = [image for image, _ in rows]
        honest = {
            "images": np.array(ids), "digests": np.array([int(sha[:16], 16) for _, sha in rows], np.uint64),
            "between": np.array([[ids[1], ids[0]]]), "homography": np.eye(3)[None],
            "counts": np.array([[0, 0, 99]], np.int32), "evidence": np.array([[90.0, 1, 3, *[1.0] * 6]]),
        }  # fmt: skip
        content = io.BytesIO()
        np.savez(content, **{name: array for name, array in {**honest, **arrays}.items() if array is not None})
        record(index, content.getvalue())

    return attack


def record(index: Path, content: bytes, length: int | None = None) -> None:
    """Put one record into ``pairs.log``, which says that it is of some length."""
    head = struct.pack("<Q32s", len(content) if length is None else length, hashlib.sha256(content).digest())
    body = head + hashlib.sha256(head).digest() + content
    (index / PAIRS).write_bytes(pair_log.MAGIC + body)


class _Touch:
    """Once unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._path, "w")


def pickled(victim: Path) -> bytes:
    """An array whose loading, if objects are let in, leaves a file in the victim's folder."""
    return header("(1,)", "'|O'") + pickle.dumps(_Touch(victim / "pickled"))


def linked(name: str, target: str) -> Attack:
    """Something in the index is a link to something of the victim's."""

    def attack(index: Path, victim: Path) -> None:
        path = index / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(victim / target)

    return attack


def piped(name: str) -> Attack:
    """Something in the index is a pipe that nobody writes to."""

    def attack(index: Path, _: Path) -> None:
        (index / name).unlink(missing_ok=True)
        os.mkfifo(index / name)

    return attack


def hard_linked(name: str) -> Attack:
    """Something that is written in place is a file of the victim's as well."""

    def attack(index: Path, victim: Path) -> None:
        (index / name).unlink(missing_ok=True)
        (index / name).hardlink_to(victim / "precious.txt")

    return attack


def hot_journal(index: Path, victim: Path) -> None:
    """SQLite deletes the file that a journal names as its master, once it has rolled back."""
    content = (index / CATALOG).read_bytes()[:-DIGEST_BYTES]
    master = os.fsencode(victim / "precious.txt")
    magic = bytes.fromhex("d9d505f920a163d7")
    head = struct.pack(">8sIIIII", magic, 0, 1, len(content) // 4096, 512, 4096)
    named = struct.pack(">I", 1 << 18) + master + struct.pack(">II8s", len(master), sum(master), magic)
    (index / f"{CATALOG}.partial-journal").write_bytes(head.ljust(512, b"\0") + named)


def at(place: int, content: bytes) -> Attack:
    """Other bytes at some place of the catalogue."""

    def attack(index: Path, _: Path) -> None:
        path = index / CATALOG
        before = path.read_bytes()[:-DIGEST_BYTES]
        seal(path, before[:place] + content + before[place + len(content) :])

    return attack


def looped(index: Path, _: Path) -> None:
    """A table whose tree holds itself."""
    with closing(sqlite3.connect(f"file:{index / CATALOG}?mode=ro&immutable=1", uri=True)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'images'").fetchone()
    at((page - 1) * 4096, struct.pack(">BHHHBI", 5, 0, 0, 4096 & 0xFFFF, 0, page))(index, index)


def sql(*statements: str) -> Attack:
    """Other rows or tables."""
    return lambda index, _: in_catalog(index, *statements)


def kept_folders(index: Path, _: Path) -> None:
    """Things that are none of an index, under names like those of one."""
    for name in (
        "segments/precious.txt",
        "segments/7",
        "segments/000007.partial.jpg",
        "precious.partial",
        "my.npz.partial",
    ):
        (index / name).write_text("precious")


def many_members(count: int) -> bytes:
    """An archive that lists very many arrays."""
    name = b"words.npy"
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *[0] * 7, len(name), *[0] * 6) + name
    body = entry * count
    return body + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, len(body), 0, 0)
