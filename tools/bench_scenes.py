"""Are two photos of one scene told from a copy, by `verify` and by `query`? As a Markdown table.

    python -m tools.bench_scenes PATH... [--count 10] [--seed 0]

PATH... are photos, or folders of them. A scene is drawn of one: a ground with a smooth relief, and three things before
it, cut out of other photos. It is photographed from two places, so far apart that the nearest thing moves by a share of
the longer side against the ground. Between the two photos other things, as persons, have changed places. Each is
a little turned, and has its own tone, blur, noise and JPEG. The first photos are indexed, the second ones looked up.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, verify
from featmatch.evaluation.edits import Picture, Random, blur, jpeg, noise, tone
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display

_opencv: Any = cv2  # its type stubs differ from release to release
_SHARES, _MOVED = (0.0, 0.015, 0.025, 0.04, 0.06, 0.09), (0, 1, 2)
_THINGS = 3
_CORNERS = 24


class Thing(NamedTuple):
    """What stands before the ground.

    Attributes:
        picture: (H, W, 3) uint8 RGB, of the size of the ground.
        mask: (H, W) uint8, where it shows.
        nearness: 0 is the ground, 1 the nearest there is.
        moves: right and down, px, by which it has changed its place before the second photo.
    """

    picture: Picture
    mask: NDArray[np.uint8]
    nearness: float
    moves: NDArray[np.float64]


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=10, help="scenes of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    photos = sorted(image_files(arguments.paths))
    print("| moved by depth | other things moved | pairs | `verify`: same scene | copy | `query`: same scene | copy |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for share in _SHARES:
        for moved in _MOVED:
            random = np.random.default_rng([arguments.seed, round(1000 * share), moved])
            pairs = [two_photos(photos, share, moved, random) for _ in range(arguments.count)]
            print(f"| {share:.1%} | {moved} | {len(pairs)} | {_told(pairs)} |", flush=True)


def _told(pairs: list[tuple[Picture, Picture]]) -> str:
    """How many are told to be what, by `verify` and by `query`."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as folder:
        for number, (first, _) in enumerate(pairs):
            Image.fromarray(first).save(Path(folder, f"{number}.png"))
        index = Index.open(Path(folder, "index"), create=True)
        index.add([folder])
        for number, (first, second) in enumerate(pairs):
            found, answer = verify(second, first), index.query(second)
            counts["verify copy"] += bool(found)
            counts["verify scene"] += found.proof is not None and _is_scene(
                found.proof.related, found.proof.relation.kind
            )
            own = [one for one in (*answer, *answer.related) if Path(one.name).name == f"{number}.png"]
            counts["query copy"] += any(one.proven for one in own)
            counts["query scene"] += any(_is_scene(not one.proven, one.relation.kind) for one in own)
    return " | ".join(str(counts[f"{way} {kind}"]) for way in ("verify", "query") for kind in ("scene", "copy"))


def _is_scene(related: bool, kind: str) -> bool:
    return related and kind == "same scene"


def two_photos(photos: list[str], share: float, moved: int, random: Random) -> tuple[Picture, Picture]:
    """Two photos of one scene.

    Args:
        photos: files, of which some are drawn.
        share: of the longer side, by which the nearest thing moves against the ground.
        moved: number of things that have changed their place.
        random: all chance.
    """
    ground, *others = (load_display(photos[place]) for place in random.permutation(len(photos))[: 1 + _THINGS + moved])
    height, width = ground.shape[:2]
    longer = max(height, width)
    things = []
    for number, other in enumerate(others):
        fixed = number < _THINGS
        nearness = random.uniform(0.5, 1) if fixed else 0.0
        moves = random.uniform(-0.3, 0.3, 2) * longer * (not fixed)
        picture = np.asarray(cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        things.append(Thing(picture, _outline(height, width, random), nearness, moves))
    relief = cv2.resize(
        random.uniform(0, 0.3, (4, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    angle = random.normal(0, 0.15) if random.random() < 0.6 else random.uniform(0, 2 * math.pi)
    way = share * longer * np.array([math.cos(angle), math.sin(angle)])
    first = seen_from(ground, relief, [one._replace(moves=np.zeros(2)) for one in things], -way / 2)
    return _photo(first, random), _photo(seen_from(ground, relief, things, way / 2), random)


def _outline(height: int, width: int, random: Random) -> NDArray[np.uint8]:
    """(H, W): 255 within a rounded thing, higher than wide."""
    middle = random.uniform([0.15 * width, 0.25 * height], [0.85 * width, 0.9 * height])
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    rough = 1 + 0.35 * random.uniform(-1, 1, _CORNERS)
    radii = random.uniform(0.05, 0.14) * max(height, width) * (rough + np.roll(rough, 1) + np.roll(rough, -1)) / 3
    corners = middle + radii[:, None] * np.stack([0.75 * np.cos(angles), 1.25 * np.sin(angles)], axis=1)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
    return mask


def seen_from(ground: Picture, relief: NDArray[Any], things: list[Thing], way: NDArray[np.float64]) -> Picture:
    """The scene from a place from which the nearest thing is moved that way."""
    height, width = ground.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    maps = (np.float32(at - relief * step) for at, step in ((x, way[0]), (y, way[1])))
    picture = _opencv.remap(ground, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    for thing in things:
        shift = np.column_stack([np.eye(2), thing.nearness * way + thing.moves])
        shown = _opencv.warpAffine(thing.picture, shift, (width, height), borderMode=cv2.BORDER_REFLECT)
        mask = cv2.GaussianBlur(_opencv.warpAffine(thing.mask, shift, (width, height)), (0, 0), 0.7)[..., None] / 255
        picture = np.uint8(picture * (1 - mask) + shown * mask)
    return np.asarray(picture, np.uint8)


def _photo(picture: Picture, random: Random) -> Picture:
    """Photograph it by hand: a little turned, closer and aslant, in another light."""
    height, width = picture.shape[:2]
    longer, turn, closer = max(height, width), random.normal(0, 0.03), random.uniform(1.02, 1.12)
    rotation = closer * np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    corners, middle = np.array([[0, 0], [width, 0], [width, height], [0, height]]), np.array([width, height]) / 2
    seen = (corners - middle) @ rotation + middle + random.uniform(-0.02, 0.02, (4, 2)) * longer
    way = _opencv.getPerspectiveTransform(np.float32(corners), np.float32(seen))
    warped = _opencv.warpPerspective(picture, way, (width, height), borderMode=cv2.BORDER_REFLECT)
    taken = blur(tone(warped, random.uniform(0.8, 1.25), random), random.uniform(0.3, 0.8))
    return jpeg(noise(taken, random.uniform(2, 7), random), random.uniform(60, 92))


if __name__ == "__main__":
    main()
