"""Writing a segment of the inverted file: wholly, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.features.looks import LOOK
from featmatch.store.postings import POSTING_COLUMNS, Postings
from featmatch.store.segment import COLUMNS, FORMAT_VERSION, IMAGE_COLUMNS, MANIFEST, PARTS_VERSION, parts_for, parts_of
from featmatch.system.files import flush_folder


@dataclass(frozen=True)
class IndexedImage:
    """What the inverted file keeps of one image's features."""

    width: int
    height: int
    words: NDArray[np.int32]
    postings: Postings
    phash: np.uint64
    look: np.void
    picture: NDArray[np.uint8]  # as ``featmatch.images.stored`` writes it; of no bytes: none is kept


class SegmentWriter:
    """Writes a segment aside, part by part, flushes it, and renames it into place: it is wholly there, or not at all.

    A context manager; when it is left without an error, the segment is in its place.

    Args:
        folder: where it goes; what a run left there that ended before the catalogue knew of it is replaced.
        images: the columns of one row an image that ``IMAGE_COLUMNS`` names, each (images,).
        vocabulary_size: number of visual words.

    Attributes:
        manifest_sha256: of segment.json, which has the checksums of all other files; known at the end.
    """

    def __init__(self, folder: Path, images: Mapping[str, NDArray[Any]], vocabulary_size: int) -> None:
        self._folder = folder
        self._aside = folder.with_name(folder.name + ".partial")
        self._images = {name: images[name] for name in IMAGE_COLUMNS}
        self._total = int(images["features"].sum(dtype=np.int64))
        self._total_picture_bytes = int(images["picture_bytes"].sum(dtype=np.int64))
        self._picture_bytes = 0
        self._parts = parts_for(self._total, vocabulary_size)
        self._lengths = np.zeros(vocabulary_size * self._parts, np.int64)
        self._columns: dict[str, _ColumnWriter] = {}
        self.manifest_sha256 = b""

    def __enter__(self) -> SegmentWriter:
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)
        try:
            lengths = dict.fromkeys(POSTING_COLUMNS, self._total)
            for name, length in {**lengths, "pictures": self._total_picture_bytes}.items():
                self._columns[name] = _ColumnWriter(self._aside, name, length)
        except BaseException:
            self._discard()
            raise
        return self

    def append(self, words: NDArray[np.integer], postings: Postings) -> None:
        """Add postings; those of an image in the order of its features. All words are above those that came before."""
        if not len(words):
            return
        places = words.astype(np.int64) * self._parts + parts_of(postings.signature, self._parts)
        first = int(places.min())
        lengths = np.bincount(places - first)
        self._lengths[first : first + len(lengths)] += lengths
        order = np.lexsort((postings.image, places))
        for name in POSTING_COLUMNS:
            self._columns[name].append(getattr(postings, name)[order])

    def append_picture(self, stored: NDArray[np.uint8]) -> None:
        """Add the stored picture of the next image; of no bytes, where none is kept."""
        self._picture_bytes += len(stored)
        self._columns["pictures"].append(stored)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _finish(self) -> None:
        offsets = np.concatenate([[0], np.cumsum(self._lengths)])
        if offsets[-1] != self._total:
            raise StoreError(f"{offsets[-1]} postings were written of {self._total}")
        if self._picture_bytes != self._total_picture_bytes:
            raise StoreError(f"{self._picture_bytes} bytes of pictures were written of {self._total_picture_bytes}")
        for name, values in {"offsets": offsets, **self._images}.items():
            self._columns[name] = column = _ColumnWriter(self._aside, name, len(values))
            column.append(values)
        files = {f"{name}.npy": column.finished() for name, column in self._columns.items()}
        version = PARTS_VERSION if self._parts > 1 else FORMAT_VERSION
        manifest = json.dumps({"version": version, "files": files}, indent=1).encode()
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
        self._dtype = COLUMNS[name]
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
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(image.postings, name) for image in images])
        for name in POSTING_COLUMNS
        if name != "image"
    }
    columns["image"] = np.repeat(np.arange(len(images), dtype=np.uint32), counts)
    tables: dict[str, NDArray[Any]] = {
        "ids": np.array(ids, np.int64),
        "widths": np.array([image.width for image in images], np.int32),
        "heights": np.array([image.height for image in images], np.int32),
        "features": counts,
        "phashes": np.array([image.phash for image in images], np.uint64),
        "looks": np.array([image.look for image in images], LOOK),
        "picture_bytes": np.array([len(image.picture) for image in images], np.uint32),
    }
    writer = SegmentWriter(folder, tables, vocabulary_size)
    with writer:
        writer.append(words, Postings(**columns))
        for image in images:
            writer.append_picture(image.picture)
    return writer.manifest_sha256
