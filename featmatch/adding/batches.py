"""Image files -> segments of an index, in parallel, a batch at a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from featmatch.adding.one_image import Failure, IndexedFile, Origin, count_pages, index_file, list_pictures
from featmatch.features.extraction import FeatureOptions
from featmatch.images.archives import is_archive
from featmatch.images.contents import content_of
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.sources import may_have_pages
from featmatch.names import before_page, member_name, member_of, page_name, page_of, whole_file
from featmatch.store.catalog import PICTURES, Catalog
from featmatch.store.generation import change_catalog
from featmatch.store.layout import CATALOG, VOCABULARY, segment_folder
from featmatch.store.places import Naming
from featmatch.store.segment_writer import IndexedImage, write_segment
from featmatch.system.progress import Progress
from featmatch.system.workers import Lost, in_order, processes_for

BATCH_IMAGES = 5000  # of a segment; a crash costs the work on no more
_LOOKED_UP = 1000  # files that the catalogue is asked of at a time
_FEW_FILES = 12  # starting a process takes longer than indexing so few


@dataclass(frozen=True)
class AddReport:
    """What ``add`` did, by names of images.

    Attributes:
        added: indexed now, new or changed.
        skipped: in the index already, and not changed since.
        failed: not indexed, each with its status.
        vanished: removed, since their files are gone.
        damaged: those of ``added`` whose files are cut short; they were read as far as they go.
    """

    added: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def include(self, other: AddReport) -> None:
        """Count what another ``add`` did, too."""
        for name, value in vars(self).items():
            value.extend(getattr(other, name))


@dataclass(frozen=True)
class Target:
    """The index that is added to. The caller holds the writer's lock.

    Attributes:
        folder: of the index.
        naming: how files are called in it.
        options: how features are taken.
        vocabulary_size: number of visual words.
        numbers: that new images are to have, by their names; others get the next ones.
        check: raises a ``StoreError`` where this writer may commit no more; called right before each commit.
    """

    folder: Path
    naming: Naming
    options: FeatureOptions
    vocabulary_size: int
    numbers: Mapping[str, int] = field(default_factory=dict)
    check: Callable[[], object] = lambda: None

    @property
    def catalog(self) -> Path:
        """Where the catalogue is."""
        return self.folder / CATALOG


@dataclass(frozen=True)
class AddOptions:
    """How files are added; nothing of it is part of the index's fingerprint."""

    jobs: int  # processes; -1: one for each core, -2: one less, and so on
    decoding: DecodingOptions = USUAL  # what one image may cost
    # Index all pages of a file that has several, not the first only. A file of which there are pages in the index is
    # indexed by pages in any case.
    pages: bool = False
    text: str | None = None  # kept with each image
    # Keep a small grey picture of each image; None: as the index was told last, and so it does if it never was.
    pictures: bool | None = None


class Entry(NamedTuple):
    """What is about to be in the index under a name: something new, or the origin of what is there already."""

    name: str
    found: IndexedFile | Origin
    text: str | None


def add_files(
    files: Sequence[str],
    target: Target,
    options: AddOptions,
    *,
    progress: Progress,
    committed: Callable[[], None],
    report: AddReport | None = None,
) -> AddReport:
    """Index what is new or changed.

    Each batch becomes a segment and is committed. Whatever ends the run early, the unfinished batch is committed first;
    the next run goes on from there.

    Args:
        files: paths, in the order in which their images are to be numbered.
        target: the index that they are added to.
        options: how.
        progress: called with images done and in all.
        committed: called after each commit.
        report: filled as the work goes on, and returned; None: a new one.
    """
    report = AddReport() if report is None else report
    unpacked = _by_archives(files, target, options, report)
    paths, replaced = _by_pages(unpacked.paths, target, options, report)
    gone = [*unpacked.gone, *replaced]
    pending = _commit_known(paths, unpacked.sizes, target, options.text, report)
    catalog = Catalog(target.catalog)
    batch: list[Entry] = []

    def commit(gone: Sequence[str] = ()) -> None:
        if batch or gone:
            commit_batch(batch, target, gone)
            batch.clear()

    vocabulary = target.folder.absolute() / VOCABULARY
    pictures = are_pictures_kept(target, options.pictures)
    tasks = [(path, vocabulary, target.options, options.decoding, pictures) for path in pending]
    try:
        with contextlib.closing(in_processes(index_file, tasks, options)) as results:
            for done, (path, result) in enumerate(results, 1):
                if isinstance(result, Failure):
                    report.failed.append(result)
                else:
                    name = target.naming.name_of(path)
                    batch.append(Entry(name, result, options.text))
                    # Of pictures of archives that are not new, only the archive is.
                    touched = path in unpacked.sizes and catalog.content_named(name) == result.sha256
                    (report.skipped if touched else report.added).append(name)
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


