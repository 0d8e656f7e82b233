"""A picture to search for: its features under each variant, and how it looks as a whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from featmatch.errors import UsageError
from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.looks import LEAST_DETAIL, WholePicture, whole_picture
from featmatch.features.symmetry import Variant, variants_of, variants_without_pixels
from featmatch.images.decoding import DecodingOptions, decode_apart
from featmatch.images.pixels import GreyImage, ImageSource, load_grey
from featmatch.proof.proof import FEWEST_FEATURES
from featmatch.search.region import QueryRegion
from featmatch.system.worker_loop import at_work


@dataclass(frozen=True, eq=False)
class Query:
    """A picture to search for.

    Attributes:
        grey: the picture.
        variants: its features under each ``Variant``; none, where they are too few to prove anything.
        whole: how it looks as a whole; None, where a part of it alone is looked up.
        is_given: its features were given, and are all that is looked up: there are no other forms of it, and perhaps
            no pixels.
    """

    grey: GreyImage
    variants: Sequence[Features]
    whole: WholePicture | None
    is_given: bool = False

    @classmethod
    def of(cls, grey: GreyImage, options: FeatureOptions, region: QueryRegion | None) -> Query:
        """Find the features of a picture, or those of a region of it.

        Raises:
            UsageError: the region lies outside the picture.
        """
        whole = whole_picture(grey) if region is None else None
        return cls(grey, _variants(grey, options, region), whole)

    @classmethod
    def of_features(cls, features: Features, options: FeatureOptions) -> Query:
        """Features that were given, with their picture, or without.

        Raises:
            UsageError: they are not those of the index.
        """
        if features.detector != options.detector:
            raise UsageError(f"the index has features of {options.detector}, not of {features.detector}")
        nothing = np.empty((0, 0), np.uint8)
        grey = features.picture or GreyImage(nothing, features.width, features.height, 1.0, 1.0)
        enough = features if len(features) >= FEWEST_FEATURES else features[:0]
        return cls(grey, list(variants_without_pixels(enough)), None, is_given=True)

    @property
    def has_pixels(self) -> bool:
        """Whether the picture can be compared with others pixel by pixel."""
        return self.grey.pixels.size > 0

    @property
    def features(self) -> Features:
        """Features of the picture as it is, neither mirrored nor negative."""
        return self.variants[0]

    @property
    def enough(self) -> bool:
        """Whether the picture has enough detail for a proof, by its features or as a whole."""
        return len(self.features) > 0 or (self.whole is not None and self.whole.detail >= LEAST_DETAIL)


def load_query_apart(
    source: ImageSource, options: FeatureOptions, region: QueryRegion | None, decoding: DecodingOptions
) -> tuple[Query, float]:
    """Decode a picture and find its features, in another process where it is a file or its bytes.

    Returns:
        The query, and the milliseconds of decoding.

    Raises:
        ImageError: the picture cannot be read within its bounds.
        UsageError: the region lies outside the picture.
    """
    return decode_apart(_load_timed, source, options, region, options=decoding)


def _load_timed(
    source: ImageSource, options: FeatureOptions, region: QueryRegion | None, decoding: DecodingOptions
) -> tuple[Query, float]:
    if at_work():
        cv2.setNumThreads(1)  # the processes share the cores already
    began = time.perf_counter()
    grey = load_grey(
        source, longest_px=options.longest_px, shortest_px=options.shortest_px, colours=True, decoding=decoding
    )
    decoding_ms = 1000 * (time.perf_counter() - began)
    return Query.of(grey, options, region), decoding_ms


def _variants(grey: GreyImage, options: FeatureOptions, region: QueryRegion | None) -> list[Features]:
    """The features under each ``Variant``: of the picture, or of the region, of which more are found alone."""
    part = grey
    if region is not None:
        region.check(grey)
        part = region.cut_from(grey)
    features = extract_grey(part, options)
    features = features if region is None else region.features_of(features)
    if len(features) < FEWEST_FEATURES:
        features = features[:0]
    found = list(variants_of(features, part, options))
    if region is None:
        return found
    regions = {False: region, True: region.mirrored(grey.width)}
    return [regions[variant.mirrored].features_of(one) for variant, one in zip(Variant, found, strict=True)]
