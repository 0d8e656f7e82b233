"""Do the parts of an index fit together: catalogue, vocabulary and segments? Each problem in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featmatch.errors import FeatmatchError
from featmatch.features.detectors import descriptors_of
from featmatch.images.stored import read_head
from featmatch.store import text_search
from featmatch.store.catalog import TEXT_SEARCH, Catalog
from featmatch.store.layout import VOCABULARY, open_index_file, vocabulary_of
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import Segment, parts_of
from featmatch.store.values import Row
from featmatch.system.files import sha256_of_rest

_ROWS = 1 << 22  # postings looked at at once
_COUNTS = """
    SELECT count(*), coalesce(sum(features), 0) FROM (
        SELECT features FROM images WHERE segment = ? UNION ALL SELECT features FROM tombstones WHERE segment = ?)"""


# What each finds is wrong; the words go before the numbers of the rows.
_INCONSISTENCIES = {
    "there is no name of image": "SELECT id FROM images WHERE id NOT IN (SELECT image FROM names)",
    "there is no image of name": "SELECT id FROM names WHERE image NOT IN (SELECT id FROM images)",
    "there is no such segment of image": """
        SELECT id FROM images WHERE segment IS NOT NULL AND segment NOT IN (SELECT id FROM segments)
        UNION ALL SELECT image FROM tombstones WHERE segment NOT IN (SELECT id FROM segments)""",
    "both live and removed is image": "SELECT image FROM tombstones WHERE image IN (SELECT id FROM images)",
}


def catalog_problems(catalog: Catalog) -> Iterator[str]:
    """What is wrong with a catalogue, in words.

    Raises:
        StoreError: it is so damaged that the rest of it cannot be read.
    """
    for (message,) in catalog.rows("PRAGMA integrity_check(20)"):
        if message != "ok":
            yield str(message)
    for _ in catalog.images():  # each is compared with what can be
        pass
    if catalog.meta.get(TEXT_SEARCH):
        yield from text_search.problems(catalog.rows)
    for words, statement in _INCONSISTENCIES.items():
        for (number,) in catalog.rows(f"{statement} LIMIT 20"):
            yield f"{words} {number}"


def segment_problems(segment: Segment, catalog: Catalog, number: int) -> Iterator[str]:
    """Where a segment, of this number in the catalogue, is not in order or not as the catalogue has it; in words."""
    expected = catalog.rows(
        "SELECT id, width, height, features FROM images WHERE segment = ? "
        "UNION ALL SELECT image, NULL, NULL, features FROM tombstones WHERE segment = ?",
        number, number,
    )  # fmt: skip
    columns = (segment.ids, segment.widths, segment.heights, segment.features)
    there: dict[int, Row] = {row[0]: row for row in zip(*(column.tolist() for column in columns), strict=True)}
    if len(there) != len(segment.ids):
        yield "an image is in it twice"
    for row in expected:
        found = there.pop(row[0], None)
        if found is None:
            yield f"image {row[0]} is not in it"
        elif found != row and (row[1] is not None or found[3] != row[3]):
            yield f"image {row[0]} is not as the catalogue has it"
    for image in there:
        yield f"image {image} is not in the catalogue"
    for place in np.flatnonzero(segment.picture_bytes).tolist():
        try:
            read_head(segment.picture(place))
        except ValueError as error:
            yield f"of image {segment.ids[place]}, {error}"
    counts = np.zeros(len(segment.ids), np.int64)
    column = segment.postings.image
    for start in range(0, len(column), _ROWS):
        part = column[start : start + _ROWS]
        if (part >= len(counts)).any():
            yield "a posting names an image that is not there"
            return
        counts += np.bincount(part, minlength=len(counts))
        if not _is_in_order(segment, start, start + len(part)):
            yield "a posting list is not in order"
    if (counts != segment.features).any():
        yield "an image has not as many postings as features"


def _is_in_order(segment: Segment, start: int, end: int) -> bool:
    """Whether some postings are in the parts of lists where their signatures belong, and there ordered by image."""
    offsets, column = segment.offsets, segment.postings.image
    first, last = np.searchsorted(offsets, [start, end - 1], "right") - 1
    bounds = np.clip(offsets[first : last + 2].astype(np.int64), start, end)
    places = np.repeat(np.arange(first, last + 1), np.diff(bounds))
    if (places % segment.parts != parts_of(segment.postings.signature[start:end], segment.parts)).any():
        return False
    before = column[max(start - 1, 0) : end]
    descents = np.flatnonzero(before[1:] < before[:-1]) + max(start, 1)
    return bool((offsets[np.searchsorted(offsets, descents)] == descents).all())


def count_problems(record: SegmentRecord, catalog: Catalog) -> Iterator[str]:
    """Whether a segment has as many images and features as the catalogue says of it."""
    if catalog.rows(_COUNTS, record.id, record.id) != [(record.images, record.features)]:
        yield "the catalogue's counts do not fit"


def vocabulary_problems(folder: Path, catalog: Catalog, detector: str | None) -> tuple[list[str], int]:
    """What is wrong with the vocabulary, and how many words it has; 0, where that is not known."""
    path = folder / VOCABULARY
    try:
        with open_index_file(path) as file:
            is_as_written = sha256_of_rest(file) == catalog.meta.get("vocabulary_file")
        vocabulary = vocabulary_of(folder)
    except (FeatmatchError, OSError) as error:
        return [f"{path}: {error}"], 0
    problems = []
    if not is_as_written:
        problems.append(f"{path} is not as it was written")
    if vocabulary.fingerprint != catalog.meta.get("vocabulary"):
        problems.append(f"{path} is another one than the index was made with")
    if detector is not None and vocabulary.detector != descriptors_of(detector):
        problems.append(f"{path} is for {vocabulary.detector}, and the index for {detector}")
    return problems, len(vocabulary)
