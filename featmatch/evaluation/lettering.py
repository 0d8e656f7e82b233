"""What drawn pictures are made of: letters, lines of text, handwriting, numbers, bars and colours."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from featmatch.evaluation.edits import Random, phrase

Box = tuple[float, float, float, float]  # left, top, right, bottom, px
Ink = tuple[int, int, int]

_SHARPENED = 3  # handwriting is drawn so many times larger, and made smaller: strokes without steps


def font(size: float) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The type face that comes with Pillow, 6 px or larger."""
    return ImageFont.load_default(max(size, 6))


def colour(random: Random, low: int = 0, high: int = 255) -> Ink:
    """Any colour with channels between these."""
    red, green, blue = random.integers(low, high + 1, size=3).tolist()
    return red, green, blue


def digits(random: Random, count: int) -> str:
    """A number of so many digits."""
    return "".join(map(str, random.integers(10, size=count)))


def date(random: Random) -> str:
    """A day of the years 1940 to 2029."""
    return f"{random.integers(1, 29):02}.{random.integers(1, 13):02}.{random.integers(1940, 2030)}"


def fill_with_lines(draw: ImageDraw.ImageDraw, box: Box, size: int, random: Random) -> None:
    """Fill a box with lines of text."""
    left, top, right, bottom = box
    face = font(size)
    while top + size < bottom:
        line = phrase(random, math.ceil(2.5 * (right - left) / size))
        while draw.textlength(line, face) > right - left:
            line = line.rsplit(" ", 1)[0] if " " in line else line[:-1]
        draw.text((left, top), line, fill=(20, 20, 20), font=face)
        top += 1.3 * size


def write_centred(draw: ImageDraw.ImageDraw, box: Box, words: str, ink: Ink) -> None:
    """Write words in the middle of a box, as large as fits."""
    left, top, right, bottom = box
    size = min(bottom - top, 0.95 * (right - left) / max(draw.textlength(words, font(100)) / 100, 0.1))
    draw.text(((left + right) / 2, (top + bottom) / 2), words, fill=ink, font=font(size), anchor="mm")


def write_by_hand(image: Image.Image, box: Box, random: Random, ink: Ink, letters: int) -> None:
    """Write a word of so many letters that nobody can read, as a pen would: in one smooth stroke, slanted."""
    left, top, right, bottom = box
    tall = bottom - top
    # Each letter is some turns of the pen between the lines of writing; a few reach above or below.
    turns = np.cumsum(random.uniform(0.12, 0.3, 4 * letters)) - 0.2
    heights = np.tile([0.68, 0.4, 0.68, 0.45], letters) + random.uniform(-0.08, 0.08, 4 * letters)
    reaching = random.random(letters)
    heights[1::4][reaching < 0.3] = random.uniform(0.02, 0.15)
    heights[2::4][reaching > 0.8] = random.uniform(0.9, 1.0)
    knots = np.stack([turns + 0.25 * (0.7 - heights), heights], axis=1) * tall
    knots[:, 0] += random.uniform(-0.08, 0.08, len(knots)) * tall
    knots[:, 0] *= min((right - left) / max(knots[:, 0].max(), 1.0), 1.0)
    large = Image.new("L", (math.ceil(right - left) * _SHARPENED, math.ceil(tall) * _SHARPENED))
    path = [(float(x), float(y)) for x, y in _smooth(knots) * _SHARPENED]
    ImageDraw.Draw(large).line(path, fill=255, width=max(round(0.07 * tall * _SHARPENED), 2), joint="curve")
    stroke = large.resize((math.ceil(right - left), math.ceil(tall)), Image.Resampling.BOX)
    image.paste(Image.new("RGB", stroke.size, ink), (round(left), round(top)), stroke)


def draw_bars(draw: ImageDraw.ImageDraw, box: Box, number: str, ink: Ink = (0, 0, 0)) -> None:
    """Draw a number as a bar code: each digit as seven modules in two bars, with guards outside and in the middle."""
    left, top, right, bottom = box
    half = len(number) // 2
    codes = [_DIGITS[int(digit)] for digit in number]
    modules = "101" + "".join(codes[:half]) + "01010" + "".join(map(_swapped, codes[half:])) + "101"
    wide = (right - left) / len(modules)
    for place, module in enumerate(modules):
        if module == "1":
            draw.rectangle((left + place * wide, top, left + (place + 1) * wide - 1, bottom), fill=ink)


# Modules of the digits 0 to 9 on the left of a bar code as shops have them; those on the right are their negatives.
_DIGITS = (
    "0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011",
)  # fmt: skip


def _swapped(modules: str) -> str:
    return modules.translate(str.maketrans("01", "10"))


def _smooth(
    knots: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A curve through (N, 2) knots (Catmull and Rom), six points between any two."""
    before, after = np.vstack([knots[:1], knots[:-1]]), np.vstack([knots[1:], knots[-1:]])
    further = np.vstack([after[1:], after[-1:]])
    share = np.linspace(0, 1, 6, endpoint=False)[None, :, None]
    a, b, c, d = (points[:, None] for points in (before, knots, after, further))
    curve = b + 0.5 * share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)))
    return np.asarray(curve.reshape(-1, 2))
