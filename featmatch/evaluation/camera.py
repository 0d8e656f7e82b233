"""How a picture looks once more on paper or on a screen, and then in a scanner or before a telephone.

All chance comes from the generator that is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.evaluation import edits
from featmatch.evaluation.edits import Picture, Random

Values: TypeAlias = "NDArray[np.floating[Any]]"

_opencv: Any = cv2  # its type stubs differ from release to release
_FRAME = (1024, 768)  # px of a photo by telephone, which is also taken upright
_DISTANCE = 1.6  # of the camera from a print, in longer sides of the print


@dataclass(frozen=True)
class Shot:
    """How a print is photographed.

    Attributes:
        tilt_deg: angle between the camera's axis and that of the print.
        curve_deg: part of a cylinder that the print is wound around; 0: it lies flat.
        glare: share of the print's sides that a reflection has.
        screen: depth of the grid of a screen that shows the picture instead of a print, 0 to 1.
        motion: way of the camera while it took the picture, as a share of the longer side of the print.
        shade: how much darker the darkest part is than the brightest, 0 to 1.
        blur_px: standard deviation of the blur out of focus.
        noise: its standard deviation, grey levels.
        quality: of JPEG.
    """

    tilt_deg: float = 0.0
    curve_deg: float = 0.0
    glare: float = 0.0
    screen: float = 0.0
    motion: float = 0.0
    shade: float = 0.0
    blur_px: float = 0.7
    noise: float = 4.0
    quality: float = 75.0


def usual(random: Random) -> Shot:
    """A photo as people take it of what lies before them."""
    return Shot(
        tilt_deg=random.uniform(5, 40),
        glare=random.uniform(0.1, 0.3) * (random.random() < 0.5),
        motion=random.uniform(0.002, 0.006) * (random.random() < 0.3),
        shade=random.uniform(0.2, 0.6),
        blur_px=random.uniform(0.5, 1.3),
        noise=random.uniform(2, 8),
        quality=random.uniform(40, 85),
    )


def _harder(**changes: float) -> Shot:
    return replace(Shot(tilt_deg=20.0, shade=0.4, blur_px=1.0, noise=7.0, quality=50.0), **changes)


# What makes a photo of a print hard, each alone and all at once.
HARD_SHOTS: dict[str, Shot] = {
    "perspective 45°": _harder(tilt_deg=45.0),
    "perspective 60°": _harder(tilt_deg=60.0),
    "glare": _harder(glare=0.9),
    "screen": _harder(screen=1.2),
    "motion blur": _harder(motion=0.03),
    "curved label": _harder(curve_deg=150.0),
    "uneven light": _harder(shade=0.97),
    "all at once": _harder(tilt_deg=40.0, glare=0.4, motion=0.008, shade=0.7, noise=9.0, quality=40.0),
}


def rescanned(picture: Picture, random: Random) -> Picture:
    """Print a picture and scan it: a little turned and warped, on the white of the scanner, faded, blurred, noisy."""
    height, width = picture.shape[:2]
    room = 0.04 * max(height, width)
    corners = _corners(width, height)
    turn = math.radians(random.uniform(-2.5, 2.5))
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    moved = (corners - [width / 2, height / 2]) @ rotation + [width / 2, height / 2] + room
    moved += random.uniform(-0.008, 0.008, (4, 2)) * max(height, width)
    factor = random.uniform(0.55, 1.1)
    size = round((width + 2 * room) * factor), round((height + 2 * room) * factor)
    paper = np.full((size[1], size[0], 3), random.uniform(225, 255), np.float32)
    laid = np.maximum(_placed(picture, moved * factor, paper), 0) / 255
    faded = 255 * laid ** random.uniform(0.75, 1.35) * random.uniform(0.85, 1) + random.uniform(0, 25)
    soft = edits.blur(_as_picture(faded), random.uniform(0.5, 1.1))
    soft = edits.grey(soft) if random.random() < 0.3 else soft
    return edits.jpeg(_noisy(soft, random.uniform(2, 7), random), random.uniform(30, 80))


def photographed(picture: Picture, shot: Shot, random: Random, background: Picture) -> Picture:
    """Photograph a print of a picture, or a screen that shows it, as it lies before a background.

    Args:
        picture: (H, W, 3) uint8.
        shot: how.
        random: draws where the light comes from, how the camera is held, and the like.
        background: (H, W, 3) uint8, another picture, which is out of focus.
    """
    height, width = picture.shape[:2]
    frame = _FRAME if width >= height else _FRAME[::-1]
    ground = edits.blur(_filled(background, *frame), 4.0) * random.uniform(0.5, 1)
    printed = picture.astype(np.float32)
    if shot.glare:
        printed = _with_glare(printed, shot.glare, random)
    marked = np.dstack([printed, np.full((height, width), 255, np.float32)])
    if shot.curve_deg:
        marked = _wound(marked, math.radians(shot.curve_deg) / 2, random)
    corners = _seen_corners(marked.shape[1], marked.shape[0], shot.tilt_deg, random)
    seen = _placed(marked, _fitted(corners, frame, random), ground)
    if shot.screen:
        seen = seen * _screen(frame, shot.screen, random)
    if shot.motion:
        seen = _moved(seen, shot.motion * max(frame), random)
    lit = _as_picture(seen * _light(frame, shot.shade, random))
    return edits.jpeg(_noisy(edits.blur(lit, shot.blur_px), shot.noise, random), shot.quality)


def _seen_corners(width: int, height: int, tilt_deg: float, random: Random) -> Values:
    """(4, 2): the corners of a print before a camera that looks at it from a side, which it chooses at random."""
    plane = (_corners(width, height) - [width / 2, height / 2]) / max(width, height)
    toward, roll, tilt = random.uniform(0, 2 * math.pi), math.radians(random.normal(0, 6)), math.radians(tilt_deg)
    along = plane @ [math.cos(toward), math.sin(toward)]
    across = plane @ [-math.sin(toward), math.cos(toward)]
    depth = _DISTANCE + along * math.sin(tilt)
    along, across = along * math.cos(tilt) / depth, across / depth
    back = toward + roll
    return np.stack(
        [along * math.cos(back) - across * math.sin(back), along * math.sin(back) + across * math.cos(back)], axis=1
    )


def _fitted(corners: Values, frame: tuple[int, int], random: Random) -> Values:
    """The same corners in px, where they take much of the frame and are all within."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = random.uniform(0.6, 0.96) * (np.array(frame) / (high - low)).min()
    room = np.array(frame) - scale * (high - low)
    return np.asarray((corners - low) * scale + room * random.uniform(0.2, 0.8, 2))