def are_pictures_kept(target: Target, wanted: bool | None) -> bool:
    """Whether pictures of what is added now are kept: as wanted, which later runs hold to, or as before."""
    before = Catalog(target.catalog).meta.get(PICTURES) is not False
    if wanted is None or wanted == before:
        return before
    with change_catalog(target.catalog) as change:
        change.describe(PICTURES, wanted)
    return wanted


class _Unpacked(NamedTuple):
    """Files with the pictures of archives in their place.

    Attributes:
        paths: of files, and of pictures in archives.
        sizes: of the latter, in bytes.
        gone: names in the catalogue of pictures that the archives have no more.
    """

    paths: list[str]
    sizes: dict[str, int]
    gone: list[str]


def _by_archives(files: Sequence[str], target: Target, options: AddOptions, report: AddReport) -> _Unpacked:
    """List the pictures of the archives among the files."""
    archives = [file for file in dict.fromkeys(files) if is_archive(file) and os.path.isfile(file)]
    if not archives:
        return _Unpacked(list(files), {}, [])
    name_of = target.naming.name_of
    known: dict[str, list[str]] = {}  # by the name of the archive
    for name in Catalog(target.catalog).names_beginning(member_name(name_of(file), "") for file in archives):
        member = member_of(name)
        if member is not None:
            known.setdefault(member[0], []).append(name)
    members: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    gone: list[str] = []
    for file, listing in in_processes(list_pictures, [(file,) for file in archives], options):
        if isinstance(listing, Failure):
            report.failed.append(listing)
            members[file] = []
            continue
        own = {member_name(file, name): size for name, size in listing.sizes.items()}
        members[file], sizes = list(own), sizes | own
        for name, error in listing.refused.items():
            report.failed.append(Failure(member_name(file, name), error.status, error.message))
        if listing.damaged is not None:
            report.failed.append(Failure(file, "decode_failed", listing.damaged))
            continue
        there = {name_of(path) for path in own}
        gone += [name for name in known.get(name_of(file), ()) if name not in there]
    return _Unpacked([path for file in files for path in members.get(file, [file])], sizes, gone)


def _by_pages(
    files: Sequence[str], target: Target, options: AddOptions, report: AddReport
) -> tuple[list[str], list[str]]:
    """The images of the files, as paths of files or pages; and the names in the catalogue that these replace."""
    name_of = target.naming.name_of
    catalog = Catalog(target.catalog)
    files = list(dict.fromkeys(files))
    given = {name_of(file): file for file in files}
    known: dict[str, list[str]] = {}  # by the name of the file
    for name in catalog.names_beginning(map(before_page, given)):
        file, page = page_of(name) or (name, 0)
        if page and file in given and not os.path.exists(page_name(given[file], page)):
            known.setdefault(file, []).append(name)
    if not known and not options.pages:
        return list(files), []
    paged = [file for file in files if name_of(file) in known or (options.pages and may_have_pages(file))]
    images: dict[str, list[str]] = {}
    gone: set[str] = set()
    for file, count in in_processes(count_pages, [(file,) for file in paged], options):
        if isinstance(count, Failure):
            report.failed.append(count)
            images[file] = []
            continue
        images[file] = [file] if count == 1 else [page_name(file, page) for page in range(1, count + 1)]
        name = name_of(file)
        gone |= {name, *known.get(name, ())} - {name_of(image) for image in images[file]}
    return [image for file in files for image in images.get(file, [file])], sorted(catalog.known_among(gone))


