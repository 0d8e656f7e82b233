"""Depth between two pictures, drawn by the test: things before a ground, waves, patterns, places moved."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch import verify
from featmatch.proof.parallax import depth_steps

Picture = NDArray[np.uint8]
_opencv: Any = cv2  # its type stubs differ from release to release


def textured(seed: int, height: int = 480, width: int = 640) -> Picture:
    rough = np.random.default_rng(seed).normal(0, 1, (height, width))
    soft = cv2.GaussianBlur(rough, (0, 0), 3)
    return np.asarray(np.clip(128 + 45 * soft / soft.std(), 0, 255), np.uint8)


GROUND, THING = textured(1), textured(2)


def scene(*moves: tuple[int, int]) -> Picture:
    """The ground, and two things before it that are moved right and down by so many px."""
    picture = GROUND.copy()
    for (left, top), (right, down) in zip(((120, 100), (380, 220)), moves, strict=True):
        here = slice(top + down, top + down + 150), slice(left + right, left + right + 150)
        picture[here] = THING[top : top + 150, left : left + 150]
    return picture


def steps(query: Picture, reference: Picture, *, negative: bool = False) -> int:
    return depth_steps(query, reference, np.eye(3), negative=negative)


STILL = scene((0, 0), (0, 0))


@pytest.mark.parametrize("moves", [((24, 0), (40, 0)), ((-16, 0), (30, 0)), ((12, 12), (24, 24)), ((0, 20), (0, 36))])
def test_things_moved_along_one_line_are_near(moves: tuple[tuple[int, int], ...]) -> None:
    assert steps(scene(*moves), STILL) >= 20
    assert steps(STILL, scene(*moves)) >= 20
    assert steps(255 - scene(*moves), STILL, negative=True) >= 20


@pytest.mark.parametrize(
    "query",
    [
        STILL,
        scene((24, 0), (0, 30)),  # not along one line
        scene((4, 0), (3, 0)),  # too little to be told
        scene((200, 0), (-200, 0)),  # too far to be looked for
        255 - scene((24, 0), (40, 0)),
    ],
    ids=["the same", "two ways", "hardly", "far", "negative"],
)
def test_what_is_no_depth(query: Picture) -> None:
    assert steps(query, STILL) == 0


def test_waves_are_no_depth() -> None:
    rows, columns = np.indices(GROUND.shape)
    bent = np.float32(columns + 14 * np.sin(rows / 40))
    waved = np.asarray(_opencv.remap(GROUND, bent, np.float32(rows), cv2.INTER_LINEAR), np.uint8)
    assert steps(waved, GROUND) == 0


def test_an_abrupt_bend_is_no_depth() -> None:
    """Cells between the two sides are moved halfway."""
    rows, columns = np.indices(GROUND.shape)
    bent = np.float32(columns + 20 * np.clip((columns - 280) / 80, 0, 1))
    assert steps(np.asarray(_opencv.remap(GROUND, bent, np.float32(rows), cv2.INTER_LINEAR), np.uint8), GROUND) == 0


def test_the_next_period_of_a_pattern_is_no_depth() -> None:
    """A place where the pattern looks more like its neighbour than like itself."""
    pattern = np.tile(textured(3, 24, 32), (20, 20)).astype(np.float64)
    reference = np.clip(pattern + 0.4 * (textured(4) - 128.0), 0, 255).astype(np.uint8)
    query = reference.copy()
    query[100:260, 200:360] = reference[100:260, 232:392]
    assert steps(query, reference) == 0


def test_small_pictures_are_not_looked_at() -> None:
    assert steps(STILL[:100, :100], STILL[:100, :100]) == 0


@pytest.mark.parametrize("turned", [False, True])
def test_verify_tells_another_photo_of_the_scene_and_how_they_lie(turned: bool) -> None:
    pair = (STILL, scene((24, 0), (40, 0))) if turned else (scene((24, 0), (40, 0)), STILL)
    told = verify(*pair, forms="none")
    assert not told
    assert told.reason.startswith("another photo of the same scene")
    assert told.proof is not None
    assert told.proof.relation.kind == "same scene"
    assert told.homography is not None
    assert np.abs(told.homography - np.eye(3)).max() < 0.5
