"""What was live in an index at one moment. Readers take it as a whole, so a writer never disturbs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featmatch.errors import StoreError
from featmatch.store.catalog import Catalog
from featmatch.store.segment import Segment, segment_folder


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
            catalog = Catalog(folder / "catalog.sqlite")
            try:
                segments = {
                    record.id: known.get(record.id)
                    or Segment.open(segment_folder(folder, record.id), vocabulary_size, record.manifest)
                    for record in catalog.segments()
                }
                return cls(catalog, segments, catalog.removed())
            except StoreError:
                if not catalog.superseded:
                    raise  # else a writer has merged those segments since the catalogue was read
