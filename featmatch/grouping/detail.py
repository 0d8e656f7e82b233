"""Two registered pictures -> which of them resolves more of what they show, measured on their pixels.

In windows of the finer one both are laid on one another and compared by frequency bands. Where their spectra are
coherent both resolve the same, even if it is stronger in one of them: sharpening amplifies, and adds nothing. A band
that only one of them has is detail, unless it is what interpolation leaves, or noise, which grows with frequency.

The constants were set on edits of scikit-image's photos (``tests/grouping/test_detail.py``) and of 77 others. For a
photo against its copy at half the size, slope (growth of the amplitude) and energy beyond the copy's resolution are 0.3
to 1.4 and 0.43 to 3.1; for a copy at double size against the photo 0.18 to 0.38 and 0.1 to 0.26.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.geometry.regions import polygon_area, shared_region
from featmatch.native.agreement import smooth
from featmatch.proof.agreement import gaussian
from featmatch.proof.alignment import best_move
from featmatch.system.opencv import without_ipp

_opencv: Any = cv2  # its type stubs differ from release to release

_WINDOW_PX = (256, 128, 64)  # sides; the largest that fits is used
_MOST_WINDOWS = 4  # those with the most structure
_EDGES = np.append(0.5 * 2.0 ** (-np.arange(6, 0, -1) / 2), 0.48)  # of six bands of half an octave, cycles per px
_CENTRES = np.sqrt(_EDGES[:-1] * _EDGES[1:])
_ONE_RASTER = 0.01  # scale and turn that a homography may err by between two pictures of the same pixel raster
_SAME_PICTURE = 0.7  # correlation of windows that show the same
_SAME_SCALE = 0.92  # ratio of the sides above which two pictures have one size
_COHERENT = 0.8  # coherence from which both pictures have the structure of a band in common
# Of the energy that one picture has alone, over that of the band below:
_MADE_UP = 0.35  # less, beyond the resolution of the smaller picture, is what interpolation leaves
_SOME_DETAIL = 0.15  # from this much on, in the finest bands, it is detail,
_MORE_DETAIL = 2.5  # if it is more than this times what the other picture has alone
# Of the slope, the growth of the amplitude from the third finest band to the finest:
_INTERPOLATED = 0.48  # below it a picture was enlarged
_NATURAL = 0.72  # median of photos
_NOISE = 1.1  # above it there is noise: pictures fall off
_ALIKE = 0.985  # coherence of the finest band from which neither picture has lost anything
# Clipping by strong sharpening lowers the coherence, but is no detail. The finest band is only amplified with
_AMPLIFIED = 0.5  # at least this coherence,
_MOST_GAIN = 6.0  # and at most this ratio of amplitudes (a blurred picture has lost more)
_GAIN = 0.2  # log gain of the finest bands above which one picture was sharpened, or the other blurred
_BLUR_GROWTH = 4.5  # log gain of the finest band over that of the third, above which the other picture was blurred


class Comparison(NamedTuple):
    """How the first of two pictures compares with the second.

    Attributes:
        detail: 1: it resolves more, -1: less, 0: the same.
        made: 1: it was made from the other by enlarging, reducing or sharpening; -1: the other from it; 0: neither.
        alike: whether neither has lost anything, as it would by compression.
    """

    detail: int
    made: int
    alike: bool = False

    def back(self) -> Comparison:
        """How the second compares with the first."""
        return Comparison(-self.detail, -self.made, self.alike)


def compare_detail(first: NDArray[np.uint8], second: NDArray[np.uint8], second_from_first: Matrix) -> Comparison | None:
    """Compare what two pictures resolve, where they show the same.

    Args:
        first: (h, w) uint8, grey.
        second: (h, w) uint8, grey; a negative must be inverted before.
        second_from_first: (3, 3), px to px; it may be off by a few px.

    Returns:
        The comparison; None if they share too little, or cannot be registered.
    """
    size, other_size = first.shape[::-1], second.shape[::-1]
    region = shared_region(second_from_first, size, other_size)
    area = polygon_area(region)
    if not area > 0:
        return None
    growth = (polygon_area(project(second_from_first, region)) / area) ** 0.5
    if growth > 1:
        back = compare_detail(second, first, inverse(second_from_first))
        return back and back.back()
    return _judged(_spectra(first, second, second_from_first), growth)


class _Spectra(NamedTuple):
    """By frequency band, (6,) each: energy of the finer and of the coarser picture, and their coherence (0 to 1)."""

    fine: NDArray[np.float64]
    coarse: NDArray[np.float64]
    coherence: NDArray[np.float64]


def _judged(seen: _Spectra | None, growth: float) -> Comparison | None:
    """How the finer picture compares with the coarser one, of which a side has ``growth`` times as many px."""
    if seen is None or seen.coherence[0] < _COHERENT:
        return None
    slope = (seen.fine[-1] / seen.fine[-3]) ** 0.5
    if growth < _SAME_SCALE:
        # From the first band on that the coarser picture has no px for:
        beyond = min(int(np.searchsorted(_CENTRES, 0.5 * growth)), len(_CENTRES) - 1)
        own = float((seen.fine[beyond:] * (1 - seen.coherence[beyond:] ** 2)).sum() / seen.fine[beyond - 1])
        if own < _MADE_UP and slope < _INTERPOLATED:
            return Comparison(0, 1)
        return Comparison(int(own > _SOME_DETAIL and slope < _NOISE), -1)
    # The third finest band is the measure. If they are not coherent there, one is blurred: measure by the sharper one.
    below = [seen.fine[-3], seen.coarse[-3]]
    if seen.coherence[-3] < _COHERENT:
        below = [max(below)] * 2
    fine, coarse = (
        float((energy[-2:] * (1 - seen.coherence[-2:] ** 2)).sum() / least)
        for energy, least in zip((seen.fine, seen.coarse), below, strict=True)
    )
    for sign, own_share, other_share, energy in ((1, fine, coarse, seen.fine), (-1, coarse, fine, seen.coarse)):
        is_noise = (energy[-1] / energy[-3]) ** 0.5 >= _NOISE
        is_amplified = seen.coherence[-1] >= _AMPLIFIED and energy[-1] < _MOST_GAIN**2 * min(
            seen.fine[-1], seen.coarse[-1]
        )
        if own_share > max(_SOME_DETAIL, _MORE_DETAIL * other_share) and not (is_noise or is_amplified):
            return Comparison(sign, -sign)
    return Comparison(0, _sharpened(seen), bool(seen.coherence[-1] >= _ALIKE))


def _sharpened(seen: _Spectra) -> int:
    """Whether the finer picture is the other one sharpened (1), or the other way round (-1), of two alike in detail."""
    gains = np.log(seen.fine / seen.coarse) / 2
    gains = gains - gains[0] / 2  # more contrast is not sharpening
    # What is not coherent may be noise, so the gain is only as sure as the coherence.
    gains = np.sign(gains) * np.maximum(np.abs(gains) + np.log(np.clip(seen.coherence, 1e-9, 1)), 0)
    gain = max(gains[-2:], key=abs)
    if abs(gain) < _GAIN:
        return 0
    # The effect of blur grows with the square of the frequency, that of sharpening soon levels out. If only the finest
    # bands differ it may be either, and the source is the one whose slope is nearer to that of photos.
    is_blurred = False
    if abs(gain) > _BLUR_GROWTH * abs(gains[2]):
        sharper, other = (seen.fine, seen.coarse) if gain > 0 else (seen.coarse, seen.fine)
        off = [abs(math.log((energy[-1] / energy[-3]) ** 0.5 / _NATURAL)) for energy in (sharper, other)]
        is_blurred = off[0] < off[1]
    return int(np.sign(gain)) * (-1 if is_blurred else 1)


def _spectra(fine: NDArray[np.uint8], coarse: NDArray[np.uint8], coarse_from_fine: Matrix) -> _Spectra | None:
    sums = np.zeros((3, len(_CENTRES)))
    for window, other in _windows(fine, coarse, coarse_from_fine):
        side = len(window)
        taper = np.outer(np.hanning(side), np.hanning(side))
        a, b = (np.fft.fft2((pixels - pixels.mean()) * taper) for pixels in (window, other))
        places = np.fft.fftfreq(side)
        bands = np.searchsorted(_EDGES, np.hypot(places[:, None], places)) - 1
        for row, values in enumerate((np.abs(a) ** 2, np.abs(b) ** 2, (a * b.conj()).real)):
            sums[row] += [values[bands == band].sum() / side**4 for band in range(len(_CENTRES))]
    if not (sums[:2] > 0).all():
        return None
    return _Spectra(sums[0], sums[1], sums[2] / np.sqrt(sums[0] * sums[1]))


def _windows(
    fine: NDArray[np.uint8], coarse: NDArray[np.uint8], coarse_from_fine: Matrix
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Square windows of the finer picture, each with the coarser one warped onto it, to a fraction of a px."""
    height, width = fine.shape
    limits = np.array(coarse.shape[::-1]) - 1
    for side in _WINDOW_PX:
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]])
        found = []
        for left in np.unique(np.linspace(0, max(width - side, 0), 5).astype(int)):
            for top in np.unique(np.linspace(0, max(height - side, 0), 5).astype(int)):
                seen = project(coarse_from_fine, corners + np.array([left, top]))
                if left + side <= width and top + side <= height and ((seen >= 0) & (seen <= limits)).all():
                    window = fine[top : top + side, left : left + side].astype(np.float32)
                    found.append((-float(_opencv.Laplacian(window, cv2.CV_32F).std()), left, top, window))
        found.sort(key=lambda one: one[:3])
        is_registered = False
        for _, left, top, window in found[:_MOST_WINDOWS]:
            other = _registered(
                window, coarse, product(coarse_from_fine, np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]]))
            )
            if other is not None:
                is_registered = True
                yield window, other
        if is_registered:
            return


