"""Is an index as it was written? What is wrong with it, and what can be done about that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featmatch.arguments import checked_path
from featmatch.errors import FeatmatchError, StoreError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.store import text_search
from featmatch.store.catalog import TEXT_SEARCH, Catalog, is_intact
from featmatch.store.generation import changing
from featmatch.store.layout import CATALOG, PAIRS, VOCABULARY, opened, segment_folder, strangers, vocabulary_of
from featmatch.store.segment import Segment, read_manifest
from featmatch.store.writing import clear_leftovers, leftovers, writing
from featmatch.system.files import sha256_of, sha256_of_rest
from featmatch.words.vocabulary import Vocabulary

_ROWS = 1 << 22  # postings looked at at once


@dataclass(frozen=True)
class CheckReport:
    """What is wrong with an index; true where nothing is.

    Attributes:
        problems: each in words, with the file that it is in.
        repairs: what was done, in words.
        remaining: the problems that are left after the repairs.
        queued: names of images whose features were lost; adding their files again brings them back.
        leftovers: files of interrupted writers (or of one at work). They do no harm, and the next writer deletes them.
        foreign: files and folders that are none of an index. They are left alone.
    """

    problems: list[str]
    repairs: list[str]
    remaining: list[str]
    queued: list[str]
    leftovers: list[str]
    foreign: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.remaining


def check(path: str | os.PathLike[str], *, repair: bool = False, wait: bool = False) -> CheckReport:
    """Compare all files of an index with their checksums, and with one another.

    Args:
        path: the index.
        repair: drop what interrupted writers left, and take out segments that are damaged: their images wait to be
            added again, and the next ``add`` of their files does that. A damaged catalogue that can still be read is
            written anew, and the next ``add`` compares every file by content. Waits for no reader. Where there is a
            link, a pipe or a device in the index, nothing is done: it may lead to what belongs to something else.
        wait: for another writer to end before the repair.

    Raises:
        StoreError: there is no index, one of another version, or one whose catalogue cannot be read; or the repair
            cannot be written.
    """
    folder = Path(checked_path(path, "path"))
    if not os.path.lexists(folder / CATALOG):
        raise StoreError(f"{folder} is no featmatch index, or none that may be read")
    if links := list(strangers(folder)):
        if repair:
            raise StoreError(f"{links[0]}; nothing is repaired before it is gone")
        return CheckReport(links, [], links, [], [])
    if not repair:
        found = _examined(folder)
        return CheckReport(found.problems, [], found.problems, found.queued, found.leftovers, found.foreign)
    with writing(folder, wait=wait):
        found = _examined(folder)
        repairs = list(_repaired(folder, found))
        after = _examined(folder) if repairs else found
    return CheckReport(found.problems, repairs, after.problems, after.queued, after.leftovers, after.foreign)


def damaged_files(folder: Path, manifest_sha256: bytes) -> list[str]:
    """What is wrong with the files of a segment, compared with their checksums."""
    problems = []
    try:
        for name, entry in read_manifest(folder, manifest_sha256).items():
            with opened(folder / name) as file:
                if sha256_of_rest(file) != entry["sha256"]:
                    problems.append(f"segment {folder} is damaged: {name} is not as it was written")
    except StoreError as error:
        problems.append(str(error))
    except OSError as error:
        problems.append(f"segment {folder} is damaged: {error}")
    return problems


@dataclass
class _Findings:
    """What one look at an index found."""

    catalog: list[str] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)
    readable: bool = True
    vocabulary: list[str] = field(default_factory=list)
    segments: dict[int, list[str]] = field(default_factory=dict)
    queued: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        in_segments = [problem for problems in self.segments.values() for problem in problems]
        return [*self.catalog, *self.pairs, *self.vocabulary, *in_segments]


def _examined(folder: Path) -> _Findings:
    """Look at everything; again, where a writer has replaced it meanwhile."""
    while True:
        intact = is_intact(folder / CATALOG)
        try:
            catalog = Catalog(folder / CATALOG)
        except StoreError as error:
            if intact:
                raise  # of another version
            raise StoreError(f"{folder} is damaged beyond repair; make it anew: {error}") from error
        found = _Findings()
        if not intact:
            found.catalog.append(f"{catalog.path} is not as it was written")
        try:
            _examine(folder, catalog, found)
        except StoreError as error:
            found.catalog.append(str(error))
            found.readable = False
        if not found.problems or not catalog.superseded:
            return found


def _examine(folder: Path, catalog: Catalog, found: _Findings) -> None:
    found.catalog.extend(f"{catalog.path}: {problem}" for problem in _catalog_problems(catalog))
    try:
        detector = FeatureOptions.of_index(catalog.meta.get("features")).detector
    except UsageError as error:
        found.catalog.append(f"{catalog.path}: it does not say what its features are: {error}")
        detector = None
    found.queued = catalog.queued()
    found.leftovers, found.foreign = ([str(path) for path in paths] for paths in leftovers(folder, catalog))
    from featmatch.grouping import remembered

    if remembered.is_damaged(folder):
        found.pairs.append(f"{folder / PAIRS} is not as it was written")
    found.vocabulary, words = _vocabulary_problems(folder, catalog, detector)
    for record in catalog.segments():
        where = segment_folder(folder, record.id)
        problems = damaged_files(where, record.manifest)
        if not problems and words:
            try:
                segment = Segment.open(where, words, record.manifest)
                problems += [
                    f"segment {where}: {problem}" for problem in _segment_problems(segment, catalog, record.id)
                ]
            except StoreError as error:
                problems.append(str(error))
        counts = catalog.rows(_COUNTS, record.id, record.id)
        if counts != [(record.images, record.features)]:
            problems.append(f"segment {where}: the catalogue's counts do not fit")
        if problems:
            found.segments[record.id] = problems


def _vocabulary_problems(folder: Path, catalog: Catalog, detector: str | None) -> tuple[list[str], int]:
    """What is wrong with the vocabulary, and how many words it has; 0, where that is not known."""
    path = folder / VOCABULARY
    try:
        with opened(path) as file:
            is_as_written = sha256_of_rest(file) == catalog.meta.get("vocabulary_file")
        vocabulary = vocabulary_of(folder)
    except (FeatmatchError, OSError) as error:
        return [f"{path}: {error}"], 0
    problems = []
    if not is_as_written:
        problems.append(f"{path} is not as it was written")
    if vocabulary.fingerprint != catalog.meta.get("vocabulary"):
        problems.append(f"{path} is another one than the index was made with")
    if detector is not None and vocabulary.detector != detector:
        problems.append(f"{path} is for {vocabulary.detector}, and the index for {detector}")
    return problems, len(vocabulary)


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


def _catalog_problems(catalog: Catalog) -> Iterator[str]:
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


def _segment_problems(segment: Segment, catalog: Catalog, number: int) -> Iterator[str]:
    expected = catalog.rows(
        "SELECT id, width, height, features FROM images WHERE segment = ? "
        "UNION ALL SELECT image, NULL, NULL, features FROM tombstones WHERE segment = ?",
        number, number,
    )  # fmt: skip
    columns = (segment.ids, segment.widths, segment.heights, segment.features)
    there: dict[int, tuple[Any, ...]] = {
        row[0]: row for row in zip(*(column.tolist() for column in columns), strict=True)
    }
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
    counts = np.zeros(len(segment.ids), np.int64)
    column = segment.postings.image
    for start in range(0, len(column), _ROWS):
        part = column[start : start + _ROWS]
        if (part >= len(counts)).any():
            yield "a posting names an image that is not there"
            return
        counts += np.bincount(part, minlength=len(counts))
        before = column[max(start - 1, 0) : start + _ROWS]
        descents = np.flatnonzero(before[1:] < before[:-1]) + max(start, 1)
        if not np.isin(descents, segment.offsets).all():
            yield "a posting list is not in order"
    if (counts != segment.features).any():
        yield "an image has not as many postings as features"


def _repaired(folder: Path, found: _Findings) -> Iterator[str]:
    """Mend what can be mended; each repair in words."""
    if not found.readable:
        raise StoreError(f"{folder} is damaged beyond repair; make it anew: {found.catalog[-1]}")
    fresh = _fresh_vocabulary(folder) if found.vocabulary else None
    if fresh is not None:
        fresh.save(folder / VOCABULARY)
    if found.catalog or found.segments or fresh is not None:
        with changing(folder / CATALOG) as change:
            if found.segments:
                change.replace_segments(list(found.segments), None)
            if fresh is not None:
                change.describe("vocabulary_file", sha256_of(folder / VOCABULARY))
            if found.catalog:
                change.distrust()
    if found.catalog:
        yield "wrote the catalogue anew; the next add of the same paths compares each file by content"
    if fresh is not None:
        yield "wrote the vocabulary anew"
    if found.pairs:
        (folder / PAIRS).unlink()
        yield f"deleted {folder / PAIRS}; the next groups finds its pairs again"
    for number in found.segments:
        yield f"took segment {number:06d} out; its images wait to be added again"
    for path in clear_leftovers(folder):
        yield f"deleted {path}"


def _fresh_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary of the index, from its own file or from the shipped ones, if it can be had."""
    meta = Catalog(folder / CATALOG).meta
    for is_own in (True, False):
        try:
            vocabulary = vocabulary_of(folder) if is_own else Vocabulary.shipped(meta["features"]["detector"])
        except (FeatmatchError, KeyError, TypeError):
            continue
        if vocabulary.fingerprint == meta.get("vocabulary"):
            return vocabulary
    return None
