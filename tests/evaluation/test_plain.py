"""Pictures without detail, and the mild edits that they are queried with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.evaluation.plain import PLAIN, mildly_edited
from featmatch.features.extraction import extract
from featmatch.features.looks import FEW_FEATURES


@pytest.mark.parametrize("kind", PLAIN)
def test_pictures_have_few_features_and_repeat_themselves(kind: str, photos: dict[str, NDArray[np.uint8]]) -> None:
    first, again, other = (PLAIN[kind](photos["coffee"], np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert kind == "64 px" or first.shape != other.shape or (first != other).any()
    assert len(extract(first)) < FEW_FEATURES
    assert max(first.shape) == 64 or kind != "64 px"


def test_icons_are_unlike_one_another(photos: dict[str, NDArray[np.uint8]]) -> None:
    icons = [PLAIN["icon"](photos["coffee"], np.random.default_rng(seed)) for seed in range(40)]
    small = np.array([np.asarray(Image.fromarray(one).convert("L").resize((16, 16)), np.float64) for one in icons])
    apart = np.abs(small[:, None] - small).mean(axis=(2, 3))[np.triu_indices(len(icons), 1)]
    assert np.quantile(apart, 0.02) > 3  # grey levels


def test_mild_edits_keep_the_whole_frame(photos: dict[str, NDArray[np.uint8]]) -> None:
    picture = photos["coffee"]
    shape = picture.shape[1] / picture.shape[0]
    for seed in range(20):
        edited, names = mildly_edited(picture, np.random.default_rng(seed))
        assert 1 <= len(names) <= 2
        across = edited.shape[1] / edited.shape[0]
        assert min(abs(across / shape - 1), abs(across * shape - 1) if "quarter turn" in names else 1) < 0.02
