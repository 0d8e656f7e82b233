"""Is a photo found in which one place was copied over another, and is the place shown? As a Markdown table.

    python -m tools.bench_moved PATH... [--count 60] [--seed 0]

PATH... are photos, or folders of them; all are indexed. In each query a square place of one photo is copied over
another of the same photo that looks different, as forgers do; then it is saved as JPEG. A change is shown if one of
the `differences` covers a third of it; another place is shown if one of them covers nothing of it.
"""

from __future__ import annotations

import argparse
import tempfile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featmatch import Index, Matches
from featmatch.evaluation.edits import Picture, Random, jpeg
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display

_SIDES, _QUALITIES = (0.3, 0.2, 0.1), (95, 70)  # of the shorter side of the photo; of JPEG
_UNLIKE = 25.0  # grey levels by which the two places differ in the mean
_TRIES = 100


class Moved(NamedTuple):
    """A photo with a place copied over another.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        change: left, top, right and bottom of the place that is covered, px.
    """

    picture: Picture
    change: tuple[int, int, int, int]


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=60, help="photos that are changed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    photos = sorted(image_files(arguments.paths))
    print("| side | JPEG | queries | found first, and claimed | change shown | another place shown |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="featmatch-") as folder:
        index = Index.open(folder, create=True)
        index.add(photos)
        names = {photo: index.places.naming([photo]).name_of(photo) for photo in photos}
        random = np.random.default_rng(arguments.seed)
        chosen = [photos[place] for place in random.permutation(len(photos))[: arguments.count]]
        for side in _SIDES:
            for quality in _QUALITIES:
                print(_row(index, {photo: names[photo] for photo in chosen}, side, quality, random), flush=True)


def _row(index: Index, names: dict[str, str], side: float, quality: int, random: Random) -> str:
    queries = found = shown = elsewhere = 0
    for photo, name in names.items():
        moved = moved_within(load_display(photo), side, random)
        if moved is None:
            continue
        answer = index.query(jpeg(moved.picture, quality))
        queries += 1
        found += bool(answer) and answer[0].name == name
        covered = _covered(answer, moved.change)
        shown += bool((covered > 1 / 3).any())
        elsewhere += bool((covered == 0).any())
    return f"| {side:.0%} | {quality} | {queries} | {found} | {shown} | {elsewhere} |"


def moved_within(photo: Picture, side: float, random: Random) -> Moved | None:
    """A photo with a square place over another that looks different; None where no two such were met.

    Args:
        photo: (H, W, 3) uint8 RGB.
        side: of the square, as a share of the photo's shorter side.
        random: where they lie.
    """
    height, width = photo.shape[:2]
    length = round(side * min(height, width))
    for _ in range(_TRIES):
        top, low = random.integers(0, height - length, 2)
        left, right = random.integers(0, width - length, 2)
        here, there = photo[top:, left:][:length, :length], photo[low:, right:][:length, :length]
        apart = max(abs(top - low), abs(left - right)) >= length
        if apart and np.abs(here.astype(np.int16) - there).mean() >= _UNLIKE:
            picture = photo.copy()
            picture[low:, right:][:length, :length] = here
            return Moved(picture, (int(right), int(low), int(right) + length, int(low) + length))
    return None


def _covered(answer: Matches, change: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Share of a change that each of the differences to the best answer covers."""
    differences = answer[0].proof.differences if answer else None
    if differences is None or not differences.query:
        return np.zeros(0)
    corners = np.array(differences.query)
    low, high = np.maximum(corners.min(axis=1), change[:2]), np.minimum(corners.max(axis=1), change[2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=1) / ((change[2] - change[0]) * (change[3] - change[1])))


if __name__ == "__main__":
    main()
