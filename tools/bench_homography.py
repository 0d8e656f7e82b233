"""How precise are the homographies of featmatch.verify, next to plain OpenCV? As a Markdown table.

    python -m tools.bench_homography FOLDER [--features sift]

FOLDER has a folder for each sequence, as in the data of Mikolajczyk et al. (IJCV 2005): img1 to img6, and H1to2p.xml to
H1to6p.xml, the true homographies of image 1 to image K as OpenCV writes them. The corner error is the mean distance
between the corners of image 1 as mapped by the estimated and by the true homography, in pixels of image K.

And how many features of image 1 match one of image K within 3 px of where they belong: our SIFT's and OpenCV's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import featmatch
from featmatch.geometry.maps import project
from featmatch.images.pixels import load_grey
from tools.bench_sift import by_native, by_opencv, right

_opencv: Any = cv2
_LIMITS_PX = (1, 3, 5, 10)
_FLANN_KDTREE = 1


def main() -> None:
    """Measure all pairs and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", default="sift")
    arguments = parser.parse_args()
    cv2.setRNGSeed(1)  # FLANN's trees and RANSAC's samples
    errors: list[tuple[float, float]] = []
    matches = np.zeros(2, int)
    print("| pair | featmatch, px | OpenCV, px |\n| --- | ---: | ---: |")
    for first, other, truth in pairs(arguments.folder):
        proof = featmatch.verify(first, other, features=arguments.features)
        ours, plain = (corner_error(found, truth, first) for found in (proof.homography, plain_opencv(first, other)))
        errors.append((ours, plain))
        matches += right_matches(first, other, truth)
        print(f"| {first.parent.name} 1-{other.stem[-1]} | {ours:.2f} | {plain:.2f} |")
    columns = np.array(errors).reshape(-1, 2)
    print(f"\n| pairs of {len(columns)} below | featmatch | OpenCV |\n| --- | ---: | ---: |")
    for limit in _LIMITS_PX:
        below = (columns < limit).sum(axis=0)
        print(
            f"| {limit} px | {below[0]} ({below[0] / len(columns):.1%}) | {below[1]} ({below[1] / len(columns):.1%}) |"
        )
    own, opencvs = matches
    print(f"\nright matches: {own} of our SIFT, {opencvs} of OpenCV's; {own / opencvs:.3f} times as many")


def right_matches(first: Path, other: Path, truth: NDArray[np.float64]) -> list[int]:
    """Of our SIFT and of OpenCV's, with as many features of each picture."""
    one, two = (load_grey(str(image), longest_px=2000).pixels for image in (first, other))
    return [right(find(one), find(two), truth) for find in (by_native, by_opencv)]


def pairs(folder: Path) -> Iterator[tuple[Path, Path, NDArray[np.float64]]]:
    """Image 1, image K, and the true homography of the one to the other."""
    for file in sorted(folder.glob("*/H1to?p.xml")):
        storage = _opencv.FileStorage(str(file), cv2.FILE_STORAGE_READ)
        truth = storage.getNode(f"H1{file.stem[4]}").mat()
        (first,) = file.parent.glob("img1.*")
        (other,) = file.parent.glob(f"img{file.stem[4]}.*")
        yield first, other, truth / truth[2, 2]  # some are written with the other sign


def corner_error(homography: NDArray[np.float64] | None, truth: NDArray[np.float64], image: Path) -> float:
    """Mean distance of the four corners, px; infinite without a homography, and where it sends a corner to infinity."""
    if homography is None:
        return float("inf")
    height, width = _opencv.imread(str(image)).shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    error = float(np.linalg.norm(project(homography, corners) - project(truth, corners), axis=1).mean())
    return error if np.isfinite(error) else float("inf")  # a corner beyond the horizon


def plain_opencv(first: Path, other: Path) -> NDArray[np.float64] | None:
    """What OpenCV's tutorials do: SIFT, FLANN, ratio 0.75, RANSAC with 3 px."""
    sift = _opencv.SIFT_create()
    (points, descriptors), (other_points, other_descriptors) = (
        sift.detectAndCompute(_opencv.imread(str(image), cv2.IMREAD_GRAYSCALE), None) for image in (first, other)
    )
    matcher = _opencv.FlannBasedMatcher({"algorithm": _FLANN_KDTREE, "trees": 5}, {"checks": 50})
    neighbours = matcher.knnMatch(descriptors, other_descriptors, k=2)
    good = [best for best, second in neighbours if best.distance < 0.75 * second.distance]
    if len(good) < 4:
        return None
    source = np.array([points[match.queryIdx].pt for match in good], np.float32)
    target = np.array([other_points[match.trainIdx].pt for match in good], np.float32)
    homography, _ = _opencv.findHomography(source, target, cv2.RANSAC, 3.0)
    return None if homography is None else np.asarray(homography, np.float64)


if __name__ == "__main__":
    main()
