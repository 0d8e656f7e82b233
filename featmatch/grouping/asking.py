"""Images that stayed alone and have few features -> the pairs that a query proves. Their files are decoded again.

A stored feature has one word, and a pair is proven by features that are there again. Of a flat picture that was
edited hard too few are. A query looks for each feature under several words and compares pixels, so it proves more;
but it takes as long as ``add`` does, and among photos with many features it proves hardly a copy that the stored
features do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from featmatch.geometry.exact import inverse
from featmatch.grouping.pairs import Pair
from featmatch.grouping.placing import ImageSize
from featmatch.grouping.repeating import Repeated
from featmatch.search.many import SearchOptions, look_up_each
from featmatch.search.matches import Match
from featmatch.store.reader import Reader

_MOST = 20  # matches of one image, itself among them
_SURE = 0.95  # probability from which a match counts: the others of its group were not compared


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
    answers = look_up_each(reader, [files[image] for image in ids], SearchOptions(limit=_MOST), jobs=jobs)
    for image, matches in zip(ids, answers, strict=True):
        for match in matches:
            is_claimed = match.proven and match.verdict is None  # what users said counts by itself
            if is_claimed and match.probability >= _SURE and match.id != image:
                pair = _pair(image, match, images)
                if pair.key not in found or found[pair.key].alike < pair.alike:
                    found[pair.key] = pair
    return found


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
