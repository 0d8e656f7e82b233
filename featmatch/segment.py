"""One immutable part of the inverted file: the posting lists of some images, as memory-mapped columns.

A segment is a folder of plain ``.npy`` columns in CSR form: the postings of word w are the rows
``offsets[w]:offsets[w + 1]`` of the posting columns, ordered by image.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

FORMAT_VERSION = 1

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


@dataclass(frozen=True)
class Segment:
    """A segment, open for reading.

    Attributes:
        offsets: (words + 1,) uint32, where the postings of each word begin.
        postings: the columns, memory-mapped.
        ids: (images,) int64, the catalogue's number of each image.
        widths: (images,) int32, px.
        heights: (images,) int32, px.
        features: (images,) int32, how many features each image has.
    """

    offsets: NDArray[np.uint32]
    postings: Postings
    ids: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    features: NDArray[np.int32]

    @classmethod
    def open(cls, folder: Path, vocabulary_size: int) -> Segment:
        """Map the columns of a segment whose words are below ``vocabulary_size``.

        Raises:
            StoreError: a file is missing, of another version, or not as long as it was written.
        """
        try:
            manifest = json.loads((folder / "segment.json").read_text())
            if manifest["version"] != FORMAT_VERSION:
                raise StoreError(
                    f"segment {folder} has format {manifest['version']}; this featmatch reads {FORMAT_VERSION}"
                )
            for name, entry in manifest["files"].items():
                if (folder / name).stat().st_size != entry["bytes"]:
                    raise StoreError(f"segment {folder} is damaged: {name} has not the size it was written with")
            segment = cls(
                postings=Postings(**{field.name: _column(folder, field.name) for field in fields(Postings)}),
                **{name: _column(folder, name) for name in _TABLE_COLUMNS},
            )
            if len(segment.offsets) != vocabulary_size + 1 or segment.offsets[-1] != len(segment.postings.image):
                raise StoreError(f"segment {folder} is damaged: its posting lists do not fit")
            return segment
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"segment {folder} is damaged: {error}") from error


_TABLE_COLUMNS = ("offsets", "ids", "widths", "heights", "features")


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


def write_segment(folder: Path, images: Sequence[IndexedImage], ids: Sequence[int], vocabulary_size: int) -> None:
    """Write a segment aside, flush it, and rename it into place; it is wholly there, or not at all."""
    counts = np.array([len(image.words) for image in images], np.int32)
    words = np.concatenate([image.words for image in images])
    order = np.argsort(words, kind="stable")  # images come in order already
    columns: dict[str, NDArray[Any]] = {
        field.name: np.concatenate([getattr(image.postings, field.name) for image in images])[order]
        for field in fields(Postings)
        if field.name != "image"
    }
    columns["image"] = np.repeat(np.arange(len(images), dtype=np.uint32), counts)[order]
    columns["offsets"] = np.searchsorted(words[order], np.arange(vocabulary_size + 1)).astype(np.uint32)
    columns["ids"] = np.array(ids, np.int64)
    columns["widths"] = np.array([image.width for image in images], np.int32)
    columns["heights"] = np.array([image.height for image in images], np.int32)
    columns["features"] = counts
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        files: dict[str, dict[str, int | str]] = {}
        for name, column in columns.items():
            path = aside / f"{name}.npy"
            with path.open("wb") as file:
                np.save(file, column, allow_pickle=False)
                os.fsync(file.fileno())
            content = path.read_bytes()
            files[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        with (aside / "segment.json").open("w") as file:
            json.dump({"version": FORMAT_VERSION, "files": files}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(aside)
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that ended before the catalogue knew of it
        os.rename(aside, folder)
        flush_folder(folder.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def flush_folder(folder: Path) -> None:
    """Make what was created or renamed in a folder survive a power cut, where the system lets folders be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _column(folder: Path, name: str) -> NDArray[Any]:
    mapped: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return np.asarray(mapped)  # still mapped, but without the cost of np.memmap at each step
