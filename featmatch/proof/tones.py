"""What the grey levels of a cell show: print, lines and letters on a plain ground, or a photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featmatch.native.difference import STEPS, Soft

# Range that holds half of a cell's px where print or a flat drawing lies on a plain ground, and the same in standard
# deviations of the cell: haze is as plain, but nothing is drawn on it.
_GROUND, _GROUND_OF_DRAWN = 24 * STEPS, 0.7
_TWO_TONES = 0.8  # share of the variance in a cell that two tones explain, below which it is no print


def are_on_ground(cells: Soft) -> NDArray[np.bool_]:
    """Whether half of a cell is as good as one grey level, and the rest stands out from it.

    So it is between lines, letters and shapes. The shortest range that holds half of the px does not mind how far the
    others are off (Rousseeuw, Journal of the American Statistical Association, 1984).

    Args:
        cells: (N, h, w) int16, as ``softened`` makes them.

    Returns:
        (N,) bool.
    """
    levels = _sorted(cells[:, ::2, ::2])  # px beside these are much the same, softened as they are
    count = levels.shape[1]
    half = (levels[:, count // 2 :] - levels[:, : -(count // 2)]).min(axis=1)
    squares = count * (levels * levels).sum(axis=1) - levels.sum(axis=1) ** 2  # of count times the deviation
    return np.asarray((half <= _GROUND) & ((half * count) ** 2 <= _GROUND_OF_DRAWN**2 * squares))


def look_printed(cells: Soft) -> bool:
    """Whether most cells have two tones, paper and ink; those of a photograph have all that lie between.

    By the share of the variance that lies between the two (the criterion of Otsu, IEEE Trans. SMC, 1979).

    Args:
        cells: (N, h, w) int16, one at least, as ``softened`` makes them.
    """
    levels = _sorted(cells)
    sums = np.cumsum(levels, axis=1)
    count, total = levels.shape[1], sums[:, -1:]
    darker = np.arange(1, count)
    # All whole numbers up to the division: the same on each machine.
    between = ((count * sums[:, :-1] - darker * total) ** 2 / (darker * (count - darker))).max(axis=1)
    of_all = count * (levels * levels).sum(axis=1) - total[:, 0] ** 2
    return bool(np.median(between / np.maximum(of_all, 1)) >= _TWO_TONES)


def _sorted(cells: Soft) -> NDArray[np.int64]:
    return np.sort(cells.reshape(len(cells), -1).astype(np.int64), axis=1)
