"""Where the time of adding goes: SIFT, all stages of a photo, processes, the start of a command. As Markdown tables.

    python -m tools.bench_extraction PHOTO_FOLDER

Stages are measured on one thread. A JPEG of 24 megapixels is made of the photos, side by side with noise over them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.features.extraction import FeatureOptions, extract_grey
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display, load_grey
from featmatch.index import Index
from featmatch.store.postings import quantised
from featmatch.system.files import sha256_of
from featmatch.words.vocabulary import Vocabulary
from tools import bench_sift

_OPTIONS = FeatureOptions()
_DETECTORS = ("sift", "opencv-sift")
_STAGES = ("read, turn, scale", "features", "words", "postings, SHA-256")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=40, help="photos whose stages are measured")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement; the median is told")
    arguments = parser.parse_args()
    files = list(image_files(arguments.paths))
    bench_sift.print_table(files, arguments.count // 2, arguments.repeats)
    with tempfile.TemporaryDirectory(prefix="featmatch-") as name:
        folder = Path(name)
        print_stages(files[:: max(len(files) // arguments.count, 1)], large_photo(files, folder), arguments.repeats)
        print_adding(files, folder, arguments.repeats)
        print_start(files, folder, arguments.repeats)


def large_photo(files: list[str], folder: Path) -> str:
    """A JPEG of 6000 x 4000 px."""
    photos = [Image.fromarray(load_display(file)).resize((1500, 1000), Image.Resampling.BICUBIC) for file in files[:16]]
    picture = Image.new("RGB", (6000, 4000))
    for place in range(16):
        picture.paste(photos[place % len(photos)], (place % 4 * 1500, place // 4 * 1000))
    noise = np.random.default_rng(1).normal(0, 6, (4000, 6000, 1))
    path = folder / "large.jpg"
    Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)).save(path, quality=92)
    return str(path)


def print_stages(files: list[str], large: str, repeats: int) -> None:
    """Milliseconds of each stage."""
    vocabulary = Vocabulary.shipped("sift")
    stage_times(files[0], vocabulary)  # what is loaded at first use
    times = [
        np.mean([np.median([stage_times(file, vocabulary) for _ in range(repeats)], axis=0) for file in some], axis=0)
        for some in (files, [large])
    ]
    print(f"| ms | {len(files)} photos, mean | JPEG of 24 megapixels |\n| --- | ---: | ---: |")
    for stage, row in zip(_STAGES, np.transpose(times), strict=True):
        print(f"| {stage} | {row[0]:.2f} | {row[1]:.1f} |")
    print()


def stage_times(file: str, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """(4,) milliseconds of one photo."""
    ends = [time.perf_counter()]
    grey = load_grey(file, longest_px=_OPTIONS.longest_px)
    ends.append(time.perf_counter())
    found = extract_grey(grey, _OPTIONS)
    ends.append(time.perf_counter())
    words = vocabulary.assign(found.descriptors)
    ends.append(time.perf_counter())
    quantised(found.keypoints, found.angles, found.sizes, words.signatures[:, 0], max(found.width, found.height))
    sha256_of(file)
    ends.append(time.perf_counter())
    return 1000 * np.diff(ends)


def print_adding(files: list[str], folder: Path, repeats: int) -> None:
    """Photos a second with one and two processes, by our SIFT and OpenCV's in turn; and what the parent does of it."""
    heads = ("`sift`, photos/s", "`opencv-sift`, photos/s", "times as fast", "parent, ms of CPU a photo")
    print(f"| `add` of {len(files)} photos | {' | '.join(heads)} |")
    print(f"| --- | {' | '.join(['---:'] * len(heads))} |")
    for jobs in (1, 2):
        runs = np.array(
            [
                [added(files, folder / f"{detector}-{jobs}-{number}", detector, jobs) for detector in _DETECTORS]
                for number in range(max(repeats // 2, 1))
            ]
        )  # (repeats, detectors, rate and share)
        own, opencvs = np.median(runs[:, :, 0], axis=0)
        ratio, share = np.median(runs[:, 0, 0] / runs[:, 1, 0]), np.median(runs[:, 0, 1])
        print(f"| {jobs} process{'es' if jobs > 1 else ''} | {own:.1f} | {opencvs:.1f} | {ratio:.2f} | {share:.2f} |")
    print()


def added(files: list[str], folder: Path, detector: str, jobs: int) -> tuple[float, float]:
    """Photos a second that are added to a new index, and milliseconds of CPU that the parent takes for one."""
    index = Index.open(folder, create=True, features=detector)
    index.add(files[: 12 * jobs], jobs=jobs)  # its processes are there, and have loaded what they need
    began, cpu = time.perf_counter(), time.process_time()
    count = len(index.add(files, jobs=jobs).added)
    return count / (time.perf_counter() - began), 1000 * (time.process_time() - cpu) / count


def print_start(files: list[str], folder: Path, repeats: int) -> None:
    """Seconds of commands in processes of their own, their files in the system's cache."""
    index = str(folder / "sift-1-0")
    commands: dict[str, Iterable[str]] = {
        "featmatch --help": ["--help"],
        "featmatch verify A B": ["verify", files[0], files[0]],
        f"featmatch query INDEX IMAGE, {len(files)} images": ["query", index, files[0]],
    }
    print("| command, cold process | s | CPU s |\n| --- | ---: | ---: |")
    for name, command in commands.items():
        given = [sys.executable, "-m", "featmatch", *command]
        seconds, cpu = [], []
        for _ in range(repeats + 1):
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(given, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(time.perf_counter() - began)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"| `{name}` | {np.median(seconds[1:]):.2f} | {np.median(cpu[1:]):.2f} |")


if __name__ == "__main__":
    main()
