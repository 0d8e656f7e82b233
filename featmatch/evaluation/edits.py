"""Edits that people make before they use a picture again, as plain functions.

Pictures are (H, W, 3) uint8 RGB. Edits that move pixels accept (H, W, 4) as well; then the last channel marks the
photo's own pixels (255) against background and other pictures (0). All chance comes from the generator that is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture: TypeAlias = "NDArray[np.uint8]"
Random: TypeAlias = "np.random.Generator"
Others: TypeAlias = "Callable[[Random], Picture]"  # draws another photo, to paste into or to show beside

SMALLEST_PX = 40  # shortest side of an edited copy; at least the square of it is left of the photo

_opencv: Any = cv2  # its type stubs differ from release to release
_SYLLABLES = (
    "ka", "ro", "mi", "ten", "sa", "lo", "vi", "der", "an", "el", "ou", "st", "per", "ga", "nu", "ri", "fo", "ble",
    "wo", "tha", "in", "es", "co", "ma", "que", "zen",
)  # fmt: skip


def crop(picture: Picture, share: float, random: Random) -> Picture:
    """Cut out a rectangle anywhere, with this share of the area and about the shape of the picture."""
    height, width = picture.shape[:2]
    stretch = math.exp(random.uniform(-0.3, 0.3))
    new_width = _side(width * max(share**0.5 * stretch, share), width)  # no thinner than the height has room for
    new_height = _side(height * share * width / new_width, height)
    x, y = random.integers(width - new_width + 1), random.integers(height - new_height + 1)
    return picture[y : y + new_height, x : x + new_width].copy()


def rotate(picture: Picture, angle_deg: float, random: Random) -> Picture:
    """Turn counter-clockwise. The frame grows so that nothing is lost; its corners have one colour."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0)
    new_width = math.ceil(abs(matrix[0, 0]) * width + abs(matrix[0, 1]) * height - 1e-6)
    new_height = math.ceil(abs(matrix[0, 1]) * width + abs(matrix[0, 0]) * height - 1e-6)
    matrix[:, 2] += [(new_width - width) / 2, (new_height - height) / 2]
    size, colour = (new_width, new_height), _background(random)
    return _u8(_opencv.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderValue=colour))


def quarter_turn(picture: Picture, quarters: int) -> Picture:
    """Turn counter-clockwise by this many right angles."""
    return np.ascontiguousarray(np.rot90(picture, quarters))


def mirror(picture: Picture) -> Picture:
    """Swap left and right."""
    return np.ascontiguousarray(picture[:, ::-1])


def negative(picture: Picture) -> Picture:
    """Swap light and dark."""
    return ~picture


def jpeg(picture: Picture, quality: float) -> Picture:
    """Compress as JPEG at this quality, 1 to 100, and decode again."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    assert done
    return np.ascontiguousarray(_u8(_opencv.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def scale(picture: Picture, factor: float) -> Picture:
    """Resize both sides by a factor."""
    height, width = picture.shape[:2]
    factor = max(factor, min(SMALLEST_PX / min(height, width), 1.0))
    return _resized(picture, round(width * factor), round(height * factor))


def thumbnail(picture: Picture, long_side_px: float) -> Picture:
    """Scale down to this longer side."""
    return scale(picture, min(long_side_px / max(picture.shape[:2]), 1.0))


def stretch(picture: Picture, factor: float) -> Picture:
    """Multiply the ratio of width to height by a factor, and keep the area."""
    height, width = picture.shape[:2]
    return _resized(
        picture, max(round(width * factor**0.5), SMALLEST_PX), max(round(height / factor**0.5), SMALLEST_PX)
    )


def blur(picture: Picture, sigma_px: float) -> Picture:
    """Blur by a Gaussian of this standard deviation."""
    return _u8(_opencv.GaussianBlur(picture, (0, 0), sigma_px))


def noise(picture: Picture, sigma: float, random: Random) -> Picture:
    """Add noise of this standard deviation (grey levels) to each channel of each pixel."""
    return _rounded(picture + random.normal(0, sigma, picture.shape))


def tone(picture: Picture, gamma: float, random: Random) -> Picture:
    """Apply a gamma, and multiply the contrast around middle grey by 0.5 to 2."""
    contrast = math.exp(random.uniform(-math.log(2), math.log(2)))
    return _rounded(((picture / 255.0) ** gamma * 255 - 128) * contrast + 128)


def hue(picture: Picture, angle_deg: float) -> Picture:
    """Turn the hue of all colours by an angle."""
    hsv = _opencv.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int64) + round(angle_deg / 2)) % 180
    return _u8(_opencv.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def grey(picture: Picture) -> Picture:
    """Remove the colours."""
    return _u8(np.repeat(_opencv.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2))


def perspective(picture: Picture, share: float, random: Random) -> Picture:
    """Move each corner inwards, along each axis by up to this share of the side; one colour around."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * random.uniform(0, share, (4, 2)) * [width, height]
    moved = (corners + inwards).astype(np.float32)
    matrix, colour = cv2.getPerspectiveTransform(corners, moved), _background(random)
    return _u8(_opencv.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=colour))


