"""A picture and its original -> whether the original shows everything that the picture shows, compared cell by cell.

A pair is proven by what two pictures have in common. Before one of them may be deleted, their differences count, too:
another filling of the same form, a caption, colours, a seam that shows that one was pasted into the other.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.geometry.exact import determinants, product
from featmatch.geometry.maps import Matrix, jacobians, scaling_matrix
from featmatch.images.pixels import load_display
from featmatch.native.agreement import laid_over, smooth
from featmatch.proof.agreement import gaussian
from featmatch.system.opencv import without_ipp

_opencv: Any = cv2  # its type stubs differ from release to release

_LONGEST_PX = 1200  # longer side at which they are compared; at 640 px the fillings of a form are missed
_CELL_PX = 24
_SHIFT_PX = 5  # most by which a cell may lie elsewhere than the homography says
_PLAIN, _STRUCTURED = 2.0, 6.0  # standard deviation, grey levels, below which a cell is plain, from which it is not
_AGREES = 0.45  # correlation from which two cells show the same
_FEWEST_CELLS = 8  # with structure, or the pictures are too plain to be compared
_MOST_CONTRADICTING = 0.006  # share of these cells that may contradict; one may in any case
_MARGIN_PX = 12  # around the picture, where a seam is looked for
_SEAM = 2.5  # times the median step between neighbouring columns, above which there is a seam
_LEAST_STEP = 6.0  # grey levels; a smaller step is no seam
_GREY, _COLOURED = 3.0, 12.0  # mean distance between the largest and the smallest of red, green and blue
_HOLDING_MORE = frozenset(("RAW", "PDF", "PSD"))  # formats with layers, pages, or a sensor's pixels


def difference(
    picture: NDArray[np.uint8], original: NDArray[np.uint8], original_from_picture: Matrix, *, negative: bool
) -> str:
    """Why the original does not show everything that a picture shows; empty if it does.

    Args:
        picture: (h, w) uint8, grey.
        original: (h, w) uint8, grey.
        original_from_picture: (3, 3), px to px.
        negative: whether light and dark are swapped.
    """
    height, width = picture.shape
    factor = min(_LONGEST_PX / max(height, width), 1.0)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    small = np.asarray(_opencv.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    seen, mask = _seen(original, product(original_from_picture, scaling_matrix(1 / factor, 1 / factor)), size)
    if negative:
        seen = 255 - seen
    inner = (slice(_MARGIN_PX, -_MARGIN_PX),) * 2
    contradicting, saying = _cells(small, seen[inner], mask[inner])
    if saying < _FEWEST_CELLS:
        return "too plain to be compared with the original"
    if contradicting > max(1, _MOST_CONTRADICTING * saying):
        return "differs from the original in places"
    return "pasted into the original" if _has_seam(seen, mask) else ""


def colours_lost(path: str, original: str) -> bool:
    """Whether a file has colours and its original has none."""
    return _colourfulness(original) < _GREY and _colourfulness(path) > _COLOURED


def holds_more(path: str, kind: str | None) -> bool:
    """Whether a file holds more than the one picture that was compared: pages, frames, layers, a sensor's pixels.

    Args:
        path: of the file.
        kind: its format, as in the catalogue.
    """
    if kind in _HOLDING_MORE:
        return True
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1)) > 1
    except Exception:  # Pillow reads less than featmatch does; a damaged file must not be deleted
        return kind not in ("HEIF", "AVIF")


def _seen(
    original: NDArray[np.uint8], way: Matrix, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The original warped onto the picture's frame and a margin around, and a mask of where it reaches."""
    middle = np.array([[size[0] / 2, size[1] / 2]])
    growth = math.sqrt(abs(float(determinants(jacobians(way, middle))[0])))  # of the map in the middle, along a side
    if growth > 1:
        smaller = max(round(original.shape[1] / growth), 1), max(round(original.shape[0] / growth), 1)
        original = np.asarray(_opencv.resize(original, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        way = product(scaling_matrix(1 / growth, 1 / growth), way)
    way = product(way, np.array([[1.0, 0, -_MARGIN_PX], [0, 1, -_MARGIN_PX], [0, 0, 1]]))
    full = size[0] + 2 * _MARGIN_PX, size[1] + 2 * _MARGIN_PX
    seen, _ = laid_over(original.astype(np.float32), way, full)
    mask, _ = laid_over(np.ones_like(original, np.float32), way, full)
    return seen, mask


def _cells(picture: NDArray[np.float32], seen: NDArray[np.float32], mask: NDArray[np.float32]) -> tuple[int, int]:
    """Number of cells that contradict, and of all cells with structure in one picture at least."""
    a, b = (smooth(one, gaussian(1.0)) for one in (picture, seen))
    contradicting = saying = 0
    for top in range(_SHIFT_PX, a.shape[0] - _CELL_PX - _SHIFT_PX + 1, _CELL_PX):
        for left in range(_SHIFT_PX, a.shape[1] - _CELL_PX - _SHIFT_PX + 1, _CELL_PX):
            place = slice(top, top + _CELL_PX), slice(left, left + _CELL_PX)
            if mask[place].min() < 1:
                continue
            around = tuple(slice(one.start - _SHIFT_PX, one.stop + _SHIFT_PX) for one in place)
            least, most = sorted((float(a[place].std()), float(b[place].std())))
            if most < _STRUCTURED:
                continue
            saying += 1
            if least < _PLAIN:
                contradicting += 1
                continue
            with without_ipp():
                found = _opencv.matchTemplate(a[around], b[place], cv2.TM_CCOEFF_NORMED)
            contradicting += float(found.max()) < _AGREES
    return contradicting, saying


def _has_seam(seen: NDArray[np.float32], mask: NDArray[np.float32]) -> bool:
    """Whether the original has an edge all along a side of the picture, as if that had been pasted into it."""
    for turns in range(4):
        side, covered = np.rot90(seen, turns), np.rot90(mask, turns)
        rows = slice(_MARGIN_PX, -_MARGIN_PX)
        strip, known = side[rows, : 2 * _MARGIN_PX], covered[rows, : 2 * _MARGIN_PX]
        whole = known.min(axis=1) >= 1
        if whole.mean() < 0.9:
            continue  # the original ends there, too
        steps = np.abs(np.diff(strip[whole], axis=1)).mean(axis=0)
        near = np.abs(np.arange(len(steps)) + 1 - _MARGIN_PX) <= 3
        if steps[near].max() > max(_SEAM * float(np.median(steps[~near])), _LEAST_STEP):
            return True
    return False


def _colourfulness(path: str) -> float:
    """Mean distance between the largest and the smallest of red, green and blue; 0 is grey."""
    pixels = load_display(path, longest_px=128).astype(np.int16)
    return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())
