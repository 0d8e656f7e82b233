"""Image files -> segments of an index, in parallel, a batch at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from featmatch.catalog import Catalog, ImageRecord
from featmatch.errors import ImageError, Status
from featmatch.features import FeatureOptions, extract
from featmatch.formats import may_have_pages, page_count, page_name, split_page
from featmatch.segment import IndexedImage, quantised, write_segment
from featmatch.verification import FEWEST_FEATURES
from featmatch.vocabulary import Vocabulary
from featmatch.workers import Lost, in_order

Progress = Callable[[int, int], None]

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
    """

    added: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class _Indexed:
    """One file, as a worker sends it back."""

    sha256: str
    bytes: int
    mtime_ns: int
    image: IndexedImage


def add_files(
    files: Sequence[str],
    catalog: Catalog,
    folder: Path,
    options: FeatureOptions,
    vocabulary_size: int,
    *,
    jobs: int,
    seconds: float,
    pages: bool,
    text: str | None,
    progress: Progress,
) -> AddReport:
    """Index what is new or changed. The caller holds the writer's lock.

    Each batch becomes a segment and is committed, so whatever ends the run, what was committed stays, and the next run
    goes on from there. An interrupt commits the unfinished batch first.

    Args:
        files: paths, in the order in which their images are to be numbered.
        catalog: of the index.
        folder: of the index.
        options: how features are taken.
        vocabulary_size: number of visual words.
        jobs: processes; -1: one for each core.
        seconds: that one image may take.
        pages: index all pages of a file that has several, not the first only. A file of which there are pages in the
            index already is indexed by pages in any case.
        text: kept with each image.
        progress: called with images done and in all.
    """
    report = AddReport()
    stamps = catalog.stamps()
    names, gone = _by_pages(files, stamps, report, pages=pages, jobs=jobs, seconds=seconds)
    pending = _changed(names, stamps, report)
    batch: list[tuple[str, _Indexed]] = []

    def commit() -> None:
        if batch:
            _commit(batch, catalog, folder, vocabulary_size, text)
            report.added.extend(name for name, _ in batch)
            batch.clear()

    try:
        with contextlib.closing(
            _indexed(pending, folder.absolute() / "vocabulary.npz", options, jobs, seconds)
        ) as results:
            for done, (name, result) in enumerate(results, 1):
                if isinstance(result, Failure):
                    report.failed.append(result)
                else:
                    batch.append((name, result))
                progress(done, len(pending))
                if len(batch) == BATCH_IMAGES:
                    commit()
    except KeyboardInterrupt:
        commit()
        raise
    commit()
    if gone:
        catalog.remove(gone)
    return report


def _by_pages(
    files: Sequence[str],
    stamps: Mapping[str, tuple[int, int]],
    report: AddReport,
    *,
    pages: bool,
    jobs: int,
    seconds: float,
) -> tuple[list[str], list[str]]:
    """The names of the images in the files, and those in the catalogue that stood for pages and no longer do."""
    known: dict[str, list[str]] = {}
    for name in stamps:
        file, page = split_page(name)
        if page is not None:
            known.setdefault(file, []).append(name)
    paged = [file for file in dict.fromkeys(files) if file in known or (pages and may_have_pages(file))]
    names: dict[str, list[str]] = {}
    for file, count in _in_processes(_count_pages, [(file,) for file in paged], jobs, seconds):
        if isinstance(count, Failure):
            report.failed.append(count)
            names[file] = []
        else:
            names[file] = [file] if count == 1 else [page_name(file, page) for page in range(1, count + 1)]
    gone = [
        name for file, now in names.items() if now for name in {file, *known.get(file, [])} - {*now} if name in stamps
    ]
    return [name for file in files for name in names.get(file, [file])], gone


def _changed(names: Sequence[str], stamps: Mapping[str, tuple[int, int]], report: AddReport) -> list[str]:
    """The images that are not in the catalogue as they are now, each once; the others are reported as skipped."""
    pending: list[str] = []
    for name in dict.fromkeys(names):
        try:
            state = os.stat(split_page(name)[0])
            unchanged = stamps.get(name) == (state.st_size, state.st_mtime_ns)
        except OSError:
            unchanged = False  # whoever opens it says what is wrong
        (report.skipped if unchanged else pending).append(name)
    return pending


def _indexed(
    names: Sequence[str], vocabulary: Path, options: FeatureOptions, jobs: int, seconds: float
) -> Generator[tuple[str, _Indexed | Failure], None, None]:
    """Index files in parallel; results come in the order of the names."""
    return _in_processes(_index_file, [(name, vocabulary, options) for name in names], jobs, seconds)


def _in_processes(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], jobs: int, seconds: float
) -> Generator[tuple[str, Any], None, None]:
    """Each task's name, which is its first argument, with its result."""
    jobs = min(os.cpu_count() or 1 if jobs < 0 else max(jobs, 1), 1 + len(tasks) // _FEW_FILES)
    with contextlib.closing(in_order(function, tasks, jobs=jobs, seconds=seconds)) as results:
        for (name, *_), result in zip(tasks, results, strict=True):
            yield name, Failure(name, "decode_failed", result.reason) if isinstance(result, Lost) else result


def _count_pages(name: str) -> int | Failure:
    try:
        return page_count(name)
    except ImageError as error:
        return Failure(name, error.status, error.message)


def _index_file(name: str, vocabulary_path: Path, options: FeatureOptions) -> _Indexed | Failure:
    cv2.setNumThreads(1)  # the processes share the cores already
    state = os.stat(vocabulary_path)
    vocabulary = _vocabulary(vocabulary_path, (state.st_ino, state.st_mtime_ns, state.st_size))
    try:
        features = extract(name, options)
        if len(features) < FEWEST_FEATURES:
            return Failure(name, "too_little_detail", f"only {len(features)} features")
        state = os.stat(split_page(name)[0])
        digest = _sha256(name)
    except ImageError as error:
        return Failure(name, error.status, error.message)
    except (OSError, cv2.error) as error:
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
def _vocabulary(path: Path, stamp: tuple[int, ...]) -> Vocabulary:
    del stamp  # tells one file at this path from the next
    return Vocabulary.load(path)


def _sha256(name: str) -> str:
    """Of the file's content; pages of one file differ in it."""
    path, page = split_page(name)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if page is not None:
        digest.update(page_name("", page).encode())
    return digest.hexdigest()


def _commit(
    batch: Sequence[tuple[str, _Indexed]], catalog: Catalog, folder: Path, vocabulary_size: int, text: str | None
) -> None:
    first_id, segment = catalog.next_numbers()
    images = [indexed.image for _, indexed in batch]
    ids = range(first_id, first_id + len(batch))
    write_segment(folder / "segments" / f"{segment:06d}", images, ids, vocabulary_size)
    records = [
        ImageRecord(
            number, name, one.bytes, one.mtime_ns, one.sha256,
            one.image.width, one.image.height, len(one.image.words), text,
        )
        for number, (name, one) in zip(ids, batch, strict=True)
    ]  # fmt: skip
    catalog.add(segment, int(np.sum([record.features for record in records])), records)
