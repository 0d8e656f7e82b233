"""How images lie on one another: a placement, composed and turned back, and the share of each that both show."""

from __future__ import annotations

from dataclasses import dataclass

from featmatch.geometry.exact import inverse, product
from featmatch.geometry.maps import Matrix, project
from featmatch.geometry.regions import polygon_area, shared_region


@dataclass(frozen=True)
class ImageSize:
    """Width and height of an image, px, and its content (SHA-256), which decides between equals."""

    width: int
    height: int
    content: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.width, self.height

    @property
    def area(self) -> int:
        """Px."""
        return self.width * self.height


@dataclass(frozen=True, eq=False)
class Placed:
    """How an image lies on the original of its group.

    Attributes:
        homography: (3, 3) float64, image px to px of the original; None: a user's verdict is all that joins them.
        mirrored: whether one is mirrored.
        negative: whether one is a negative.
        probability: product over the pairs that link the two.
        inliers: of the weakest of these pairs.
        holder: whether the image holds the original as a small part.
    """

    homography: Matrix | None
    mirrored: bool
    negative: bool
    probability: float
    inliers: int
    holder: bool = False

    def then(self, other: Placed) -> Placed:
        """Compose: this placement first, then ``other``, which places the image that this one leads to."""
        way = None
        if self.homography is not None and other.homography is not None:
            way = product(other.homography, self.homography)
        return Placed(
            way,
            self.mirrored ^ other.mirrored,
            self.negative ^ other.negative,
            self.probability * other.probability,
            min(self.inliers, other.inliers),
            self.holder or other.holder,
        )

    def back(self) -> Placed:
        """The inverse: how the original lies on the image."""
        way = None if self.homography is None else inverse(self.homography)
        return Placed(way, self.mirrored, self.negative, self.probability, self.inliers, self.holder)


def shares(homography: Matrix, image: ImageSize, onto: ImageSize) -> tuple[float, float] | None:
    """Which share of two images both show.

    Args:
        homography: (3, 3), px of ``image`` to px of ``onto``.
        image: the one that is laid on the other.
        onto: the other.

    Returns:
        The share of the area of ``image``, and that of ``onto``; None if they do not touch.

    >>> import numpy as np
    >>> shares(np.diag([2.0, 2.0, 1.0]), ImageSize(100, 100, ""), ImageSize(100, 100, ""))
    (0.25, 1.0)
    """
    region = shared_region(homography, image.size, onto.size)
    area, area_onto = polygon_area(region), polygon_area(project(homography, region))
    if not (area > 0 and area_onto > 0):
        return None
    return area / image.area, area_onto / onto.area
