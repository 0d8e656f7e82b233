"""The proven pairs of an index, and which of their features agree, for programs that build on two views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.features.given import geometry_of
from featmatch.features.symmetry import Variant, with_places_of
from featmatch.geometry.exact import inverse, log2
from featmatch.geometry.homography import fit_homography
from featmatch.geometry.maps import Matrix
from featmatch.geometry.matches import Keypoints, TentativeMatches
from featmatch.grouping.finding import compare_all
from featmatch.grouping.joining import JoiningOptions, StoredImage, stored_images
from featmatch.grouping.pairs import Pair
from featmatch.proof.proof import proof_of_fit
from featmatch.store.reader import Reader
from featmatch.system.progress import Progress
from featmatch.words.vocabulary import Vocabulary, Words


@dataclass(frozen=True)
class ProvenPair:
    """Two images of an index that are copies of one another, in whole or in part.

    Attributes:
        one: the image with the lower number: that.
        other: the number of the other image.
        names: the first name of each.
        probability: that they are; 1 where the user accepted it.
        pair: what was found of them.
    """

    one: int
    other: int
    names: tuple[str, str]
    probability: float
    pair: Pair

    @property
    def other_from_one(self) -> Matrix:
        """(3, 3) float64, maps px of the first image to px of the second, of the files as displayed."""
        homography = self.pair.homography if self.pair.query == self.one else inverse(self.pair.homography)
        return np.asarray(homography / homography[2, 2])

    def numbered_names(self) -> Iterator[tuple[int, str]]:
        """The number and the name of each of the two."""
        return zip((self.one, self.other), self.names, strict=True)

    def to_dict(self) -> dict[str, Any]:
        """The pair object of the JSON output; the homography leads from the first image to the second."""
        return {
            "ids": [self.one, self.other],
            "names": list(self.names),
            "probability": round(self.probability, 6),
            "inliers": self.pair.inliers,
            "mirrored": self.pair.mirrored,
            "negative": self.pair.negative,
            "homography": self.other_from_one.tolist(),
        }


@dataclass(frozen=True)
class TwoViews:
    """A pair with the features that agree.

    Attributes:
        proven: the pair.
        other_from_one: (3, 3) float64, the homography that these features agree on, px to px.
        features: (N, 2) uint32, the number of a feature in the first image, and of its counterpart in the other: their
            rows in what ``stored_images`` gives of each. No feature is in two rows.
    """

    proven: ProvenPair
    other_from_one: Matrix
    features: NDArray[np.uint32]


def proven_pairs(
    reader: Reader, *, min_probability: float = 0.8, jobs: int = -1, progress: Progress
) -> tuple[list[ProvenPair], str | None]:
    """All pairs that are proven, by their numbers.

    Images are compared as for ``Index.groups``, and what is found is kept in the index.

    Args:
        reader: the index.
        min_probability: of a pair; what the user rejected is left out, what they accepted is in.
        jobs: processes, as for ``Index.groups``.
        progress: called with images compared and in all.

    Returns:
        The pairs, and why what is new could not be kept in the index, or None.
    """
    reader.refresh()
    catalog = reader.snapshot.catalog
    names: dict[int, str] = {}
    digests: dict[int, int] = {}
    for record in catalog.images():
        names.setdefault(record.id, record.name)
        digests[record.id] = int(record.sha256[:16], 16)
    known, unremembered = compare_all(reader, digests, jobs, progress)
    verdicts = catalog.verdicts() if catalog.has_verdicts else {}
    found = []
    for key, pair in sorted(known.pairs.items()):
        verdict = verdicts.get(key)
        probability = pair.probability(reader.options.detector)
        if verdict or (verdict is None and probability >= min_probability):
            one, other = key
            found.append(ProvenPair(one, other, (names[one], names[other]), 1.0 if verdict else probability, pair))
    return found, unremembered


def two_views(
    pairs: Iterable[ProvenPair], images: Mapping[int, StoredImage], vocabulary: Vocabulary
) -> Iterator[TwoViews]:
    """The features of pairs that agree; pairs that are proven by their looks alone have none, and are left out.

    Args:
        pairs: of one index.
        images: by number, all that are in them.
        vocabulary: of the index.
    """
    for proven in pairs:
        pair = proven.pair
        query, reference, variant = images[pair.query], images[pair.reference], _variant(pair, vocabulary)
        matches = _matches(query, reference, variant, vocabulary)
        query_size, size = ((image.features.width, image.features.height) for image in (query, reference))
        options = geometry_of(query.features.detector, None)
        fit = fit_homography(matches, query_size, size, options) if pair.inliers else None
        if fit is None:
            continue
        agreeing = matches[fit.inliers]
        rows = np.stack([agreeing.query_rows, agreeing.reference_rows], axis=1).astype(np.uint32)
        homography = proof_of_fit(fit, matches, variant, query.features, size).homography
        if pair.query != proven.one:
            rows, homography = rows[:, ::-1], inverse(homography)
        order = np.lexsort(rows.T[::-1])
        yield TwoViews(proven, homography / homography[2, 2], rows[order])


def images_in(reader: Reader, pairs: Iterable[ProvenPair]) -> dict[int, StoredImage]:
    """All images of pairs, by number, with their features in the order in which these are numbered."""
    wanted = {number for pair in pairs for number in (pair.one, pair.other)}
    segments = tuple(reader.snapshot.segments.values())
    return {image.id: image for image in stored_images(segments, wanted, reader.options.detector)}


def _variant(pair: Pair, vocabulary: Vocabulary) -> Variant:
    if vocabulary.forms == 1:
        return Variant.PLAIN
    return Variant(Variant.MIRRORED * pair.mirrored | Variant.NEGATIVE * pair.negative)


def _matches(query: StoredImage, reference: StoredImage, variant: Variant, vocabulary: Vocabulary) -> TentativeMatches:
    """Features of one word and like signatures, the most alike first."""
    seen = vocabulary.permuted(query.words, variant) if vocabulary.forms > 1 else query.words
    own, other, distances = _hits(seen, reference.words)
    order = np.lexsort((other, own, distances))
    own, other = own[order], other[order]
    one, two = with_places_of(query.features[own], variant), reference.features[other]
    return TentativeMatches.between(
        Keypoints(one.keypoints, one.angles, log2(np.maximum(one.sizes, 1))),
        Keypoints(two.keypoints, two.angles, log2(np.maximum(two.sizes, 1))),
        costs=distances[order].astype(np.float64), query_rows=own, reference_rows=other,
    )  # fmt: skip


def _hits(one: Words, other: Words) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]:
    """Rows of one, rows of the other, and the number of bits in which their signatures differ."""
    by_word = np.argsort(other.ids[:, 0], kind="stable")
    words = other.ids[by_word, 0]
    first, last = (np.searchsorted(words, one.ids[:, 0], side) for side in ("left", "right"))
    counts = last - first
    rows = np.repeat(np.arange(len(one.ids)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    others = by_word[np.repeat(first, counts) + within]
    distances = np.bitwise_count(one.signatures[rows, 0] ^ other.signatures[others, 0])
    near = distances <= JoiningOptions().hamming_limit
    return rows[near], others[near], distances[near]
