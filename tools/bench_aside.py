"""How many homographies of pictures seen from far aside are found? As a Markdown table.

    python -m tools.bench_aside PATH... [--count 10] [--forms all|few|none]...

PATH... are photos, or folders of them. Each is seen from aside: shorter along one direction by a tilt of 2 to 5 (Morel
and Yu, SIAM J. Imaging Sci. 2009), turned, in some perspective, with noise and JPEG. `verify` compares it with the
photo, either of the two as the first. The error is the mean distance of points of the photo from where they belong, px.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import featmatch
from featmatch.evaluation.edits import Picture, Random, jpeg, noise
from featmatch.features.forms import FORMS
from featmatch.geometry.exact import inverse
from featmatch.geometry.maps import project
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display

_opencv: Any = cv2
_TILTS = (2.0, 3.0, 4.0, 5.0)
_LIMIT_PX = 5
_SIDE_PX = 640
_PERSPECTIVE = 0.15  # of the depth, from one side to the other


def main() -> None:
    """Measure all pairs and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=10, help="photos of each tilt")
    parser.add_argument("--forms", action="append", choices=FORMS, help="repeatable; all of these otherwise")
    arguments = parser.parse_args()
    photos = sorted(image_files(arguments.paths))
    print(f"| tilt | forms | pairs | below {_LIMIT_PX} px | claimed | s, median |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for number, tilt in enumerate(_TILTS):
        pairs = list(_pairs(photos[number :: len(_TILTS)][: arguments.count], tilt))
        for forms in arguments.forms or FORMS:
            found = [_compared(*pair, forms, turned=bool(place % 2)) for place, pair in enumerate(pairs)]
            errors, claims, seconds = np.array(found).T
            print(
                f"| {tilt:g} | {forms} | {len(pairs)} | {(errors < _LIMIT_PX).sum()} | {int(claims.sum())} "
                f"| {np.median(seconds):.2f} |",
                flush=True,
            )


def _pairs(photos: list[str], tilt: float) -> Iterator[tuple[Picture, Picture, NDArray[np.float64]]]:
    """Each photo as it is seen from aside, the photo itself, and the map of the one to the other."""
    for number, name in enumerate(photos):
        photo = load_display(name, longest_px=_SIDE_PX)
        random = np.random.default_rng([number, round(10 * tilt)])
        seen, way = seen_from_aside(photo, tilt, random)
        yield jpeg(noise(seen, 4, random), 80), photo, inverse(way)


def seen_from_aside(photo: Picture, tilt: float, random: Random) -> tuple[Picture, NDArray[np.float64]]:
    """A picture that is shorter along one direction, turned, and in perspective; and the map to it, (3, 3)."""
    height, width = photo.shape[:2]
    along, turn = random.uniform(0, math.pi, 2)
    squeezed = _turning(turn) @ np.diag([1 / tilt, 1.0, 1.0]) @ _turning(along)
    squeezed = squeezed @ np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    tipped = np.eye(3)
    tipped[2, 0] = _PERSPECTIVE / max(width, height)
    way = tipped @ squeezed
    corners = project(way, np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64))
    low = corners.min(axis=0)
    way = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1.0]]) @ way
    size = np.ceil(corners.max(axis=0) - low).astype(int).tolist()
    large = np.diag([tilt, tilt, 1.0]) @ way  # drawn larger and scaled down, or it would be ragged
    drawn = _opencv.warpPerspective(photo, large, tuple(round(tilt * side) for side in size), flags=cv2.INTER_CUBIC)
    return np.asarray(_opencv.resize(drawn, tuple(size), interpolation=cv2.INTER_AREA), np.uint8), way


def _turning(angle: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])


def _compared(
    seen: Picture, photo: Picture, truth: NDArray[np.float64], forms: Any, *, turned: bool
) -> tuple[float, bool, float]:
    """The error of the homography in px of the photo, whether the pair is claimed, and the seconds that it took."""
    began = time.perf_counter()
    found = featmatch.verify(photo, seen, forms=forms) if turned else featmatch.verify(seen, photo, forms=forms)
    seconds = time.perf_counter() - began
    if found.proof is None:
        return math.inf, bool(found), seconds
    homography = inverse(found.proof.homography) if turned else found.proof.homography
    height, width = photo.shape[:2]
    places = np.stack(np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9)), axis=-1).reshape(-1, 2)
    error = np.linalg.norm(project(homography, project(inverse(truth), places)) - places, axis=1).mean()
    return float(error) if np.isfinite(error) else math.inf, bool(found), seconds


if __name__ == "__main__":
    main()