def _placed(picture: NDArray[Any], corners: Values, ground: NDArray[Any]) -> Values:
    """Lay a picture, whose last channel of four is its mask, over the ground with its corners there."""
    height, width = picture.shape[:2]
    matrix = cv2.getPerspectiveTransform(_corners(width, height).astype(np.float32), corners.astype(np.float32))
    marked = picture if picture.shape[2] == 4 else np.dstack([picture, np.full((height, width), 255, np.float32)])
    # Where it gets smaller, what the new pixels cannot show is taken away before.
    smaller = max(math.sqrt(width * height / max(cv2.contourArea(corners.astype(np.float32)), 1.0)), 1.0)
    soft = marked if smaller < 1.2 else _opencv.GaussianBlur(marked, (0, 0), 0.4 * smaller)
    size = ground.shape[1], ground.shape[0]
    seen = _opencv.warpPerspective(soft.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR)
    covered = seen[..., 3:] / 255
    return np.asarray(seen[..., :3] * covered + ground * (1 - covered), np.float32)


def _wound(marked: Values, half: float, random: Random) -> Values:
    """Wind a picture around a cylinder with an upright axis, seen from somewhat above; darker to the sides."""
    height, width = marked.shape[:2]
    bend = random.uniform(0.05, 0.15) * width
    across, tall = round(width * math.sin(min(half, math.pi / 2)) / half), height + math.ceil(bend)
    x = np.linspace(-math.sin(half), math.sin(half), across)[None, :]
    y = np.arange(tall)[:, None]
    angle = np.arcsin(x)
    from_x = np.broadcast_to((angle / half + 1) / 2 * (width - 1), (tall, across))
    from_y = y - bend * np.cos(angle)
    wound = _opencv.remap(
        marked.astype(np.float32), from_x.astype(np.float32), from_y.astype(np.float32), cv2.INTER_LINEAR
    )
    wound[..., :3] *= (0.35 + 0.65 * np.cos(angle - random.uniform(-0.4, 0.4)))[..., None]
    return np.asarray(wound, np.float32)


