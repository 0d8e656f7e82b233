"""Two pictures that lie nearly on one another -> the small affine map after which they correlate best."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from featmatch.geometry.exact import solve
from featmatch.geometry.maps import Matrix
from featmatch.native.agreement import alignment_sums


def best_move(
    still: NDArray[np.float32],
    moved: NDArray[np.float32],
    mask: NDArray[np.float32],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    most_steps: int = 15,
    enough: float = 1e-3,
) -> Matrix | None:
    """Move a picture to where it correlates best with another one.

    Each step maximises the enhanced correlation coefficient of the pictures, as linearised (ECC: Evangelidis and
    Psarakis, PAMI 2008).

    Args:
        still: (H, W) float32, the picture that stays.
        moved: (H, W) float32, the other one.
        mask: (H, W) float32, 1 where ``moved`` counts, else 0.
        shift: to begin with, along x and y, px.
        most_steps: that are tried.
        enough: the first step that raises the correlation by less is the last.

    Returns:
        (3, 3) float64, affine, px of ``still`` to px of ``moved``; None where no step leads on, as where pictures agree
        by chance.
    """
    along_x, along_y = np.zeros_like(moved), np.zeros_like(moved)
    along_x[:, 1:-1], along_y[1:-1] = (moved[:, 2:] - moved[:, :-2]) / 2, (moved[2:] - moved[:-2]) / 2
    along = along_x * mask, along_y * mask
    move, last = np.eye(3), -2.0
    move[:2, 2] = shift
    for _ in range(most_steps):
        sums = alignment_sums(still, moved, along, mask, move[:2])
        means = np.array([sums.still, sums.moved]) / max(sums.number, 1)
        # Products of the two pictures, and of the slopes with them, about the pictures' means.
        (still_still, still_moved), (_, moved_moved) = sums.products[6:, 6:] - sums.number * means[:, None] * means
        of_still, of_moved = (sums.products[:6, 6:] - sums.slopes[:, None] * means).T
        if not (still_still > 0 and moved_moved > 0):
            return None
        correlation = still_moved / math.sqrt(still_still * moved_moved)
        if abs(correlation - last) < enough:
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
