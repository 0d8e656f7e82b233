"""What the tests of edits share: a photo, a small one, another picture, and seeded randomness."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.evaluation import edits
from featmatch.evaluation.edits import Picture


@pytest.fixture
def photo(photos: dict[str, NDArray[np.uint8]]) -> Picture:
    """451 x 300."""
    return photos["chelsea"]


@pytest.fixture
def small(photo: Picture) -> Picture:
    return edits.scale(photo, 0.6)
