"""Parts of a query that hold another content than its sisters: a photo in a page of which other pages are in the index.

What sisters have in common with the query takes its features and its votes, and what is left may be a small part of it,
squeezed to fit. Looked up alone, it has all features, and forms of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from featmatch.geometry.regions import polygon_area
from featmatch.images.pixels import GreyImage
from featmatch.search.matches import FoundImage
from featmatch.search.region import QueryRegion

_MOST = 2  # parts that are looked up: each takes about as long as the query and its forms
_LEAST_AREA = 0.05  # of one, as a share of the query's


def unexplained(found: Sequence[FoundImage], query: GreyImage) -> list[QueryRegion]:
    """The largest parts of a query where the sister that explains most of it, by features, shows something else.

    Args:
        found: images that were compared with the query; those that are known as sisters count.
        query: the picture.
    """
    sisters = [one.proof for one in found if one.proof.evidence.is_sister and one.proof.differences is not None]
    if not sisters:
        return []
    closest = max(sisters, key=lambda proof: proof.evidence.geometry)
    assert closest.differences is not None
    least = _LEAST_AREA * query.width * query.height
    large = [part for part in closest.differences.query[:_MOST] if polygon_area(part) >= least]
    return [QueryRegion(tuple((x, y) for x, y in part.tolist())) for part in large]