def _commit_known(
    files: Sequence[str], sizes_in_archives: Mapping[str, int], target: Target, text: str | None, report: AddReport
) -> list[str]:
    """Name the files whose content is in the index already; return the others, each once.

    A file of the size and time that the catalogue has is skipped. One whose content is there under its own name was
    only touched. One whose content is there under another name gets a name too.
    """
    catalog = Catalog(target.catalog)
    pending: list[str] = []
    known: list[tuple[str, int, int]] = []
    distinct = list(dict.fromkeys(files))
    for start in range(0, len(distinct), _LOOKED_UP):
        named_files = {path: target.naming.name_of(path) for path in distinct[start : start + _LOOKED_UP]}
        states = {path: state for path in named_files if (state := _state_of(path)) is not None}
        stamps = catalog.stamps_of(named_files.values())
        sizes = catalog.sizes_among(state.st_size for state in states.values())
        for path, name in named_files.items():
            state, size = states.get(path), sizes_in_archives.get(path)
            if state is None:  # decoding it says what is wrong
                pending.append(path)
                continue
            if stamps.get(name) == (state.st_size if size is None else size, state.st_mtime_ns):
                report.skipped.append(name)
                continue
            looked_at = size is None and state.st_size in sizes  # what archives say is for other processes to read
            image = _image_of(path, catalog) if looked_at else None
            if image is None:
                pending.append(path)
            else:
                known.append((name, image, state.st_mtime_ns))
    if known:
        named = catalog.names_of([image for _, image, _ in known])
        with change_catalog(target.catalog) as change:
            for name, image, mtime_ns in known:
                change.name(name, image, mtime_ns, None if name in named[image] else text)
            target.check()
        for name, image, _ in known:
            (report.skipped if name in named[image] else report.added).append(name)
    return pending


def _state_of(path: str) -> os.stat_result | None:
    with contextlib.suppress(OSError):
        return os.stat(whole_file(path))
    return None


def _image_of(path: str, catalog: Catalog) -> int | None:
    """The image that has the content of a file; None: there is none, or the file cannot be read."""
    with contextlib.suppress(OSError):
        return catalog.image_with(content_of(path))
    return None


def in_processes(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], options: AddOptions
) -> Generator[tuple[str, Any], None, None]:
    """Call a function with each task in parallel; yield its path, which is the first argument, with the result."""
    processes, decoding = processes_for(options.jobs, 1 + len(tasks) // _FEW_FILES), options.decoding
    found = in_order(function, tasks, jobs=processes, seconds=decoding.timeout, memory_bytes=decoding.memory_bytes)
    with contextlib.closing(found) as results:
        for (path, *_), result in zip(tasks, results, strict=True):
            yield path, Failure(path, "decode_failed", result.reason) if isinstance(result, Lost) else result


def commit_batch(batch: Sequence[Entry], target: Target, gone: Sequence[str] = ()) -> None:
    """Write the new contents of a batch as a segment, and all its names in one generation of the catalogue.

    The same generation drops the names in ``gone``.
    """
    with change_catalog(target.catalog) as change:
        segment = change.next_segment()
        new: dict[int, IndexedImage] = {}
        for name, found, text in batch:
            image = change.image_with(found.sha256)
            if image is None:
                assert isinstance(found, IndexedFile)
                sides, features = (found.image.width, found.image.height), len(found.image.words)
                image = change.add_image(
                    found.sha256, found.bytes, sides, features, segment, found.metadata, target.numbers.get(name)
                )
                new[image] = found.image
            change.name(name, image, found.mtime_ns, text)
        if new:
            images = [new[image] for image in sorted(new)]
            folder = segment_folder(target.folder, segment)
            manifest = write_segment(folder, images, sorted(new), target.vocabulary_size)
            change.add_segment(segment, len(new), sum(len(image.words) for image in images), manifest)
        change.remove(gone)
        target.check()
