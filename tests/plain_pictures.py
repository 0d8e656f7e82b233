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
