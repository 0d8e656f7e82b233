"""One immutable part of the inverted file: the posting lists of some images, as memory-mapped columns.

A segment is a folder of plain ``.npy`` columns in CSR form: the postings of word w are the rows ``offsets[w]`` to
``offsets[w + 1]`` of the posting columns, ordered by image. A large segment has format 4, with the list of each word
cut into S parts by the highest bits of the signatures: part p of word w is the rows ``offsets[w * S + p]`` up to the
next of the offsets. Small pictures of the images lie one after the other in a column of their own; those of format 2
have none. ``segment.json`` has the format's version and the size and checksum of each column; the catalogue has the
checksum of ``segment.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.features.looks import FEW_FEATURES, LOOK, LookArray
from featmatch.native.postings import PostingLists
from featmatch.store.layout import open_index_file
from featmatch.store.postings import POSTING_COLUMNS, Postings
from featmatch.store.values import MOST_SIDE, digest, number
from featmatch.system.arrays import read_column
from featmatch.system.files import sha256_of_rest

FORMAT_VERSION = 3
WITHOUT_PICTURES, PARTS_VERSION = 2, 4  # all else is as in version 3
_READABLE = (WITHOUT_PICTURES, FORMAT_VERSION, PARTS_VERSION)
MANY_FEATURES = 20_000_000  # of 40,000 images with 500 each: lists of a larger segment are cut into parts
MOST_PARTS = 256
_PART = 16  # postings that a part of a list has on average at least; its offset takes the room of a quarter of one
MANIFEST = "segment.json"
_AT_ONCE = 1 << 16  # numbers that are compared at a time, in the processor's cache
_MANIFEST_BYTES = 1 << 16  # 3 KB are written
# One row an image.
IMAGE_COLUMNS: dict[str, np.dtype[Any]] = {
    "ids": np.dtype("<i8"),
    "widths": np.dtype("<i4"),
    "heights": np.dtype("<i4"),
    "features": np.dtype("<i4"),
    "phashes": np.dtype("<u8"),
    "looks": LOOK,
    "picture_bytes": np.dtype("<u4"),
}
COLUMNS = {**POSTING_COLUMNS, "offsets": np.dtype("<u4"), **IMAGE_COLUMNS, "pictures": np.dtype("u1")}
_OF_PICTURES = frozenset({"picture_bytes", "pictures"})


@dataclass(frozen=True, repr=False)
class Segment:
    """A segment, open for reading.

    Attributes:
        offsets: (words * parts + 1,) uint32, where the postings of each part of the list of each word begin.
        postings: the columns, memory-mapped where they are large.
        ids: (images,) int64, the catalogue's number of each image.
        widths: (images,) int32, px.
        heights: (images,) int32, px.
        features: (images,) int32, how many features each image has.
        phashes: (images,) uint64, perceptual hash of each image as a whole.
        looks: (images,) of ``LOOK``, what else there is to tell it by as a whole.
        picture_bytes: (images,) uint32, how many bytes of ``pictures`` are of each image; 0: none is kept of it.
        pictures: (N,) uint8, small grey pictures by ``featmatch.images.stored``, in the order of the images.
        parts: of each list; 1, 2, 4, or so on to 256.
    """

    offsets: NDArray[np.uint32]
    postings: Postings
    ids: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    features: NDArray[np.int32]
    phashes: NDArray[np.uint64]
    looks: LookArray
    picture_bytes: NDArray[np.uint32]
    pictures: NDArray[np.uint8]
    parts: int = 1

    def __repr__(self) -> str:
        return f"Segment({len(self.ids)} images, {len(self.postings.image)} postings)"

    @property
    def lists(self) -> NDArray[np.uint32]:
        """(words + 1,) uint32: where the postings of each word begin."""
        return self.offsets[:: self.parts]

    @cached_property
    def for_kernels(self) -> PostingLists:
        """The lists as they are searched."""
        return PostingLists(self.offsets, self.postings.image, self.postings.signature, self.parts)

    @property
    def is_outdated(self) -> bool:
        """Whether its lists would be written in another number of parts now."""
        return self.parts != parts_for(len(self.postings.image), len(self.lists) - 1)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(images,) float32: what the votes for each image count, one by the root of how many features it has."""
        return np.asarray(1 / np.sqrt(np.maximum(self.features, 1)), np.float32)

    @cached_property
    def plain(self) -> NDArray[np.intp]:
        """Which images have so few features that they are looked up as a whole too; ascending."""
        return np.flatnonzero(self.features < FEW_FEATURES)

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Rows of images by their (N,) numbers; -1 for those that are not in this segment."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        order = self._by_number
        rows = np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(self.ids) - 1)
        rows = rows if order is None else order[rows]
        return np.where(self.ids[rows] == ids, rows, -1)

    @cached_property
    def _by_number(self) -> NDArray[np.intp] | None:
        """Rows in the order of the images' numbers; None where they lie so, as they nearly always do."""
        return None if are_ascending(self.ids) else np.argsort(self.ids, kind="stable")

    @cached_property
    def _picture_ends(self) -> NDArray[np.int64]:
        return np.cumsum(self.picture_bytes, dtype=np.int64)

    def picture(self, row: int) -> NDArray[np.uint8]:
        """The stored picture of the image in a row, as bytes; none, where none is kept."""
        end = int(self._picture_ends[row])
        return self.pictures[end - int(self.picture_bytes[row]) : end]

    @classmethod
    def open(cls, folder: Path, vocabulary_size: int, manifest_sha256: bytes) -> Segment:
        """Map the columns of a segment whose words are below ``vocabulary_size``.

        What is checked here keeps every index into the columns within them, but for ``postings.image``, which is too
        long to be read at once: whoever uses its numbers compares them with the number of images.

        Raises:
            StoreError: a file is missing, of another version, or not as it was written, as far as its size tells.
        """
        try:
            version, manifest = _version_and_files(folder, manifest_sha256)
            columns = {name: _column(folder, name, manifest) for name in COLUMNS if f"{name}.npy" in manifest}
            if not _OF_PICTURES & columns.keys():
                columns["picture_bytes"] = np.zeros(len(columns["ids"]), COLUMNS["picture_bytes"])
                columns["pictures"] = np.empty(0, COLUMNS["pictures"])
            parts = (len(columns["offsets"]) - 1) // vocabulary_size if version == PARTS_VERSION else 1
            postings = Postings(**{name: columns.pop(name) for name in POSTING_COLUMNS})
            segment = cls(postings=postings, parts=parts, **columns)
            segment._validate(vocabulary_size)
            return segment
        except StoreError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(f"segment {folder} is damaged: {error}") from error

    def _validate(self, vocabulary_size: int) -> None:
        images, postings = len(self.ids), len(self.postings.image)
        if not all(len(getattr(self.postings, name)) == postings for name in POSTING_COLUMNS):
            raise ValueError("its posting columns are not of one length")
        if not all(len(getattr(self, name)) == images for name in IMAGE_COLUMNS):
            raise ValueError("its image columns are not of one length")
        if int(self.picture_bytes.sum(dtype=np.int64)) != len(self.pictures):
            raise ValueError("its pictures do not fit")
        offsets = self.offsets
        if not 1 <= self.parts <= MOST_PARTS or self.parts & (self.parts - 1):
            raise ValueError("its posting lists are not in parts by bits")
        if len(offsets) != vocabulary_size * self.parts + 1 or offsets[0] != 0 or offsets[-1] != postings:
            raise ValueError("its posting lists do not fit")
        if (offsets[1:] < offsets[:-1]).any():
            raise ValueError("its posting lists overlap")
        for sides in (self.widths, self.heights):
            if sides.min(initial=1) <= 0 or sides.max(initial=1) > MOST_SIDE:
                raise ValueError("an image has no size, or one that cannot be")
        if self.features.min(initial=0) < 0:
            raise ValueError("an image has fewer than no features")
        if self.ids.min(initial=1) <= 0 or are_any_equal(self.ids):
            raise ValueError("an image has no number, or one that another has")


