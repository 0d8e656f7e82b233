"""The state of an index at one moment. A reader keeps it as a whole, so a writer never disturbs it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.images.pixels import GreyImage
from featmatch.images.stored import restored_picture
from featmatch.store.catalog import Catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import Segment, are_any_equal, are_ascending


@dataclass(frozen=True)
class Snapshot:
    """One generation of the catalogue, and its segments, open.

    Attributes:
        catalog: the generation.
        segments: by number, in the order of the numbers.
        removed: numbers of images in the segments that are not to be found.
    """

    catalog: Catalog
    segments: Mapping[int, Segment]
    removed: frozenset[int]

    @classmethod
    def open(cls, folder: Path, vocabulary_size: int, known: Mapping[int, Segment] | None = None) -> Snapshot:
        """The newest state of an index.

        Args:
            folder: of the index.
            vocabulary_size: number of visual words.
            known: segments that are open already; a number always means the same segment.

        Raises:
            StoreError: something is damaged.
        """
        known = known or {}
        while True:
            catalog = Catalog(folder / CATALOG)
            try:
                segments = {
                    record.id: known.get(record.id) or _open_segment(folder, record, vocabulary_size)
                    for record in catalog.segments()
                }
                if _are_any_twice([segment.ids for segment in segments.values() if len(segment.ids)]):
                    raise StoreError(f"{folder} is damaged: an image is in two segments")
                return cls(catalog, segments, catalog.removed())
            except StoreError:
                if not catalog.superseded:
                    raise  # else a writer has merged those segments since the catalogue was read

    @cached_property
    def features(self) -> int:
        """How many features the images have that can be found."""
        removed = np.fromiter(self.removed, np.int64, len(self.removed))
        hidden = 0
        for segment in self.segments.values():
            rows = segment.rows_of(removed)
            hidden += int(segment.features[rows[rows >= 0]].sum(dtype=np.int64))
        return sum(len(segment.postings.image) for segment in self.segments.values()) - hidden

    def place_of(self, image: int) -> tuple[Segment, int]:
        """The segment that an image is in, and its row there, by its number.

        Raises:
            StoreError: the index is damaged: it is in none.
        """
        for segment in self.segments.values():
            rows = np.flatnonzero(segment.ids == image)
            if len(rows):
                return segment, int(rows[0])
        raise StoreError(f"the index is damaged: image {image} is in no segment")

    def stored_picture(self, image: int) -> GreyImage | None:
        """The small grey picture that is kept of an image, by its number; None, where none is kept.

        Raises:
            StoreError: the index is damaged.
        """
        segment, row = self.place_of(image)
        stored = segment.picture(row)
        if len(stored) == 0:
            return None
        try:
            return restored_picture(stored, int(segment.widths[row]), int(segment.heights[row]))
        except ValueError as error:
            raise StoreError(f"the index is damaged: of image {image}, {error}") from error


def _are_any_twice(ids: list[NDArray[np.int64]]) -> bool:
    """Whether any image is in two segments; quick where all of one follow all of another, as mostly."""
    ids = sorted(ids, key=lambda numbers: int(numbers[0]))
    if all(map(are_ascending, ids)) and all(one[-1] < other[0] for one, other in itertools.pairwise(ids)):
        return False
    return len(ids) > 1 and are_any_equal(np.concatenate(ids))


def _open_segment(folder: Path, record: SegmentRecord, vocabulary_size: int) -> Segment:
    where = segment_folder(folder, record.id)
    segment = Segment.open(where, vocabulary_size, record.manifest)
    if (len(segment.ids), len(segment.postings.image)) != (record.images, record.features):
        raise StoreError(f"segment {where} is damaged: it is not as large as the catalogue says")
    return segment
