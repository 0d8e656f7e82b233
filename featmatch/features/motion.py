"""Which way a picture changes the most; and pictures that moved while they were taken, without their blur.

What is seen from the side is squeezed along one direction, and changes the most along it. What moves is blurred along
its way, and changes the least along that. The structure tensor of all px tells both (Bigun and Granlund, ICCV 1987).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.features.mapped import mapped
from featmatch.geometry.exact import cos_sin
from featmatch.geometry.maps import Matrix
from featmatch.system.opencv import without_ipp

_ALIKE_PX, _ALIKE = 3, 0.25  # slopes so far apart along the way are so much alike where it moved, and hardly elsewhere
_SHORTEST_PX, _LONGEST_PX = _ALIKE_PX + 1, 24  # ways that are told
_NOISE = 0.02  # its power, as a share of that of the picture
_PERIOD = 256  # px, of the cosines that make up a filter
_REACH = 3  # of the filter to either side, in ways
_STEPS = 256  # of which a filter is made: its sums are whole numbers below 2 ** 24, which are exact in float32


class Structure(NamedTuple):
    """How a picture changes.

    Attributes:
        x: of the direction of length 1 in which it changes the most.
        y: of the same.
    """

    x: float
    y: float


def structure_of(pixels: NDArray[np.uint8]) -> Structure:
    """How a picture, (H, W) uint8, changes; one of a single grey level does in all directions.

    >>> structure_of(np.uint8([[0, 9, 50]] * 3))
    Structure(x=1.0, y=0.0)
    """
    levels = pixels.astype(np.float64)
    # Every second row tells as much.
    right = levels[1:-1:2, 2:] - levels[1:-1:2, :-2]
    down = levels[2::2, 1:-1] - levels[:-2:2, 1:-1]
    # Sums of whole numbers, exact in any order.
    xx, xy, yy = (float((a * b).sum()) for a, b in ((right, right), (right, down), (down, down)))
    apart = math.sqrt((xx - yy) * (xx - yy) + 4 * xy * xy)
    doubled = (xx - yy) / apart if apart else 1.0  # cosine of twice the angle
    return Structure(math.sqrt(max(1 + doubled, 0) / 2), math.copysign(math.sqrt(max(1 - doubled, 0) / 2), xy))


def steadied(pixels: NDArray[np.uint8], structure: Structure) -> tuple[NDArray[np.uint8], Matrix] | None:
    """A picture without the blur of its motion, turned so that its way runs along x, black around it.

    Its slopes along the way are those of the still picture twice, with opposite signs, as far apart as it moved: there
    their autocorrelation is least (Yitzhaky and Kopeika, Graphical Models and Image Processing 1997). Wiener's filter
    takes back a blur that is even so far.

    Args:
        pixels: (H, W) uint8.
        structure: of the picture, at any size.

    Returns:
        The picture, uint8, and the map from it to the one that was given: (3, 3), px to px. None: it did not move.
    """
    turned = mapped(pixels, np.array([[structure.y, -structure.x], [structure.x, structure.y]]))
    width = turned.pixels.shape[1]
    # Beyond the picture each row goes on as it ends: black would ring far into it.
    first = turned.is_seen.argmax(axis=1)[:, None]
    last = width - 1 - turned.is_seen[:, ::-1].argmax(axis=1)[:, None]
    rows = np.take_along_axis(turned.pixels, np.clip(np.arange(width), first, last), axis=1)
    way = _way_px(rows)
    if way is None:
        return None
    taps = _wiener(way).astype(np.float32)
    with without_ipp():
        sums = cv2.sepFilter2D(rows, cv2.CV_32F, taps, np.ones(1, np.float32), borderType=cv2.BORDER_REPLICATE)
    levels = (sums.astype(np.int32) + _STEPS // 2) // _STEPS
    return np.asarray(np.where(turned.is_seen, np.clip(levels, 0, 255), 0), np.uint8), turned.back


def _way_px(rows: NDArray[np.uint8]) -> int | None:
    """How far a picture moved along x; None: it did not."""
    slopes = np.diff(rows[::2].astype(np.float64), axis=1)
    flat = np.pad(slopes, ((0, 0), (0, _LONGEST_PX))).ravel()  # so that no row meets the next

    def alike(apart_px: int) -> float:  # a sum of whole numbers, exact in any order
        return float((flat[: len(flat) - apart_px] * flat[apart_px:]).sum())

    if alike(_ALIKE_PX) <= _ALIKE * alike(0):
        return None
    return min(range(_SHORTEST_PX, _LONGEST_PX + 1), key=alike)


def _wiener(way_px: int) -> NDArray[np.int64]:
    """Wiener's filter against a blur that is even along so many px, odd in length: in steps, which add up to one."""
    cosines, _ = cos_sin(2 * math.pi / _PERIOD * np.arange(_PERIOD))
    places = np.arange(_REACH * way_px + 1)
    waves = cosines[np.arange(_PERIOD)[:, None] * places % _PERIOD]
    blur = np.clip(way_px / 2 + 0.5 - places, 0, 1) / way_px
    passed = np.cumsum(waves * np.where(places > 0, 2 * blur, blur), axis=1)[:, -1:]  # of each wave; added up in order
    gains = passed * (1 + _NOISE) / (passed * passed + _NOISE)
    half = np.rint(np.cumsum(gains * waves, axis=0)[-1] * (_STEPS / _PERIOD)).astype(np.int64)
    taps = np.concatenate([half[:0:-1], half])
    taps[len(half) - 1] += _STEPS - taps.sum()
    return taps
