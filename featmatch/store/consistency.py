"""Do the parts of an index fit together: catalogue, vocabulary and segments? Each problem in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featmatch.errors import FeatmatchError
from featmatch.features.detectors import descriptors_of
from featmatch.images.stored import read_head
from featmatch.store import text_search
from featmatch.store.catalog import TEXT_SEARCH, Catalog
from featmatch.store.layout import VOCABULARY, open_index_file, vocabulary_of
from featmatch.store.parts import Source, damaged_part
from featmatch.store.records import SegmentRecord
from featmatch.store.segment import Segment, parts_of
from featmatch.store.values import Row
from featmatch.system.files import sha256_of_rest

_ROWS = 1 << 22  # postings looked at at once
_COUNTS = "SELECT count(*), coalesce(sum(features), 0) FROM {} WHERE segment = ?"
_OF_PART = """
    SELECT (SELECT count(*) FROM {schema}.images), (SELECT count(*) FROM {schema}.names),
    (SELECT coalesce(sum(features), 0) FROM {schema}.images), (SELECT coalesce(max(id), 0) FROM {schema}.names)"""
_STRAYING = """
    SELECT image FROM hidden WHERE part = ? AND (features, names) IS NOT (
        SELECT features, (SELECT count(*) FROM {schema}.names WHERE image = one.id)
        FROM {schema}.images AS one WHERE one.id = hidden.image) LIMIT 20"""
_TWICE = """
    SELECT * FROM (SELECT id, {what} AS it FROM {one}) AS here
    WHERE EXISTS (SELECT 1 FROM {other} WHERE {what} = here.it) LIMIT 20"""


# What each finds is wrong; the words go before the numbers of the rows.
_INCONSISTENCIES = {
    "there is no name of image": "SELECT id FROM {images} WHERE id NOT IN (SELECT image FROM {schema}.names)",
    "there is no image of name": "SELECT id FROM {names} WHERE image NOT IN (SELECT id FROM {schema}.images)",
    "there is no such segment of image": """
        SELECT id FROM {images} WHERE segment IS NOT NULL AND segment NOT IN (SELECT id FROM segments)
        UNION ALL SELECT image FROM tombstones WHERE segment NOT IN (SELECT id FROM segments)""",
    "both live and removed is image": """
        SELECT image FROM tombstones WHERE EXISTS (SELECT 1 FROM {images} WHERE id = tombstones.image)""",
}


def catalog_problems(catalog: Catalog) -> Iterator[str]:
    """What is wrong with a catalogue, in words.

    Raises:
        StoreError: it is so damaged that the rest of it cannot be read.
    """
    told = [str(message) for (message,) in catalog.rows("PRAGMA integrity_check(20)") if message != "ok"]
    of_words = [message for message in told if "fts5" in message.lower()]
    yield from (message for message in told if message not in of_words)
    for _ in catalog.images():  # each is compared with what can be
        pass
    if catalog.meta.get(TEXT_SEARCH):
        for source in catalog.sources:
            for problem in text_search.problems(catalog.rows, source.select, source.schema):
                of_words = []  # SQLite tells of the same, from 3.44 on
                yield problem
    yield from of_words
    for words, statement in _INCONSISTENCIES.items():
        for (number,) in catalog.each(f"{statement} LIMIT 20"):
            yield f"{words} {number}"
    yield from _problems_of_parts(catalog)


def _problems_of_parts(catalog: Catalog) -> Iterator[str]:
    for part in catalog.part_files:
        if (problem := damaged_part(catalog.path.parent, part)) is not None:
            yield problem
        select = Source.of_part(part).select
        if catalog.rows(select(_OF_PART)) != [(part.images, part.names, part.features, part.last_name)]:
            yield f"the counts of part {part.id} do not fit"
        for (image,) in catalog.rows(select("SELECT id FROM {images} WHERE segment IS NULL LIMIT 20")):
            yield f"there is no segment of image {image}"
        for (image,) in catalog.rows(select(_STRAYING), part.id):
            yield f"not as it was hidden is image {image}"
    for one, other in itertools.combinations(catalog.sources, 2):
        for table, what in (("images", "id"), ("images", "sha256"), ("names", "id"), ("names", "name")):
            tables = {"one": getattr(one, table), "other": getattr(other, table)}
            for number, _ in catalog.rows(_TWICE.format(what=what, **tables)):
                yield f"in two places are {table} {number}"


def segment_problems(segment: Segment, catalog: Catalog, number: int) -> Iterator[str]:
    """Where a segment, of this number in the catalogue, is not in order or not as the catalogue has it; in words."""
    expected = catalog.each("SELECT id, width, height, features FROM {images} WHERE segment = ?", number)
    expected += catalog.rows("SELECT image, NULL, NULL, features FROM tombstones WHERE segment = ?", number)
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
    counts = catalog.each(_COUNTS.format("{images}"), record.id) + catalog.rows(_COUNTS.format("tombstones"), record.id)
    if tuple(map(sum, zip(*counts, strict=True))) != (record.images, record.features):
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
