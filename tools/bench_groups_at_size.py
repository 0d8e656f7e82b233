"""Measure what `featmatch groups` costs with up to a million images, or from fewer estimate what it would.

    python -m tools.bench_groups_at_size PHOTOS... --images 10000 30000 100000 300000 --work DIR [--blocks 6] [--jobs 2]

The images are synthetic (`tools/synthetic_images.py`); 5 % are copies of others. Of each index, some blocks of images,
one in each part, are compared with all that come before them, as `groups` does it, but in this process; and before each
of them some images that are not counted, as a process compares hundreds of blocks, and opens the pages of an index for
the first time once. Then the index is told that all were compared and that copies are as frequent everywhere as they
are in these blocks, and the rest of `groups` is run: reading what is remembered, joining, choosing originals, and
marking. There are no files, so nothing is decoded.

Processor time for each image, and memory, are taken to grow in a straight line with the number of images: through the
sizes at which lists are read in part only, or through all where fewer than two are so large. Hours are processor time
by the number of jobs, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from featmatch import FeatureOptions, Index
from featmatch.grouping import finding
from featmatch.grouping.pairs import Pair
from featmatch.grouping.remembered import remember
from featmatch.images.folders import image_files
from featmatch.store.layout import PAIRS
from featmatch.store.segment import MANY_FEATURES
from tools.bench_scale import Figures, PeakMemory, Photos, build, divided
from tools.demo import bundled_photos

_COPIES, _SEED = 0.05, 1
_WARM = 100  # images before a block that are compared first
_MILLION = 1_000_000
_LINES = {
    "features, millions": ("features", 1e6, ".1f"),
    "comparing an image, ms of CPU": ("compare_s", 1e-3, ".1f"),
    "all else, for each image": ("rest_s", 1e-3, ".2f"),
    "pairs found in the blocks, for 100 images": ("pairs", 0.01, ".1f"),
    "memory of a process that compares, MB": ("compare_bytes", 1e6, ".0f"),
    "memory of the one that joins, MB": ("rest_bytes", 1e6, ".0f"),
    "hours for all images": ("hours", 1, ".2f"),
}


def main() -> int:
    """Build, measure, and print a Markdown table with the estimate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="*", help="files and folders that synthetic images are made of")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--features", type=int, default=500, help="of an image")
    parser.add_argument("--material", type=int, default=800, help="photos that synthetic images are made of, at most")
    parser.add_argument("--blocks", type=int, default=6, help="of images that are compared, for each size")
    parser.add_argument("--jobs", type=int, default=2, help="processes that hours are told for")
    parser.add_argument("--work", type=Path, help="folder of the indexes; they are kept there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        names = list(image_files(arguments.photos)) or bundled_photos(Path(temporary) / "photos")
        photos = divided(names, 0, arguments.material)
        options = FeatureOptions(features=arguments.features, features_at_longest=arguments.features)
        rows = []
        for images in sorted(arguments.images):
            folder = (arguments.work or Path(temporary)) / f"{images}.fm"
            rows.append(measure(index_of(folder, images, photos, options), arguments.blocks, arguments.jobs))
            print(rows[-1], file=sys.stderr, flush=True)
    print(table([*rows, estimate(rows, _MILLION, arguments.jobs)]))
    return 0


def index_of(folder: Path, images: int, photos: Photos, options: FeatureOptions) -> Index:
    """An index of so many images; where it is not there, it is built."""
    if not folder.exists():
        build(folder, images, photos, options, (0, 1), _COPIES)
    return Index.open(folder)


def measure(index: Index, blocks: int, jobs: int) -> Figures:
    """Compare some blocks of an index, and run the rest of ``groups``."""
    digests = {record.id: int(record.sha256[:16], 16) for record in index.images()}
    ids = sorted(digests)
    size = min(finding._block_images(index), len(ids) // blocks)
    strides = np.random.default_rng(_SEED).uniform(0, 1, blocks) + np.arange(blocks)  # copies lie in batches of images
    starts = (strides / blocks * (len(ids) - size)).astype(int).tolist()
    parts = [ids[start : start + size] for start in starts]
    cv2.setNumThreads(1)  # as in the processes that compare
    found, seconds = [], 0.0
    with PeakMemory() as comparing:
        for start, part in zip(starts, parts, strict=True):
            finding.compare_block(index, ids[max(start - _WARM, 0) : start], np.empty(0, np.int64))
            began = time.process_time()
            found.append(finding.compare_block(index, part, np.empty(0, np.int64)))
            seconds += time.process_time() - began
    compared = seconds / sum(map(len, parts))
    (index.folder / PAIRS).unlink(missing_ok=True)
    everywhere = [pair for pairs in found for pair in spread(pairs, ids, size, len(ids) // blocks)]
    remember(index.folder, ids, everywhere, digests)
    began, wall = time.process_time(), time.perf_counter()
    with PeakMemory() as joining:
        groups = index.groups(jobs=jobs)
    (index.folder / PAIRS).unlink()
    rest = (time.process_time() - began) / len(ids)
    return {
        "images": len(ids),
        "features": index.info().features,
        "compare_s": compared,
        "rest_s": rest,
        "rest_wall_s": time.perf_counter() - wall,
        "groups": len(groups),
        "pairs": sum(map(len, found)) / (blocks * size),
        "compare_bytes": comparing.peak,
        "rest_bytes": joining.peak,
        "hours": _hours(len(ids), compared + rest, jobs),
    }


def spread(pairs: Sequence[Pair], ids: Sequence[int], size: int, stride: int) -> list[Pair]:
    """Pairs of one block of images, once for each block of its part of the index."""
    place = {image: number for number, image in enumerate(ids)}

    def moved(image: int, by: int) -> int:
        return ids[(place[image] + by) % len(ids)]

    return [
        dataclasses.replace(pair, query=moved(pair.query, by), reference=moved(pair.reference, by))
        for by in range(0, stride, size)
        for pair in pairs
    ]


def estimate(rows: Sequence[Figures], images: int, jobs: int) -> Figures:
    """The figures of so many images, in straight lines from those of fewer."""
    large = [row for row in rows if row["features"] > MANY_FEATURES]
    used = large if len(large) > 1 else rows
    sizes = [row["images"] for row in used]

    def at(name: str) -> float:
        values = [row[name] for row in used]
        if len(used) == 1 or name == "pairs":
            return float(np.mean(values))
        slope, start = np.polyfit(sizes, values, 1)
        return float(max(start + slope * images, values[-1]))  # nothing takes less where there is more

    figures: Figures = {name: at(name) for name, _, _ in _LINES.values()} | {"images": images, "estimated": True}
    return figures | {"hours": _hours(images, figures["compare_s"] + figures["rest_s"], jobs)}


def _hours(images: int, seconds: float, jobs: int) -> float:
    return images * seconds / jobs / 3600


def table(rows: Sequence[Figures]) -> str:
    """The figures as Markdown, a column for each size."""
    head = ["", *(f"{row['images']:,}" + " (estimated)" * ("estimated" in row) for row in rows)]
    lines = [[line, *(f"{row[name] / unit:,{form}}" for row in rows)] for line, (name, unit, form) in _LINES.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---", *["---:"] * len(rows)], *lines])


if __name__ == "__main__":
    sys.exit(main())
