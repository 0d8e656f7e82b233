"""Image files -> segments of an index, in parallel, a batch at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2

from featmatch.catalog import Catalog
from featmatch.errors import ImageError, Status
from featmatch.features import FeatureOptions, extract
from featmatch.files import is_below, name_below, path_below, sha256_of
from featmatch.generation import changing
from featmatch.segment import IndexedImage, quantised, segment_folder, write_segment
from featmatch.verification import FEWEST_FEATURES
from featmatch.vocabulary import Vocabulary

Progress = Callable[[int, int], None]

BATCH_IMAGES = 5000  # in a segment; what a crash can cost is the work on as many
_FEW_FILES = 24  # starting processes takes longer than indexing so few


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
    """

    added: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Indexed:
    """One file, as a worker sends it back."""

    sha256: str
    bytes: int
    mtime_ns: int
    image: IndexedImage


@dataclass(frozen=True)
class Target:
    """The index that is added to. The caller holds the writer's lock.

    Attributes:
        folder: of the index.
        root: the folder that names are relative to, or None.
        options: how features are taken.
        vocabulary_size: number of visual words.
    """

    folder: Path
    root: str | None
    options: FeatureOptions
    vocabulary_size: int

    @property
    def catalog(self) -> Path:
        """Where the catalogue is."""
        return self.folder / "catalog.sqlite"


def add_files(
    files: Sequence[str],
    target: Target,
    *,
    jobs: int,
    text: str | None,
    progress: Progress,
    committed: Callable[[], None],
) -> AddReport:
    """Index what is new or changed.

    Each batch becomes a segment and is committed, so whatever ends the run, what was committed stays, and the next run
    goes on from there. An interrupt commits the unfinished batch first.

    Args:
        files: paths, in the order in which their images are to be numbered.
        target: where to.
        jobs: processes; -1: one for each core.
        text: kept with each image.
        progress: called with images done and in all.
        committed: called after each commit.
    """
    report = AddReport()
    pending = _commit_known(files, target, text, report)
    batch: list[tuple[str, _Indexed]] = []

    def commit() -> None:
        if batch:
            _commit(batch, target, text)
            report.added.extend(name for name, _ in batch)
            batch.clear()

    try:
        with contextlib.closing(_indexed(pending, target.folder / "vocabulary.npz", target.options, jobs)) as results:
            for done, (path, result) in enumerate(results, 1):
                if isinstance(result, Failure):
                    report.failed.append(result)
                else:
                    batch.append((name_below(target.root, path), result))
                progress(done, len(pending))
                if len(batch) == BATCH_IMAGES:
                    commit()
                    committed()
    except KeyboardInterrupt:
        commit()
        raise
    commit()
    committed()
    return report


def remove_vanished(tops: Sequence[str], target: Target) -> list[str]:
    """Take out the names below some folders (or equal to some paths) whose files are no more; return them.

    A top that does not exist itself is left alone: its drive may not be mounted.
    """
    below = [name_below(target.root, os.path.normpath(top)) for top in tops if os.path.exists(top)]
    vanished = [
        name
        for name in Catalog(target.catalog).names()
        if any(is_below(top, name) for top in below) and _is_gone(path_below(target.root, name))
    ]
    if vanished:
        with changing(target.catalog) as change:
            change.remove(vanished)
    return vanished


def _is_gone(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it may be there; we cannot see it
    return False


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
        name = name_below(target.root, path)
        try:
            state = os.stat(path)
            if stamps.get(name) == (state.st_size, state.st_mtime_ns):
                report.skipped.append(name)
                continue
            image = catalog.image_with(sha256_of(path)) if state.st_size in sizes else None
        except OSError:
            image = None  # whoever opens it says what is wrong
        if image is None:
            pending.append(path)
        else:
            known.append((name, image, state.st_mtime_ns))
    if known:
        named = catalog.names_of([image for _, image, _ in known])
        with changing(target.catalog) as change:
            for name, image, mtime_ns in known:
                change.name(name, image, mtime_ns, None if name in named[image] else text)
        for name, image, _ in known:
            (report.skipped if name in named[image] else report.added).append(name)
    return pending


def _indexed(
    names: Sequence[str], vocabulary: Path, options: FeatureOptions, jobs: int
) -> Generator[tuple[str, _Indexed | Failure], None, None]:
    """Index files in parallel; results come in the order of the names."""
    if len(names) < _FEW_FILES or jobs == 1:
        yield from ((name, _index_file(name, vocabulary, options)) for name in names)
        return
    import joblib  # a fifth of a second that a query need not wait for

    results = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=4, pre_dispatch="4*n_jobs")(
        joblib.delayed(_index_file)(name, vocabulary, options) for name in names
    )
    try:
        yield from zip(names, results, strict=True)
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib's, of work that an interrupt leaves unused
            results.close()


def _index_file(name: str, vocabulary_path: Path, options: FeatureOptions) -> _Indexed | Failure:
    if multiprocessing.parent_process() is not None:
        cv2.setNumThreads(1)  # the processes share the cores already
    vocabulary = _vocabulary(vocabulary_path)
    try:
        features = extract(name, options)
        if len(features) < FEWEST_FEATURES:
            return Failure(name, "too_little_detail", f"only {len(features)} features")
        state = os.stat(name)
        digest = sha256_of(name)
    except ImageError as error:
        return Failure(name, error.status, error.message)
    except OSError as error:
        return Failure(name, "decode_failed", str(error))
    words = vocabulary.assign(features.descriptors)
    postings = quantised(
        features.keypoints,
        features.angles,
        features.sizes,
        words.signatures[:, 0],
        max(features.width, features.height),
    )
    image = IndexedImage(features.width, features.height, words.ids[:, 0], postings)
    return _Indexed(digest, state.st_size, state.st_mtime_ns, image)


@lru_cache(maxsize=1)
def _vocabulary(path: Path) -> Vocabulary:
    return Vocabulary.load(path)


def _commit(batch: Sequence[tuple[str, _Indexed]], target: Target, text: str | None) -> None:
    """Make a segment of the contents of a batch that are new, and one generation of the catalogue with their names."""
    with changing(target.catalog) as change:
        segment = change.next_segment()
        new: dict[int, IndexedImage] = {}
        for name, one in batch:
            image = change.image_with(one.sha256)
            if image is None:
                width, height, features = one.image.width, one.image.height, len(one.image.words)
                image = change.add_image(one.sha256, one.bytes, width, height, features, segment)
                new[image] = one.image
            change.name(name, image, one.mtime_ns, text)
        if new:
            images = [new[image] for image in sorted(new)]
            folder = segment_folder(target.folder, segment)
            manifest = write_segment(folder, images, sorted(new), target.vocabulary_size)
            change.add_segment(segment, len(new), sum(len(image.words) for image in images), manifest)
