"""The state of an index at one moment. A reader keeps it as a whole, so a writer never disturbs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featmatch.errors import StoreError
from featmatch.store.catalog import Catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import Segment, are_any_equal


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
                ids = [segment.ids for segment in segments.values()]
                if len(ids) > 1 and are_any_equal(np.concatenate(ids)):
                    raise StoreError(f"{folder} is damaged: an image is in two segments")
                return cls(catalog, segments, catalog.removed())
            except StoreError:
                if not catalog.superseded:
                    raise  # else a writer has merged those segments since the catalogue was read


def _open_segment(folder: Path, record: SegmentRecord, vocabulary_size: int) -> Segment:
    where = segment_folder(folder, record.id)
    segment = Segment.open(where, vocabulary_size, record.manifest)
    if (len(segment.ids), len(segment.postings.image)) != (record.images, record.features):
        raise StoreError(f"segment {where} is damaged: it is not as large as the catalogue says")
    return segment
