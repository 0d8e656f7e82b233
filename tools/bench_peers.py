"""What is found, how fast and in how many bytes, by featmatch and by what else pip installs? As a Markdown table.

    python tools/bench_peers.py PHOTO_FOLDER --distractors FOLDER --at-most 1000

All get the same photos and the same queries: those of `featmatch evaluate` (one half of the photos is indexed; edited
copies of these should be found, and as many of the other half should not), and work on one thread. A package that is
not installed is skipped; `pip install '.[bench]'` brings them.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.evaluation.report import suite_figures
from featmatch.evaluation.running import Answer, Record
from featmatch.evaluation.trials import EvaluationOptions, Made, Plan, Trial, make, plan_for
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display, load_grey
from featmatch.index import Index

_opencv: Any = cv2
_SUITES = ("single", "random")
_ANSWERS = 20  # of each query
_FEATURES = 800  # SIFT features a picture, as many as featmatch keeps of these photos
_NEIGHBOURS = 8  # of each descriptor; the first of another image than the best one's is the second of the ratio test
_RATIO = 0.8  # Lowe, IJCV 2004
_CELLS, _PROBES = 1024, 16  # of the inverted lists

Picture = NDArray[np.uint8]
Search = Callable[[Picture], list[tuple[str, float]]]


class Built(NamedTuple):
    """Something to search in: a picture (H, W, 3) uint8 RGB to names and scores, best first; and its size."""

    search: Search
    bytes: int


@dataclass(frozen=True)
class Peer:
    """One way to find copies: what it is called, what makes it ready for some files, and how many queries it gets."""

    name: str
    build: Callable[[Sequence[str]], Built]
    every: int = 1  # of so many queries it gets one


def main() -> None:
    """Measure every peer and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--distractors", default=None)
    parser.add_argument("--at-most", type=int, default=1000, help="distractors, drawn evenly")
    parser.add_argument("--count", type=int, default=100, help="positives, and as many negatives, of each suite")
    parser.add_argument("--every", type=int, default=20, help="brute force gets one in so many queries")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    cv2.setRNGSeed(1)
    plan = plan_for(list(image_files(arguments.paths)), EvaluationOptions(_SUITES, arguments.count))
    others = list(image_files([arguments.distractors])) if arguments.distractors else []
    names = [*plan.indexed, *others[:: -(-len(others) // arguments.at_most) or 1]]
    queries = list(made(plan))
    print(f"{len(names)} images, {len(queries)} queries\n")
    print("| | | one edit | | | one to four edits | | | | | |\n| --- |" + " ---: |" * 10)
    print("| | queries | first | above all false | µAP | first | above all false | µAP | build, s | query, ms | KB |")
    for peer in peers(arguments.every):
        began = time.perf_counter()
        try:
            built = peer.build(names)
        except ImportError as error:
            print(f"{peer.name}: skipped, {error}", file=sys.stderr)
            continue
        built_s = time.perf_counter() - began
        built.search(queries[0][1].picture)  # what is loaded or compiled at first use
        records = [answered(trial, one, built.search) for trial, one in queries if trial.number % peer.every == 0]
        rows = [(peer.name, records)]
        if peer.every == 1 and arguments.every > 1:
            rows.append((f"the same, of one query in {arguments.every}", some(records, arguments.every)))
        for name, of_row in rows:
            cost = f"{built_s:.0f} | {milliseconds(of_row):.1f} | {built.bytes / 1000 / len(names):.2f}"
            suites = [[record for record in of_row if record.suite == suite] for suite in _SUITES]
            print(f"| {name} | {len(of_row)} | {' | '.join(map(accuracy, suites))} | {cost} |", flush=True)


def made(plan: Plan) -> Iterator[tuple[Trial, Made]]:
    """All trials with their pictures."""
    for suite in plan.options.suites:
        for positive in (True, False):
            for number in range(plan.options.count):
                trial = Trial(suite, number, positive)
                yield trial, make(trial, plan)


def some(records: Sequence[Record], every: int) -> list[Record]:
    """One in so many of each kind."""
    return [record for record in records if record.number % every == 0]


def answered(trial: Trial, made: Made, search: Search) -> Record:
    """The record of one query."""
    began = time.perf_counter()
    found = search(made.picture)
    times = {"all": 1000 * (time.perf_counter() - began)}
    answers = tuple(Answer(name, 0.0, score, False, name in made.sources, {}) for name, score in found[:_ANSWERS])
    height, width = made.picture.shape[:2]
    return Record(*trial, made.photo, made.sources, made.steps, made.recipe, width, height, "ok", answers, times)


def accuracy(records: Sequence[Record]) -> str:
    """Recall at rank 1, recall at zero false claims and µAP of one suite, as cells of a table."""
    figures = suite_figures(records[0].suite, records)
    return f"{figures['recall_at_1']:.1%} | {figures['recall_at_zero_false']:.1%} | {figures['average_precision']:.3f}"


def milliseconds(records: Sequence[Record]) -> float:
    """Of a query, its features or hash included: the median."""
    return float(np.median([record.times["all"] for record in records]))


def peers(every: int) -> Iterator[Peer]:
    """Every way, by name."""
    yield Peer("featmatch", featmatch_index)
    yield Peer("imagehash, pHash of 64 bits", perceptual_hash)
    yield Peer("pdqhash, PDQ of 256 bits", pdq)
    yield Peer("Faiss: SIFT, inverted lists, ratio test, votes", faiss_votes)
    yield Peer("OpenCV: SIFT, ratio test, RANSAC with every image", brute_force, every)


def featmatch_index(names: Sequence[str]) -> Built:
    """An index in a temporary folder."""
    folder = tempfile.TemporaryDirectory(prefix="featmatch-")
    index = Index.open(Path(folder.name) / "index", create=True)
    index.add(names, jobs=1)

    def search(picture: Picture, folder: Any = folder) -> list[tuple[str, float]]:
        del folder  # stays until the search is no more
        return [(match.name, match.score) for match in index.query(picture, unproven=True, limit=_ANSWERS)]

    return Built(search, index.info().bytes)


def perceptual_hash(names: Sequence[str]) -> Built:
    """The pHash of imagehash, as it is by default."""
    imagehash = importlib.import_module("imagehash")
    return hashes(names, lambda picture: imagehash.phash(Image.fromarray(picture)).hash.ravel())


def pdq(names: Sequence[str]) -> Built:
    """Facebook's PDQ."""
    pdqhash = importlib.import_module("pdqhash")
    return hashes(names, lambda picture: pdqhash.compute(picture)[0])


def hashes(names: Sequence[str], hash_of: Callable[[Picture], Any]) -> Built:
    """A table of hashes, all compared with the query's by their Hamming distance."""

    def bits(picture: Picture) -> NDArray[np.uint64]:
        return np.packbits(np.asarray(hash_of(picture), bool)).view(np.uint64)

    table = np.stack([bits(load_display(name)) for name in names])

    def search(picture: Picture) -> list[tuple[str, float]]:
        distances = np.bitwise_count(table ^ bits(picture)).sum(axis=1)
        return [(names[place], -float(distances[place])) for place in np.argsort(distances, kind="stable")[:_ANSWERS]]

    return Built(search, table.nbytes)


def sift(picture: Picture | str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """OpenCV's own: (N, 2) keypoints and (N, 128) descriptors."""
    grey = load_grey(picture, longest_px=2000).pixels
    keypoints, descriptors = _opencv.SIFT_create(_FEATURES).detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.float32)
    return np.array([keypoint.pt for keypoint in keypoints], np.float32), descriptors


def faiss_votes(names: Sequence[str]) -> Built:
    """One index of all descriptors; each of the query votes for the image of its nearest, if that is much nearer."""
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    found = [sift(name)[1] for name in names]
    owner = np.repeat(np.arange(len(names)), [len(one) for one in found])
    quantiser = faiss.IndexFlatL2(128)
    index = faiss.IndexIVFScalarQuantizer(quantiser, 128, _CELLS, faiss.ScalarQuantizer.QT_8bit_direct)
    index.nprobe = _PROBES
    everything = np.concatenate(found)
    index.train(everything[np.random.default_rng(1).permutation(len(everything))[: 64 * _CELLS]])
    index.add(everything)

    def search(picture: Picture) -> list[tuple[str, float]]:
        descriptors = sift(picture)[1]
        if not len(descriptors):
            return []
        distances, rows = index.search(descriptors, _NEIGHBOURS)
        images = owner[rows]
        other = np.where(images != images[:, :1], distances, np.inf).min(axis=1)
        other = np.minimum(other, np.maximum(distances[:, -1], 1e-9))  # all of one image: the farthest found
        good = distances[:, 0] <= _RATIO**2 * other
        return ranked(names, np.bincount(images[good, 0], minlength=len(names)))

    return Built(search, len(faiss.serialize_index(index)) + owner.nbytes)


def brute_force(names: Sequence[str]) -> Built:
    """What OpenCV's tutorial does with two images, with each of them: a score is the number of inliers."""
    found = [sift(name) for name in names]
    matcher = _opencv.BFMatcher(cv2.NORM_L2)

    def inliers(own: Any, other: Any) -> int:
        pairs = [pair for pair in matcher.knnMatch(own[1], other[1], k=2) if len(pair) == 2]
        good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
        if len(good) < 4:
            return 0
        source = own[0][[match.queryIdx for match in good]]
        target = other[0][[match.trainIdx for match in good]]
        _, mask = _opencv.findHomography(source, target, cv2.RANSAC, 5.0)
        return 0 if mask is None else int(mask.sum())

    def search(picture: Picture) -> list[tuple[str, float]]:
        own = sift(picture)
        return ranked(names, np.array([inliers(own, other) if len(own[0]) and len(other[0]) else 0 for other in found]))

    return Built(search, sum(points.nbytes + descriptors.nbytes for points, descriptors in found))


def ranked(names: Sequence[str], votes: NDArray[np.int64]) -> list[tuple[str, float]]:
    """The images with the most votes."""
    best = np.argsort(-votes, kind="stable")[:_ANSWERS]
    return [(names[place], float(votes[place])) for place in best if votes[place]]


if __name__ == "__main__":
    main()
