"""Images ranked by how alike they look as a whole, by one global descriptor. No claim is made of any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from featmatch.arguments import check_number
from featmatch.errors import UsageError
from featmatch.features.looks import LookArray, WholePicture, colour_likeness, layout_likeness, whole_picture
from featmatch.images.decoding import DecodingOptions
from featmatch.images.pixels import ImageSource, load_grey
from featmatch.store.reader import Reader
from featmatch.store.segment import Segment

By = Literal["phash", "colour", "layout"]


@dataclass(frozen=True)
class SimilarImage:
    """An image of an index, and how far its look is from that of the query.

    Attributes:
        id: its number in the index.
        name: its name there.
        distance: 0 where both look the same. By "phash" the number of bits that differ, 0 to 64; by "colour" the
            Hellinger distance of the histograms, 0 to 1; by "layout" 1 less the cosine of the coefficients, 0 to 2.
        index: the index, where several are asked as one; else None.
    """

    id: int
    name: str
    distance: float
    index: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its object in the JSON output."""
        return {name: value for name, value in vars(self).items() if value is not None}


def similar_images(
    reader: Reader, image: ImageSource, by: By, limit: int, decoding: DecodingOptions
) -> list[SimilarImage]:
    """Rank the images of an index; ``Index.similar`` explains the arguments.

    Raises:
        ImageError: the image cannot be read.
        UsageError: there is no such way to rank, or ``limit`` is none.
    """
    if by not in _DISTANCES:
        raise UsageError(f"by is one of {', '.join(get_args(By))}, not {by!r:.40}")
    check_number(limit, "limit", 1)
    options = reader.options
    grey = load_grey(
        image, longest_px=options.longest_px, shortest_px=options.shortest_px, colours=True, decoding=decoding
    )
    reader.refresh()
    snapshot = reader.snapshot
    nearest = _nearest(whole_picture(grey), tuple(snapshot.segments.values()), snapshot.removed, _DISTANCES[by], limit)
    names = snapshot.catalog.names_of(list(nearest))
    found = [SimilarImage(image, name, far) for image, far in nearest.items() for name in names[image]]
    return sorted(found, key=lambda one: (one.distance, one.name))[:limit]


def _nearest(
    query: WholePicture,
    segments: tuple[Segment, ...],
    removed: frozenset[int],
    distances: Callable[[WholePicture, Segment], NDArray[np.float64]],
    limit: int,
) -> dict[int, float]:
    """The images with the smallest distances, by number; all that are as far as the last, too."""
    ids = np.concatenate([np.empty(0, np.int64), *(segment.ids for segment in segments)])
    far = np.concatenate([np.empty(0), *(distances(query, segment) for segment in segments)])
    live = ~np.isin(ids, np.fromiter(removed, np.int64))
    ids, far = ids[live], far[live]
    if len(far) > limit:
        near = far <= np.partition(far, limit - 1)[limit - 1]
        ids, far = ids[near], far[near]
    return dict(zip(ids.tolist(), far.tolist(), strict=True))


def _by_phash(query: WholePicture, segment: Segment) -> NDArray[np.float64]:
    return np.asarray(np.bitwise_count(segment.phashes ^ query.phashes[0]), np.float64)


def _by_colour(query: WholePicture, segment: Segment) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(1 - colour_likeness(_repeated(query, segment), segment.looks), 0))


def _by_layout(query: WholePicture, segment: Segment) -> NDArray[np.float64]:
    return 1 - layout_likeness(_repeated(query, segment), segment.looks)


def _repeated(query: WholePicture, segment: Segment) -> LookArray:
    return np.repeat(query.looks[:1], len(segment.ids))


_DISTANCES = {"phash": _by_phash, "colour": _by_colour, "layout": _by_layout}
