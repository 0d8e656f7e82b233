"""The pairs that were found before, in a file of the index: ``pairs.log``.

All in it can be found again, so the file may be lost, and what is damaged in it is not believed. It only grows: a run
appends one record after the other, each with a checksum, so that whatever ends the run, the records before stay. With
each image the first bytes of its file's checksum are kept: a number means another image in another index.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.grouping.pairs import Pair
from featmatch.grouping.repeating import Repeated
from featmatch.store.layout import PAIRS, opened
from featmatch.system.arrays import read_archive
from featmatch.system.files import flush_folder, replace_file

_MAGIC = b"featmatch pairs 3\n"  # in those before, queries were the images added later
_OLDER = (b"featmatch pairs 1\n", b"featmatch pairs 2\n")  # passed over, and written anew
_HEAD = struct.Struct("<Q32s32s")  # length of what follows, its SHA-256, and that of these two
# The type of each array of a record, and how many axes it has; N images and M pairs. The lengths of the others follow.
_ARRAYS = {
    "images": ("<i8", 1),
    "digests": ("<u8", 1),
    "between": ("<i8", 2),
    "homography": ("<f8", 3),
    "counts": ("<i4", 2),
    "evidence": ("<f8", 2),
}
_MOST_OF_MAP = 1e12  # px, or parts of 1, in a homography; more is no map between pictures


@dataclass
class Remembered:
    """What is known of the images of an index.

    Attributes:
        compared: numbers of the images that were compared with all that were compared before them.
        pairs: that they make, by both numbers, the lower first.
    """

    compared: set[int] = field(default_factory=set)
    pairs: dict[tuple[int, int], Pair] = field(default_factory=dict)

    def add(self, images: Sequence[int], pairs: Sequence[Pair]) -> None:
        """Learn what more images make."""
        self.compared.update(images)
        for pair in pairs:
            self.pairs[min(pair.query, pair.reference), max(pair.query, pair.reference)] = pair


def recall(folder: Path, digests: Mapping[int, int]) -> Remembered:
    """Read what was found before.

    Args:
        folder: of the index.
        digests: of the images that are in it now, by number; pairs of others are left out.
    """
    known = Remembered()
    meant: dict[int, int] = {}
    try:
        with opened(folder / PAIRS) as file:
            for content in _records(file):
                with contextlib.suppress(ValueError):  # nonsense, if with a right checksum
                    _take(_read(content), digests, meant, known)
    except OSError:
        return known
    return known


def _take(
    columns: Mapping[str, NDArray[Any]], digests: Mapping[int, int], meant: dict[int, int], known: Remembered
) -> None:
    meant.update(zip(columns["images"].tolist(), columns["digests"].tolist(), strict=True))

    def is_meant(image: int) -> bool:
        return image in digests and meant.get(image) == digests[image]

    pairs = [pair for pair in _pairs(columns) if is_meant(pair.query) and is_meant(pair.reference)]
    known.add([image for image in columns["images"].tolist() if is_meant(image)], pairs)


def _read(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a record, or a ValueError where they are not what ``_columns`` makes of pairs."""
    columns = read_archive(content, _ARRAYS)
    images, pairs = len(columns["images"]), len(columns["between"])
    shapes = [columns[name].shape for name in _ARRAYS]
    if shapes != [(images,), (images,), (pairs, 2), (pairs, 3, 3), (pairs, 3), (pairs, 9)]:
        raise ValueError(f"its arrays do not go together: {shapes}")
    between, homographies, evidence = columns["between"], columns["homography"], columns["evidence"]
    if (between[:, 0] == between[:, 1]).any() or (columns["counts"] < 0).any() or (columns["counts"][:, :2] > 1).any():
        raise ValueError("a pair of an image with itself, or a count that is none")
    # Each is used both ways, and divided by its last number.
    if (
        not (np.abs(homographies) <= _MOST_OF_MAP).all()
        or not (np.abs(homographies[:, 2, 2]) * _MOST_OF_MAP >= 1).all()
    ):
        raise ValueError("a homography maps nothing")
    if not (np.abs(np.linalg.det(homographies)) * _MOST_OF_MAP >= 1).all():
        raise ValueError("a homography maps a picture to a line")
    shares = evidence[:, 3:]
    if not np.isfinite(evidence[:, :2]).all() or not (evidence[:, 2] < np.inf).all():
        raise ValueError("a pair's evidence is no number")
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("a share is not between 0 and 1")
    return columns


