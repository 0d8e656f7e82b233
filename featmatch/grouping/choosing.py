"""Images of one group -> which of them is the original, what decided that, and what the others have that it has not.

Criteria, in this order: a real file; shows the most of the scene; resolves the most detail; a camera's metadata; taken
earliest; neither enlarged, reduced nor sharpened; least compressed; the shortest name. Each criterion drops images, and
the last one left is the original. Pixels are compared where the files are at hand; else the stored sizes must do.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch.errors import ImageError
from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.grouping.detail import Comparison, compare_detail
from featmatch.grouping.sameness import colours_lost, difference, holds_more
from featmatch.images.pixels import GreyImage, load_grey

_opencv: Any = cv2  # its type stubs differ from release to release

_LONGEST_PX = 6000  # longer side at which pictures are decoded: large, as detail is in the pixels
_OUTLINE_PX = 256  # the same, to see where a picture has plain margins
_WHOLE = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])  # outline of a picture without margins, as shares of the sides
_ALL = 0.95  # share of another's view from which an image shows all of it; the rest may be the homography's error
_AS_FINE = 0.98  # share of the highest resolution from which stored sizes count as equally fine
_BLOCKS = 0.15  # blockiness may differ by this much and say nothing
_AS_GOOD = 1.02  # ratio of compression up to which files count as equally compressed
_CONTRAST = 0.1  # share of the 99 % quantile of the steps between pixels below which a place is plain,
_LEAST_STEP = 3.0  # and grey levels below which it is in any case
_FEWEST_POINTS = 100  # pixels that are not plain, to find the margins by
_LOSSLESS = frozenset(("BMP", "PNG", "PPM", "QOI", "RAW", "TIFF"))

NOT_COMPARED = "its pixels could not be compared with the original's"


@dataclass(frozen=True, eq=False)
class Contender:
    """What is known of an image of a group to choose the original by.

    Attributes:
        id: of the image.
        name: its first name.
        path: of its file; None: the file is not at hand as it was added.
        placed: (3, 3), its px to px of one common image of the group; None: not known.
        negative: whether light and dark are swapped, compared with that image.
        is_holder: whether the group's picture is only a small part of it.
        content: SHA-256.
        width: px.
        height: px.
        bytes: size of the file.
        format: of the file.
        camera: that took it, by its metadata.
        taken: when, in ISO 8601.
    """

    id: int
    name: str
    path: str | None
    placed: Matrix | None
    negative: bool
    is_holder: bool
    content: str
    width: int
    height: int
    bytes: int
    format: str | None
    camera: str | None
    taken: str | None

    @property
    def is_comparable(self) -> bool:
        """Whether its pixels can be compared with those of another image."""
        return self.path is not None and self.placed is not None


@dataclass(frozen=True)
class Choice:
    """The original of a group.

    Attributes:
        original: its id.
        by: the criterion that decided.
        own: of other images, by id, what they have that is not in the original; empty: nothing.
    """

    original: int
    by: str
    own: Mapping[int, str] = field(default_factory=dict)


def choose(contenders: Sequence[Contender]) -> Choice:
    """Choose the original of a group. Files with a path are decoded: call it in a process of its own.

    >>> from dataclasses import replace
    >>> one = Contender(1, "a.jpg", None, np.eye(3), False, False, "0f", 640, 480, 9000, "JPEG", None, None)
    >>> choose([one, replace(one, id=2, content="1e", camera="Canon")])
    Choice(original=2, by="a camera's metadata", own={})
    """
    try:
        return _Choosing(contenders).choice()
    finally:
        _grey.cache_clear()


class _Choosing:
    """The images that are left (``left``), and the last criterion that dropped any (``by``)."""

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self._all = contenders
        self._best: Contender | None = None  # the one that the others' pixels were compared with
        self.by = "pasted into the others"
        self.left = [one for one in contenders if one.placed is not None and not one.is_holder]
        if len(self.left) == 1:  # the user's verdicts made this group: any of it may be the original
            self.left = [one for one in contenders if not one.is_holder]
        if len(self.left) == len(contenders):
            self.by = "the only one"

    def choice(self) -> Choice:
        self._keep("a real file", lambda one: one.path is not None)
        known: dict[int, Comparison | None] = {}
        if all(one.placed is not None for one in self.left):
            self._keep_showing_most()
            known = self._keep_detailed()
        else:
            most = max(one.width * one.height for one in self.left)
            self._keep("most pixels", lambda one: one.width * one.height == most)
        self._keep("a camera's metadata", lambda one: bool(one.camera))
        first = min((one.taken for one in self.left if one.taken), default=None)
        self._keep("taken earliest", lambda one: one.taken == first)
        made = {number for number, beside in known.items() if beside is not None and beside.made < 0}
        self._keep("not enlarged, reduced or sharpened", lambda one: one.id not in made)
        if known:
            blocks = {one.id: _blockiness(one) for one in self.left}
            self._keep("least compressed", lambda one: blocks[one.id] <= min(blocks.values()) + _BLOCKS)
        self._keep_lossless(known)
        self._keep_least_compressed()
        shortest = min((len(one.name), one.name) for one in self.left)
        self._keep("the shortest name", lambda one: (len(one.name), one.name) == shortest)
        (original,) = self.left
        own = {
            one.id: _own(one, original, known)
            for one in self._all
            if one is not original and one.is_comparable and original.is_comparable
        }
        return Choice(original.id, self.by, own)

    def _keep(self, by: str, which: Callable[[Contender], bool]) -> None:
        """Keep the images that meet a criterion, if some do and some do not."""
        kept = [one for one in self.left if which(one)]
        if 0 < len(kept) < len(self.left):
            self.left, self.by = kept, by

    def _keep_showing_most(self) -> None:
        """Drop images that lack a part of the scene that another shows; if all do, keep the largest."""
        seen = {one.id: (_outline(one), _frame(one)) for one in self.left}
        areas = {number: _area(outline) for number, (outline, _) in seen.items()}

        def lacks_nothing(one: Contender) -> bool:
            frame = seen[one.id][1]
            return all(
                _shared(outline, frame) >= _ALL * areas[number]
                for number, (outline, _) in seen.items()
                if number != one.id
            )

        if not any(map(lacks_nothing, self.left)):
            self._keep("shows the most", lambda one: areas[one.id] == max(areas.values()))
        self._keep("shows the most", lacks_nothing)

    def _keep_detailed(self) -> dict[int, Comparison | None]:
        """Drop images that resolve less than another; return how the best compares with each of the others.

        The best resolves at least as much as any other, and was not made from one that resolves as much.
        """
        best, *others = sorted(self.left, key=lambda one: (-_density(one), one.content))
        least = _AS_FINE * _density(best)
        if best.path is None:
            self._keep("most pixels, as no file is at hand", lambda one: _density(one) >= least)
            return {}
        for one in others:
            beside = _beside(best, one)
            if beside is not None and (beside.detail, -beside.made) < (0, 0):
                best = one
        self._best = best
        known = {one.id: _beside(best, one) for one in self.left if one is not best}
        less = {number for number, beside in known.items() if beside is not None and beside.detail > 0}
        less |= {one.id for one in self.left if known.get(one.id, best) is None and _density(one) < least}
        self._keep("most resolved detail", lambda one: one.id not in less)
        return known

    def _keep_lossless(self, known: Mapping[int, Comparison | None]) -> None:
        """Prefer lossless files if a lossy and a lossless one differ: the compression changed the pixels."""
        differing = {number for number, beside in known.items() if beside is not None and not beside.alike}
        kinds = {one.format in _LOSSLESS for one in self.left if one.id in differing}
        if self._best is not None and kinds - {self._best.format in _LOSSLESS}:
            self._keep("least compressed", lambda one: one.format in _LOSSLESS)

    def _keep_least_compressed(self) -> None:
        """Within one format: by the quantisation of JPEG files, by the bytes per pixel of others."""
        formats = {one.format for one in self.left}
        if len(formats) > 1 or formats <= _LOSSLESS:
            return
        steps = {one.id: _quantisation(one) or one.width * one.height / one.bytes for one in self.left}
        self._keep("least compressed", lambda one: steps[one.id] <= _AS_GOOD * min(steps.values()))


def _own(one: Contender, original: Contender, known: Mapping[int, Comparison | None]) -> str:
    """What an image has that its original has not; empty: nothing."""
    assert one.path is not None
    assert original.path is not None
    if holds_more(one.path, one.format):
        return "holds more than one picture"
    try:
        if colours_lost(one.path, original.path):
            return "has colours, which the original has not"
        beside = known[one.id] if one.id in known else _beside(original, one)
        if beside is not None and beside.detail < 0:
            return "resolves more than the original"
        a, b = _grey(one.path), _grey(original.path)
        return difference(a.pixels, b.pixels, _way(one, original), negative=one.negative != original.negative)
    except ImageError:
        return NOT_COMPARED


def _beside(first: Contender, second: Contender) -> Comparison | None:
    """How the pixels of one image compare with those of another; None if they cannot be compared."""
    assert first.path is not None
    assert second.path is not None
    try:
        a, b = _grey(first.path).pixels, _grey(second.path).pixels
        return compare_detail(a, 255 - b if first.negative != second.negative else b, _way(first, second))
    except ImageError:
        return None


def _way(one: Contender, other: Contender) -> Matrix:
    """(3, 3): px of one decoded picture to px of the other decoded one."""
    assert one.path is not None
    assert other.path is not None
    assert one.placed is not None
    assert other.placed is not None
    own, others = _grey(one.path).original_from_working, _grey(other.path).original_from_working
    return product(inverse(others), inverse(other.placed), one.placed, own)


@lru_cache(maxsize=2)  # the finest so far, and the one that it is compared with
def _grey(path: str) -> GreyImage:
    return load_grey(path, longest_px=_LONGEST_PX)


def _frame(one: Contender) -> NDArray[np.float32]:
    """(4, 2): the corners of an image, in px of the common image."""
    return _placed(one, _WHOLE)


def _outline(one: Contender) -> NDArray[np.float32]:
    """(N, 2): the part of the scene that an image shows, in px of the common image.

    Plain parts along its borders do not count: margins, and the corners that turning a picture adds.
    """
    outline = _WHOLE
    if one.path is not None:
        with contextlib.suppress(ImageError):
            outline = _hull(load_grey(one.path, longest_px=_OUTLINE_PX).pixels)
    return _placed(one, outline)


def _placed(one: Contender, shares: NDArray[np.float64]) -> NDArray[np.float32]:
    points = project(np.asarray(one.placed), shares * [one.width, one.height] - 0.5)
    points = points if np.isfinite(points).all() else np.zeros((3, 2))
    return np.asarray(_opencv.convexHull(points.astype(np.float32))[:, 0])


def _area(outline: NDArray[np.float32]) -> float:
    return float(_opencv.contourArea(outline))


def _shared(outline: NDArray[np.float32], frame: NDArray[np.float32]) -> float:
    return float(_opencv.intersectConvexConvex(outline, frame)[0])


def _density(one: Contender) -> float:
    """Resolution of an image: its px per px of the common image, along a side."""
    area = _area(_frame(one))
    return math.sqrt(one.width * one.height / area) if area > 0 else 0.0


def _hull(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 2): convex hull of all that is not plain; x, then y, as shares of the sides."""
    values = pixels.astype(np.float32)
    steps = np.zeros_like(values)
    steps[:, 1:] = np.abs(np.diff(values, axis=1))
    steps[1:] = np.maximum(steps[1:], np.abs(np.diff(values, axis=0)))
    rows, columns = np.nonzero(steps > max(_CONTRAST * float(np.quantile(steps, 0.99)), _LEAST_STEP))
    if len(rows) < _FEWEST_POINTS:
        return _WHOLE
    corners = np.concatenate([np.stack([columns + x, rows + y], axis=1) for x in (0, 1) for y in (0, 1)])
    hull = _opencv.convexHull(corners.astype(np.int32))[:, 0]
    return np.asarray(hull / pixels.shape[::-1], np.float64)


def _blockiness(one: Contender) -> float:
    """Ratio of the steps between blocks of 8 px to those within: above 1 after JPEG, whatever format came later."""
    assert one.path is not None
    try:
        pixels = _grey(one.path).pixels.astype(np.int16)
    except ImageError:
        return np.inf
    found = 1.0
    for steps in (np.abs(np.diff(pixels, axis=1)).mean(axis=0), np.abs(np.diff(pixels, axis=0)).mean(axis=1)):
        if len(steps) >= 8:
            phases = np.array([np.median(steps[phase::8]) for phase in range(8)])
            found = max(found, float(phases.max() / max(np.median(phases), 0.5)))
    return found


def _quantisation(one: Contender) -> float | None:
    """Sum of a JPEG file's first quantisation table; None for other files."""
    if one.path is None or one.format != "JPEG":
        return None
    try:
        with Image.open(one.path) as image:
            tables = getattr(image, "quantization", None)
            return float(sum(tables[0])) if tables else None
    except Exception:  # the file was there a moment ago
        return None
