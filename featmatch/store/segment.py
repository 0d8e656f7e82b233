"""One immutable part of the inverted file: the posting lists of some images, as memory-mapped columns.

A segment is a folder of plain ``.npy`` columns in CSR form: the postings of word w are the rows
``offsets[w]:offsets[w + 1]`` of the posting columns, ordered by image. ``segment.json`` has the format's version and
the size and checksum of each column; the catalogue has the checksum of ``segment.json``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.features.looks import FEW_FEATURES, LOOK, LookArray
from featmatch.store.layout import opened
from featmatch.store.values import MOST_SIDE, digest, number
from featmatch.system.arrays import read_column
from featmatch.system.files import flush_folder

FORMAT_VERSION = 2
MANIFEST = "segment.json"
_MANIFEST_BYTES = 1 << 16  # 3 KB are written

_ANGLE_STEPS = 256
_SIZE_STEPS_AN_OCTAVE = 16
_POSITION_STEPS = 65_535  # along the longer side


@dataclass(frozen=True)
class Postings:
    """Columns of one row a feature; 18 bytes a feature, and the word that orders them.

    Attributes:
        image: (N,) uint32, number of the image within the segment.
        signature: (N,) uint64.
        x: (N,) uint16, in 65535ths of the image's longer side.
        y: (N,) uint16, likewise.
        angle: (N,) uint8, in 256ths of a turn.
        size: (N,) uint8, 16 log2 of the diameter in px of the original.
    """

    image: NDArray[np.uint32]
    signature: NDArray[np.uint64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    angle: NDArray[np.uint8]
    size: NDArray[np.uint8]


@dataclass(frozen=True)
class IndexedImage:
    """What the inverted file keeps of one image's features."""

    width: int
    height: int
    words: NDArray[np.int32]
    postings: Postings
    phash: np.uint64
    look: np.void


