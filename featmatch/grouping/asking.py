"""Images that stayed alone and have few features -> the pairs that a query proves. Their files are decoded again.

A stored feature has one word, and a pair is proven by features that are there again. Of a flat picture that was
edited hard too few are. A query looks for each feature under several words and compares pixels, so it proves more;
but it takes as long as ``add`` does, and among photos with many features it proves hardly a copy that the stored
features do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from featmatch.geometry.exact import inverse
from featmatch.grouping.looked_up import LookedUp
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.grouping.repeating import Repeated
from featmatch.search.many import SearchOptions, look_up_each
from featmatch.search.matches import Match
from featmatch.store.reader import Reader

_SURE = 0.95  # probability from which a match counts: the others of its group were not compared
_OPTIONS = SearchOptions(limit=1_000_000, unproven=True, forms="none")  # all that is found: what is kept depends on it


def asked(
    reader: Reader, files: Mapping[int, str], images: Mapping[int, ImageSize], *, jobs: int
) -> dict[tuple[int, int], Pair]:
    """Look images up, and make a pair of each with every image that it is surely a copy of.

    Args:
        reader: the index.
        files: the file of each image to look up, by its id.
        images: all of the index, by id.
        jobs: processes, as for ``Index.query_many``.

    Returns:
        The pairs, by both ids, the lower first. Of two images that found each other the surer answer counts.
    """
    found: dict[tuple[int, int], Pair] = {}
    if not files:
        return found
    ids = sorted(files, key=lambda image: images[image].content)
    kept = LookedUp(reader, files, images)
    pairs = kept.recall()
    new = [image for image in ids if image not in pairs]
    answers = look_up_each(reader, [files[image] for image in new], _OPTIONS, jobs=jobs)
    try:
        for image, matches in zip(new, answers, strict=True):
            pairs[image] = [_pair(image, match, images) for match in matches if match.id != image and _is_sure(match)]
            kept.keep(image, matches, pairs[image])
    finally:
        kept.save()
    for pair in (pair for image in ids for pair in pairs[image]):
        if pair.key not in found or found[pair.key].alike < pair.alike:
            found[pair.key] = pair
    return found


def _is_sure(match: Match) -> bool:
    """Whether it is claimed, and surely; what users said counts by itself."""
    return match.proven and match.verdict is None and match.probability >= _SURE


def _pair(image: int, match: Match, images: Mapping[int, ImageSize]) -> Pair:
    """The pair of an image and what it matches; the one whose content sorts later is its query."""
    there, back = (Repeated(covered, 0.0, 0.0) for covered in (match.query_overlap, match.reference_overlap))
    query, reference, homography = image, match.id, match.homography
    if images[image].content < images[match.id].content:
        query, reference, homography, there, back = reference, query, inverse(homography), back, there
    return Pair(
        query, reference, homography, match.relation.mirrored, match.relation.negative, match.inliers,
        0.0, 0.0, there, back, match.score,
    )  # fmt: skip