def remember(folder: Path, images: Sequence[int], pairs: Sequence[Pair], digests: Mapping[int, int]) -> None:
    """Append one record; the caller holds the writer's lock.

    Raises:
        StoreError: it cannot be written.
    """
    content = io.BytesIO()
    numbers = np.array(images, np.int64)
    own = np.array([digests[image] for image in images], np.uint64)
    np.savez(content, allow_pickle=False, images=numbers, digests=own, **_columns(pairs))
    body = content.getvalue()
    head = struct.pack("<Q32s", len(body), hashlib.sha256(body).digest())
    path = folder / PAIRS
    try:
        is_new = not path.exists()
        if not is_new and path.lstat().st_nlink > 1:  # a hard link: only the index's own file is to grow
            with opened(path) as former, replace_file(path) as copy:
                shutil.copyfileobj(former, copy)
        with path.open("r+b" if not is_new else "w+b") as file:
            for _ in _records(file):
                pass  # to the end of what is whole
            if file.tell() < len(_MAGIC):
                file.seek(0)
                file.write(_MAGIC)
            file.truncate()
            file.write(head + hashlib.sha256(head).digest() + body)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            flush_folder(folder)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def is_damaged(folder: Path) -> bool:
    """Whether something is not as it was written; the unfinished end of a run that was killed is no damage."""
    path = folder / PAIRS
    if not path.exists():
        return False
    try:
        with opened(path) as file:
            for content in _records(file):
                _read(content)
            good = file.tell()
            rest = file.read()
    except ValueError:
        return True
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if good < len(_MAGIC):
        return not _MAGIC.startswith(rest) and not rest.startswith(_OLDER)
    if len(rest) < _HEAD.size:
        return False
    length, _, checksum = _HEAD.unpack(rest[: _HEAD.size])
    return bool(hashlib.sha256(rest[: _HEAD.size - 32]).digest() != checksum) or len(rest) >= _HEAD.size + length


def _records(file: BinaryIO) -> Iterator[bytes]:
    """The whole records from the start; the file is left where they end."""
    end, size = 0, os.fstat(file.fileno()).st_size
    if file.read(len(_MAGIC)) == _MAGIC:
        end = len(_MAGIC)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum, of_head = _HEAD.unpack(head)
            if hashlib.sha256(head[:-32]).digest() != of_head or length > size - file.tell():
                break
            content = file.read(length)
            if hashlib.sha256(content).digest() != checksum:
                break
            end = file.tell()
            yield content
    file.seek(end)


def _columns(pairs: Sequence[Pair]) -> dict[str, NDArray[Any]]:
    return {
        "between": np.array([(pair.query, pair.reference) for pair in pairs], np.int64).reshape(-1, 2),
        "homography": np.array([pair.homography for pair in pairs], np.float64).reshape(-1, 3, 3),
        "counts": np.array([(pair.mirrored, pair.negative, pair.inliers) for pair in pairs], np.int32).reshape(-1, 3),
        "evidence": np.array(
            [
                (pair.geometry, pair.evenness, pair.alike, *_values(pair.in_reference), *_values(pair.in_query))
                for pair in pairs
            ],
            np.float64,
        ).reshape(-1, 9),
    }


def _values(found: Repeated) -> tuple[float, float, float]:
    return found.covered, found.share, found.evenness


def _pairs(columns: Mapping[str, NDArray[Any]]) -> Iterator[Pair]:
    rows = (columns[name] for name in ("between", "homography", "counts", "evidence"))
    for between, homography, counts, evidence in zip(*rows, strict=True):
        geometry, evenness, alike, *shares = evidence.tolist()
        query, reference = between.tolist()
        yield Pair(
            query, reference, homography, bool(counts[0]), bool(counts[1]), int(counts[2]), geometry, evenness,
            Repeated(*shares[:3]), Repeated(*shares[3:]), alike,
        )  # fmt: skip
