"""Is one picture a copy of the other, in whole or in part? On the full descriptors of both."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2

from featmatch.arguments import check_kind
from featmatch.errors import ImageError, UsageError
from featmatch.features.extraction import FeatureOptions, Features, extract_grey, features_wanted
from featmatch.features.forms import Form, Forms, Round, SeenForm, forms_to_verify, seen_in
from featmatch.features.looks import FEW_FEATURES, LEAST_DETAIL, whole_picture
from featmatch.features.sheets import sheets_of
from featmatch.features.symmetry import Variant, variants_of
from featmatch.geometry.homography import fit_homography
from featmatch.geometry.matches import GeometryOptions
from featmatch.images.decoding import DecodingOptions
from featmatch.images.formats import MAX_PIXELS
from featmatch.images.pixels import GreyImage, ImageSource, load_grey
from featmatch.images.sources import buffered
from featmatch.proof.given import proofs_of_features
from featmatch.proof.matching import DescriptorMatcher, MatchingOptions
from featmatch.proof.probability import FeatureEvidence
from featmatch.proof.proof import FEWEST_FEATURES, Proof, proof_of_fit
from featmatch.proof.verified import Verification
from featmatch.proof.whole import on_picture, whole_proof
from featmatch.proof.whole_evidence import WholeEvidence
from featmatch.system.worker_loop import Lost, at_work
from featmatch.system.workers import run

_LEAST_OF_PLAIN = 0.5  # of the geometry of a picture as it is, that a form of it must have (docs/tried.md)


def verify(
    a: ImageSource | Features,
    b: ImageSource | Features,
    *,
    features: str | FeatureOptions = "sift",
    matching: MatchingOptions | None = None,
    geometry: GeometryOptions | None = None,
    forms: Forms = "all",
    timeout: float = 60.0,
    max_pixels: int = MAX_PIXELS,
) -> Verification:
    """Find out whether two images show the same picture, in whole or in part.

    Works on the full descriptors of both: no index and no vocabulary. The pair is tried as it is, then with one of them
    mirrored, as a negative, and both, until one is proven; if none is, so are other forms of one of them: enlarged,
    sharpened, and stretched up to 4 times along many directions, as if it were seen from the side. The answer is the
    same whichever of the two comes first.

    Where ``Features`` of both are given, these alone are compared, and the pixels of pictures that came with them.

    Args:
        a: the query: a path, bytes, an array (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image; or ``Features``.
        b: the reference, likewise.
        features: a detector by name, or the options to extract with.
        matching: which nearest neighbours are believed.
        geometry: what counts as agreement.
        forms: which other forms are tried if nothing is proven: "all" takes a second or two, "few" and "none" less.
        timeout: seconds that decoding one file may take.
        max_pixels: of a file; a larger one is refused.

    Returns:
        True or false with ``.reason``, ``.homography`` (a to b), ``.inliers``, ``.proof`` and ``.draw()``.

    Raises:
        ImageError: an image cannot be read; its ``name`` says which, and its ``status`` why.
        UsageError: an argument cannot be meant.

    >>> found = verify("piece.jpg", "photos/coffee.jpg")
    >>> bool(found), found.proof.relation.kind, found.homography.shape
    (True, 'crop', (3, 3))
    >>> bool(verify("piece.jpg", "photos/chelsea.jpg"))
    False
    """
    check_kind(matching, "matching", MatchingOptions)
    check_kind(geometry, "geometry", GeometryOptions)
    taking = features_wanted(features)
    decoding = DecodingOptions(timeout, max_pixels)
    if isinstance(a, Features) or isinstance(b, Features):
        return _verify_features(a, b, matching or MatchingOptions(), geometry)
    images = buffered(a), buffered(b)
    grey, other = (
        load_grey(one, longest_px=taking.longest_px, shortest_px=taking.shortest_px, colours=True, decoding=decoding)
        for one in images
    )
    pair = Pair(grey, other, extract_grey(grey, taking), extract_grey(other, taking), taking)
    options = _Comparing(matching or MatchingOptions(), geometry or GeometryOptions(), forms_to_verify(forms))
    verified, reason, proof = _compare(pair, options)
    return Verification(verified, reason, proof, images, (grey.damaged, other.damaged), decoding)


def _verify_features(a: object, b: object, matching: MatchingOptions, geometry: GeometryOptions | None) -> Verification:
    if not (isinstance(a, Features) and isinstance(b, Features)) or a.detector != b.detector:
        raise UsageError(f"features are compared with features of the same detector, not {a!r:.60} with {b!r:.60}")
    turned = _order(b) < _order(a)
    query, reference = (b, a) if turned else (a, b)
    proof, too_few = None, len(query) < FEWEST_FEATURES
    if not too_few:
        proof = _best_of(proofs_of_features(query, reference, matching, geometry))
    if proof is not None and turned:
        proof = proof.turned_round((a.width, a.height))
    return Verification(*_told(proof, turned, too_few, a), (a, b))


def verify_apart(a: str | bytes, b: str | bytes, decoding: DecodingOptions, forms: Forms = "all") -> Verification:
    """``verify`` of two files or their bytes, all of it in another process.

    Raises:
        ImageError: an image cannot be read, or the process crashed, or took too long or too much memory.
    """
    seconds, memory_bytes = 2 * decoding.timeout, decoding.memory_bytes
    found: Verification | Lost = run(_verify_files, (a, b, decoding, forms), seconds=seconds, memory_bytes=memory_bytes)
    if isinstance(found, Lost):
        raise ImageError("decode_failed", found.reason)
    return replace(found, images=(a, b))


def _verify_files(a: str | bytes, b: str | bytes, decoding: DecodingOptions, forms: Forms) -> Verification:
    if at_work():
        cv2.setNumThreads(1)  # the processes share the cores already
    found = verify(a, b, forms=forms, timeout=decoding.timeout, max_pixels=decoding.max_pixels)
    return replace(found, images=("", ""))  # the caller has them


class _Comparing(NamedTuple):
    """How two pictures are compared."""

    matching: MatchingOptions
    geometry: GeometryOptions
    forms: Sequence[Round]


class Pair(NamedTuple):
    """Two pictures to compare, and their features.

    Attributes:
        grey: the first picture, the query.
        other: the second one, the reference.
        query: features of the first.
        reference: of the second.
        taking: how they were taken.
    """

    grey: GreyImage
    other: GreyImage
    query: Features
    reference: Features
    taking: FeatureOptions

    @property
    def is_turned(self) -> bool:
        """Whether the second picture is the one to look up: the one with fewer features, which tell the more of it."""
        return _order_of_pictures(self.other, self.reference) < _order_of_pictures(self.grey, self.query)

    def turned_round(self) -> Pair:
        """The same pair the other way round."""
        return Pair(self.other, self.grey, self.reference, self.query, self.taking)

    def proof_as(self, variant: Variant, geometry: GeometryOptions) -> Proof | None:
        """The evidence of one variant, as ``verify`` finds it; None where no geometry agrees."""
        pair = self.turned_round() if (turned := self.is_turned) else self
        if len(pair.query) < FEWEST_FEATURES:
            return None
        comparing = _Comparing(MatchingOptions(), geometry, ())
        look = _Look(pair, DescriptorMatcher(pair.reference, comparing.matching), comparing, pair.query)
        features = list(variants_of(pair.query, pair.grey, pair.taking))[variant]
        proof = _proof_of_variant(look, variant, features)
        return proof.turned_round((self.query.width, self.query.height)) if proof and turned else proof

    def best_proof(self, geometry: GeometryOptions) -> Proof | None:
        """The best evidence of all that ``verify`` looks at; None where there is none."""
        _, _, proof = _compare(self, _Comparing(MatchingOptions(), geometry, forms_to_verify("all")))
        return proof


def _order_of_pictures(picture: GreyImage, features: Features) -> tuple[object, ...]:
    """What decides which of two pictures is looked up: all that the answer is made of, so that both ways are one."""
    colours = b"" if picture.colours is None else picture.colours.tobytes()
    return len(features), picture.pixels.tobytes(), picture.pixels.shape, picture.width, picture.height, colours


def _order(features: Features) -> tuple[object, ...]:
    """The same of features that are compared alone, and the pixels of pictures that came with them."""
    columns = features.descriptors, features.keypoints, features.angles, features.sizes
    pixels = b"" if features.picture is None else features.picture.pixels.tobytes()
    return len(features), *(one.tobytes() for one in columns), features.width, features.height, pixels


def _compare(pair: Pair, options: _Comparing) -> tuple[bool, str, Proof | None]:
    """The answer, the reason, and the best evidence: the same answer, whichever of the two is given first."""
    proof, too_few = _evidence(pair.turned_round() if (turned := pair.is_turned) else pair, options)
    if proof is not None and turned:
        proof = proof.turned_round((pair.reference.width, pair.reference.height))
    return _told(proof, turned, too_few, pair.query)


def _told(proof: Proof | None, turned: bool, too_few: bool, first: Features) -> tuple[bool, str, Proof | None]:
    """The answer, the reason in words, and the evidence; ``first`` are the features of the first image."""
    if proof is not None and proof.proven:
        inliers = "" if isinstance(proof.evidence, WholeEvidence) else f": {proof.inliers} features agree"
        return True, f"{proof.relation}{inliers}{_seen(proof, turned)}", proof
    if too_few:
        side = "first" if len(first) < FEWEST_FEATURES else "second"
        return False, f"too little detail in the {side} image", None
    if proof is None:
        return False, "no geometry agrees", None
    if proof.related and proof.relation.kind == "same scene":
        return (
            False,
            f"another photo of the same scene: {proof.inliers} features agree, and near things are moved",
            proof,
        )
    return False, f"{proof.inliers} features agree: too few, or too unevenly, to be sure", proof


def _seen(proof: Proof, turned: bool) -> str:
    """In which form of which image it was proven."""
    return "" if proof.form is None else f", in the {'second' if turned else 'first'} image {proof.form}"


def _evidence(pair: Pair, options: _Comparing) -> tuple[Proof | None, bool]:
    """The best evidence, and whether one of the two has too few features for any but that of whole pictures."""
    fewest = min(len(pair.query), len(pair.reference))
    if fewest < FEWEST_FEATURES:
        return _proven_as_whole(pair) or _proven_as_sheet(pair, options), True
    plain = _Look(pair, DescriptorMatcher(pair.reference, options.matching), options, pair.query)
    best = _best_of(plain.proofs())
    if not (best and best.proven) and fewest < FEW_FEATURES:
        best = _proven_as_whole(pair) or _proven_as_sheet(pair, options) or best
    looks, least = plain.looks, _least_of_form(best)
    for round_ in options.forms:
        if best and (best.proven or best.relation.kind == "same scene" or _is_redrawn(best)):
            break  # that is told from the pixels, and any form of them has the same
        if round_.is_for(pair.grey, best.probability if best else 0.0):
            looks += len(round_.forms)
            found = (one for one in _in_forms(plain, round_.forms, looks) if one.evidence.geometry >= least)
            best = _best_of(itertools.chain([best] if best else [], found))
    return best, False


def _least_of_form(plain: Proof | None) -> float:
    """The least geometry of what a form shows, after what the picture as it is shows.

    Of a caption that is all that two photos share, a form that shows less may show a part that looks even. Where the
    picture as it is shows another content, there is no doubt of a part, and a form may show that it is none.
    """
    if plain is None or plain.relation.kind == "same template":
        return -math.inf
    return _LEAST_OF_PLAIN * plain.evidence.geometry


def _is_redrawn(proof: Proof) -> bool:
    return isinstance(proof.evidence, FeatureEvidence) and proof.evidence.is_redrawn


def _best_of(proofs: Iterable[Proof]) -> Proof | None:
    """The best of the proofs up to the first that carries the claim."""
    best = None
    for proof in proofs:
        if best is None or proof.score > best.score:
            best = proof
        if proof.proven:
            break
    return best


class _Look(NamedTuple):
    """One look at a pair.

    Attributes:
        pair: both pictures.
        matcher: of the second one's features.
        options: how they are compared.
        features: of the first one, as it is or in another form.
        seen: that form; None: as it is.
        looks: at how many forms one has looked by the end of the round.
    """

    pair: Pair
    matcher: DescriptorMatcher
    options: _Comparing
    features: Features
    seen: SeenForm | None = None
    looks: int = 1

    def proofs(self) -> Iterator[Proof]:
        """The evidence of each variant."""
        grey = self.pair.grey if self.seen is None else self.seen.grey
        for variant, features in zip(Variant, variants_of(self.features, grey, self.pair.taking), strict=True):
            proof = _proof_of_variant(self, variant, features)
            if proof is not None:
                yield proof


def _in_forms(plain: _Look, forms: Sequence[Form], looks: int) -> Iterator[Proof]:
    """The evidence of each variant of each of the forms of one round."""
    for seen in seen_in(plain.pair.grey, forms):
        features = extract_grey(seen.grey, plain.pair.taking)
        yield from plain._replace(features=features, seen=seen, looks=looks).proofs()


def _proof_of_variant(look: _Look, variant: Variant, features: Features) -> Proof | None:
    if len(features) < FEWEST_FEATURES:
        return None
    pair, as_seen = look.pair, look.features
    matches = look.matcher.match(features)
    reference_size = pair.reference.width, pair.reference.height
    fit = fit_homography(matches, (as_seen.width, as_seen.height), reference_size, look.options.geometry)
    if fit is None:
        return None
    proof = proof_of_fit(fit, matches, variant, as_seen, reference_size).by_descriptors()
    if look.seen is not None:
        proof = proof.carried_over(look.seen, (pair.query.width, pair.query.height), look.looks)
    return proof.with_pixels(pair.grey, pair.other)


def _proven_as_whole(pair: Pair) -> Proof | None:
    """The pair as whole pictures, if that proves it."""
    proof = whole_proof(whole_picture(pair.grey), pair.grey, whole_picture(pair.other), pair.other)
    proof = proof.with_pixels(pair.grey, pair.other)
    enough = isinstance(proof.evidence, WholeEvidence) and proof.evidence.likeness.layout >= LEAST_DETAIL
    return proof if proof.proven and enough else None


def _proven_as_sheet(pair: Pair, options: _Comparing) -> Proof | None:
    """The pair, of which one lies within the other as a sheet, if that proves it; where forms are looked at."""
    for one in (pair, pair.turned_round()) if options.forms else ():
        size = one.grey.width, one.grey.height
        for sheet in sheets_of(one.grey):
            proof = _proven_as_whole(one._replace(grey=sheet.grey))
            if proof is not None:
                proof = on_picture(proof, sheet, size)
                return proof if one is pair else proof.turned_round(size)
    return None
