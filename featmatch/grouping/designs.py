"""Which pairs of a group are of one design with several contents: two fillings of a form, the cards of two people.

Two pictures alone seldom tell another filling from an edited copy; others of the design do (``search/sisters.py``). So
a pair is looked at from either image, beside all that this image is paired with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix
from featmatch.grouping.pairs import Pair
from featmatch.images.pixels import GreyImage
from featmatch.proof.difference import Difference, difference
from featmatch.proof.probability import FeatureEvidence
from featmatch.search.sisters import is_sister

_WITNESSES = 24  # images of the strongest pairs beside which one is looked at
_LEAST_STARK = 0.03  # share of stark print that contradicts: no tone, blur or poor map of an edit makes it another
_VIEWS_KEPT, _PICTURES_KEPT = 4, 128


class Designs:
    """Tells the sisters among images that are paired with one another."""

    def __init__(self, pairs: Iterable[Pair], picture_of: Callable[[int], GreyImage | None], detector: str) -> None:
        """Look at nothing yet.

        Args:
            pairs: proven ones. Those without a feature that agrees are of no design.
            picture_of: id of an image -> its picture, or None.
            detector: whose features they are paired by.
        """
        self._detector = detector
        self._of: dict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            if pair.inliers:
                self._of[pair.query].append(pair)
                self._of[pair.reference].append(pair)
        self._told: dict[tuple[int, int], bool] = {}
        self._picture = lru_cache(_PICTURES_KEPT)(picture_of)
        self._witnesses = lru_cache(_VIEWS_KEPT)(self._found_witnesses)

    @property
    def told(self) -> list[tuple[int, int]]:
        """The pairs of sisters among those that were asked, by both ids, the lower first."""
        return sorted(key for key, are_sisters in self._told.items() if are_sisters)

    def are_sisters(self, pair: Pair) -> bool:
        """Whether the two images of a pair show something else in one place, and so do others of their design."""
        if pair.key not in self._told:
            self._told[pair.key] = bool(pair.inliers) and self._are_told(pair)
        return self._told[pair.key]

    def _are_told(self, pair: Pair) -> bool:
        """Whether print contradicts print as it looks from both: by the pictures alone, or as others tell."""
        looks = [(image, own) for image in pair.key if (own := self._look(image, pair)) is not None]
        if len(looks) < len(pair.key):
            return False
        if all(self._has_another_content(own, pair) for _, own in looks):
            return True
        if not all(own.stark_share >= _LEAST_STARK and own.is_print for _, own in looks):
            return False
        return any(is_sister(own, self._beside(image, pair)) for image, own in looks)

    def _has_another_content(self, own: Difference, pair: Pair) -> bool:
        """Whether the two pictures alone tell it, by print that is another, or is only in one or the other.

        How much contradicts in all is left out: where a picture was bent, the map lies badly.
        """
        evidence = FeatureEvidence(
            pair.geometry, pair.geometry, 1.0, pair.evenness, self._detector,
            agreeing=own.agreeing, exchanged=own.exchanged, redrawn=own.redrawn_share,
        )  # fmt: skip
        return evidence.has_another_content

    def _beside(self, image: int, pair: Pair) -> list[Difference]:
        """An image itself, and all but the other one of a pair, as they look from it."""
        return [seen for other, seen in self._witnesses(image) if other is not pair]

    def _found_witnesses(self, image: int) -> list[tuple[Pair | None, Difference]]:
        strongest = sorted(self._of[image], key=lambda pair: (-pair.geometry, pair.key))[:_WITNESSES]
        looks = ((pair, self._look(image, pair)) for pair in (None, *strongest))
        return [(pair, seen) for pair, seen in looks if seen is not None]

    def _look(self, image: int, pair: Pair | None) -> Difference | None:
        """The other one of a pair, or the image itself, laid over it; None where there is too little to see."""
        other = image if pair is None else pair.reference if pair.query == image else pair.query
        query, reference = self._picture(image), self._picture(other)
        if query is None or reference is None:
            return None
        way = product(inverse(reference.original_from_working), _way(image, pair), query.original_from_working)
        seen = difference(query.pixels, reference.pixels, way, negative=pair is not None and pair.negative)
        return None if seen is None or seen.is_small else seen


def _way(image: int, pair: Pair | None) -> Matrix:
    """(3, 3): px of an image to px of the other one of a pair."""
    if pair is None:
        return np.eye(3)
    return pair.homography if pair.query == image else inverse(pair.homography)
