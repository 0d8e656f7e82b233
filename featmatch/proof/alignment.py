"""Two pictures that lie nearly on one another -> the small affine map after which they correlate best."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import solve
from featmatch.geometry.maps import Matrix
from featmatch.native.agreement import alignment_sums, smooth

_MOST_STEPS = 15
_ENOUGH = 1e-3  # the first step that raises the correlation by less is the last
_A_LITTLE = np.array([0.5, 0.25], np.float32)  # one side of a blur's kernel
_WHOLE = 0.95  # of the mask, blurred likewise


def best_move(still: NDArray[np.float32], moved: NDArray[np.float32], mask: NDArray[np.float32]) -> Matrix | None:
    """Move a picture to where it correlates best with another one.

    Each step maximises the enhanced correlation coefficient of the pictures, as linearised (ECC: Evangelidis and
    Psarakis, PAMI 2008).

    Args:
        still: (H, W) float32, the picture that stays.
        moved: (H, W) float32, the other one.
        mask: (H, W) float32, 1 where ``moved`` counts, else 0.

    Returns:
        (3, 3) float64, affine, px of ``still`` to px of ``moved``; None where no step leads on, as where pictures agree
        by chance.
    """
    still, moved, mask = (smooth(one, _A_LITTLE) for one in (still, moved, mask))
    mask = (mask > _WHOLE).astype(np.float32)
    along_x, along_y = np.zeros_like(moved), np.zeros_like(moved)
    along_x[:, 1:-1], along_y[1:-1] = (moved[:, 2:] - moved[:, :-2]) / 2, (moved[2:] - moved[:-2]) / 2
    along = along_x * mask, along_y * mask
    move, last = np.eye(3), -2.0
    for _ in range(_MOST_STEPS):
        sums = alignment_sums(still, moved, along, mask, move[:2])
        means = np.array([sums.still, sums.moved]) / max(sums.number, 1)
        # Products of the two pictures, and of the slopes with them, about the pictures' means.
        (still_still, still_moved), (_, moved_moved) = sums.products[6:, 6:] - sums.number * means[:, None] * means
        of_still, of_moved = (sums.products[:6, 6:] - sums.slopes[:, None] * means).T
        if not (still_still > 0 and moved_moved > 0):
            return None
        correlation = still_moved / math.sqrt(still_still * moved_moved)
        if abs(correlation - last) < _ENOUGH:
            break
        last = correlation
        explained = solve(sums.products[:6, :6], of_moved)
        if explained is None:
            return None
        left = still_moved - float((of_still * explained).sum())
        if left <= 0:
            return None
        gain = (moved_moved - float((of_moved * explained).sum())) / left
        step = solve(sums.products[:6, :6], of_still * gain - of_moved)
        if step is None:
            return None
        move[:2] += step.reshape(2, 3)
    return move
