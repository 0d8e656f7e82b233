"""What a search asks each index: plain data, without pixels and descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from featmatch.features.extraction import Features
from featmatch.features.looks import WholePicture
from featmatch.geometry.matches import GeometryOptions
from featmatch.search.query_words import QueryWords
from featmatch.search.voting import VotingOptions


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture that is looked up.

    Attributes:
        words: of all variants.
        variants: where its features are under each ``Variant``; without descriptors.
        whole: how it looks as a whole; None: that is not looked up.
        shape: its width by its height.
        voting: how candidates are found.
        geometry: what counts as agreement.
        content: SHA-256 of its file, by which verdicts are kept; None: there are none, or it is no file.
        match: words that the names of images must have to be found; None: all are.
        among: SHA-256 of the only images that are to be found; None: all.
        stretch: ratio by which the shape of what looks the same as a whole may differ.
    """

    words: QueryWords
    variants: Sequence[Features]
    whole: WholePicture | None
    shape: float
    voting: VotingOptions
    geometry: GeometryOptions
    content: str | None = None
    match: str | None = None
    among: frozenset[str] | None = None
    stretch: float = 1.1051709180756477  # e to the 0.1

    def of_look(self, whole: WholePicture, shape: float, stretch: float) -> Asked:
        """What looks the same as another picture alone, which has these features or fewer; by no words."""
        return replace(self, words=self.words.none, whole=whole, shape=shape, stretch=stretch)

    @property
    def features(self) -> Features:
        """Of the picture as it is, neither mirrored nor negative."""
        return self.variants[0]
