"""Image files -> segments of an index, in parallel, a batch at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2

from featmatch.errors import ImageError, Status
from featmatch.features.extraction import FeatureOptions, extract_grey
from featmatch.features.looks import LEAST_DETAIL, whole_picture
from featmatch.images.contents import _stamp, content_of
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import may_have_pages, page_count
from featmatch.images.metadata import Metadata, read_metadata
from featmatch.images.pixels import load_grey
from featmatch.names import absolute, is_below, page_name, page_of, split_page
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.store.catalog import Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, VOCABULARY, segment_folder, vocabulary_of
from featmatch.store.places import Naming
from featmatch.store.postings import quantised
from featmatch.store.segment_writer import IndexedImage, write_segment
from featmatch.system.progress import Progress
from featmatch.system.trust import spellings
from featmatch.system.worker_loop import at_work
from featmatch.system.workers import Lost, in_order
from featmatch.words.vocabulary import Vocabulary

BATCH_IMAGES = 5000  # in a segment; what a crash can cost is the work on as many
_FEW_FILES = 12  # starting a process takes longer than indexing so few


@dataclass(frozen=True)
class Failure:
    """An image that was not indexed.

    Attributes:
        name: the path as given.
        status: why, as in the JSON output.
        message: why, in words.
    """

    name: str
    status: Status
    message: str


@dataclass(frozen=True)
class AddReport:
    """What ``add`` did, by names of images.

    Attributes:
        added: indexed now, new or changed.
        skipped: in the index already, and not changed since.
        failed: not indexed, each with its status.
        vanished: taken out, since their files are no more.
        damaged: of those added now, whose files are cut short; they were read as far as they go.
    """

    added: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Indexed:
    """One file, as a worker sends it back."""

    sha256: str
    bytes: int
    mtime_ns: int
    image: IndexedImage
    metadata: Metadata
    damaged: bool = False


@dataclass(frozen=True)
class Target:
    """The index that is added to. The caller holds the writer's lock.

    Attributes:
        folder: of the index.
        naming: how files are called in it.
        options: how features are taken.
        vocabulary_size: number of visual words.
    """

    folder: Path
    naming: Naming
    options: FeatureOptions
    vocabulary_size: int

    @property
    def catalog(self) -> Path:
        """Where the catalogue is."""
        return self.folder / CATALOG


def add_files(
    files: Sequence[str],
    target: Target,
    *,
    jobs: int,
    decoding: DecodingOptions,
    pages: bool,
    text: str | None,
    progress: Progress,
    committed: Callable[[], None],
) -> AddReport:
    """Index what is new or changed.

    Each batch becomes a segment and is committed; so is the unfinished one, whatever ends the run, before that goes on.
    The next run goes on from there.

    Args:
        files: paths, in the order in which their images are to be numbered.
        target: where to.
        jobs: processes; -1: one for each core.
        decoding: what one image may cost.
        pages: index all pages of a file that has several, not the first only. A file of which there are pages in the
            index already is indexed by pages in any case.
        text: kept with each image.
        progress: called with images done and in all.
        committed: called after each commit.
    """
    report = AddReport()
    paths, gone = _by_pages(files, target, report, pages=pages, jobs=jobs, decoding=decoding)
    pending = _commit_known(paths, target, text, report)
    batch: list[tuple[str, _Indexed]] = []

    def commit(gone: Sequence[str] = ()) -> None:
        if batch or gone:
            _commit(batch, target, text, gone)
            report.added.extend(name for name, _ in batch)
            batch.clear()

    try:
        vocabulary = target.folder.absolute() / VOCABULARY
        with contextlib.closing(_indexed(pending, vocabulary, target.options, jobs, decoding)) as results:
            for done, (path, result) in enumerate(results, 1):
                if isinstance(result, Failure):
                    report.failed.append(result)
                else:
                    name = target.naming.name_of(path)
                    batch.append((name, result))
                    if result.damaged:
                        report.damaged.append(name)
                progress(done, len(pending))
                if len(batch) == BATCH_IMAGES:
                    commit()
                    committed()
        commit(gone)
    except BaseException:
        commit()
        raise
    committed()
    return report


def remove_vanished(tops: Sequence[str], target: Target) -> list[str]:
    """Take out the names below some folders (or equal to some paths) whose files are no more; return them.

    A top that does not exist itself is left alone: its drive may not be mounted. Names that lead elsewhere, whatever
    they say, are not looked at.
    """
    there = {spelled for top in tops if os.path.exists(top) for spelled in spellings(absolute(top))}
    paths = ((name, target.naming.path_of(name)) for name in Catalog(target.catalog).names())
    vanished = [name for name, path in paths if any(is_below(top, path) for top in there) and _is_gone(path)]
    if vanished:
        with change_catalog(target.catalog) as change:
            change.remove(vanished)
    return vanished


def _is_gone(path: str) -> bool:
    try:
        os.stat(split_page(path)[0])
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it may be there; we cannot see it
    return False


def _by_pages(
    files: Sequence[str], target: Target, report: AddReport, *, pages: bool, jobs: int, decoding: DecodingOptions
) -> tuple[list[str], list[str]]:
    """The images in the files, as paths, and the names in the catalogue that stood for pages and no longer do."""
    name_of = target.naming.name_of
    names = Catalog(target.catalog).names()
    files = list(dict.fromkeys(files))
    given = {name_of(file): file for file in files}
    known: dict[str, set[str]] = {}  # by the name of the file
    for name in names:
        file, page = page_of(name) or (name, 0)
        if page and file in given and not os.path.exists(page_name(given[file], page)):
            known.setdefault(file, set()).add(name)
    if not known and not pages:
        return list(files), []
    paged = [file for file in files if name_of(file) in known or (pages and may_have_pages(file))]
    images: dict[str, list[str]] = {}
    gone: set[str] = set()
    for file, count in _in_processes(_count_pages, [(file,) for file in paged], jobs, decoding):
        if isinstance(count, Failure):
            report.failed.append(count)
            images[file] = []
            continue
        images[file] = [file] if count == 1 else [page_name(file, page) for page in range(1, count + 1)]
        name = name_of(file)
        gone |= {name, *known.get(name, ())} - {name_of(image) for image in images[file]}
    return [image for file in files for image in images.get(file, [file])], [name for name in names if name in gone]


def _commit_known(files: Sequence[str], target: Target, text: str | None, report: AddReport) -> list[str]:
    """Deal with files whose content is in the index already, and return the others, each once.

    A file of the size and time that the catalogue has is skipped. One whose content is there under its own name was
    only touched; one whose content is there under another name gets its own.
    """
    catalog = Catalog(target.catalog)
    stamps = catalog.stamps()
    sizes = {size for size, _ in stamps.values()}
    pending: list[str] = []
    known: list[tuple[str, int, int]] = []
    for path in dict.fromkeys(files):
        name = target.naming.name_of(path)
        try:
            state = os.stat(split_page(path)[0])
            if stamps.get(name) == (state.st_size, state.st_mtime_ns):
                report.skipped.append(name)
                continue
            image = catalog.image_with(content_of(path)) if state.st_size in sizes else None
        except OSError:
            image = None  # whoever opens it says what is wrong
        if image is None:
            pending.append(path)
        else:
            known.append((name, image, state.st_mtime_ns))
    if known:
        named = catalog.names_of([image for _, image, _ in known])
        with change_catalog(target.catalog) as change:
            for name, image, mtime_ns in known:
                change.name(name, image, mtime_ns, None if name in named[image] else text)
        for name, image, _ in known:
            (report.skipped if name in named[image] else report.added).append(name)
    return pending


def _indexed(
    paths: Sequence[str], vocabulary: Path, options: FeatureOptions, jobs: int, decoding: DecodingOptions
) -> Generator[tuple[str, _Indexed | Failure], None, None]:
    """Index images in parallel; results come in the order of the paths."""
    return _in_processes(_index_file, [(path, vocabulary, options, decoding) for path in paths], jobs, decoding)


def _in_processes(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], jobs: int, decoding: DecodingOptions
) -> Generator[tuple[str, Any], None, None]:
    """Each task's path, which is its first argument, with its result."""
    jobs = min(os.cpu_count() or 1 if jobs < 0 else max(jobs, 1), 1 + len(tasks) // _FEW_FILES)
    how: dict[str, Any] = {"jobs": jobs, "seconds": decoding.timeout, "memory_bytes": decoding.memory_bytes}
    with contextlib.closing(in_order(function, tasks, **how)) as results:
        for (path, *_), result in zip(tasks, results, strict=True):
            yield path, Failure(path, "decode_failed", result.reason) if isinstance(result, Lost) else result


def _count_pages(path: str) -> int | Failure:
    try:
        return page_count(path)
    except ImageError as error:
        return Failure(path, error.status, error.message)


def _index_file(
    path: str, vocabulary_path: Path, options: FeatureOptions, decoding: DecodingOptions
) -> _Indexed | Failure:
    if at_work():
        cv2.setNumThreads(1)  # the processes share the cores already
    vocabulary = _vocabulary(vocabulary_path, _stamp(vocabulary_path))
    try:
        grey = load_grey(
            path, longest_px=options.longest_px, shortest_px=options.shortest_px, colours=True, decoding=decoding
        )
        features, whole = extract_grey(grey, options), whole_picture(grey)
        if len(features) < FEWEST_FEATURES:
            if whole.detail < LEAST_DETAIL:
                return Failure(path, "too_little_detail", f"only {len(features)} features, and plain as a whole")
            features = features[:0]
        state = os.stat(split_page(path)[0])
        digest = content_of(path)
    except ImageError as error:
        return Failure(path, error.status, error.message)
    except (OSError, cv2.error) as error:
        return Failure(path, "decode_failed", str(error))
    words = vocabulary.assign(features.descriptors)
    postings = quantised(
        features.keypoints,
        features.angles,
        features.sizes,
        words.signatures[:, 0],
        max(features.width, features.height),
    )
    image = IndexedImage(features.width, features.height, words.ids[:, 0], postings, whole.phashes[0], whole.looks[0])
    return _Indexed(digest, state.st_size, state.st_mtime_ns, image, read_metadata(path), grey.damaged)


@lru_cache(maxsize=1)
def _vocabulary(path: Path, stamp: tuple[int, ...]) -> Vocabulary:
    del stamp  # tells one file at this path from the next
    return vocabulary_of(path.parent)


def _commit(batch: Sequence[tuple[str, _Indexed]], target: Target, text: str | None, gone: Sequence[str]) -> None:
    """Make a segment of the contents of a batch that are new, and one generation of the catalogue with their names.

    In the same generation names go that stand for nothing any more.
    """
    with change_catalog(target.catalog) as change:
        segment = change.next_segment()
        new: dict[int, IndexedImage] = {}
        for name, one in batch:
            image = change.image_with(one.sha256)
            if image is None:
                sides, features = (one.image.width, one.image.height), len(one.image.words)
                image = change.add_image(one.sha256, one.bytes, sides, features, segment, one.metadata)
                new[image] = one.image
            change.name(name, image, one.mtime_ns, text)
        if new:
            images = [new[image] for image in sorted(new)]
            folder = segment_folder(target.folder, segment)
            manifest = write_segment(folder, images, sorted(new), target.vocabulary_size)
            change.add_segment(segment, len(new), sum(len(image.words) for image in images), manifest)
        change.remove(gone)