def _with_glare(printed: Values, share: float, random: Random) -> Values:
    """Reflect one to three windows or lamps, in the middle of which nothing else is seen."""
    height, width = printed.shape[:2]
    whole = np.zeros((height, width), np.float32)
    count = int(random.integers(1, 4))
    for _ in range(count):
        centre = random.uniform(0.2, 0.8, 2) * [width, height]
        sides = np.array([width, height]) * share * random.uniform(0.5, 1, 2) / math.sqrt(count)
        turn = random.uniform(0, 180)
        if random.random() < 0.5:
            corners = cv2.boxPoints((tuple(centre), tuple(sides), turn)).astype(np.int32)
            _opencv.fillConvexPoly(whole, corners, 1.0)
        else:
            axes = tuple((sides / 2).astype(int).tolist())
            _opencv.ellipse(whole, tuple(centre.astype(int).tolist()), axes, turn, 0, 360, 1.0, -1)
    sharp = _opencv.GaussianBlur(whole, (0, 0), 0.02 * max(height, width))
    halo = _opencv.GaussianBlur(whole, (0, 0), 0.1 * max(height, width))
    light = np.minimum(random.uniform(0.8, 1) * sharp + 0.5 * halo, 1)[..., None]
    return np.asarray(printed + (255 - printed) * light)


def _screen(frame: tuple[int, int], depth: float, random: Random) -> Values:
    """(H, W, 3) brightness: the red, green and blue stripes of a screen, as coarse as the sensor: bands of colour."""
    x, y = np.meshgrid(np.arange(frame[0], dtype=np.float32), np.arange(frame[1], dtype=np.float32))
    turn, pitch = math.radians(random.uniform(-8, 8)), random.uniform(1.02, 1.25)
    slant = 1 + random.uniform(-0.04, 0.04) * x / frame[0] + random.uniform(-0.04, 0.04) * y / frame[1]
    column = (x * math.cos(turn) + y * math.sin(turn)) * slant / pitch
    row = (y * math.cos(turn) - x * math.sin(turn)) * slant / (pitch * random.uniform(1.0, 2.2))
    stripes = np.stack([np.cos(2 * math.pi * (column + place / 3)) for place in range(3)], axis=2)
    lines = np.cos(2 * math.pi * row)[..., None]
    return np.asarray(1 + depth * (0.35 * stripes + 0.25 * lines - 0.1))


def _moved(seen: Values, length_px: float, random: Random) -> Values:
    """Blur along a straight way."""
    side = 2 * math.ceil(length_px / 2) + 1
    angle = random.uniform(0, math.pi)
    kernel = np.zeros((side, side), np.float32)
    for step in np.linspace(-length_px / 2, length_px / 2, 4 * side):
        kernel[round(side // 2 + step * math.sin(angle)), round(side // 2 + step * math.cos(angle))] += 1
    return np.asarray(_opencv.filter2D(seen, -1, kernel / kernel.sum()), np.float32)


def _light(frame: tuple[int, int], shade: float, random: Random) -> Values:
    """(H, W, 3) brightness: light from one side, the shadow of a hand, and the colour of the lamp."""
    y = np.linspace(-1, 1, frame[1], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, frame[0], dtype=np.float32)[None, :]
    direction, edge = random.uniform(0, 2 * math.pi, 2)
    slope = 0.5 + 0.35 * (x * math.cos(direction) + y * math.sin(direction))
    beyond = x * math.cos(edge) + y * math.sin(edge) + 0.3 * np.sin(3 * (x * math.sin(edge) - y * math.cos(edge)))
    shadow = 1 / (1 + np.exp(-(beyond - random.uniform(-0.2, 0.4)) / 0.06))
    lamp = 1 + random.uniform(-0.12, 0.12, 3) * (0.4 + shade)
    lamp = lamp.astype(np.float32)
    return np.asarray((1.1 * (1 - 0.6 * shade * slope) * (1 - 0.75 * shade * shadow))[..., None] * lamp)


def _noisy(seen: Picture, sigma: float, random: Random) -> Picture:
    """Add noise of this standard deviation, grey levels."""
    return _as_picture(seen + np.float32(sigma) * random.standard_normal(seen.shape, np.float32))


def _corners(width: int, height: int) -> Values:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def _filled(picture: Picture, width: int, height: int) -> Picture:
    """The picture, stretched to this size."""
    return np.asarray(_opencv.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _as_picture(values: Values) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
