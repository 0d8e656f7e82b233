"""Pictures with far too little detail for features."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.features.looks import (
    WholePicture,
    whole_picture,
)
from featmatch.images.pixels import load_grey

Picture = NDArray[np.uint8]


def described(picture: Picture) -> WholePicture:
    return whole_picture(load_grey(picture, longest_px=2000, colours=True))


def blobs(seed: int, width: int = 240, height: int = 180) -> Picture:
    """Soft random colours, with far too little detail for features."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    large = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 14), np.uint8)


def gradient(top: int, bottom: int) -> Picture:
    rows = np.linspace(top, bottom, 180).astype(np.uint8)
    return np.repeat(np.repeat(rows[:, None, None], 240, axis=1), 3, axis=2)


def in_form(picture: Picture, form: int) -> Picture:
    turned = np.rot90(picture, form % 4)
    return np.ascontiguousarray(turned[:, ::-1] if form >= 4 else turned)


def drawn_flag(number: int) -> Picture:
    """Three colours and a disc, with far too few features."""
    random = np.random.default_rng(number)
    picture = np.zeros((400, 600, 3), np.uint8)
    edges = [0, *np.sort(random.integers(120, 480, 2)).tolist(), 600]
    for left, right, tone in zip(edges, edges[1:], random.permutation([110, 175, 240]).tolist(), strict=False):
        picture[:, left:right] = tone
    x, y = random.integers(100, 300, 2).tolist()
    cv2.circle(picture, (x, y), 68, (10, 40, 60), -1)
    return picture


def before_a_background(sheet: Picture, corners: NDArray[np.float64]) -> Picture:
    """The sheet with its edges between these corners, before soft blobs."""
    height, width = sheet.shape[:2]
    edges = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    way = cv2.getPerspectiveTransform(edges.astype(np.float32), corners.astype(np.float32))
    ground, size = blobs(5, 640, 480) // 3, (640, 480)
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), way, size)[..., None]
    laid = cv2.warpPerspective(sheet.astype(np.float32), way, size, borderMode=cv2.BORDER_REPLICATE)
    return np.rint(laid * mask + ground * (1 - mask)).astype(np.uint8)
