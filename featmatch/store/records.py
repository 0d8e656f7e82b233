"""Rows of the catalogue as records. A row that says what cannot be raises a ValueError: SQLite checks no types."""

from __future__ import annotations

from dataclasses import dataclass

from featmatch.store.values import DIGEST_BYTES, MOST, MOST_SIDE, Row, digest, from_sql, number, text

NO_FILE_NS = -2  # in place of the time of change, for an image that was given from memory: no file can have changed

_MOST_ROWS = (1 << 32) - 1  # of a segment: features are counted in 32 bits


@dataclass(frozen=True)
class ImageRecord:
    """What the catalogue knows of one image under one name.

    Attributes:
        id: number of the image, never used again for another. Names whose files are the same to the byte share it.
        name: the path as it was given to ``add``, or relative to the index's root.
        bytes: size of the file.
        mtime_ns: when the file was changed last, ns since 1970; ``NO_FILE_NS`` (-2) where there was none: the image was
            given from memory.
        sha256: of the file, hexadecimal.
        width: px, as displayed.
        height: px, as displayed.
        features: how many of its features are in the index.
        text: the text that ``add`` was given for it, or None.
        format: of the file, as "JPEG"; None, as those below, where the file does not say.
        taken: when, in ISO 8601, by the camera's own clock.
        camera: maker and model.
        caption: from the file.
    """

    id: int
    name: str
    bytes: int
    mtime_ns: int
    sha256: str
    width: int
    height: int
    features: int
    text: str | None
    format: str | None = None
    taken: str | None = None
    camera: str | None = None
    caption: str | None = None

    @classmethod
    def of_row(cls, row: Row) -> ImageRecord:
        """From values in the order of the attributes; sha256 in hexadecimal of any case."""
        image, name, size, mtime, sha256, width, height, features, *told = row
        return cls(
            number(image, 1), from_sql(name), number(size), number(mtime, -MOST), digest(sha256),
            number(width, 1, MOST_SIDE), number(height, 1, MOST_SIDE), number(features, 0, _MOST_ROWS),
            *map(text, told),
        )  # fmt: skip


@dataclass(frozen=True)
class SegmentRecord:
    """What the catalogue knows of one segment.

    Attributes:
        id: its number, never used again for another.
        images: how many it was written with.
        features: how many it was written with.
        manifest: SHA-256 of its segment.json.
        removed_features: how many of its features belong to images that were removed since.
        removed_images: how many images were removed since; some have no features.
    """

    id: int
    images: int
    features: int
    manifest: bytes
    removed_features: int
    removed_images: int

    @property
    def live_features(self) -> int:
        """Features of images that can be found."""
        return self.features - self.removed_features

    @classmethod
    def of_row(cls, row: Row) -> SegmentRecord:
        """From values in the order of the attributes."""
        segment, images, features, manifest, removed_features, removed_images = row
        if not isinstance(manifest, bytes) or len(manifest) != DIGEST_BYTES:
            raise ValueError(f"the checksum of segment {segment!r:.80} is none")
        return cls(
            number(segment, 1), number(images, 0, _MOST_ROWS), number(features, 0, _MOST_ROWS), manifest,
            number(removed_features, 0, features), number(removed_images, 0, images),
        )  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """Counts of one generation of the catalogue.

    Attributes:
        names: that can be found.
        features: of their images, each counted once.
        removed: images that were removed and still take room.
        queued: images that wait to be added again.
        verdicts: pairs that were accepted or rejected.
    """

    names: int
    features: int
    removed: int
    queued: int
    verdicts: int

    @classmethod
    def of_row(cls, row: Row) -> Totals:
        """From values in the order of the attributes, and the fewest features that any image has."""
        names, features, removed, queued, verdicts, fewest = row
        number(fewest)
        return cls(names, number(features), removed, queued, verdicts)


def stamp_of_row(row: Row) -> tuple[str, tuple[int, int]]:
    """A name, with size in bytes and time of change (ns) of its file."""
    name, size, mtime = row
    return from_sql(name), (number(size), number(mtime, -MOST))
