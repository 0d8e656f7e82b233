"""Cells that the test draws: letters on a plain ground, and smooth noise as photographs have."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from featmatch.native.difference import CELL_PX, STEPS
from featmatch.proof.tones import are_on_ground, look_printed

Cells = NDArray[np.int16]


def printed(count: int, paper: int = 240, ink: int = 40) -> Cells:
    """Letters, a little blurred."""
    cells = np.full((count, CELL_PX, CELL_PX), paper, np.uint8)
    for number, cell in enumerate(cells):
        cv2.putText(cell, "AKRHEMBWT"[number % 9], (3, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, ink, 2, cv2.LINE_AA)
    blurred = np.stack([cv2.GaussianBlur(cell, (0, 0), 0.7) for cell in cells])
    return np.asarray(blurred.astype(np.int16) * STEPS, np.int16)


def photographed(count: int) -> Cells:
    """Smooth noise, with as many tones as there are px."""
    noise = np.random.default_rng(5).normal(0, 1, (count * CELL_PX, CELL_PX))
    soft = cv2.GaussianBlur(noise, (0, 0), 3.0)
    grey = np.clip(128 + 40 * soft / soft.std(), 0, 255)
    return np.asarray(grey * STEPS, np.int16).reshape(count, CELL_PX, CELL_PX)


@pytest.mark.parametrize(("paper", "ink"), [(240, 40), (40, 240), (120, 90)])
def test_letters_look_printed(paper: int, ink: int) -> None:
    assert look_printed(printed(9, paper, ink))


def test_a_photograph_does_not_and_most_cells_decide() -> None:
    assert not look_printed(photographed(9))
    assert look_printed(np.concatenate([printed(9), photographed(5)]))
    assert not look_printed(np.concatenate([printed(5), photographed(9)]))


def test_two_tones_explain_what_they_do_wherever_the_px_are() -> None:
    """Three tones, evenly: two of them explain three quarters of the variance; a rare third tone is hardly missed."""
    tones = np.repeat(np.array([0, 100, 200]), CELL_PX * CELL_PX // 3)
    rare = np.where(np.arange(tones.size) < tones.size * 0.9, tones // 200 * 200, 100)
    for levels, is_print in ((tones, False), (rare, True)):
        shuffled = np.random.default_rng(0).permutation(levels).reshape(1, CELL_PX, CELL_PX)
        assert look_printed((shuffled * STEPS).astype(np.int16)) is is_print


def test_letters_lie_on_a_ground_and_photographs_and_plain_cells_do_not() -> None:
    assert are_on_ground(printed(9)).all()
    assert not are_on_ground(photographed(9)).any()
    haze = np.tile(np.arange(CELL_PX, dtype=np.int16), (1, CELL_PX, 1)) * np.int16(STEPS // 2)
    assert not are_on_ground(haze).any()
