"""Measure indexes of up to a million images: how fast they are built and searched, how large they are, what is found.

    python -m tools.bench_scale PHOTOS... --images 10000 100000 1000000 --work DIR --json FILE --plot FILE

Most of an index's images are synthetic (``tools/synthetic_images.py`` says how they are made); planted among them, at
random places, are real photos with their features as they are. All go the way that ``add`` takes after extraction:
batches, segments, commits, merges. Queries are edited copies of the planted photos, one to four edits at once, as in
``featmatch evaluate --suite random``. An index that is in DIR already is measured as it is; without photos, those
bundled with scikit-image are taken.

Times are of the stages that ``Index.query`` goes through, each search right after the extraction of its features (which
is not counted), for those queries that have as many features as are kept. "Plain" leaves out the mirrored and negative
variants. With --shards N the same images are in N indexes too, and each query asks these as one, right after the one
index. "Reading" goes once through the same posting lists, and the image numbers of the same hits, and adds them up.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch import FeatureOptions, Index
from featmatch.adding import batches
from featmatch.adding.one_image import IndexedFile
from featmatch.evaluation.compositions import compose
from featmatch.evaluation.edits import Picture, Random
from featmatch.features.extraction import Features, extract_grey
from featmatch.features.looks import whole_picture
from featmatch.images.folders import image_files
from featmatch.images.metadata import Metadata
from featmatch.images.pixels import GreyImage, load_display, load_grey
from featmatch.native.postings import parts_read, postings_of
from featmatch.search.query import Query
from featmatch.search.query_words import QueryWords
from featmatch.search.stages import Readers, Search
from featmatch.search.voting import VotingOptions, weights_of_hits
from featmatch.store.compaction import merge_due
from featmatch.store.places import Naming
from featmatch.store.reader import Reader
from featmatch.store.segment import Segment
from featmatch.store.writing import become_writer
from featmatch.system.files import folder_bytes
from tools.build_backend import own_compiler
from tools.demo import bundled_photos
from tools.small_index import memory_bytes
from tools.synthetic_images import Material, as_indexed

STAGES = ("words", "votes", "verification")
READERS = os.cpu_count() or 1
_SEED = 1
Figures = dict[str, Any]


class PeakMemory:
    """The most memory of its own (mapped files not counted) that this process has within a ``with`` block, bytes."""

    def __enter__(self) -> PeakMemory:
        self.peak = 0
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, memory_bytes())


@dataclass(frozen=True)
class Photos:
    """Names of photos: to plant, to show beside those in queries, and to make synthetic images of."""

    planted: list[str]
    beside: list[str]
    material: list[str]


def main() -> int:
    """Build, measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="*", help="files and folders")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, default=500, help="an image")
    parser.add_argument("--query-features", type=int, help="a query; as an image, if not given")
    parser.add_argument("--planted", type=int, default=100, help="photos that are looked for, at most")
    parser.add_argument("--material", type=int, default=800, help="photos that synthetic images are made of, at most")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--shards", type=int, default=0, help="so many indexes with the same images, asked as one")
    parser.add_argument("--steady", type=int, default=0, help="so many more searches, to see whether memory grows")
    parser.add_argument("--work", type=Path, help="folder of the indexes; they are kept there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="cost against the number of images, .svg or .png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        names = list(image_files(arguments.photos)) or bundled_photos(Path(temporary) / "photos")
        photos = divided(names, arguments.planted, arguments.material)
        options = FeatureOptions(features=arguments.features, features_at_longest=arguments.features)
        rows = []
        for images in arguments.images:
            folder = (arguments.work or Path(temporary)) / f"{images}.fm"
            figures = built(folder, images, photos, options)
            shards = [folder.with_suffix(f".{number}.fm") for number in range(arguments.shards)]
            for number, shard in enumerate(shards):
                built(shard, images, photos, options, (number, len(shards)))
            asked = edited_copies(photos, arguments.queries)
            limit = arguments.query_features or arguments.features
            rows.append(figures | measure(folder, shards, asked, limit, arguments.steady))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    if arguments.plot:
        draw(rows, arguments.plot)
    print(table(rows))
    return 0


def divided(names: Sequence[str], planted: int, material: int) -> Photos:
    """Divide photos at random among their parts."""
    shuffled = [names[place] for place in np.random.default_rng(_SEED).permutation(len(names))]
    first = min(planted, len(shuffled) // 3)
    second = first + min(planted // 2, len(shuffled) // 6)
    return Photos(shuffled[:first], shuffled[first:second], shuffled[second : second + material])


def built(
    folder: Path, images: int, photos: Photos, options: FeatureOptions, part: tuple[int, ...] = (0, 1)
) -> Figures:
    """What building an index took; where it is not there, it is built."""
    kept = folder.with_suffix(".json")
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(build(folder, images, photos, options, part)))
    figures: Figures = json.loads(kept.read_text())
    return figures


def build(
    folder: Path, images: int, photos: Photos, options: FeatureOptions, part: tuple[int, ...],
    copies: float | None = None,
) -> Figures:  # fmt: skip
    """Make an index as ``add`` does, but for the extraction.

    Args:
        folder: of the index.
        images: how many the collection has.
        photos: what they are made of.
        options: how features are taken.
        part: of the collection: a number, and of how many parts.
        copies: as for ``Material.images``.
    """
    number, parts = part
    index = Index.open(folder, create=True, features=options)
    material = Material.of(list(extracted(photos.material, options)), index.vocabulary, options)
    planted = {
        name: as_indexed(features, index.vocabulary.assign(features.descriptors), whole_picture(grey))
        for name, (grey, features) in zip(photos.planted, extracted(photos.planted, options), strict=True)
    }
    places = np.sort(np.random.default_rng(_SEED).choice(images, len(planted), replace=False)).tolist()
    at = dict(zip(places, planted, strict=True))
    names = [at.get(number, f"synthetic/{number // 1000:04d}/{number:07d}.jpg") for number in range(images)]
    names = names[number::parts]
    making = 0.0

    def indexed(function: object, tasks: Sequence[tuple[Any, ...]], **_: object) -> Iterator[IndexedFile]:
        nonlocal making
        paths = [path for path, *_ in tasks]
        for first in range(0, len(paths), batches.BATCH_IMAGES):
            began = time.perf_counter()
            some = paths[first : first + batches.BATCH_IMAGES]
            made = list(material.images(len(some), options.features, (_SEED, first * parts + number), copies))
            making += time.perf_counter() - began
            for path, image in zip(some, made, strict=True):
                digest = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
                yield IndexedFile(digest, 100_000, 1, planted.get(path, image), Metadata(), False)

    before, vars(batches)["in_order"] = vars(batches)["in_order"], indexed
    target = batches.Target(folder, Naming(os.getcwd()), options, len(index.vocabulary))
    tenths: list[float] = []

    def progress(done: int, total: int) -> None:
        if done * 10 // total > len(tenths):
            tenths.append(time.perf_counter() - began - making)

    try:
        with PeakMemory() as memory, become_writer(index):
            began = time.perf_counter()
            merging = functools.partial(merge_due, index)
            batches.add_files(names, target, batches.AddOptions(jobs=1), progress=progress, committed=merging)
            took = time.perf_counter() - began - making
    finally:
        vars(batches)["in_order"] = before
    return {
        "images": len(names),
        "build_s": took,
        "build_images_per_s": len(names) / took,
        "build_peak_mb": memory.peak / 1e6,
        "build_s_a_tenth": np.diff([0, *tenths]).tolist(),
    }


def extracted(names: Sequence[str], options: FeatureOptions) -> Iterator[tuple[GreyImage, Features]]:
    """Photos and their features."""
    for name in names:
        grey = load_grey(name, longest_px=options.longest_px, shortest_px=options.shortest_px, colours=True)
        yield grey, extract_grey(grey, options)


def measure(
    folder: Path, shards: Sequence[Path], asked: Sequence[tuple[str, Picture]], features: int, steady: int
) -> Figures:
    """Search an index for edited copies of what was planted in it; and several with the same images.

    Args:
        folder: of the index.
        shards: of the others.
        asked: names of what was planted, and the copies.
        features: of a query, at most; times are of those that have so many.
        steady: so many more searches, to see whether memory grows.
    """
    opening = []
    for _ in range(5):
        began = time.perf_counter()
        index = Index.open(folder)
        opening.append(time.perf_counter() - began)
    segments = tuple(index.snapshot.segments.values())
    options = dataclasses.replace(index.options, features=features, features_at_longest=features)
    read = dataclasses.replace(Search.of(index), options=options).read
    together = {shard.name: Reader(shard) for shard in shards}
    warm = [read(picture) for _, picture in asked[: len(asked) // 4]]
    for one in warm:  # compiled code is loaded, and pages are mapped
        searched(index, one, plain=False)
        if together:
            searched(together, one, plain=False)
    full: list[dict[str, float]] = []
    plain: list[dict[str, float]] = []
    apart: list[dict[str, float]] = []
    looked_at: list[float] = []
    right = 0
    for name, picture in asked:
        one = read(picture)
        first, times, query = searched(index, one, plain=False)
        right += first == name
        if len(one.features) == features:
            full.append(times | reading_again(segments, query))
            looked_at.append(sum(postings_of(one.for_kernels, query.entries) for one in segments) / len(index))
            read(picture)  # or what was read is still at hand
            plain.append(searched(index, one, plain=True)[1])
            if together:
                read(picture)
                apart.append(searched(together, one, plain=False)[1])
    before = memory_bytes()
    for number in range(steady):
        searched(index, warm[number % len(warm)], plain=False)
    return {
        "images": len(index),
        "segments": len(segments),
        "bytes_an_image": folder_bytes(folder) / len(index),
        "open_ms": 1000 * float(np.median(opening)),
        "own_memory_mb": memory_bytes() / 1e6,
        "mapped_memory_mb": memory_bytes("RssFile") / 1e6,
        "grown_mb_by_steady_use": (memory_bytes() - before) / 1e6,
        "recall": right / len(asked),
        "queries": len(asked),
        "timed_queries": len(full),
        "postings_an_image": float(np.mean(looked_at)) if looked_at else 0.0,
        "search_ms": quantiles(full),
        "plain_search_ms": quantiles(plain),
        "shards": len(shards),
        "shards_search_ms": quantiles(apart),
        "shards_ratio": ratio(full, apart),
    }


def edited_copies(photos: Photos, count: int) -> list[tuple[str, Picture]]:
    """Names of planted photos in turn, each with a copy under one to four edits."""

    def beside(random: Random) -> Picture:
        return load_display(photos.beside[int(random.integers(len(photos.beside)))])

    names = [photos.planted[number % len(photos.planted)] for number in range(count)]
    return [
        (name, compose(load_display(name), np.random.default_rng((_SEED, number)), beside)[0])
        for number, name in enumerate(names)
    ]


def ratio(one: Sequence[dict[str, float]], several: Sequence[dict[str, float]]) -> float:
    """How many times as long a search takes in several indexes: the median over the queries; 0: there are none."""
    found = [other["search"] / own["search"] for own, other in zip(one, several, strict=False)]
    return float(np.median(found)) if found else 0.0


def searched(index: Readers, query: Query, *, plain: bool) -> tuple[str | None, dict[str, float], QueryWords]:
    """The name of the best answer, milliseconds of each stage and of all, and the words: as ``Index.query`` does it.

    But for the pictures of matches: they are not those that were planted, by the times of their files. "processor" is
    what all threads spend on all that comes after the words.
    """
    if plain:
        query = dataclasses.replace(query, variants=query.variants[:1])
    search = Search.of(index)
    asked = search.asked(query)
    began = time.process_time()
    matches, _ = search.matches(query, asked)
    processor = 1000 * (time.process_time() - began)
    times = {stage: milliseconds for stage, milliseconds in search.clock.times.items() if stage in STAGES}
    times |= {"search": sum(times.values()), "processor": processor}
    return matches[0].name if matches else None, times, asked.words


def reading_again(segments: Sequence[Segment], query: QueryWords) -> dict[str, float]:
    """Milliseconds of reading, once each, the signatures and the image numbers that a vote reads, on all cores."""
    tasks = []
    for segment in segments:
        columns = segment.offsets, segment.postings.image, segment.postings.signature
        words = np.unique(parts_read(segment.for_kernels, query.entries)).astype(np.int32)
        rows = voting_rows(segment, query, len(weights_of_hits(query, VotingOptions())) - 1)
        tasks += [(columns, words[part::READERS].copy(), rows[part::READERS].copy()) for part in range(READERS)]
    _reader()
    with ThreadPoolExecutor(READERS) as threads:
        began = time.perf_counter()
        list(threads.map(lambda task: _read(*task), tasks))
        return {"reading": 1000 * (time.perf_counter() - began)}


def voting_rows(segment: Segment, query: QueryWords, limit: int) -> NDArray[np.int64]:
    """The postings that vote, in the order in which they do."""
    rows = [np.empty(0, np.int64)]
    lists = segment.lists
    for word, signature, fixed in zip(query.ids.tolist(), query.signatures, query.fixed, strict=True):
        first, end = lists[word : word + 2].tolist()
        differing = segment.postings.signature[first:end] ^ signature
        is_free = (differing >> np.uint64(56) & np.uint64(fixed)) == 0
        rows.append(first + np.flatnonzero(is_free & (np.bitwise_count(differing) <= limit)))
    return np.concatenate(rows)


_READ = """
#include <stdint.h>

uint64_t read_lists(const uint32_t *offsets, const uint32_t *images, const uint64_t *signatures, const int32_t *words,
                    int64_t word_count, const int64_t *rows, int64_t row_count) {
    uint64_t total = 0;
    for (int64_t n = 0; n < word_count; n++)
        for (int64_t row = offsets[words[n]]; row < offsets[words[n] + 1]; row++) total ^= signatures[row];
    for (int64_t n = 0; n < row_count; n++) total += images[rows[n]];
    return total;
}
"""


@functools.cache
def _reader() -> Any:
    """``read_lists``, compiled here: in NumPy, a call for each list would take longer than reading it."""
    compiler = own_compiler()
    if not compiler:
        raise SystemExit("reading is measured by a loop in C: this needs a C compiler, as cc, gcc, clang or $CC")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reading"
        command = [*compiler, "-O3", "-fPIC", "-shared", "-x", "c", "-", "-o", str(path)]
        subprocess.run(command, input=_READ, text=True, check=True)
        return ctypes.CDLL(str(path)).read_lists


def _read(columns: Sequence[NDArray[Any]], words: NDArray[np.int32], rows: NDArray[np.int64]) -> None:
    *lists, of_words, of_rows = (ctypes.c_void_p(one.ctypes.data) for one in (*columns, words, rows))
    _reader()(*lists, of_words, ctypes.c_int64(len(words)), of_rows, ctypes.c_int64(len(rows)))


def quantiles(times: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile of each stage."""
    return {
        stage: {f"p{q}": float(np.percentile([one[stage] for one in times], q)) for q in (50, 95)}
        for stage in (times[0] if times else ())
    }


def table(rows: Sequence[Figures]) -> str:
    """The figures as Markdown, a column for each size."""

    def of(kind: str, stage: str) -> Callable[[Figures], str]:
        return lambda row: "{p50:.1f}, {p95:.1f}".format(**row[kind][stage]) if stage in row[kind] else ""

    lines: dict[str, Callable[[Figures], str]] = {
        "build, images/s": lambda row: f"{row['build_images_per_s']:,.0f}",
        "most memory of its own while building, MB": lambda row: f"{row['build_peak_mb']:.0f}",
        "bytes an image": lambda row: f"{row['bytes_an_image']:,.0f}",
        "segments": lambda row: str(row["segments"]),
        "opening, ms": lambda row: f"{row['open_ms']:.1f}",
        "memory of its own when searching, MB": lambda row: f"{row['own_memory_mb']:.0f}",
        "mapped, and so in the page cache, MB": lambda row: f"{row['mapped_memory_mb']:,.0f}",
        "originals first": lambda row: f"{row['recall']:.1%} of {row['queries']}",
        "postings an image and query": lambda row: f"{row['postings_an_image']:.1f}",
        "words, ms (p50, p95)": of("search_ms", "words"),
        "votes": of("search_ms", "votes"),
        "reading the same bytes": of("search_ms", "reading"),
        "verification": of("search_ms", "verification"),
        "whole search": of("search_ms", "search"),
        "votes, plain": of("plain_search_ms", "votes"),
        "whole search, plain": of("plain_search_ms", "search"),
        "processor time but for the words, ms": of("search_ms", "processor"),
        "the same, plain": of("plain_search_ms", "processor"),
        "whole search, several indexes as one": of("shards_search_ms", "search"),
        "the same, by that of one": lambda row: f"{row['shards_ratio']:.2f} ({row['shards']})" if row["shards"] else "",
    }
    head = ["", *(f"{row['images']:,}" for row in rows)]
    body = [[name, *map(value, rows)] for name, value in lines.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * len(rows)], *body])


def draw(rows: Sequence[Figures], path: Path) -> None:
    """Plot the milliseconds of each stage against the number of images."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    images = [row["images"] for row in rows]
    for stage in ("search", "votes", "reading", *STAGES[::2]):
        values = [row["search_ms"][stage]["p50"] for row in rows]
        axes.plot(images, values, marker="o", linestyle=":" if stage == "reading" else "-", label=stage)
    axes.set(xscale="log", yscale="log", xlabel="images", ylabel="ms (median)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
