"""Arguments of edits: another picture, and seeded randomness."""

from __future__ import annotations

import numpy as np

from featmatch.evaluation.edits import Picture, Random


def red(random: Random) -> Picture:
    """Another picture to be pasted in."""
    del random
    return np.full((120, 160, 3), (255, 0, 0), np.uint8)


def random(seed: int = 3) -> Random:
    return np.random.default_rng(seed)
