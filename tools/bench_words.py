"""Compare ways to find the nearest visual words, on a shipped vocabulary and real descriptors.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python tools/bench_words.py PHOTOS... [--features sift]

For each way: seconds to make it ready from the words, microseconds a descriptor in batches of about a picture's
features, and how often the true nearest word came out first. What is not installed is skipped with a word. Then the CPU
time of one batch at each instruction level: of the words, and of the words and their signatures.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import MissingFeatureError
from featmatch.features.extraction import FeatureOptions, extract
from featmatch.images.folders import image_files
from featmatch.native.library import LEVELS, library
from featmatch.words.flann import FlannIndex
from featmatch.words.nearest import TwoLevelSearch, squared_norms
from featmatch.words.others import AnnoySearch, FaissSearch, NmslibSearch
from featmatch.words.vocabulary import Vocabulary

Search = Callable[[NDArray[np.uint8], int], NDArray[np.int32]]
WORDS_A_DESCRIPTOR = 3


def main() -> None:
    """Run all ways and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="files and folders that the vocabulary has not seen")
    parser.add_argument("--features", default="sift")
    parser.add_argument("--descriptors", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=800)
    arguments = parser.parse_args()
    vocabulary = Vocabulary.shipped(arguments.features)
    descriptors = sample(arguments.photos, arguments.features, arguments.descriptors)
    words = vocabulary.expanded_words()
    truth = exact(words, vocabulary.unit)(descriptors, WORDS_A_DESCRIPTOR)
    print(
        f"{len(vocabulary)} words ({vocabulary.detector}), {len(descriptors)} descriptors, batches of {arguments.batch}"
    )
    print("\n| way | ready, s | µs a descriptor | nearest found |\n| --- | ---: | ---: | ---: |")
    for name, make in ways(vocabulary):
        try:
            begin = time.perf_counter()
            search = make()
            ready = time.perf_counter() - begin
        except (ImportError, MissingFeatureError) as error:
            print(f"| {name} | not installed: {error} | | |", flush=True)
            continue
        search(descriptors[: arguments.batch], WORDS_A_DESCRIPTOR)
        times, found = [], []
        for start in range(0, len(descriptors), arguments.batch):
            batch = descriptors[start : start + arguments.batch]
            begin = time.perf_counter()
            found.append(search(batch, WORDS_A_DESCRIPTOR))
            times.append((time.perf_counter() - begin) / len(batch))
        share = np.mean(np.concatenate(found)[:, 0] == truth[:, 0])
        print(f"| {name} | {ready:.2f} | {1e6 * np.median(times):.0f} | {share:.3f} |", flush=True)
    print("\n| level | words, ms | words and signatures, ms |\n| --- | ---: | ---: |")
    for level, (words_s, all_s) in cpu_times(vocabulary, descriptors[: arguments.batch]).items():
        print(f"| {level} | {1000 * words_s:.2f} | {1000 * all_s:.2f} |")


def cpu_times(vocabulary: Vocabulary, descriptors: NDArray[np.uint8], repeats: int = 30) -> dict[str, list[float]]:
    """Seconds of CPU at each level that there is, the least of each, all of them in turn."""
    least = {level: [math.inf, math.inf] for level in LEVELS[: library().featmatch_best_level() + 1]}
    for _ in range(repeats):
        for level, seconds in least.items():
            os.environ["FEATMATCH_CPU"] = level
            for number, find in enumerate((vocabulary.nearest, vocabulary.assign)):
                begin = time.process_time()
                find(descriptors)
                seconds[number] = min(seconds[number], time.process_time() - begin)
    return least


