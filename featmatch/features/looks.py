"""Global descriptors: what a picture looks like as a whole, in 99 bytes, and how alike two such looks are.

This is for pictures that have too few features to be recognised by them: a sky, a product on white, a blurred photo,
an icon. All of it is computed from the picture at 32 x 32 px, whatever its shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import LN2, cos_sin, exp2, log2
from featmatch.geometry.maps import mirror_matrix
from featmatch.images.pixels import GreyImage

FORMS = 8  # quarter turns of a picture, and of its mirror image

# A pair of pictures is compared as a whole where one of them has fewer features than this: copies of others are proven
# by features, which say more.
FEW_FEATURES = 200

_SIDE = 32
_WAVES = 8  # of the cosine transform, along each side
_COLOUR_STEPS = 3  # of red, green and blue

# What an index keeps of an image beside its perceptual hash: the layout is the lowest frequencies of the cosine
# transform, (frequency down, frequency across) flat, in steps of a 12th of an octave; the colours are a histogram.
LookArray: TypeAlias = "NDArray[np.void]"
LOOK = np.dtype([("layout", "i1", _WAVES**2), ("colours", "u1", _COLOUR_STEPS**3)])

_STEPS_AN_OCTAVE = 12
_MOST_STEPS = 127
_UNIT = 4.0  # coefficients well below this are kept on a linear scale
_NOISE = 6.0  # of a coefficient in each picture: an eighth of a grey level over the picture; JPEG leaves as much
_CLOSEST = 0.999  # a squared correlation above this counts as this

_WAVE_OF_STEPS = _UNIT * (exp2(np.arange(_MOST_STEPS + 2) / _STEPS_AN_OCTAVE) - 1)

# The cosine transform in whole numbers, and what brings its sums to scale.
_COSINE_UNIT = 1 << 20
_ANGLES = np.pi / (2 * _SIDE) * np.outer(np.arange(_WAVES), 2 * np.arange(_SIDE) + 1)
_COSINES = np.rint(cos_sin(_ANGLES)[0] * _COSINE_UNIT).astype(np.int64)
_NORM = np.sqrt(np.where(np.arange(_WAVES) > 0, 2.0, 1.0) / _SIDE) / _COSINE_UNIT
_NORMS = np.outer(_NORM, _NORM)

# Coefficients of similar frequency are of similar size, and form a band; the mean belongs to none.
_FREQUENCIES = np.hypot(*np.mgrid[:_WAVES, :_WAVES]).ravel()
_EDGES = (0.5, 1.8, 3.2, 4.8, 6.5, 11.0)
_BANDS = [np.flatnonzero(np.digitize(_FREQUENCIES, _EDGES) == band) for band in range(1, len(_EDGES))]

# With less detail than this, nats, a picture cannot be told from others: one tone, or one gradient.
LEAST_DETAIL = 3.0


@dataclass(frozen=True)
class WholePicture:
    """Global descriptors of a picture in its eight forms (quarter turns, mirrored or not), in the order of ``undone``.

    Attributes:
        phashes: (8,) uint64, perceptual hashes.
        looks: (8,) of ``LOOK``.
    """

    phashes: NDArray[np.uint64]
    looks: LookArray

    @property
    def detail(self) -> float:
        """How much there is to recognise the picture by, nats: the likeness of the picture to itself."""
        return float(likeness(self.looks[:1], self.looks[:1])[0])


def whole_picture(grey: GreyImage) -> WholePicture:
    """Describe a picture that was decoded with its colours (``load_grey(..., colours=True)``)."""
    thumbnail = np.asarray(cv2.resize(grey.pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    waves = np.stack([_lowest_waves(undone(thumbnail, form)) for form in range(FORMS)])
    steps = np.rint(_STEPS_AN_OCTAVE * log2(1 + np.abs(waves) / _UNIT))
    looks = np.zeros(FORMS, LOOK)
    looks["layout"] = np.sign(waves) * np.minimum(steps, _MOST_STEPS)
    if grey.colours is not None:
        looks["colours"] = _histogram(grey.colours)
    return WholePicture(np.array([_perceptual_hash(one) for one in waves], np.uint64), looks)


def _lowest_waves(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(32, 32) uint8 to (64,): the lowest frequencies of the cosine transform; whole numbers are added up exactly."""
    sums = _COSINES @ pixels.astype(np.int64) @ _COSINES.T
    return np.asarray(sums * _NORMS).ravel()


def _perceptual_hash(waves: NDArray[np.float64]) -> int:
    """Which frequencies are above the mean, without that of the whole: as OpenCV's ``img_hash.PHash``."""
    waves = np.append(0.0, waves[1:])
    return int.from_bytes(np.packbits(waves > waves.mean(), bitorder="little").tobytes(), "little")


