"""A closer look at images that may be right: by their own features, in place of the words that the index has of them.

Words find an image among millions, but two features of one place often have different ones. Where a picture is at hand,
its features tell more, and as much as ``featmatch.verify`` goes by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from featmatch.features.extraction import FeatureOptions, Features, extract_grey
from featmatch.features.symmetry import Variant
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.pixels import GreyImage
from featmatch.proof.pair import Pair
from featmatch.proof.probability import FeatureEvidence, probability_of
from featmatch.proof.proof import Proof
from featmatch.search.forms import as_shared
from featmatch.search.matches import FoundImage, in_order

_MAYBE = 0.1  # probability from which a closer look pays
_MOST = 3  # images that are looked at: each takes as long as the features of a query


@dataclass(frozen=True)
class CloserLook:
    """How one looks.

    Attributes:
        query: the picture that was looked up.
        features: of it.
        options: how features are taken.
        geometry: what counts as agreement.
    """

    query: GreyImage
    features: Features
    options: FeatureOptions
    geometry: GeometryOptions

    def worth_it(self, found: Sequence[FoundImage]) -> list[int]:
        """The images that may be right, while none is surely: their numbers, the best first.

        Where images are known as sisters, it takes more than features to tell the right one.
        """
        if any(one.proof.proven or one.proof.evidence.is_sister for one in found):
            return []
        return [one.id for one in in_order(found) if _may_be_right(one)][:_MOST]

    def at(self, found: FoundImage, reference: GreyImage) -> FoundImage:
        """The image with the better of two proofs: the one it has, and the one that its features make."""
        relation = found.proof.relation
        variant = Variant(Variant.MIRRORED * relation.mirrored + Variant.NEGATIVE * relation.negative)
        features = extract_grey(reference, self.options)
        pair = Pair(self.query, reference, self.features, features, self.options)
        best = found
        for one in sorted({Variant.PLAIN, variant}):
            if proof := pair.proof_as(one, self.geometry):
                closer = FoundImage(found.id, proof.with_pixels(self.query, reference), found.damaged)
                best = max(best, *as_shared([closer], [found]), key=lambda each: each.proof.score)
        return best

    def verified(self, reference: GreyImage) -> Proof | None:
        """What ``verify`` says of the pair, in all forms that it tries; None where nothing agrees."""
        features = extract_grey(reference, self.options)
        proof = Pair(self.query, reference, self.features, features, self.options).best_proof(self.geometry)
        return proof and dataclasses.replace(proof, difference=None)


def decided(found: FoundImage, proof: Proof | None) -> FoundImage | None:
    """The image with what ``verify`` says of it in place of its proof; None where nothing agrees."""
    if proof is None:
        return None
    (closer,) = as_shared([FoundImage(found.id, proof, found.damaged)], [found])
    return closer


def rests_on_form(found: FoundImage) -> bool:
    """Whether an image is claimed by the words of another form of the query alone.

    Words have many forms to agree in by chance, and a form few features: descriptors of two pictures tell more. Pixels
    that agree all over tell still more, and of a small crop there are hardly any descriptors.
    """
    evidence = found.proof.evidence
    if not isinstance(evidence, FeatureEvidence) or not found.proof.proven:
        return False
    return evidence.in_form and not evidence.by_descriptors and not evidence.agrees_all_over


def _may_be_right(found: FoundImage) -> bool:
    """Whether what speaks for an image is its own: what others share as well is no more, however close one looks.

    That few features of a form are against the pixels is what a closer look is to settle.
    """
    evidence = found.proof.evidence
    if not isinstance(evidence, FeatureEvidence) or evidence.distinct != evidence.geometry:
        return False
    return probability_of(dataclasses.replace(evidence, in_form=False).score()) >= _MAYBE
