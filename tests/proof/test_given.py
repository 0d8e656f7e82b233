from __future__ import annotations

import numpy as np
import pytest

import featmatch
from featmatch import Features, ImageError, UsageError
from tests.features.given_scenes import SCENES
from tests.geometry.known_maps import TRUTHS, mapped


@pytest.mark.parametrize("truth", ["shift", "turned and smaller", "perspective"])
def test_verify_says_the_same_either_way(truth: str) -> None:
    a, b = SCENES.seen(0), SCENES.seen(0, truth)
    there, back = featmatch.verify(a, b), featmatch.verify(b, a)
    assert there and back
    assert there.homography is not None and back.homography is not None
    places = SCENES.places[0, :5]
    assert np.abs(mapped(there.homography, places) - mapped(TRUTHS[truth], places)).max() < 4
    assert np.abs(mapped(back.homography, mapped(there.homography, places)) - places).max() < 0.1
    assert there.to_dict()["name"] == "<Features>"
    assert not featmatch.verify(a, SCENES.seen(1))


def test_verify_refuses_what_cannot_be_compared() -> None:
    for other in (SCENES.seen(0, turned=True), np.zeros((9, 9), np.uint8)):
        with pytest.raises(UsageError, match="same detector"):
            featmatch.verify(SCENES.seen(0), other)
    few = featmatch.verify(SCENES.seen(0), SCENES.seen(0, landmarks=slice(2)))
    assert few.reason == "too little detail in the second image"


def test_features_are_drawn_in_their_pictures() -> None:
    picture = np.zeros((1000, 1000), np.uint8)
    a = Features.from_arrays("net", SCENES.places[0], SCENES.vectors[0], picture=picture)
    assert featmatch.verify(a, a).draw().ndim == 3
    bare = featmatch.verify(SCENES.seen(0), SCENES.seen(0))
    with pytest.raises(ImageError, match="without their picture"):
        bare.draw()
    assert bare._repr_png_() is None
