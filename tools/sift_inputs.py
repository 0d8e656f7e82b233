"""Inputs for the kernels of SIFT: small pictures, keypoints of all kinds, and whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from featmatch.images.folders import image_files
from featmatch.images.pixels import load_grey
from featmatch.native.library import library
from featmatch.native.sift import CONTRAST, EDGE, FEATURE, KEYPOINT, MOST_FLOATS, _Pyramid
from tools.kernel_cases import ODD_FLOATS, ODD_WHOLES, Case, Random, maybe_odd, one_in

Grey: TypeAlias = NDArray[np.uint8]

_LAYERS, _BORDER, _SMALLEST = 3, 5, 24  # as sift.c has them


def sift_case(random: Random) -> Case:
    """Detection in a small picture, and descriptors of keypoints, most of them true or possible."""
    pixels = _pixels(random)
    most_floats = int(random.choice([0, MOST_FLOATS, random.integers(1 << 20), random.choice(ODD_WHOLES)]))
    floats = library().featmatch_sift_workspace(*pixels.shape, most_floats)
    if one_in(random, 40):
        floats += int(random.choice([-floats, -1, 1, 1000]))
    contrast, edge = CONTRAST, EDGE
    if one_in(random, 20):
        contrast, edge = (float(random.choice([*ODD_FLOATS, 0.0001, 0.1])) for _ in range(2))
    keypoints = _keypoints(random, pixels, most_floats)
    capacity = int(random.integers(0, 100)) if one_in(random, 4) else 4 * len(keypoints)
    return _sift_calls(random, pixels, keypoints, (most_floats, floats, contrast, edge, capacity))


def _sift_calls(
    random: Random, pixels: Grey, keypoints: NDArray[np.void], numbers: tuple[int, int, float, float, int]
) -> Case:
    """Both calls; now and then with a size that is none."""
    most_floats, floats, contrast, edge, capacity = numbers
    case = Case()
    height, width = (maybe_odd(random, side, 1000) for side in pixels.shape)
    # What does not have these pixels is refused; or else the kernel is right to read them all.
    if 0 < height <= 1 << 15 and 0 < width <= 1 << 15 and height * width > pixels.size:
        height, width = pixels.shape
    picture = (case.given(pixels), height, width, most_floats, case.scratch(4 * floats), floats)
    room = pixels.size // 8 + 8
    case.call("featmatch_sift_workspace", height, width, most_floats)
    case.call("featmatch_sift_doubled", height, width)
    case.call("featmatch_sift_kept", height, width, most_floats)
    found = case.written(KEYPOINT.itemsize * room)
    case.call("featmatch_sift_detect", *picture, contrast, edge, found, room)
    results = case.written(FEATURE.itemsize * capacity), case.written(128 * capacity)
    count = len(keypoints) if not one_in(random, 200) else -1
    capacity = capacity if not one_in(random, 200) else -1
    case.call("featmatch_sift_describe", *picture, case.given(keypoints), count, *results, capacity)
    return case


def _pixels(random: Random) -> Grey:
    """Of few px, as a rule; thin ones can be long."""
    height, width = (int(2 ** random.uniform(3, 5.2)) for _ in range(2))
    if one_in(random, 8):
        height, width = (int(random.integers(1, 16)) for _ in range(2))
    if one_in(random, 64):
        height, width = (1 << int(random.integers(3)), int(random.integers(1, 3000)))[:: random.choice([-1, 1])]
    if one_in(random, 256):
        height, width = (int(random.integers(40, 160)) for _ in range(2))
    if one_in(random, 20_000):
        height, width = (1, 1 << 15)[:: random.choice([-1, 1])]
    if one_in(random, 16):
        return np.full((height, width), random.integers(256), np.uint8)
    coarse = int(random.integers(1, 8))
    pixels = random.integers(0, 256, (height // coarse + 1, width // coarse + 1), np.uint8)
    pixels = pixels.repeat(coarse, axis=0).repeat(coarse, axis=1)[:height, :width]
    match random.integers(5):
        case 0:
            pixels = (pixels > 127) * np.uint8(255)
        case 1:
            pixels = pixels >> np.uint8(random.integers(8))
    return np.ascontiguousarray(pixels)


def _keypoints(random: Random, pixels: Grey, most_floats: int) -> NDArray[np.void]:
    """Found ones, possible ones or nonsense; sorted, as a rule, as they must be where the picture streams."""
    if one_in(random, 4):
        keypoints = _Pyramid(pixels, min(max(most_floats, 0), MOST_FLOATS)).detect()[:200]
    else:
        keypoints = _possible_keypoints(random, pixels)
    if len(keypoints) and one_in(random, 8):
        keypoints = _damaged(random, keypoints)
    if not one_in(random, 8):
        keypoints = keypoints[np.lexsort((keypoints["row"], keypoints["octave"]))]
    return keypoints


def _possible_keypoints(random: Random, pixels: Grey) -> NDArray[np.void]:
    """Anywhere where one may lie, up to the border and right between two px."""
    sides = [2 * np.array(pixels.shape)]
    while sides[-1].min() >= _SMALLEST:
        sides.append(sides[-1] // 2)
    sides = [side for side in sides if side.min() > 2 * _BORDER]
    keypoints = np.zeros(int(random.integers(0, 24)) if sides else 0, KEYPOINT)
    if len(keypoints) == 0:
        return keypoints
    keypoints["octave"] = random.integers(0, len(sides), len(keypoints))
    least, most = np.full((len(keypoints), 2), _BORDER), np.array(sides)[keypoints["octave"]] - _BORDER
    places = random.integers(least, most)
    if one_in(random, 4):
        places = random.choice([least, most - 1])
    keypoints["row"], keypoints["column"] = places.T
    keypoints["layer"] = random.integers(1, _LAYERS + 1, len(keypoints))
    for name, whole in (("x", "column"), ("y", "row"), ("level", "layer")):
        aside = random.uniform(-0.5, 0.5, len(keypoints)) if not one_in(random, 4) else random.choice([-0.5, 0.5])
        keypoints[name] = keypoints[whole] + aside
    return keypoints


def _damaged(random: Random, keypoints: NDArray[np.void]) -> NDArray[np.void]:
    """With one number, or a few bytes, of one of them changed."""
    damaged = keypoints.copy()
    row, name = random.integers(len(damaged)), str(random.choice(KEYPOINT.names or ()))
    match random.integers(3):
        case 0:
            raw = damaged.view(np.uint8)
            raw[random.integers(len(raw), size=2)] = random.integers(256, size=2)
        case 1 if damaged.dtype[name].kind == "f":
            damaged[name][row] = random.choice(ODD_FLOATS)
        case _:
            damaged[name][row] += random.integers(-6, 7)
    return damaged


def picture_case(pixels: Grey) -> Case:
    """All keypoints of a picture, and their descriptors: the pyramid kept, and streamed."""
    floats = library().featmatch_sift_workspace(*pixels.shape, MOST_FLOATS)
    pyramid = _Pyramid(pixels, MOST_FLOATS)
    keypoints = pyramid.detect()
    case = Case()
    given, scratch, room = case.given(pixels), case.scratch(4 * floats), len(keypoints)
    found, places = case.written(KEYPOINT.itemsize * pixels.size), case.given(keypoints)
    features, descriptors = case.written(FEATURE.itemsize * 4 * room), case.written(128 * 4 * room)
    for most_floats in (MOST_FLOATS, 0):
        picture = (given, *pixels.shape, most_floats, scratch, floats)
        case.call("featmatch_sift_detect", *picture, CONTRAST, EDGE, found, pixels.size)
        case.call("featmatch_sift_describe", *picture, places, room, features, descriptors, 4 * room)
    return case


def drawn_pictures() -> list[Grey]:
    """Larger ones than the rest: clouds, blocks, fine noise, a dull one, and waves."""
    random = np.random.default_rng(14)
    noise = random.integers(0, 256, (360, 500), np.uint8)
    clouds = np.zeros((360, 500))
    for coarse in (1, 2, 4, 8, 16, 32):
        part = random.normal(0, coarse, (360 // coarse + 1, 500 // coarse + 1))
        clouds += part.repeat(coarse, axis=0).repeat(coarse, axis=1)[:360, :500]
    rows, columns = np.mgrid[:360, :500]
    blocks = noise[::9, ::9].repeat(9, axis=0).repeat(9, axis=1)[:360, :500]
    waves = 127.5 + 127 * np.sin(columns**2 / 900) * np.cos(rows**2 / 700)
    drawn = [np.clip(clouds * 2 + 128, 0, 255), blocks, noise, 127 + noise // 64, waves]
    return [np.ascontiguousarray(one, np.uint8) for one in drawn]


def photographs(paths: Sequence[Path]) -> list[Grey]:
    """The user's own, none larger than 1000 px."""
    return [load_grey(path, longest_px=1000).pixels for path in image_files([str(path) for path in paths])]
