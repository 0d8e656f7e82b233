"""Numbers that tell the images of several indexes apart, and say which comes first of equals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featmatch.errors import StoreError

if TYPE_CHECKING:
    from featmatch.store.catalog import Catalog

CLUSTER = "cluster"  # in the description of an index: of which cluster it is, whose images are numbered together

IDS = 1 << 44  # of one index; more than can be added one a microsecond in half a year
_PLACES = 1 << 10  # indexes of a cluster at most


@dataclass(frozen=True)
class Numbering:
    """How images are numbered among all.

    Attributes:
        by_age: those of a cluster: the indexes were given numbers in the order of adding, so that of equals the one
            that was added first comes first. Else the index that was named first does, and its images have the numbers
            among all that they have in it.
    """

    by_age: bool = False

    def number_of(self, place: int, image: int) -> int:
        """The number of an image among all, by the place of its index and its number there.

        >>> BY_INDEX.number_of(0, 12), BY_INDEX.place_of(BY_INDEX.number_of(3, 12))
        (12, (3, 12))
        """
        return image * _PLACES + place if self.by_age else place * IDS + image

    def place_of(self, number: int) -> tuple[int, int]:
        """The place of its index and its number there."""
        if self.by_age:
            image, place = divmod(number, _PLACES)
            return place, image
        return divmod(number, IDS)

    def numbers_of(self, place: int, images: NDArray[np.int64]) -> NDArray[np.int64]:
        """``number_of`` for (N,) images of one index."""
        return images * _PLACES + place if self.by_age else images + place * IDS

    def places_of(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``place_of`` for (N,) numbers: (N,) places and (N,) numbers there."""
        if self.by_age:
            return numbers % _PLACES, numbers // _PLACES
        return numbers // IDS, numbers % IDS

    def own_after(self, place: int, number: int) -> int:
        """The highest number in an index of which all up to there have no higher one than ``number`` among all."""
        if self.by_age:
            return max((number - place) // _PLACES, 0)
        return max(number - place * IDS, 0)


BY_INDEX, BY_AGE = Numbering(), Numbering(by_age=True)


def numbering_of(catalogs: Sequence[Catalog]) -> Numbering:
    """How the images of several indexes are numbered: those of one cluster are numbered together.

    Raises:
        StoreError: an image of one of several has a number that no adding leads to.
    """
    for catalog in catalogs if len(catalogs) > 1 else ():
        if catalog.newest() >= IDS:
            raise StoreError(f"{catalog.path} is damaged: an image has the number {catalog.newest()}")
    clusters = {str(catalog.meta.get(CLUSTER)) for catalog in catalogs}
    return BY_AGE if len(catalogs) > 1 and len(clusters) == 1 and clusters != {"None"} else BY_INDEX
