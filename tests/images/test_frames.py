from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from featmatch.images.frames import seek_first_shown
from featmatch.images.pixels import load_display, load_grey
from featmatch.images.sources import open_image


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


@pytest.mark.parametrize(("contrast", "is_blank"), [(8, True), (9, False)])
def test_a_frame_is_blank_that_has_hardly_any_contrast(contrast: int, is_blank: bool) -> None:
    faint = frame(100)
    faint.paste((100, 100 + contrast, 100), (10, 10, 20, 20))
    shown = load_display(animation("PNG", [faint, frame(25, shown=True)]))
    assert np.array_equal(shown, np.asarray(frame(25, shown=True) if is_blank else faint))


def test_transparent_pixels_are_grey_to_the_eye() -> None:
    clear, seen = Image.new("RGBA", (60, 40), (9, 9, 9, 0)), Image.new("RGBA", (60, 40), (128, 128, 128, 255))
    clear.paste((250, 250, 250, 0), (0, 0, 20, 20))
    seen.paste((0, 0, 0, 255), (0, 0, 20, 20))
    with open_image(animation("PNG", [clear, seen])) as image:
        assert image.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 255)


def test_pages_are_no_frames() -> None:
    with open_image(animation("TIFF", [frame(40), frame(25, shown=True)])) as image:
        assert image.getpixel((15, 15)) == (40, 40, 40)


def test_a_frame_that_is_cut_short_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featmatch.images.frames.load", lambda image: True)
    with Image.open(io.BytesIO(animation("GIF", [frame(40), frame(25, shown=True)]))) as image:
        seek_first_shown(image)
        assert image.tell() == 0
