"""What is said of two pictures: whether one is a copy of the other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from featmatch.errors import ImageError
from featmatch.features.extraction import Features
from featmatch.geometry.maps import Matrix
from featmatch.images.decoding import USUAL, DecodingOptions
from featmatch.images.pixels import ImageSource
from featmatch.notebooks import png_of
from featmatch.proof.drawing import draw_proof
from featmatch.proof.proof import Proof

_OF_PROOF = (
    "probability", "score", "inliers", "agreement", "relation", "homography",
    "query_region", "reference_region", "query_overlap", "reference_overlap", "differences", "differing_share",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Verification:
    """Whether one image is a copy of another, in whole or in part; true or false by itself.

    Attributes:
        verified: the answer.
        reason: in words.
        proof: the best evidence found, or None.
        images: the two images as they were given.
        damaged: of each, whether its file is cut short; it was read as far as it goes.
        decoding: what decoding one of them may cost.
    """

    verified: bool
    reason: str
    proof: Proof | None
    images: tuple[ImageSource | Features, ImageSource | Features] = field(repr=False)
    damaged: tuple[bool, bool] = (False, False)
    decoding: DecodingOptions = field(default=USUAL, repr=False)

    def __bool__(self) -> bool:
        return self.verified

    def __repr__(self) -> str:
        return f"Verification({self.verified}: {self.reason}, probability {self.probability:.4f})"

    def _repr_png_(self) -> bytes | None:
        return png_of(self.draw)

    @property
    def probability(self) -> float:
        """That one is a copy of the other; 0 to 1."""
        return self.proof.probability if self.proof else 0.0

    @property
    def homography(self) -> Matrix | None:
        """(3, 3) float64, maps px of the first image to px of the second; None if neither verified nor related.

        Related are two with one design, or two photos of one scene: ``proof.related``.
        """
        return self.proof.homography if self.proof and (self.verified or self.proof.related) else None

    @property
    def inliers(self) -> int:
        """Feature pairs that agree with the homography."""
        return self.proof.inliers if self.proof else 0

    def draw(self) -> NDArray[np.uint8]:
        """Both images side by side with regions and inliers: (H, W, 3) uint8 RGB.

        Raises:
            ImageError: one of them cannot be read, or its features were given without a picture.
        """
        a, b = map(_shown, self.images)
        return draw_proof(a, b, self.proof if self.verified else None, decoding=self.decoding)

    def to_dict(self) -> dict[str, Any]:
        """The object that ``featmatch verify --json`` prints."""
        query_damaged, damaged = self.damaged
        return {
            "verified": self.verified,
            "reason": self.reason,
            "query_damaged": query_damaged,
            "id": None,
            "name": _name(self.images[1]) if self.proof else None,
            **(self.proof.to_dict() if self.proof else dict.fromkeys(_OF_PROOF)),
            "verdict": None,
            "damaged": damaged,
            **dict(zip(("width", "height"), self.proof.reference_size if self.proof else (None, None), strict=True)),
        }


def _shown(source: ImageSource | Features) -> ImageSource:
    """A picture to draw, in the size that regions are in."""
    if not isinstance(source, Features):
        return source
    if source.picture is None:
        raise ImageError("not_found", "features without their picture cannot be drawn")
    return np.asarray(cv2.resize(source.picture.pixels, (source.width, source.height)), np.uint8)


def _name(source: ImageSource | Features) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"
