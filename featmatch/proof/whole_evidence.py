"""The evidence of two pictures that look the same as a whole, where features are too few -> score."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from featmatch.proof.probability import WithoutFeatures, evidence_object
from featmatch.system.shipped import shipped_file

# Log-odds that whole pictures lose where their pixels show nothing but the outline of a flat shape; set by hand.
_OUTLINE = 4.0

# Log-odds that whole pictures are the same, by their cells: for each doubling of those that agree beyond the first
# doublings, less for the share of those that do not, and for pixels that do not agree. Of flat drawings laid over one
# another true ones have at most 4 % of such cells, others 12 % and more (docs/tried.md); set by hand.
_DOUBLING, _NOTHING_YET, _NOT_ALIKE, _UNLIKE_PIXELS = 3.0, 4.0, 60.0, 10.0

# Share of the layout from which all cells that agree count: stripes have theirs at the border of what does. Smooth
# things of one outline, which agree along it and hardly within, reach 0.25 to 0.6 (docs/tried.md).
_ONE_LAYOUT = 0.7


class Likeness(NamedTuple):
    """How alike two whole pictures are.

    Attributes:
        layout: see ``featmatch.features.looks.likeness``; nats.
        share: ``layout`` as a share of what the plainer of the two pictures could reach at most; at most 1.
        colours: see ``featmatch.features.looks.colour_likeness``; 0 to 1.
    """

    layout: float
    share: float
    colours: float

    @property
    def is_one_layout(self) -> bool:
        """Whether the two are laid out alike, and not only of one outline."""
        return self.share >= _ONE_LAYOUT


@dataclass(frozen=True)
class WholeEvidence(WithoutFeatures):
    """What speaks for and against a match of whole pictures, which have too few features to go by.

    Attributes:
        likeness: how alike the pictures look.
        agreement: as of ``FeatureEvidence``.
        detail: likewise.
        contradiction: share of the cells that show something else, or that only one of the two pictures shows; None
            where they were not looked at.
        agreeing: number of the cells that show the same, or do throughout, where the two are not laid out alike (see
            ``featmatch.proof.difference``); 0 where they were seen in a small picture only.
    """

    likeness: Likeness
    agreement: float | None = None
    detail: float = 1.0
    contradiction: float | None = None
    agreeing: int = 0

    def score(self) -> float:
        """Log-odds that the pictures are the same: the higher, the surer.

        Layout and colours tell pictures without detail; cells tell flat drawings, however they were lit.

        >>> from featmatch.proof.probability import probability_of
        >>> drawing = WholeEvidence(Likeness(5.0, 0.3, 0.8), agreement=0.9, contradiction=0.0, agreeing=60)
        >>> sister = WholeEvidence(Likeness(9.0, 0.5, 0.8), agreement=0.9, contradiction=0.15, agreeing=60)
        >>> probability_of(drawing.score()) > 0.9, probability_of(sister.score()) < 0.1
        (True, True)
        """
        if not self.agreeing:
            return self._by_look()
        unlike = _NOT_ALIKE * (self.contradiction or 0.0) + _UNLIKE_PIXELS * (1 - self.detail * (self.agreement or 0.0))
        return max(self._by_look(), _DOUBLING * (math.log2(1 + self.agreeing) - _NOTHING_YET) - unlike)

    def _by_look(self) -> float:
        weights = whole_weights(with_pixels=self.agreement is not None)
        terms = (*self.likeness, self.agreement or 0.0, 1.0)
        odds = math.fsum(weight * term for weight, term in zip(weights, terms, strict=True))
        return odds - _OUTLINE * (1 - self.detail)

    def to_dict(self) -> dict[str, Any]:
        """The evidence object of the JSON output."""
        return evidence_object(self, whole=self.likeness)


class WholeWeights(NamedTuple):
    """Weights of the log-odds that two pictures that look alike as a whole are the same.

    Attributes:
        layout: weight of ``Likeness.layout``.
        share: weight of ``Likeness.share``.
        colours: weight of ``Likeness.colours``.
        agreement: weight of the agreement of pixels; 0 where they were not looked at.
        odds: constant.
    """

    layout: float
    share: float
    colours: float
    agreement: float
    odds: float


@cache
def whole_weights(*, with_pixels: bool) -> WholeWeights:
    """The weights fitted for whole pictures, from ``data/whole.json`` (``tools/calibrate_whole.py``)."""
    fits = json.loads(shipped_file("whole.json").read_text())
    return WholeWeights(**fits["with pixels" if with_pixels else "without pixels"])
