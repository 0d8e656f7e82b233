"""Merging segments: many small ones become a large one, without the images that were removed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, segment_folder
from featmatch.store.postings import Postings
from featmatch.store.reader import Reader
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import IMAGE_COLUMNS, Segment, damaged_files
from featmatch.store.segment_writer import SegmentWriter
from featmatch.store.snapshot import Snapshot

TIER_SEGMENTS = 10  # as many of about one size are merged; 1,000 small additions leave fewer than 20 segments
_SMALL_FEATURES = 1 << 18  # below this all are of one size: the offsets of a segment are as large as so many features
_LARGEST_FEATURES = 1 << 31  # of a segment; offsets are uint32
_PART_POSTINGS = 1 << 21  # in memory at once; some 40 MB each way


def due(segments: Sequence[SegmentRecord]) -> list[int]:
    """The numbers of the segments to merge now; empty where none are due.

    By tiers, like Lucene's TieredMergePolicy: each image is written again once for each tier that its segment climbs.
    A segment that has lost half of its features is written anew by itself.

    >>> small = [SegmentRecord(number, 1, 500, bytes(32), 0, 0) for number in range(1, 11)]
    >>> due(small[:9]), due(small)
    ([], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    """
    tiers: dict[int, list[int]] = defaultdict(list)
    for segment in segments:
        tiers[_tier(segment.live_features)].append(segment.id)
    full = [tier for tier, members in tiers.items() if len(members) >= TIER_SEGMENTS]
    if full and TIER_SEGMENTS ** (min(full) + 1) * _SMALL_FEATURES <= _LARGEST_FEATURES:
        return tiers[min(full)]
    return [segment.id for segment in segments if segment.live_features < segment.features / 2][:1]


def _tier(features: int) -> int:
    tier = 0
    while features > _SMALL_FEATURES:
        features //= TIER_SEGMENTS
        tier += 1
    return tier


def all_together(segments: Sequence[SegmentRecord], outdated: Collection[int] = ()) -> list[list[int]]:
    """Which segments to merge so that as few are left as can be, without tombstones, and none that is ``outdated``."""
    bins: list[list[SegmentRecord]] = []
    room = 0
    for segment in segments:
        if not bins or segment.live_features > room:
            bins.append([])
            room = _LARGEST_FEATURES
        bins[-1].append(segment)
        room -= segment.live_features
    return [
        [segment.id for segment in members]
        for members in bins
        if len(members) > 1 or members[0].removed_images or members[0].id in outdated
    ]


@dataclass(frozen=True)
class _Source:
    """A segment that is merged, and the number of each of its images in the new segment; -1: it was removed."""

    segment: Segment
    renumbered: NDArray[np.int64]


def merge(folder: Path, snapshot: Snapshot, numbers: Sequence[int], vocabulary_size: int) -> None:
    """Write one segment in place of several. The caller holds the writer's lock; ``snapshot`` is the newest.

    Answers stay as they are, to the bit: images keep their numbers in the catalogue, and the postings of an image their
    order. Word by word the lists are copied, so memory does not grow with the segments.

    Raises:
        StoreError: a segment is damaged; damage must not get a new checksum.
        OSError: the index cannot be written.
    """
    for record in snapshot.catalog.segments():
        if record.id in numbers:
            for problem in damaged_files(segment_folder(folder, record.id), record.manifest):
                raise StoreError(f"{problem}; see featmatch check {folder}")
    removed = np.fromiter(snapshot.removed, np.int64)
    sources: list[_Source] = []
    images = 0
    for number in numbers:
        segment = snapshot.segments[number]
        live = ~np.isin(segment.ids, removed)
        sources.append(_Source(segment, np.where(live, np.cumsum(live) - 1 + images, -1)))
        images += int(live.sum())
    with change_catalog(folder / CATALOG) as change:
        new = change.next_segment() if images else None
        if new is not None:
            tables = {name: _of_images(sources, name) for name in IMAGE_COLUMNS}
            writer = SegmentWriter(segment_folder(folder, new), tables, vocabulary_size)
            with writer:
                for first, last in _parts(sources, vocabulary_size):
                    writer.append(*_merged(sources, first, last))
                for source in sources:
                    for row in np.flatnonzero(source.renumbered >= 0).tolist():
                        writer.append_picture(source.segment.picture(row))
            change.add_segment(new, images, int(tables["features"].sum(dtype=np.int64)), writer.manifest_sha256)
        change.replace_segments(numbers, new)
    for number in numbers:  # readers that have them open keep what they mapped
        shutil.rmtree(segment_folder(folder, number), ignore_errors=True)


def merge_due(reader: Reader) -> None:
    """Merge segments by tiers, as long as there are too many. The caller is the writer (``become_writer``).

    Raises:
        StoreError: a segment is damaged.
        OSError: the index cannot be written.
    """
    reader.refresh()
    while numbers := due(reader.snapshot.catalog.segments()):
        merge(reader.folder, reader.snapshot, numbers, len(reader.vocabulary))
        reader.refresh()


def compact(reader: Reader) -> None:
    """Merge all segments, cut their lists as is due, and give back the room of what was removed; as ``merge_due``."""
    outdated = [number for number, segment in reader.snapshot.segments.items() if segment.is_outdated]
    together = all_together(reader.snapshot.catalog.segments(), outdated)
    for numbers in together:
        merge(reader.folder, reader.snapshot, numbers, len(reader.vocabulary))
        reader.refresh()
    if together:
        with change_catalog(reader.snapshot.catalog.path) as change:
            change.shrink()


def _of_images(sources: Sequence[_Source], column: str) -> NDArray[Any]:
    return np.concatenate([getattr(source.segment, column)[source.renumbered >= 0] for source in sources])


def _parts(sources: Sequence[_Source], vocabulary_size: int) -> Iterator[tuple[int, int]]:
    """Ranges of words whose postings fit in memory; a single word always does."""
    before = np.sum([source.segment.lists.astype(np.int64) for source in sources], axis=0)
    first = 0
    while first < vocabulary_size:
        last = max(int(np.searchsorted(before, before[first] + _PART_POSTINGS, "right")) - 1, first + 1)
        yield first, last
        first = last


def _merged(sources: Sequence[_Source], first: int, last: int) -> tuple[NDArray[np.int64], Postings]:
    """The live postings of some words in all sources; those of an image in the order of its features."""
    words, columns = [], []
    for source in sources:
        offsets, postings = source.segment.lists, source.segment.postings
        rows = slice(int(offsets[first]), int(offsets[last]))
        try:
            images = source.renumbered[postings.image[rows]]
        except IndexError as error:
            raise StoreError("the index is damaged: a posting names an image that is not there") from error
        live = np.flatnonzero(images >= 0)
        lengths = offsets[first + 1 : last + 1].astype(np.int64) - offsets[first:last]
        words.append(np.repeat(np.arange(first, last), lengths)[live])
        columns.append(
            [images[live]]
            + [
                column[rows][live]
                for column in (postings.signature, postings.x, postings.y, postings.angle, postings.size)
            ]
        )
    image, *others = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return np.concatenate(words), Postings(image.astype(np.uint32), *others)
