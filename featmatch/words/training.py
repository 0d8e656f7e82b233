"""Training a vocabulary: images -> descriptors, in a temporary file -> words, and how much each says (idf)."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_kind, check_options, check_run, checked_paths
from featmatch.errors import ImageError, UsageError
from featmatch.features.detectors import descriptor_size, descriptors_of
from featmatch.features.extraction import FeatureOptions, Features, extract_grey, features_wanted
from featmatch.images.decoding import DecodingOptions
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_grey
from featmatch.system.progress import StageProgress, ignore
from featmatch.system.workers import Lost, in_order, processes_for
from featmatch.words.kmeans import Clusters, ordered_by_cell
from featmatch.words.signatures import forms_of, signature_projection
from featmatch.words.vocabulary import Vocabulary
from featmatch.words.vocabulary_check import SEARCHES


@dataclass(frozen=True)
class TrainingOptions:
    """How a vocabulary is trained."""

    words: int = 65_536  # visual words, all forms counted; a multiple of the forms
    cells: int = 0  # cells of the two-level search, all forms counted; 0: about the square root of words
    scales: tuple[float, ...] = (1.0,)  # each image is looked at in these sizes, as parts of its working size
    rounds: int = 3  # passes of k-means over all descriptors, after the start by cells
    search: str = "two-level"  # how words will be found, one of SEARCHES
    seed: int = 20120924

    def __post_init__(self) -> None:
        check_options(self)
        if not 4 <= self.words <= 1 << 22:
            raise UsageError("words is 4 to 4194304")
        if not 0 <= self.cells <= min(self.words, 1 << 14):
            raise UsageError("cells is at most words, and at most 16384")
        if self.search not in SEARCHES:
            raise UsageError(f"unknown word search {self.search!r}; one of {', '.join(SEARCHES)}")
        if not self.scales or not all(0.05 <= scale <= 4 for scale in self.scales):
            raise UsageError("scales are 0.05 to 4")


def train_vocabulary(
    paths: Iterable[str | os.PathLike[str]] | Iterable[Features],
    *,
    features: str | FeatureOptions = "sift",
    words: int = 65_536,
    options: TrainingOptions | None = None,
    jobs: int = -1,
    progress: StageProgress | None = None,
) -> Vocabulary:
    """Train a vocabulary on images.

    Descriptors go to a temporary file, so neither they nor the images need fit in memory. The result depends on the
    images, the options and the seed, and not on ``jobs``.

    Args:
        paths: files and folders of images; or the ``Features`` of images, all of one detector, which may be another
            tool's. Of those, ``features``, ``jobs`` and scales say nothing.
        features: a detector by name, or the options to extract with.
        words: number of visual words, all forms counted. ``options`` overrides it.
        options: the rest of what can be chosen.
        jobs: processes to extract with; -1: one for each core, -2: one less, and so on.
        progress: called with a stage, what is done, and the total.

    Raises:
        UsageError: there are fewer descriptors than words; an argument cannot be meant, or features are of several
            detectors.

    >>> train_vocabulary(["photos"], words=256, options=TrainingOptions(words=256, rounds=1), jobs=1)
    Vocabulary(detector='sift', words=256, search='two-level')
    """
    check_kind(options, "options", TrainingOptions)
    check_run(jobs, progress)
    options = options or TrainingOptions(words=words)
    taking = features_wanted(features)
    report = progress or ignore
    first, images = _first_of(paths)
    detector = descriptors_of(first.detector if isinstance(first, Features) else taking.detector)
    size, forms = descriptor_size(detector), forms_of(detector)
    if options.words % forms:
        raise UsageError(f"words is a multiple of {forms} for {detector}")
    with tempfile.TemporaryDirectory(prefix="featmatch-train-") as folder:
        spill = Path(folder) / "descriptors"
        if isinstance(first, Features):
            counts = _spill_given(images, detector, spill)
            number = len(counts)
        else:
            files = list(image_files(checked_paths(images, "paths")))
            counts = _spill_descriptors(files, taking, options.scales, spill, jobs, report)
            number = len(files)
        total = sum(counts)
        if total < options.words:
            raise UsageError(f"{number} images have {total} descriptors: too few for {options.words} words")
        descriptors: NDArray[np.uint8] = np.memmap(spill, np.uint8, "r", shape=(total, size))
        return _train(descriptors, counts, detector, options, report)


def _first_of(images: object) -> tuple[object, Any]:
    """The first of several images, and all of them."""
    if isinstance(images, (str, bytes, os.PathLike)) or not isinstance(images, Iterable):
        return None, images  # ``checked_paths`` says what is wrong
    several = iter(images)
    first = next(several, None)
    return first, several if first is None else itertools.chain([first], several)


def _spill_given(given: Iterable[object], detector: str, spill: Path) -> list[int]:
    """Write the descriptors of given features to a file, in order; return how many each image has."""
    counts = []
    with spill.open("wb") as file:
        for one in given:
            if not isinstance(one, Features) or descriptors_of(one.detector) != detector:
                raise UsageError(f"features are all of one detector, {detector}: {one!r:.60} are not")
            file.write(np.ascontiguousarray(one.descriptors).data)
            counts.append(len(one))
    return counts


def _spill_descriptors(
    files: Sequence[str],
    taking: FeatureOptions,
    scales: tuple[float, ...],
    spill: Path,
    jobs: int,
    report: StageProgress,
) -> list[int]:
    """Write the descriptors of all images to a file, in order; return how many each image has."""
    counts = []
    tasks = [(path, taking, scales) for path in files]
    processes = processes_for(jobs, len(tasks))
    results = in_order(_descriptors, tasks, jobs=processes, seconds=DecodingOptions().timeout)
    with spill.open("wb") as file, contextlib.closing(results) as found:
        for done, descriptors in enumerate(found, 1):
            if not isinstance(descriptors, Lost | None):
                file.write(descriptors.tobytes())
                counts.append(len(descriptors))
            report("features", done, len(files))
    return counts


def _descriptors(path: str, taking: FeatureOptions, scales: tuple[float, ...]) -> NDArray[np.uint8] | None:
    """The descriptors of one image in all its scales; None where it cannot be read."""
    try:
        grey = load_grey(path, longest_px=taking.longest_px, shortest_px=taking.shortest_px)
    except ImageError:
        return None
    found = []
    for scale in scales:
        long_side = max(round(max(grey.pixels.shape) * scale), 1)
        scaled = load_grey(grey.pixels, longest_px=long_side, shortest_px=long_side)
        found.append(extract_grey(scaled, taking).descriptors)
    return np.concatenate(found)


def _train(
    descriptors: NDArray[np.uint8],
    counts: Sequence[int],
    detector: str,
    options: TrainingOptions,
    report: StageProgress,
) -> Vocabulary:
    random = np.random.default_rng(options.seed)
    size = descriptors.shape[1]
    draft = Vocabulary(  # knows the detector's forms and unit; words and the rest follow
        detector,
        words=np.empty((0, size), np.uint8),
        cells=np.empty((0, size), np.uint8),
        cell_offsets=np.zeros(1, np.int64),
        projection=signature_projection(detector, size, options.seed),
        idf=np.empty(0, np.float32),
        provenance={
            "images": len(counts),
            "descriptors": int(sum(counts)),
            "scales": list(options.scales),
            "rounds": options.rounds,
            "seed": options.seed,
        },
        search=options.search,
    )
    forms, unit = draft.forms, draft.unit
    base_words = options.words // forms
    base_cells = max(1, (options.cells or round(options.words**0.5)) // forms)
    clusters = Clusters(descriptors, unit, forms, random, report)
    cells = clusters.coarse(base_cells)
    words = clusters.fine(cells, base_words)
    for round_ in range(options.rounds):
        words, offsets = ordered_by_cell(words, cells, forms)
        words = clusters.refined(words, cells, offsets, f"k-means {round_ + 1}/{options.rounds}")
    words, offsets = ordered_by_cell(words, cells, forms)
    vocabulary = replace(draft, words=words, cells=cells, cell_offsets=offsets)
    idf = _idf(vocabulary, descriptors, counts, report)
    return replace(vocabulary, idf=idf)


def _idf(
    vocabulary: Vocabulary, descriptors: NDArray[np.uint8], counts: Sequence[int], report: StageProgress
) -> NDArray[np.float32]:
    """ln(images / images with the word), each form of a word counted as an image of its own."""
    images_with = np.zeros(len(vocabulary.words), np.int64)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    for first in range(0, len(counts), 64):
        last = min(first + 64, len(counts))
        ids = vocabulary.nearest(descriptors[bounds[first] : bounds[last]])[:, 0] // vocabulary.forms
        owners = np.repeat(np.arange(first, last), counts[first:last])
        pairs = np.unique(owners * len(vocabulary.words) + ids)
        images_with += np.bincount(pairs % len(vocabulary.words), minlength=len(vocabulary.words))
        report("idf", last, len(counts))
    expected = (len(counts) + 1) * vocabulary.forms
    return np.log(expected / (images_with + 1)).clip(0.1).astype(np.float32)