def sample(paths: list[str], detector: str, count: int) -> NDArray[np.uint8]:
    """Descriptors of photos, drawn evenly."""
    files = list(image_files(paths))
    options = FeatureOptions(detector)
    found = [extract(file, options).descriptors for file in files[:: max(len(files) // 40, 1)]]
    everything = np.concatenate(found)
    return everything[np.random.default_rng(0).permutation(len(everything))[:count]]


def ways(vocabulary: Vocabulary) -> Iterator[tuple[str, Callable[[], Search]]]:
    """Each way by name, and what makes it ready."""
    words, unit = vocabulary.expanded_words(), vocabulary.unit
    yield "exact (matrix product)", lambda: exact(words, unit)
    for probes in (4, 6, 8, 12, 16, 24):
        yield f"two-level, {probes} cells", lambda p=probes: two_level(vocabulary, p)  # type: ignore[misc]
    trees = [("k-means tree (pyflann)", "kmeans"), ("kd-trees (OpenCV)", "kdtree")]
    for name, tree in trees:
        index: list[Callable[..., Any]] = []
        for checks in (64, 256, 1024):
            yield f"FLANN {name}, {checks} checks", lambda t=tree, c=checks, i=index: flann(words, unit, t, c, i)  # type: ignore[misc]
    for effort in (32, 64):
        yield f"Faiss HNSW, efSearch {effort}", lambda e=effort: FaissSearch(words, unit, e).nearest  # type: ignore[misc]
    for effort in (32, 64):
        yield f"hnswlib, ef {effort}", lambda e=effort: hnswlib_hnsw(words, unit, e)  # type: ignore[misc]
    for effort in (32, 64):
        yield f"NMSLIB HNSW, efSearch {effort}", lambda e=effort: NmslibSearch(words, unit, e).nearest  # type: ignore[misc]
    yield "Annoy, 10 trees, 1000 nodes", lambda: AnnoySearch(words, unit).nearest


def exact(words: NDArray[np.uint8], unit: int) -> Search:
    """Every word is looked at."""
    centres, norms = words.astype(np.float32), squared_norms(words)

    def search(descriptors: NDArray[np.uint8], count: int) -> NDArray[np.int32]:
        found = np.empty((len(descriptors), count), np.int32)
        for start in range(0, len(descriptors), 200):
            distances = norms - (descriptors[start : start + 200].astype(np.float32) * (2 * unit)) @ centres.T
            nearest = np.argpartition(distances, count, axis=1)[:, :count]
            order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
            found[start : start + 200] = np.take_along_axis(nearest, order, axis=1)
        return found

    return search


def two_level(vocabulary: Vocabulary, probes: int) -> Search:
    """Look into the nearest cells, as featmatch does by itself."""
    return TwoLevelSearch(
        vocabulary.words, vocabulary.cells, vocabulary.cell_offsets,
        unit=vocabulary.unit, forms=vocabulary.forms, probes=probes,
    ).nearest  # fmt: skip


def flann(words: NDArray[np.uint8], unit: int, tree: str, checks: int, kept: list[Callable[..., Any]]) -> Search:
    """FLANN over all words."""
    if not kept:
        kept.append(k_means_tree(words) if tree == "kmeans" else FlannIndex(words.astype(np.float32)).nearest)
    return lambda descriptors, count: kept[0](descriptors * np.float32(unit), count, checks=checks)[0]


def k_means_tree(words: NDArray[np.uint8]) -> Callable[..., Any]:
    """The best tree of the other FLANN library; another at each build, whatever the seed."""
    index = importlib.import_module("pyflann").FLANN()
    index.build_index(words.astype(np.float32), algorithm="kmeans", branching=32, iterations=7, log_level="none")
    search: Callable[..., Any] = index.nn_index
    return search


def hnswlib_hnsw(words: NDArray[np.uint8], unit: int, effort: int) -> Search:
    """The successor of NMSLIB, by its authors."""
    hnswlib = importlib.import_module("hnswlib")
    index = hnswlib.Index(space="l2", dim=words.shape[1])
    index.init_index(max_elements=len(words), ef_construction=100, M=32, random_seed=1)
    index.set_num_threads(1)
    index.add_items(words.astype(np.float32))
    index.set_ef(effort)
    return lambda descriptors, count: index.knn_query(descriptors * np.float32(unit), count)[0].astype(np.int32)


if __name__ == "__main__":
    main()