def border(picture: Picture, share: float, random: Random) -> Picture:
    """Add a border of one colour, as wide as this share of the shorter side."""
    margin = max(round(share * min(picture.shape[:2])), 1)
    colour = _background(random)
    return _u8(_opencv.copyMakeBorder(picture, *[margin] * 4, cv2.BORDER_CONSTANT, value=colour))


def text_over(picture: Picture, share: float, random: Random) -> Picture:
    """Write lines of text over the picture that together have this share of its height."""
    height, width = picture.shape[:2]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    left = share * height
    while left >= 6:
        size = min(left, max(height * random.uniform(0.06, 0.15), 6.0))
        x, y = random.uniform(-0.05, 0.3) * width, random.uniform(0, 1) * (height - size)
        fill, stroke = ((255, 255, 255), (0, 0, 0)) if random.random() < 0.5 else (_colour(random), (255, 255, 255))
        words = phrase(random, math.ceil(width / size))
        font = ImageFont.load_default(size)
        draw.text((x, y), words, fill=fill, font=font, stroke_width=round(size / 16), stroke_fill=stroke)
        left -= size
    return np.array(image)


def stickers_over(picture: Picture, share: float, random: Random) -> Picture:
    """Draw shapes and stickers over the picture until they cover this share of its area."""
    height, width = picture.shape[:2]
    layer = Image.new("RGBA", (width, height))
    draw = ImageDraw.Draw(layer)
    while np.asarray(layer)[..., 3].mean() < 255 * share:
        radius = random.uniform(0.06, 0.16) * (height * width) ** 0.5
        x, y = random.uniform(0, width), random.uniform(0, height)
        box = (x - radius, y - radius, x + radius, y + radius)
        match random.integers(4):
            case 0:
                draw.rectangle(box, fill=_colour(random), outline=_colour(random), width=round(radius / 6))
            case 1:
                draw.ellipse(box, fill=_colour(random), outline=_colour(random), width=round(radius / 6))
            case 2:
                points = [
                    (x + r * math.sin(i * math.pi / 5), y - r * math.cos(i * math.pi / 5))
                    for i, r in enumerate([radius, 0.45 * radius] * 5)
                ]
                draw.polygon(points, fill=_colour(random), outline=(255, 255, 255))
            case _:
                face_sticker(draw, x, y, radius)
    return np.array(Image.alpha_composite(Image.fromarray(picture).convert("RGBA"), layer).convert("RGB"))


def paste_in(picture: Picture, share: float, random: Random, others: Others) -> Picture:
    """Paste the whole picture anywhere on another photo, scaled to this share of that photo's area.

    The other photo keeps its area, like the page or the screen that a picture is put on. If the picture is longer than
    that photo, the photo is stretched as far as needed.
    """
    host = others(random)
    height, width = picture.shape[:2]
    area = host.shape[0] * host.shape[1]
    factor = max((share * area / (width * height)) ** 0.5, SMALLEST_PX / min(width, height))
    small = _resized(picture, round(width * factor), round(height * factor))
    area = max(area, small.shape[0] * small.shape[1] * 2)
    canvas_width = max(host.shape[1], small.shape[1])
    canvas_height = max(round(area / canvas_width), small.shape[0])
    if canvas_height == small.shape[0]:
        canvas_width = max(round(area / canvas_height), small.shape[1])
    canvas = _like(_resized(host, canvas_width, canvas_height), picture)
    x, y = random.integers(canvas_width - small.shape[1] + 1), random.integers(canvas_height - small.shape[0] + 1)
    canvas[y : y + small.shape[0], x : x + small.shape[1]] = small
    return canvas