def _registered(window: NDArray[np.float32], coarse: NDArray[np.uint8], way: Matrix) -> NDArray[np.float32] | None:
    """The coarser picture warped onto a window, with an affine correction of the map; None if they do not agree."""
    side = len(window)
    ways = [way for way in (_corrected(window, coarse, way), _straight(way, side)) if way is not None]
    found = [_seen(coarse, way, side) for way in ways]
    found = [seen for seen in found if _agreement(_smooth(window), _smooth(seen)) >= _SAME_PICTURE]
    return max(found, key=lambda seen: _agreement(window, seen), default=None)


def _agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation of two windows; 0 where one is plain."""
    a, b = one - one.mean(), other - other.mean()
    energy = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / energy**0.5 if energy > 0 else 0.0


def _smooth(window: NDArray[np.float32]) -> NDArray[np.float32]:
    return smooth(window, gaussian(1.5))


def _corrected(window: NDArray[np.float32], coarse: NDArray[np.uint8], way: Matrix) -> Matrix | None:
    """The map on which the pictures agree best; None if none is found nearby."""
    side = len(window)
    blurred, other = _smooth(window), _smooth(_seen(coarse, way, side))
    taper = np.outer(np.hanning(side), np.hanning(side))
    with without_ipp():
        (x, y), _ = _opencv.phaseCorrelate(blurred.astype(np.float64), other.astype(np.float64), taper)
    move = best_move(blurred, other, np.ones_like(other), shift=(x, y), most_steps=30, enough=1e-4)
    if move is None:
        return None
    way = product(way, move)
    return np.asarray(way / way[2, 2], np.float64)


def _straight(way: Matrix, side: int) -> Matrix | None:
    """A shift by whole px, if both pictures may have one raster, as those of one size mostly have; else None.

    Then nothing has to be interpolated; and clipping by strong sharpening misleads any finer correction.
    """
    if np.abs(way[:2, :2] / way[2, 2] - np.eye(2)).max() >= _ONE_RASTER:
        return None
    middle = np.full((1, 2), (side - 1) / 2)
    x, y = np.round(project(way, middle) - middle)[0]
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _seen(picture: NDArray[np.uint8], way: Matrix, side: int) -> NDArray[np.float32]:
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    seen = _opencv.warpPerspective(
        picture.astype(np.float32), way, (side, side), flags=how, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(seen, np.float32)
