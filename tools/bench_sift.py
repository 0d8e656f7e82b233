"""The native SIFT beside OpenCV's, alternating in one run, on one thread: CPU time, and right matches on known edits.

    python tools/bench_sift.py PHOTO_FOLDER
    FEATMATCH_CPU=baseline python tools/bench_sift.py PHOTO_FOLDER

Both keep as many features, chosen in the same way. A picture larger than the photos is laid out of several.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.features.extraction import FeatureOptions, Features, extract_grey, spread
from featmatch.geometry.maps import project
from featmatch.images.folders import image_files
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.native.sift import sift

_opencv: Any = cv2  # its type stubs differ from release to release

_OPTIONS = FeatureOptions()
_SIZES_PX = (481, 900, 2000)
_NEAR_PX = 3.0  # a match this near to where it belongs is right
_RATIO = 0.8  # Lowe's: of the distances to the nearest and the second descriptor

Grey = NDArray[np.uint8]
Found = tuple[NDArray[np.float32], NDArray[np.uint8]]  # points and descriptors


def main() -> None:
    """Measure and print a row for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=20, help="pictures of 481 px; of the larger ones, fewer")
    parser.add_argument("--repeats", type=int, default=5, help="of each; the fastest counts")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    files = list(image_files(arguments.paths))
    print("| px | pictures | OpenCV, ms | native, ms | OpenCV's time / native's | right matches, native / OpenCV's |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for longest_px in _SIZES_PX:
        count = max(arguments.count * _SIZES_PX[0] // longest_px, 1)
        shown = [picture(files, number / count, longest_px) for number in range(count)]
        times = np.array([cpu_times(one, arguments.repeats) for one in shown])
        own, other = np.array([right_matches(one, seed) for seed, one in enumerate(shown)]).sum(axis=0)
        ms = 1000 * times.mean(axis=0)
        print(f"| {longest_px} | {count} | {ms[0]:.1f} | {ms[1]:.1f} | {ms[0] / ms[1]:.2f} | {own / other:.3f} |")


def picture(files: list[str], share: float, longest_px: int) -> Grey:
    """A picture with this longer side: the photo at this share of the list, or several from there on."""
    first = int(share * len(files))
    photos = [load_grey(files[first], longest_px=longest_px).pixels]
    across = math.ceil(longest_px / max(photos[0].shape) - 0.01)
    if across == 1:
        return photos[0]
    side = longest_px // across
    photos = [load_grey(files[(first + n) % len(files)], longest_px=longest_px).pixels for n in range(across**2)]
    cells = [np.asarray(_opencv.resize(one, (side, side * 2 // 3), interpolation=cv2.INTER_AREA)) for one in photos]
    return np.vstack([np.hstack(cells[row * across : (row + 1) * across]) for row in range(across)])


def by_opencv(pixels: Grey) -> Found:
    """As indexes of format 2 have it, at true positions."""
    height, width = pixels.shape
    found: Features = extract_grey(GreyImage(pixels, width, height, 1.0, 1.0), _OPTIONS)
    return found.keypoints - np.float32(0.25), found.descriptors


def by_native(pixels: Grey) -> Found:
    """With the same limit and the same choice of keypoints."""
    height, width = pixels.shape
    limit = _OPTIONS.limit(max(height, width))
    found = sift(pixels, limit, lambda points, responses: spread(points, responses, width, height, limit))
    return found.points, found.descriptors


def cpu_times(pixels: Grey, repeats: int) -> list[float]:
    """Seconds of CPU of OpenCV and of the native one, the least of each."""
    least = [math.inf, math.inf]
    for _ in range(repeats):
        for number, find in enumerate((by_opencv, by_native)):
            began = time.process_time()
            find(pixels)
            least[number] = min(least[number], time.process_time() - began)
    return least


def right_matches(pixels: Grey, seed: int) -> list[int]:
    """Of the native one and of OpenCV, on three edits of the picture."""
    random = np.random.default_rng(seed)
    edits = [edited(pixels, strength, random) for strength in (0.3, 0.6, 1.0)]
    finders: tuple[Callable[[Grey], Found], ...] = (by_native, by_opencv)
    return [sum(right(find(pixels), find(copy), matrix) for copy, matrix in edits) for find in finders]


def edited(pixels: Grey, strength: float, random: np.random.Generator) -> tuple[Grey, NDArray[np.float64]]:
    """A copy that is turned, smaller, tilted, darker, noisy and compressed, and the map from the picture to it."""
    height, width = pixels.shape
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    angle, factor = random.uniform(-np.pi, np.pi), 1 - random.uniform(0.2, 0.6) * strength
    turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    tilt = random.uniform(-0.12, 0.12, (4, 2)) * strength * [width, height]
    moved = (corners + tilt) @ turn.T
    moved -= moved.min(axis=0)
    matrix = _opencv.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
    size = tuple(int(side) + 1 for side in moved.max(axis=0))
    blurred = _opencv.GaussianBlur(pixels, (0, 0), max(0.4 / factor, 0.5))
    copy = _opencv.warpPerspective(blurred, matrix, size, flags=cv2.INTER_CUBIC, borderValue=128)
    dark = copy * random.uniform(0.6, 1.0) + random.normal(0, 6 * strength, copy.shape)
    data = _opencv.imencode(".jpg", np.clip(dark, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(_opencv.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8), np.asarray(matrix, np.float64)


def right(found: Found, other: Found, matrix: NDArray[np.float64]) -> int:
    """How many features match, by descriptor and by ``matrix``, from the first picture to the second."""
    if len(found[1]) < 1 or len(other[1]) < 2:
        return 0
    a, b = found[1].astype(np.float32), other[1].astype(np.float32)
    squares = (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)
    nearest = np.argpartition(squares, 1, axis=1)[:, :2]
    distances = np.take_along_axis(squares, nearest, axis=1)
    clear = distances[:, 0] < _RATIO**2 * distances[:, 1]
    apart = project(matrix, found[0].astype(np.float64)) - other[0][nearest[:, 0]]
    return int((clear & (np.hypot(*apart.T) < _NEAR_PX)).sum())


if __name__ == "__main__":
    main()
