"""What mirroring a picture, or making it negative, does to its features.

The two edits commute and each undoes itself, so a variant is a number of two bits, and two variants combine by XOR.
With OpenCV's layout of SIFT (4 rows, 4 columns, 8 orientations) each variant is a permutation of the descriptor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from featmatch.features.detectors import descriptors_of
from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.images.pixels import GreyImage


class Variant(IntEnum):
    """How a query is looked at: as it is, mirrored left to right, as a negative, or both."""

    PLAIN = 0
    MIRRORED = 1
    NEGATIVE = 2
    MIRRORED_NEGATIVE = 3

    @property
    def mirrored(self) -> bool:
        """Whether left and right are swapped."""
        return bool(self & Variant.MIRRORED)

    @property
    def negative(self) -> bool:
        """Whether light and dark are swapped."""
        return bool(self & Variant.NEGATIVE)


def _sift_permutations() -> NDArray[np.intp]:
    layout = np.arange(128).reshape(4, 4, 8)
    mirrored = layout[::-1, :, -np.arange(8) % 8].ravel()
    negative = layout[::-1, ::-1, :].ravel()
    return np.stack([layout.ravel(), mirrored, negative, mirrored[negative]])


# (4, 128): descriptor[SIFT_PERMUTATIONS[v]] is the descriptor of the same patch in variant v.
SIFT_PERMUTATIONS = _sift_permutations()


def with_descriptors_of(features: Features, variant: Variant) -> Features:
    """SIFT features as they would be found in the mirrored or negative picture, from those of the plain one."""
    return replace(with_places_of(features, variant), descriptors=features.descriptors[:, SIFT_PERMUTATIONS[variant]])


def with_places_of(features: Features, variant: Variant) -> Features:
    """Keypoints and angles as in the mirrored or negative picture; the descriptors stay those of the plain one."""
    keypoints, angles = features.keypoints, features.angles
    if variant.mirrored:
        keypoints = keypoints * np.array([-1, 1], np.float32) + np.array([features.width - 1, 0], np.float32)
        angles = np.pi - angles
    if variant.negative:
        angles = angles + np.pi
    return replace(features, keypoints=keypoints, angles=np.mod(angles, 2 * np.pi).astype(np.float32))


def variants_of(features: Features, grey: GreyImage, options: FeatureOptions) -> Iterator[Features]:
    """The features of all four variants of a picture, in the order of ``Variant``, each found when it is asked for.

    For SIFT they follow from the plain ones; the other detectors look at the changed pixels again.
    """
    yield features
    for variant in list(Variant)[1:]:
        if descriptors_of(features.detector) == "sift":
            yield with_descriptors_of(features, variant)
            continue
        changed = mirrored(grey) if variant.mirrored else grey
        pixels = 255 - changed.pixels if variant.negative else changed.pixels
        yield extract_grey(replace(changed, pixels=np.ascontiguousarray(pixels)), options)


def variants_without_pixels(features: Features) -> Iterator[Features]:
    """The variants that follow from the features of the plain one: all four of SIFT, else that one alone."""
    variants = list(Variant) if descriptors_of(features.detector) == "sift" else [Variant.PLAIN]
    return (with_descriptors_of(features, variant) if variant else features for variant in variants)


def mirrored(grey: GreyImage) -> GreyImage:
    """A picture, or the part of one, as it is in the mirrored picture."""
    ends = grey.offset_x + grey.pixels.shape[1] * grey.scale_x
    return replace(grey, pixels=grey.pixels[:, ::-1], offset_x=grey.width - ends)
