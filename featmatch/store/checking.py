"""Is an index as it was written? What is wrong with it, and what can be done about that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featmatch.arguments import checked_path
from featmatch.errors import FeatmatchError, StoreError, UsageError
from featmatch.features.extraction import FeatureOptions
from featmatch.store import pair_log
from featmatch.store.catalog import Catalog
from featmatch.store.consistency import catalog_problems, count_problems, segment_problems, vocabulary_problems
from featmatch.store.database import is_intact
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, PAIRS, VOCABULARY, no_index, segment_folder, strangers, vocabulary_of
from featmatch.store.segment import Segment, damaged_files
from featmatch.store.writing import clear_leftovers, hold_writer_lock, leftovers
from featmatch.system.files import sha256_of
from featmatch.words.vocabulary import Vocabulary


@dataclass(frozen=True)
class CheckReport:
    """What is wrong with an index; true where nothing is.

    Attributes:
        problems: each in words, with the file that it is in.
        repairs: what was done, in words.
        remaining: the problems that are left after the repairs.
        queued: names of images whose features were lost; adding their files again brings them back.
        leftovers: files of interrupted writers (or of one at work). They do no harm, and the next writer deletes them.
        foreign: files and folders that do not belong to an index. They are left alone.
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
        repair: delete what interrupted writers left, and drop damaged segments: their images wait until the next
            ``add`` of their files. A damaged catalogue that can still be read is written anew, and the next ``add``
            compares every file by content. Waits for no reader. Nothing is done where there is a link, a pipe or a
            device in the index: it may lead to files of something else.
        wait: for another writer to end before the repair.

    Raises:
        StoreError: there is no index, one of another version, or one whose catalogue cannot be read; or the repair
            cannot be written.

    >>> import featmatch
    >>> added = featmatch.Index.open("photos.fm", create=True).add(["photos"], jobs=1)
    >>> bool(check("photos.fm"))
    True
    """
    folder = Path(checked_path(path, "path"))
    if not os.path.lexists(folder / CATALOG):
        raise no_index(folder)
    if links := list(strangers(folder)):
        if repair:
            raise StoreError(f"{links[0]}; nothing is repaired before it is gone")
        return CheckReport(links, [], links, [], [])
    if not repair:
        found = _examined(folder)
        return CheckReport(found.problems, [], found.problems, found.queued, found.leftovers, found.foreign)
    with hold_writer_lock(folder, wait=wait):
        found = _examined(folder)
        repairs = list(_repaired(folder, found))
        after = _examined(folder) if repairs else found
    return CheckReport(found.problems, repairs, after.problems, after.queued, after.leftovers, after.foreign)


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
    found.catalog.extend(f"{catalog.path}: {problem}" for problem in catalog_problems(catalog))
    try:
        detector = FeatureOptions.of_index(catalog.meta.get("features")).detector
    except UsageError as error:
        found.catalog.append(f"{catalog.path}: it does not say what its features are: {error}")
        detector = None
    found.queued = catalog.queued()
    found.leftovers, found.foreign = ([str(path) for path in paths] for paths in leftovers(folder, catalog))
    if pair_log.is_damaged(folder):
        found.pairs.append(f"{folder / PAIRS} is not as it was written")
    found.vocabulary, words = vocabulary_problems(folder, catalog, detector)
    for record in catalog.segments():
        where = segment_folder(folder, record.id)
        problems = damaged_files(where, record.manifest)
        if not problems and words:
            try:
                segment = Segment.open(where, words, record.manifest)
                problems += [f"segment {where}: {problem}" for problem in segment_problems(segment, catalog, record.id)]
            except StoreError as error:
                problems.append(str(error))
        problems += [f"segment {where}: {problem}" for problem in count_problems(record, catalog)]
        if problems:
            found.segments[record.id] = problems


def _repaired(folder: Path, found: _Findings) -> Iterator[str]:
    """Mend what can be mended; each repair in words."""
    if not found.readable:
        raise StoreError(f"{folder} is damaged beyond repair; make it anew: {found.catalog[-1]}")
    fresh = _fresh_vocabulary(folder) if found.vocabulary else None
    if fresh is not None:
        fresh.save(folder / VOCABULARY)
    if found.catalog or found.segments or fresh is not None:
        with change_catalog(folder / CATALOG) as change:
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
