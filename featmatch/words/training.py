"""Training a vocabulary: k-means over a stream of descriptors that need not fit in memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from featmatch.arguments import check_kind, check_options, check_run, checked_paths
from featmatch.errors import ImageError, UsageError
from featmatch.features.extraction import DESCRIPTOR_SIZE, FeatureOptions, extract_grey, features_wanted
from featmatch.features.symmetry import SIFT_PERMUTATIONS
from featmatch.images.decoding import DecodingOptions
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_grey
from featmatch.system.workers import Lost, in_order, processes_for
from featmatch.words.nearest import TwoLevelSearch, squared_norms
from featmatch.words.vocabulary import Vocabulary, forms_of, signature_projection

Progress = Callable[[str, int, int], None]

_IMAGE_SECONDS = 60.0


@dataclass(frozen=True)
class TrainingOptions:
    """How a vocabulary is trained."""

    words: int = 65_536  # visual words, all forms counted; a multiple of the forms
    cells: int = 0  # cells of the two-level search, all forms counted; 0: about the square root of words
    scales: tuple[float, ...] = (1.0,)  # each image is looked at in these sizes, as parts of its working size
    rounds: int = 3  # passes of k-means over all descriptors, after the start by cells
    search: str = "two-level"  # how words will be found: "two-level" or "flann"
    seed: int = 20120924

    def __post_init__(self) -> None:
        check_options(self)
        if not 4 <= self.words <= 1 << 22:
            raise UsageError("words is 4 to 4194304")
        if not 0 <= self.cells <= min(self.words, 1 << 14):
            raise UsageError("cells is at most words, and at most 16384")
        if self.search not in ("two-level", "flann"):
            raise UsageError(f"unknown word search {self.search!r}; two-level or flann")
        if not self.scales or not all(0.05 <= scale <= 4 for scale in self.scales):
            raise UsageError("scales are 0.05 to 4")


def train_vocabulary(
    paths: Iterable[str | os.PathLike[str]],
    *,
    features: str | FeatureOptions = "sift",
    words: int = 65_536,
    options: TrainingOptions | None = None,
    jobs: int = -1,
    progress: Progress | None = None,
) -> Vocabulary:
    """Train a vocabulary on images.

    Descriptors go to a temporary file, so neither they nor the images need fit in memory. The result depends on the
    images, the options and the seed, and not on ``jobs``.

    Args:
        paths: files and folders of images.
        features: a detector by name, or the options to extract with.
        words: number of visual words, all forms counted. ``options`` overrides it.
        options: the rest of what can be chosen.
        jobs: processes to extract with; -1: one for each core, -2: one less, and so on.
        progress: called with a stage, what is done, and the total.

    Raises:
        UsageError: there are fewer descriptors than words; an argument cannot be meant.
    """
    check_kind(options, "options", TrainingOptions)
    check_run(jobs, progress)
    options = options or TrainingOptions(words=words)
    taking = features_wanted(features)
    files = list(image_files(checked_paths(paths, "paths")))
    report = progress or (lambda stage, done, total: None)
    size = DESCRIPTOR_SIZE[taking.detector]
    forms = forms_of(taking.detector)
    if options.words % forms:
        raise UsageError(f"words is a multiple of {forms} for {taking.detector}")
    with tempfile.TemporaryDirectory(prefix="featmatch-train-") as folder:
        spill = Path(folder) / "descriptors"
        counts = _spill_descriptors(files, taking, options.scales, spill, jobs, report)
        total = sum(counts)
        if total < options.words:
            raise UsageError(f"{len(files)} images have {total} descriptors: too few for {options.words} words")
        descriptors: NDArray[np.uint8] = np.memmap(spill, np.uint8, "r", shape=(total, size))
        return _train(descriptors, counts, taking.detector, options, report)


def _spill_descriptors(
    files: Sequence[str],
    taking: FeatureOptions,
    scales: tuple[float, ...],
    spill: Path,
    jobs: int,
    report: Progress,
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
    report: Progress,
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
    clusters = _Clusters(descriptors, unit, forms, random, report)
    cells = clusters.coarse(base_cells)
    words = clusters.fine(cells, base_words)
    for round_ in range(options.rounds):
        words, offsets = _ordered_by_cell(words, cells, forms)
        words = clusters.refined(words, cells, offsets, f"k-means {round_ + 1}/{options.rounds}")
    words, offsets = _ordered_by_cell(words, cells, forms)
    vocabulary = replace(draft, words=words, cells=cells, cell_offsets=offsets)
    idf = _idf(vocabulary, descriptors, counts, report)
    return replace(vocabulary, idf=idf)


class _Clusters:
    """k-means over all descriptors; in a closed vocabulary each is turned into the form nearest to its centre."""

    CHUNK = 1 << 17

    def __init__(
        self,
        descriptors: NDArray[np.uint8],
        unit: int,
        forms: int,
        random: np.random.Generator,
        report: Progress,
    ) -> None:
        self._descriptors = descriptors
        self._unit = unit
        self._forms = forms
        self._random = random
        self._report = report

    def coarse(self, count: int) -> NDArray[np.uint8]:
        """Base cells, from a sample: (count, D) uint8."""
        sample = self._sample(min(len(self._descriptors), max(200_000, 100 * count)))
        cells = sample[self._random.choice(len(sample), count, replace=False)] * np.uint8(self._unit)
        for done in range(20):
            bases, turned = self._turned(sample, cells)
            cells = self._means(turned, bases, cells)
            self._report("cells", done + 1, 20)
        return cells

    def fine(self, cells: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
        """Base words to start from, each cell's by itself: (count, D) uint8."""
        homes = np.empty(len(self._descriptors), np.int32)
        turns = np.empty(len(self._descriptors), np.int8)
        search = self._cell_search(cells)
        for part in self._chunks("homes"):
            homes[part], turns[part] = np.divmod(search.probe(self._descriptors[part])[:, 0], self._forms)
        members = np.bincount(homes, minlength=len(cells))
        shares = _apportion(members, count)
        words = []
        for cell, share in enumerate(shares):
            if share == 0:
                continue
            rows = np.flatnonzero(homes == cell)
            rows = np.sort(self._random.choice(rows, min(len(rows), 200 * share), replace=False))
            inside = _turn(self._descriptors[rows], turns[rows], self._forms)
            centres = inside[self._random.choice(len(inside), share, replace=False)] * np.uint8(self._unit)
            for _ in range(8):
                scores = (inside.astype(np.float32) * np.float32(2 * self._unit)) @ centres.T.astype(np.float32)
                centres = self._means(inside, (scores - squared_norms(centres)).argmax(axis=1), centres)
            words.append(centres)
            self._report("words", cell + 1, len(cells))
        return np.concatenate(words)

    def refined(
        self, words: NDArray[np.uint8], cells: NDArray[np.uint8], offsets: NDArray[np.int64], stage: str
    ) -> NDArray[np.uint8]:
        """One pass of k-means over all descriptors and all words at once (approximate: Philbin et al., CVPR 2007)."""
        search = TwoLevelSearch(words, cells, offsets, unit=self._unit, forms=self._forms, probes=8)
        sums = np.zeros(words.shape, np.float64)
        members = np.zeros(len(words), np.int64)
        for part in self._chunks(stage):
            inside = self._descriptors[part]
            bases, turns = np.divmod(search.nearest(inside, 1)[:, 0], self._forms)
            sums += _sums(_turn(inside, turns, self._forms), bases, len(words))
            members += np.bincount(bases, minlength=len(words))
        means = np.rint(sums * self._unit / np.maximum(members, 1)[:, None]).astype(np.uint8)
        return np.where(members[:, None] > 0, means, words)

    def _turned(
        self, inside: NDArray[np.uint8], cells: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        bases, turns = np.divmod(self._cell_search(cells).probe(inside)[:, 0], self._forms)
        return bases, _turn(inside, turns, self._forms)

    def _cell_search(self, cells: NDArray[np.uint8]) -> TwoLevelSearch:
        return TwoLevelSearch(cells, cells, np.arange(len(cells) + 1), unit=self._unit, forms=self._forms, probes=1)

    def _means(
        self, inside: NDArray[np.uint8], nearest: NDArray[np.integer], centres: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        members = np.bincount(nearest, minlength=len(centres))
        sums = _sums(inside, nearest, len(centres)) * self._unit
        means = np.rint(sums / np.maximum(members, 1)[:, None]).astype(np.uint8)
        empty = np.flatnonzero(members == 0)
        means[empty] = inside[self._random.choice(len(inside), len(empty))] * np.uint8(self._unit)
        return means

    def _sample(self, count: int) -> NDArray[np.uint8]:
        rows = np.sort(self._random.choice(len(self._descriptors), count, replace=False))
        return self._descriptors[rows]

    def _chunks(self, stage: str) -> Iterable[slice]:
        for start in range(0, len(self._descriptors), self.CHUNK):
            yield slice(start, start + self.CHUNK)
            self._report(stage, min(start + self.CHUNK, len(self._descriptors)), len(self._descriptors))


def _ordered_by_cell(
    words: NDArray[np.uint8], cells: NDArray[np.uint8], forms: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Put each word into its nearest cell, in the form in which it is nearest."""
    search = TwoLevelSearch(cells, cells, np.arange(len(cells) + 1), unit=1, forms=forms, probes=1)
    homes, turns = np.divmod(search.probe(words)[:, 0], forms)
    order = np.argsort(homes, kind="stable")
    offsets = np.searchsorted(homes[order], np.arange(len(cells) + 1))
    return _turn(words, turns, forms)[order], offsets.astype(np.int64)


def _idf(
    vocabulary: Vocabulary, descriptors: NDArray[np.uint8], counts: Sequence[int], report: Progress
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


def _turn(descriptors: NDArray[np.uint8], turns: NDArray[np.integer], forms: int) -> NDArray[np.uint8]:
    """Each descriptor in the form given for it."""
    if forms == 1:
        return descriptors
    return np.take_along_axis(descriptors, SIFT_PERMUTATIONS[turns], axis=1)


def _sums(inside: NDArray[np.uint8], nearest: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Sums of the rows that belong to each of ``count`` centres."""
    rows = np.arange(len(inside))
    chosen = csr_array((np.ones(len(inside), np.float64), (nearest, rows)), shape=(count, len(inside)))
    return np.asarray(chosen @ inside.astype(np.float64))


def _apportion(weights: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Whole shares of ``total`` in proportion to weights, none above its weight (largest remainders)."""
    shares: NDArray[np.int64] = np.minimum((weights * (total / weights.sum())).astype(np.int64), weights)
    while (missing := total - int(shares.sum())) > 0:
        remainders = np.where(shares < weights, weights * (total / weights.sum()) - shares, -np.inf)
        chosen = np.argsort(-remainders, kind="stable")[: min(missing, int((shares < weights).sum()))]
        shares[chosen] += 1
    return shares
