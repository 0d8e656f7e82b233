"""Scenes of landmarks, and what another tool would find of them in pictures."""

from __future__ import annotations

import numpy as np

from featmatch import Features
from tests.geometry.known_maps import TRUTHS, mapped

SIZE = 64


class Scenes:
    """Landmarks of scenes, (8, 120, 2) px of a picture of 1000 x 1000 px, and their descriptors."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self.places = random.uniform(20, 780, (8, 120, 2))
        self.vectors = random.normal(size=(8, 120, SIZE))

    def seen(
        self, scene: int, truth: str = "identity", *, turned: bool = False, landmarks: slice = slice(None)
    ) -> Features:
        """The features of a picture of a scene: its landmarks mapped, its descriptors a little different."""
        random = np.random.default_rng(scene)
        places = mapped(TRUTHS[truth], self.places[scene])[landmarks]
        vectors = self.vectors[scene][landmarks] + random.normal(0, 0.1, self.vectors[scene][landmarks].shape)
        inside = ((places >= 0) & (places < 1000)).all(axis=1)
        places, vectors = places[inside], vectors[inside]
        angles, sizes = (np.zeros(len(places)), np.ones(len(places))) if turned else (None, None)
        return Features.from_arrays("net", places, vectors, size=(1000, 1000), angles=angles, sizes=sizes)


SCENES = Scenes()
