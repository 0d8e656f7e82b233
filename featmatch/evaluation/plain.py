"""Pictures made from photos that have too little detail for features, and the mild edits that they are queried with."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmatch.evaluation import edits
from featmatch.evaluation.edits import Picture, Random

_LONGEST_PX = 480


def blurred(photo: Picture, random: Random) -> Picture:
    """The photo, strongly out of focus."""
    small = edits.scale(photo, min(_LONGEST_PX / max(photo.shape[:2]), 1.0))
    return edits.blur(small, random.uniform(6, 16))


def stamp(photo: Picture, random: Random) -> Picture:
    """The photo at 64 px."""
    del random
    return edits.thumbnail(photo, 64)


def product(photo: Picture, random: Random) -> Picture:
    """A smooth object in the photo's colours with a shadow, in the middle of a plain white ground."""
    side = round(random.uniform(240, _LONGEST_PX))
    width, height = (round(side * random.uniform(0.75, 1)), side)
    texture = edits.blur(_filled(photo, width, height), side * random.uniform(0.03, 0.08)).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    mask = np.zeros((height, width), np.float32)
    for _ in range(random.integers(1, 4)):
        across, tall = random.uniform(0.12, 0.36) * width, random.uniform(0.12, 0.4) * height
        right, down = random.uniform(-0.1, 0.1) * width, random.uniform(-0.1, 0.1) * height
        power = random.choice([2.0, 4.0, 8.0])  # an ellipse, or nearly a box
        out = np.abs((x - width / 2 - right) / across) ** power + np.abs((y - height / 2 - down) / tall) ** power
        mask = np.maximum(mask, (out <= 1).astype(np.float32))
    ground = np.full((height, width, 3), random.uniform(235, 255), np.float32)
    ground -= random.uniform(0, 30) * (y / height)[..., None]
    shadow = np.roll(cv2.GaussianBlur(mask, (0, 0), side * 0.03), (round(side * 0.02), round(side * 0.01)), (0, 1))
    ground *= 1 - random.uniform(0.05, 0.3) * shadow[..., None]
    soft = cv2.GaussianBlur(mask, (0, 0), random.uniform(1, 3))[..., None]
    return _u8(texture * soft + ground * (1 - soft))


def sky(photo: Picture, random: Random) -> Picture:
    """A sky in two of the photo's colours, with soft clouds that are often hardly visible."""
    width, height = _LONGEST_PX, round(_LONGEST_PX * random.choice([2 / 3, 3 / 4]))
    above, below = (_filled(photo, width, height)[rows].mean(axis=(0, 1)) for rows in (slice(0, 60), slice(-60, None)))
    share = (np.arange(height, dtype=np.float32) / height)[:, None, None]
    clouds = np.zeros((height, width), np.float32)
    for sigma in (12.0, 25.0, 60.0):
        noise = cv2.GaussianBlur(random.normal(size=(height, width)).astype(np.float32), (0, 0), sigma)
        clouds += (noise - noise.mean()) / noise.std() * sigma / 60
    strength = math.exp(random.uniform(math.log(1), math.log(30)))
    return _u8(above * (1 - share) + below * share + strength * clouds[..., None])


def icon(photo: Picture, random: Random) -> Picture:
    """Up to three flat shapes in colours of the photo, 48 to 128 px."""
    side = int(random.integers(48, 129))
    large = 4 * side
    inks = [tuple(int(value) for value in photo.reshape(-1, 3)[random.integers(photo.size // 3)]) for _ in range(3)]
    image = Image.new("RGB", (large, large), (255, 255, 255) if random.random() < 0.7 else inks[0])
    draw = ImageDraw.Draw(image)
    for ink in inks[: random.integers(1, 4)]:
        centre, radius = random.uniform(0.3, 0.7, 2) * large, random.uniform(0.1, 0.35) * large
        (x, y), thin = centre, radius * random.uniform(0.2, 1)
        match random.integers(4):
            case 0:
                draw.ellipse((x - radius, y - thin, x + radius, y + thin), fill=ink)
            case 1:
                draw.rectangle((x - thin, y - radius, x + thin, y + radius), fill=ink)
            case 2:
                turn = random.uniform(0, 360)
                draw.regular_polygon((x, y, radius), int(random.integers(3, 7)), rotation=turn, fill=ink)
            case _:
                start, span = random.uniform(0, 360), random.uniform(90, 330)
                box = (x - radius, y - radius, x + radius, y + radius)
                draw.arc(box, start, start + span, fill=ink, width=round(thin / 2) + 4)
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


PLAIN: dict[str, Callable[[Picture, Random], Picture]] = {
    "blurred": blurred,
    "64 px": stamp,
    "product": product,
    "sky": sky,
    "icon": icon,
}

# Edits that keep the whole frame: each picture gets one or two of them.
_MILD: dict[str, Callable[[Picture, Random], Picture]] = {
    "JPEG": lambda picture, random: edits.jpeg(picture, random.uniform(25, 90)),
    "scale": lambda picture, random: edits.scale(picture, math.exp(random.uniform(math.log(0.4), math.log(1.8)))),
    "tone": lambda picture, random: edits.tone(picture, math.exp(random.uniform(-0.4, 0.4)), random),
    "quarter turn": lambda picture, random: edits.quarter_turn(picture, int(random.integers(1, 4))),
    "mirror": lambda picture, random: edits.mirror(picture),
    "blur": lambda picture, random: edits.blur(picture, random.uniform(0.5, 2)),
    "noise": lambda picture, random: edits.noise(picture, random.uniform(2, 8), random),
    "grey": lambda picture, random: edits.grey(picture),
}


def mildly_edited(picture: Picture, random: Random) -> tuple[Picture, list[str]]:
    """Apply one or two edits that keep the whole frame; return the picture and their names."""
    names = [str(name) for name in random.choice(list(_MILD), random.integers(1, 3), replace=False)]
    for name in names:
        picture = _MILD[name](picture, random)
    return picture, names


def _filled(photo: Picture, width: int, height: int) -> Picture:
    """The middle of the photo, scaled to fill this size."""
    factor = max(width / photo.shape[1], height / photo.shape[0])
    size = (max(round(photo.shape[1] * factor), width), max(round(photo.shape[0] * factor), height))
    large = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.asarray(large[top : top + height, left : left + width], np.uint8)


def _u8(values: NDArray[np.float32]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
