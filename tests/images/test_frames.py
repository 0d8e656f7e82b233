from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from featmatch.images.pixels import load_display, load_grey


def frame(level: int, shown: bool = False) -> Image.Image:
    pixels = np.full((40, 60, 3), level, np.uint8)
    if shown:
        pixels[10:30, 10 : 20 + level % 30] = 250
    return Image.fromarray(pixels)


def animation(suffix: str, frames: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    how = {"lossless": True} if suffix == "WEBP" else {}
    frames[0].save(file, suffix, save_all=True, append_images=frames[1:], duration=100, **how)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_that_is_not_blank_is_taken(suffix: str) -> None:
    frames = [frame(0), frame(3), frame(25, shown=True), frame(90, shown=True)]
    content = animation(suffix, frames)
    assert np.abs(load_display(content).astype(int) - np.asarray(frames[2])).max() <= 4
    assert load_grey(content, longest_px=100).pixels.max() >= 245
    assert not load_grey(content, longest_px=100).damaged


@pytest.mark.parametrize("suffix", ["GIF", "PNG", "WEBP"])
def test_a_first_frame_that_shows_something_is_taken(suffix: str) -> None:
    frames = [frame(25, shown=True), frame(0), frame(90, shown=True)]
    assert np.abs(load_display(animation(suffix, frames)).astype(int) - np.asarray(frames[0])).max() <= 4


def test_of_blank_frames_only_the_first_is_taken() -> None:
    content = animation("GIF", [frame(40), frame(90), frame(200)])
    assert np.unique(load_display(content)).tolist() == [40]


def test_no_more_than_fifty_frames_are_looked_at() -> None:
    blank = [frame(level) for level in range(10, 70)]
    assert np.unique(load_display(animation("PNG", [*blank, frame(90, shown=True)]))).tolist() == [10]
    assert load_display(animation("PNG", [*blank[:49], frame(90, shown=True)])).max() == 250


def test_an_animation_that_ends_early_shows_what_there_is() -> None:
    content = animation("GIF", [frame(40), frame(90, shown=True)])
    assert np.unique(load_display(content[: len(content) - 60])).size <= 2
