"""featmatch's SIFT beside OpenCV's and others', alternating in one run, on one thread: CPU time, and right matches.

    python -m tools.bench_sift PHOTO_FOLDER
    FEATMATCH_CPU=baseline python -m tools.bench_sift PHOTO_FOLDER

featmatch and OpenCV keep as many features, chosen in the same way. A picture larger than the photos is laid out of
several. pycolmap (VLFeat's SIFT) and Kornia (PyTorch) are asked for as many features, where they are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Callable, Sequence
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
Finder = Callable[[Grey], Any]


def main() -> None:
    """Measure and print a row for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=20, help="pictures of 481 px; of the larger ones, fewer")
    parser.add_argument("--repeats", type=int, default=5, help="of each; the fastest counts")
    arguments = parser.parse_args()
    print_table(list(image_files(arguments.paths)), arguments.count, arguments.repeats)


def print_table(files: list[str], count: int, repeats: int) -> None:
    """A row for each size: CPU time, and right matches as a multiple of OpenCV's."""
    cv2.setNumThreads(1)
    finders: dict[str, Finder] = {"featmatch": by_native, "OpenCV": by_opencv, **others()}
    print(f"| px | pictures | {' | '.join(f'{name}, ms' for name in finders)} | OpenCV / featmatch | right matches |")
    print(f"| {' | '.join(['---:'] * (4 + len(finders)))} |")
    for longest_px in _SIZES_PX:
        number = max(count * _SIZES_PX[0] // longest_px, 1)
        shown = [picture(files, one / number, longest_px) for one in range(number)]
        ms = 1000 * np.mean([cpu_times(one, list(finders.values()), repeats) for one in shown], axis=0)
        own, opencvs = np.array([right_matches(one, seed) for seed, one in enumerate(shown)]).sum(axis=0)
        each = " | ".join(f"{one:.1f}" for one in ms)
        print(f"| {longest_px} | {number} | {each} | {ms[1] / ms[0]:.2f} | {own / opencvs:.3f} |")
    print()


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
    """As ``opencv-sift`` has it, at true positions."""
    height, width = pixels.shape
    found: Features = extract_grey(GreyImage(pixels, width, height, 1.0, 1.0), FeatureOptions("opencv-sift"))
    return found.keypoints - np.float32(0.25), found.descriptors


def by_native(pixels: Grey) -> Found:
    """With the same limit and the same choice of keypoints."""
    height, width = pixels.shape
    limit = _OPTIONS.limit(max(height, width))
    found = sift(pixels, limit, lambda points, responses: spread(points, responses, width, height, limit))
    return found.points, found.descriptors


def others() -> dict[str, Finder]:
    """SIFT of other libraries, by name, as far as they are installed."""
    found: dict[str, Finder] = {}
    with contextlib.suppress(ImportError):
        found["pycolmap"] = by_pycolmap()
    with contextlib.suppress(ImportError):
        found["Kornia"] = by_kornia()
    return found


def by_pycolmap() -> Finder:
    """VLFeat's SIFT in pycolmap, with upright normalisation left as it is."""
    import pycolmap

    options = pycolmap.FeatureExtractionOptions()
    options.sift.max_num_features, options.sift.peak_threshold = _OPTIONS.features, 0.004 / 3
    extractor = pycolmap.Sift(options=options, device=pycolmap.Device.cpu)

    def find(pixels: Grey) -> Any:
        return extractor.extract((pixels / 255).astype(np.float32))

    return find


def by_kornia() -> Finder:
    """Kornia's SIFT: PyTorch, on one thread."""
    import torch
    from kornia.feature import SIFTFeature

    torch.set_num_threads(1)

    def find(pixels: Grey) -> Any:
        with torch.inference_mode():
            detector = SIFTFeature(num_features=_OPTIONS.limit(max(pixels.shape)))
            return detector(torch.from_numpy(pixels / 255).float()[None, None])

    return find


def cpu_times(pixels: Grey, finders: Sequence[Finder], repeats: int) -> list[float]:
    """Seconds of CPU of each, the least of several."""
    least = [math.inf] * len(finders)
    for _ in range(repeats):
        for number, find in enumerate(finders):
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