def collage(picture: Picture, random: Random, others: Others) -> Picture:
    """Show the picture with three other photos in a 2 x 2 grid, at half its sides.

    The cells have the shape of the picture; the other photos are cut to fill theirs.
    """
    height, width = (max(round(side / 2), SMALLEST_PX) for side in picture.shape[:2])
    cells = [_resized(picture, width, height)]
    for _ in range(3):
        other = others(random)
        factor = max(width / other.shape[1], height / other.shape[0])
        filling = _resized(other, math.ceil(other.shape[1] * factor), math.ceil(other.shape[0] * factor))
        cells.append(_like(np.ascontiguousarray(filling[:height, :width]), picture))
    a, b, c, d = (cells[place] for place in random.permutation(4))
    return np.vstack([np.hstack([a, b]), np.hstack([c, d])])


def phone(picture: Picture, strength: float, random: Random) -> Picture:
    """Imitate a photo taken by telephone: perspective, blur, uneven light, noise and JPEG; strength 1 is ordinary."""
    moved = perspective(picture, 0.08 * strength, random)
    height, width = moved.shape[:2]
    colours = blur(np.ascontiguousarray(moved[..., :3]), strength)
    direction = random.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 + 0.35 * strength * (x * math.cos(direction) + y * math.sin(direction)) / 2**0.5
    colours = noise(_rounded(colours * light[..., None] + 10 * strength), 6 * strength, random)
    moved[..., :3] = jpeg(colours, 70 - 30 * strength)
    return moved


def waves(picture: Picture, share: float, random: Random) -> Picture:
    """Bend the picture in one to two gentle waves along each side, as high as this share of the shorter side."""
    height, width = picture.shape[:2]
    phases, counts = random.uniform(0, 2 * math.pi, 2), random.uniform(1, 2, 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    amplitude = share * min(height, width)
    from_x = x + amplitude * np.sin(2 * math.pi * counts[0] * y / height + phases[0])
    from_y = y + amplitude * np.sin(2 * math.pi * counts[1] * x / width + phases[1])
    maps = from_x.astype(np.float32), from_y.astype(np.float32)
    return _u8(_opencv.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,) * 4))


def face_sticker(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    """Draw a yellow face with this centre."""

    def around(dx: float, dy: float, r: float) -> tuple[float, float, float, float]:
        return x + radius * (dx - r), y + radius * (dy - r), x + radius * (dx + r), y + radius * (dy + r)

    line = max(round(radius / 12), 1)
    draw.ellipse(around(0, 0, 1), fill=(250, 210, 60), outline=(90, 60, 20), width=line)
    for side in (-1, 1):
        draw.ellipse(around(0.38 * side, -0.25, 0.2), fill=(255, 255, 255), outline=(60, 40, 10), width=line)
        draw.ellipse(around(0.38 * side + 0.05, -0.2, 0.09), fill=(20, 20, 20))
    draw.chord(around(0, 0.15, 0.55), 10, 170, fill=(160, 30, 40), outline=(60, 20, 10), width=line)


def phrase(random: Random, letters: int) -> str:
    """Words without meaning, of about this many letters."""
    words: list[str] = []
    while sum(map(len, words)) < letters:
        word = "".join(_SYLLABLES[k] for k in random.integers(len(_SYLLABLES), size=random.integers(1, 4)))
        words.append(word.capitalize() if random.random() < 0.3 else word)
    return " ".join(words)


def _side(wanted: float, whole: int) -> int:
    return min(max(round(wanted), min(SMALLEST_PX, whole)), whole)


def _resized(picture: Picture, width: int, height: int) -> Picture:
    smaller = width * height < picture.shape[0] * picture.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return _u8(_opencv.resize(picture, (max(width, 1), max(height, 1)), interpolation=interpolation))


def _like(other: Picture, picture: Picture) -> Picture:
    """Give another photo the channels of the picture; its pixels are marked as not the picture's own."""
    return other if picture.shape[2] == 3 else np.dstack([other, np.zeros(other.shape[:2], np.uint8)])


def _background(random: Random) -> tuple[int, int, int, int]:
    """Black, white or any colour, each as likely; the last channel is 0: not the photo's own."""
    kind = random.integers(3)
    red, green, blue = ((0, 0, 0), (255, 255, 255), _colour(random))[kind]
    return red, green, blue, 0


def _colour(random: Random) -> tuple[int, int, int]:
    red, green, blue = random.integers(256, size=3).tolist()
    return red, green, blue


def _rounded(values: NDArray[np.float64]) -> Picture:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _u8(values: Any) -> Picture:
    return np.asarray(values, np.uint8)