def parts_for(postings: int, words: int) -> int:
    """In how many parts each list is written, where there are so many postings.

    >>> parts_for(20_000_000, 1_000), parts_for(20_000_001, 400_000), parts_for(1 << 30, 400_000)
    (1, 2, 128)
    """
    if postings <= MANY_FEATURES:
        return 1
    wanted = min(max(postings // (_PART * max(words, 1)), 1), MOST_PARTS)
    return 1 << (wanted.bit_length() - 1)


def parts_of(signatures: NDArray[np.uint64], parts: int) -> NDArray[np.int64]:
    """In which of so many parts of a list postings are, by their highest bits.

    >>> parts_of(np.array([1 << 63, 1 << 62, 7], np.uint64), 4).tolist()
    [2, 1, 0]
    """
    return (signatures >> np.uint64(56)).astype(np.int64) * parts // MOST_PARTS


def are_any_equal(numbers: NDArray[np.int64]) -> bool:
    """Whether any two of (N,) numbers are equal; quick where they ascend, as they nearly always do."""
    if are_ascending(numbers):
        return False
    return bool((np.diff(np.sort(numbers, kind="stable")) == 0).any())


def are_ascending(numbers: NDArray[np.int64]) -> bool:
    """Whether each of (N,) numbers is above the one before it."""
    starts = range(0, len(numbers), _AT_ONCE)
    return all(bool((part[1:] > part[:-1]).all()) for part in (numbers[at : at + _AT_ONCE + 1] for at in starts))


def read_manifest(folder: Path, sha256: bytes) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each file of a segment, by its name.

    Raises:
        StoreError: the manifest is missing, of another version, or not the one of this checksum.
    """
    return _version_and_files(folder, sha256)[1]


def _version_and_files(folder: Path, sha256: bytes) -> tuple[int, dict[str, dict[str, Any]]]:
    try:
        for path in (folder.parent, folder):
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise ValueError(f"{path} is no folder")
        with open_index_file(folder / MANIFEST) as file:
            content = file.read(_MANIFEST_BYTES)
        if hashlib.sha256(content).digest() != sha256:
            raise ValueError(f"{MANIFEST} is not as it was written")
        manifest = json.loads(content)
        version = manifest["version"]
        names = COLUMNS.keys() - _OF_PICTURES if version == WITHOUT_PICTURES else COLUMNS
        files: dict[str, dict[str, Any]] = {f"{name}.npy": manifest["files"][f"{name}.npy"] for name in names}
        for entry in files.values():
            number(entry["bytes"])
            digest(entry["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"segment {folder} is damaged: {error}") from error
    if version not in _READABLE:
        raise StoreError(
            f"segment {folder} has format {version!r:.80}; this featmatch reads {_READABLE[0]} to {_READABLE[-1]}"
        )
    return version, files


def _column(folder: Path, name: str, manifest: Mapping[str, Mapping[str, Any]]) -> NDArray[Any]:
    with open_index_file(folder / f"{name}.npy") as file:
        if os.fstat(file.fileno()).st_size != manifest[f"{name}.npy"]["bytes"]:
            raise ValueError(f"{name}.npy has not the size it was written with")
        try:
            return read_column(file, COLUMNS[name])
        except ValueError as error:
            raise ValueError(f"{name}.npy: {error}") from error


def damaged_files(folder: Path, manifest_sha256: bytes) -> list[str]:
    """What is wrong with the files of a segment, compared with their checksums."""
    problems = []
    try:
        for name, entry in read_manifest(folder, manifest_sha256).items():
            with open_index_file(folder / name) as file:
                if sha256_of_rest(file) != entry["sha256"]:
                    problems.append(f"segment {folder} is damaged: {name} is not as it was written")
    except StoreError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"segment {folder} is damaged: {error}")
    return problems
