"""Scenes that are drawn to be photographed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tools.bench_scenes import Thing, seen_from, two_photos


def test_what_is_near_moves_most() -> None:
    """A thing as near as can be moves all the way, and one on the ground not at all."""
    ground, white = np.zeros((120, 160, 3), np.uint8), np.full((120, 160, 3), 255, np.uint8)
    mask = np.zeros((120, 160), np.uint8)
    mask[40:60, 30:50] = 255
    relief = np.zeros((120, 160), np.float32)
    for nearness, left in ((1.0, 60), (0.5, 45), (0.0, 30)):
        thing = Thing(white, mask, nearness, np.zeros(2))
        places = np.argwhere(seen_from(ground, relief, [thing], np.array([30.0, 0]))[..., 0] > 128)
        assert places.min(axis=0).tolist() == [40, left]


def test_two_photos_are_drawn_by_the_generator_alone(tmp_path: Path) -> None:
    files = []
    for number in range(5):
        files.append(str(tmp_path / f"{number}.png"))
        pixels = np.random.default_rng(number).integers(0, 256, (90, 120, 3), np.uint8)
        Image.fromarray(pixels).save(files[-1])
    first, second, again = (two_photos(files, 0.04, 1, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(one.shape == (90, 120, 3) for one in first)
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], again[0])
