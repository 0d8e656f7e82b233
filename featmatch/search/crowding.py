"""Too many hits of an image, because query and image repeat the same small thing -> the most telling of them.

Letters of a printed page, dots of a screentone, tiles, windows: each looks like hundreds in another such picture, so
two pages have a hundred thousand hits. Hardly any of these tells where it belongs (``significance.weigh`` counts each
the less, the more rivals it has), and a search for a homography among all of them takes seconds. The hits with the
fewest rivals are enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_MATCHES = 3000  # of an image; two photos of one thing hardly have more
MOST_OF_WORD = 256  # features of one query that look up the same word; photos have up to a few dozen


class Thinned(NamedTuple):
    """Hits that are kept.

    Attributes:
        rows: (K,) int64, which of the hits; by image, then with the fewest rivals and the nearest first.
        rivals: (K,) int64, how many hits its query feature or its posting has, whichever has more; 0 for images of
            which all hits are kept.
    """

    rows: NDArray[np.int64]
    rivals: NDArray[np.int64]


def thinned(
    images: NDArray[np.integer],
    features: NDArray[np.integer],
    postings: NDArray[np.integer],
    distances: NDArray[np.integer],
) -> Thinned:
    """Keep all hits of an image, or where they are too many, those with the fewest rivals.

    Args:
        images: (H,) of each hit, numbers from 0.
        features: (H,) of the query, numbers from 0.
        postings: (H,) of the image, any numbers; no two images have the same.
        distances: (H,) bits that differ.
    """
    crowded = np.bincount(images, minlength=1) > MOST_MATCHES
    rivals = np.zeros(len(images), np.int64)
    if not crowded.any():
        return Thinned(np.lexsort((distances, images)), rivals)
    within = np.flatnonzero(crowded[images])
    number = images[within].astype(np.int64)
    of_query = number * (int(features.max()) + 1) + features[within]
    rivals[within] = np.maximum(np.bincount(of_query)[of_query], _times(postings[within]))
    # The most rivals that leave no more than are wanted; what has more goes.
    steps = int(rivals.max()) + 1
    counts = np.bincount(number * steps + rivals[within], minlength=len(crowded) * steps)
    most = (np.cumsum(counts.reshape(-1, steps), axis=1) <= MOST_MATCHES).sum(axis=1) - 1
    kept = np.flatnonzero(~crowded[images] | (rivals <= most[images]))
    order = np.lexsort((distances[kept], rivals[kept], images[kept]))
    return Thinned(kept[order], rivals[kept][order])


def _times(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """How often the value at each of (N,) places occurs; N is 1 or more.

    >>> _times(np.array([7, 5, 7])).tolist()
    [2, 1, 2]
    """
    least, most = int(values.min()), int(values.max())
    if most - least < 16 * len(values):  # a table of all that there could be is quicker than to sort
        places = values.astype(np.int64) - least
        return np.bincount(places)[places]
    order = np.argsort(values, kind="stable")  # the quickest where parts are in order, as postings are
    firsts = np.flatnonzero(np.diff(values[order], prepend=-1))
    counts = np.diff(firsts, append=len(values))
    times = np.empty(len(values), np.int64)
    times[order] = np.repeat(counts, counts)
    return times


def first_of_each(values: NDArray[np.integer], most: int) -> NDArray[np.intp]:
    """Places of the first ``most`` occurrences of each value among (N,); ascending.

    >>> first_of_each(np.array([7, 5, 7, 7]), 2).tolist()
    [0, 1, 2]
    """
    order = np.argsort(values, kind="stable")
    firsts = np.flatnonzero(np.diff(values[order], prepend=-1))
    place = np.arange(len(values)) - np.repeat(firsts, np.diff(firsts, append=len(values)))
    return np.sort(order[place < most])