def undone(pixels: NDArray[np.uint8], form: int) -> NDArray[np.uint8]:
    """Undo a turn counter-clockwise by ``form % 4`` quarters that was followed, for forms above 3, by mirroring.

    Args:
        pixels: (H, W) uint8.
        form: 0 to 7.

    Returns:
        (H, W) or (W, H) uint8, the picture before the turn.

    >>> undone(np.array([[1, 2], [3, 4]], np.uint8), 1).tolist()
    [[3, 1], [4, 2]]
    """
    return np.rot90(pixels[:, ::-1] if form >= 4 else pixels, -(form % 4))


def original_from_undone(form: int, width: int, height: int) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The map from pixels of a picture of this size to pixels of it ``undone``.

    Returns:
        (3, 3) float64, and the width and height of the picture ``undone``, px.
    """
    matrix = np.eye(3)
    if form >= 4:
        matrix = mirror_matrix(width)
    for _ in range(form % 4):
        matrix = np.array([[0.0, -1, height - 1], [1, 0, 0], [0, 0, 1]]) @ matrix  # whole numbers
        width, height = height, width
    return matrix, (width, height)


def likeness(looks: LookArray, others: LookArray) -> NDArray[np.float64]:
    """Log-likelihood ratio (nats) of pairs of layouts against chance agreement; near 0 for unrelated pictures.

    The correlation r of N random coefficients has a density that falls about as (1 - r^2)^((N - 1) / 2). N is the
    number of coefficients of a frequency band that are not close to zero. Coefficients below the noise add nothing to
    the correlation. So two plain pictures, or two gradients, get a low value however alike they are.

    Args:
        looks: (N,) of ``LOOK``.
        others: (N,) of the same.

    Returns:
        (N,) float64, one for each pair.
    """
    a, b = _waves(looks), _waves(others)
    total = np.zeros(len(a))
    for band in _BANDS:
        x, y, noise = a[:, band], b[:, band], len(band) * _NOISE**2
        products = x * y
        r = products.sum(axis=1) / np.sqrt(((x * x).sum(axis=1) + noise) * ((y * y).sum(axis=1) + noise))
        count = np.abs(products).sum(axis=1) ** 2 / np.maximum((products * products).sum(axis=1), 1e-9)
        total -= np.sign(r) * np.maximum(count - 1, 0) / 2 * LN2 * log2(1 - np.minimum(r * r, _CLOSEST))
    return total


def colour_likeness(looks: LookArray, others: LookArray) -> NDArray[np.float64]:
    """Bhattacharyya coefficient of the colours of pairs: 1 for the same colours, 0 for none in common.

    Args:
        looks: (N,) of ``LOOK``.
        others: (N,) of the same.

    Returns:
        (N,) float64, 0 to 1.
    """
    a, b = looks["colours"].astype(np.float64), others["colours"].astype(np.float64)
    energy = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(energy, 1.0))


def layout_likeness(looks: LookArray, others: LookArray) -> NDArray[np.float64]:
    """Cosine of the layouts of pairs as they are kept, logarithms, without the mean: where it is light, and where dark.

    Args:
        looks: (N,) of ``LOOK``.
        others: (N,) of the same.

    Returns:
        (N,) float64, -1 to 1; 0 where one of a pair is of one tone.
    """
    a, b = looks["layout"][:, 1:].astype(np.int64), others["layout"][:, 1:].astype(np.int64)
    energy = (a * a).sum(axis=1) * (b * b).sum(axis=1)  # whole numbers: exact in any order
    return np.asarray((a * b).sum(axis=1) / np.sqrt(np.maximum(energy, 1)))


def _waves(looks: LookArray) -> NDArray[np.float64]:
    steps = looks["layout"].astype(np.int64)
    return np.asarray(np.sign(steps) * _WAVE_OF_STEPS[np.abs(steps)])


def _histogram(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Square roots of the shares of 3 x 3 x 3 colours, each pixel spread over the eight nearest, times 255."""
    values = colours.reshape(-1, 3) * ((_COLOUR_STEPS - 1) / 255)
    below = np.minimum(values.astype(np.int64), _COLOUR_STEPS - 2)
    nearness = np.stack([1 - (values - below), values - below])
    strides = np.array([_COLOUR_STEPS**2, _COLOUR_STEPS, 1])
    lowest, shares = below @ strides, np.zeros(_COLOUR_STEPS**3)
    for red, green, blue in np.ndindex(2, 2, 2):
        weights = nearness[red, :, 0] * nearness[green, :, 1] * nearness[blue, :, 2]
        shares += np.bincount(lowest + strides @ [red, green, blue], weights, _COLOUR_STEPS**3)
    return np.asarray(np.rint(np.sqrt(shares / shares.sum()) * 255), np.uint8)