@dataclass(frozen=True, repr=False)
class Segment:
    """A segment, open for reading.

    Attributes:
        offsets: (words + 1,) uint32, where the postings of each word begin.
        postings: the columns, memory-mapped where they are large.
        ids: (images,) int64, the catalogue's number of each image.
        widths: (images,) int32, px.
        heights: (images,) int32, px.
        features: (images,) int32, how many features each image has.
        phashes: (images,) uint64, perceptual hash of each image as a whole.
        looks: (images,) of ``LOOK``, what else there is to tell it by as a whole.
    """

    offsets: NDArray[np.uint32]
    postings: Postings
    ids: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    features: NDArray[np.int32]
    phashes: NDArray[np.uint64]
    looks: LookArray

    def __repr__(self) -> str:
        return f"Segment({len(self.ids)} images, {len(self.postings.image)} postings)"

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(images,) float32: what the votes for each image count, one by the root of how many features it has."""
        return np.asarray(1 / np.sqrt(np.maximum(self.features, 1)), np.float32)

    @cached_property
    def plain(self) -> NDArray[np.intp]:
        """Which images have so few features that they are looked up as a whole too; ascending."""
        return np.flatnonzero(self.features < FEW_FEATURES)

    @classmethod
    def open(cls, folder: Path, vocabulary_size: int, manifest_sha256: bytes) -> Segment:
        """Map the columns of a segment whose words are below ``vocabulary_size``.

        What is checked here keeps every index into the columns within them, but for ``postings.image``, which is too
        long to be read at once: whoever uses its numbers compares them with the number of images.

        Raises:
            StoreError: a file is missing, of another version, or not as it was written, as far as its size tells.
        """
        try:
            manifest = read_manifest(folder, manifest_sha256)
            segment = cls(
                postings=Postings(**{name: _column(folder, name, manifest) for name in _POSTING_COLUMNS}),
                **{name: _column(folder, name, manifest) for name in _TABLE_COLUMNS},
            )
            segment._validate(vocabulary_size)
            return segment
        except StoreError:
            raise
        except (OSError, ValueError) as error:
            raise StoreError(f"segment {folder} is damaged: {error}") from error

    def _validate(self, vocabulary_size: int) -> None:
        images, postings = len(self.ids), len(self.postings.image)
        if not all(len(getattr(self.postings, name)) == postings for name in _POSTING_COLUMNS):
            raise ValueError("its posting columns are not of one length")
        tables = (self.widths, self.heights, self.features, self.phashes, self.looks)
        if not all(len(table) == images for table in tables):
            raise ValueError("its image columns are not of one length")
        offsets = self.offsets
        if len(offsets) != vocabulary_size + 1 or offsets[0] != 0 or offsets[-1] != postings:
            raise ValueError("its posting lists do not fit")
        if (offsets[1:] < offsets[:-1]).any():
            raise ValueError("its posting lists overlap")
        for sides in (self.widths, self.heights):
            if (sides <= 0).any() or (sides > MOST_SIDE).any():
                raise ValueError("an image has no size, or one that cannot be")
        if (self.features < 0).any():
            raise ValueError("an image has fewer than no features")
        if (self.ids <= 0).any() or are_any_equal(self.ids):
            raise ValueError("an image has no number, or one that another has")


_POSTING_COLUMNS: dict[str, np.dtype[Any]] = {
    "image": np.dtype("<u4"),
    "signature": np.dtype("<u8"),
    "x": np.dtype("<u2"),
    "y": np.dtype("<u2"),
    "angle": np.dtype("u1"),
    "size": np.dtype("u1"),
}
_TABLE_COLUMNS: dict[str, np.dtype[Any]] = {
    "offsets": np.dtype("<u4"),
    "ids": np.dtype("<i8"),
    "widths": np.dtype("<i4"),
    "heights": np.dtype("<i4"),
    "features": np.dtype("<i4"),
    "phashes": np.dtype("<u8"),
    "looks": LOOK,
}
_DTYPES = _POSTING_COLUMNS | _TABLE_COLUMNS


def are_any_equal(numbers: NDArray[np.int64]) -> bool:
    """Whether any two of (N,) numbers are the same; soon said of those in order, as they nearly always are."""
    return bool((np.diff(np.sort(numbers, kind="stable")) == 0).any())


def read_manifest(folder: Path, sha256: bytes) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each file of a segment, by its name.

    Raises:
        StoreError: the manifest is missing, of another version, or not the one of this checksum.
    """
    try:
        for path in (folder.parent, folder):
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise ValueError(f"{path} is no folder")
        with opened(folder / MANIFEST) as file:
            content = file.read(_MANIFEST_BYTES)
        if hashlib.sha256(content).digest() != sha256:
            raise ValueError(f"{MANIFEST} is not as it was written")
        manifest = json.loads(content)
        version = manifest["version"]
        files: dict[str, dict[str, Any]] = {f"{name}.npy": manifest["files"][f"{name}.npy"] for name in _DTYPES}
        for entry in files.values():
            number(entry["bytes"])
            digest(entry["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"segment {folder} is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise StoreError(f"segment {folder} has format {version}; this featmatch reads {FORMAT_VERSION}")
    return files


def quantised(
    keypoints: NDArray[np.float32],
    angles: NDArray[np.float32],
    sizes: NDArray[np.float32],
    signatures: NDArray[np.uint64],
    long_side: int,
) -> Postings:
    """Features as postings of image 0: keypoints and sizes in px, angles in radians."""
    positions = np.clip(np.rint(keypoints * (_POSITION_STEPS / long_side)), 0, _POSITION_STEPS).astype(np.uint16)
    return Postings(
        image=np.zeros(len(keypoints), np.uint32),
        signature=signatures,
        x=positions[:, 0],
        y=positions[:, 1],
        angle=(np.rint(angles * (_ANGLE_STEPS / (2 * np.pi))).astype(np.int64) % _ANGLE_STEPS).astype(np.uint8),
        size=np.clip(np.rint(np.log2(np.maximum(sizes, 1)) * _SIZE_STEPS_AN_OCTAVE), 0, 255).astype(np.uint8),
    )


def restored(
    postings: Postings, rows: NDArray[np.int64], long_sides: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Keypoints (N, 2) px, angles (N,) radians and log2 of sizes (N,) in px, of chosen postings.

    Args:
        postings: of a segment.
        rows: (N,) int64, which of them.
        long_sides: (N,) int32, longer side of the image of each, px.
    """
    step = long_sides / _POSITION_STEPS
    keypoints = np.stack([postings.x[rows] * step, postings.y[rows] * step], axis=1)
    angles = postings.angle[rows].astype(np.float64) * (2 * np.pi / _ANGLE_STEPS)
    return keypoints, angles, postings.size[rows].astype(np.float64) / _SIZE_STEPS_AN_OCTAVE


class SegmentWriter:
    """Writes a segment aside, part by part, flushes it, and renames it into place: it is wholly there, or not at all.

    A context manager; when it is left without an error, the segment is in its place.

    Args:
        folder: where it goes; what a run left there that ended before the catalogue knew of it is replaced.
        ids: (images,) int64, the catalogue's numbers.
        widths: (images,) int32, px.
        heights: (images,) int32, px.
        features: (images,) int32, how many features each image has.
        phashes: (images,) uint64.
        looks: (images,) of ``LOOK``.
        vocabulary_size: number of visual words.

    Attributes:
        manifest_sha256: of segment.json, which has the checksums of all other files; known at the end.
    """

    def __init__(
        self,
        folder: Path,
        ids: NDArray[np.integer],
        widths: NDArray[np.integer],
        heights: NDArray[np.integer],
        features: NDArray[np.integer],
        phashes: NDArray[np.integer],
        looks: LookArray,
        vocabulary_size: int,
    ) -> None:
        self._folder = folder
        self._aside = folder.with_name(folder.name + ".partial")
        self._tables: dict[str, NDArray[Any]] = {
            "ids": ids, "widths": widths, "heights": heights, "features": features, "phashes": phashes, "looks": looks,
        }  # fmt: skip
        self._total = int(features.sum(dtype=np.int64))
        self._list_lengths = np.zeros(vocabulary_size, np.int64)
        self._columns: dict[str, _ColumnWriter] = {}
        self.manifest_sha256 = b""

    def __enter__(self) -> SegmentWriter:
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)
        try:
            for name in _POSTING_COLUMNS:
                self._columns[name] = _ColumnWriter(self._aside, name, self._total)
        except BaseException:
            self._discard()
            raise
        return self

    def append(self, words: NDArray[np.integer], postings: Postings) -> None:
        """Add postings, ordered by word, then by image. No word may be lower than those that came before."""
        self._list_lengths += np.bincount(words, minlength=len(self._list_lengths))
        for name, column in self._columns.items():
            column.append(getattr(postings, name))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        offsets = np.concatenate([[0], np.cumsum(self._list_lengths)])
        if offsets[-1] != self._total:
            raise StoreError(f"{offsets[-1]} postings were written of {self._total}")
        for name, values in {"offsets": offsets, **self._tables}.items():
            self._columns[name] = column = _ColumnWriter(self._aside, name, len(values))
            column.append(values)
        files = {f"{name}.npy": column.finished() for name, column in self._columns.items()}
        manifest = json.dumps({"version": FORMAT_VERSION, "files": files}, indent=1).encode()
        with (self._aside / MANIFEST).open("wb") as file:
            file.write(manifest)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(self._aside)
        shutil.rmtree(self._folder, ignore_errors=True)
        os.rename(self._aside, self._folder)
        flush_folder(self._folder.parent)
        self.manifest_sha256 = hashlib.sha256(manifest).digest()

    def _discard(self) -> None:
        for column in self._columns.values():
            column.close()
        shutil.rmtree(self._aside, ignore_errors=True)


class _ColumnWriter:
    """Writes one ``.npy`` file of a length known beforehand, with its checksum."""

    def __init__(self, folder: Path, name: str, length: int) -> None:
        self._dtype = _DTYPES[name]
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._file = (folder / f"{name}.npy").open("wb")
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (length,)}
        )
        self._write(header.getvalue())

    def append(self, values: NDArray[Any]) -> None:
        self._write(np.ascontiguousarray(values, self._dtype).view(np.uint8).data)

    def finished(self) -> dict[str, int | str]:
        """Flush and close the file; what the manifest says of it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what was not flushed before is of no use
            self._file.close()

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._bytes += len(content)


def write_segment(folder: Path, images: Sequence[IndexedImage], ids: Sequence[int], vocabulary_size: int) -> bytes:
    """Write a segment, wholly or not at all; return the SHA-256 of its manifest."""
    counts = np.array([len(image.words) for image in images], np.int32)
    words = np.concatenate([image.words for image in images])
    order = np.argsort(words, kind="stable")  # images come in order already
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(image.postings, name) for image in images])[order]
        for name in _POSTING_COLUMNS
        if name != "image"
    }
    columns["image"] = np.repeat(np.arange(len(images), dtype=np.uint32), counts)[order]
    writer = SegmentWriter(
        folder,
        np.array(ids, np.int64),
        np.array([image.width for image in images], np.int32),
        np.array([image.height for image in images], np.int32),
        counts,
        np.array([image.phash for image in images], np.uint64),
        np.array([image.look for image in images], LOOK),
        vocabulary_size,
    )
    with writer:
        writer.append(words[order], Postings(**columns))
    return writer.manifest_sha256


def _column(folder: Path, name: str, manifest: Mapping[str, Mapping[str, Any]]) -> NDArray[Any]:
    with opened(folder / f"{name}.npy") as file:
        if os.fstat(file.fileno()).st_size != manifest[f"{name}.npy"]["bytes"]:
            raise ValueError(f"{name}.npy has not the size it was written with")
        try:
            return read_column(file, _DTYPES[name])
        except ValueError as error:
            raise ValueError(f"{name}.npy: {error}") from error
