"""Flat drawings that differ in little: codes, boards, signs, flags and faces. Arguments as in ``documents``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from featmatch.evaluation.edits import Picture, Random, phrase
from featmatch.evaluation.lettering import Ink, colour, digits, draw_bars, font, write_centred

# Colours that stay apart in any light.
_PAINTS: tuple[Ink, ...] = (
    (200, 30, 40), (20, 60, 160), (0, 130, 70), (250, 205, 30), (245, 245, 245), (25, 25, 25), (240, 130, 20),
    (110, 180, 235),
)  # fmt: skip
_RED, _BLUE, _GREEN, _YELLOW, _WHITE, _BLACK, _ORANGE, _SKY = _PAINTS
# Ground and ink of signs that can be read.
_SIGNS: tuple[tuple[Ink, Ink], ...] = (
    (_BLACK, _WHITE), (_BLUE, _WHITE), (_RED, _WHITE), (_GREEN, _WHITE), (_YELLOW, _BLACK), (_WHITE, _RED),
    (_WHITE, _BLACK), (_SKY, _BLACK), (_ORANGE, _BLACK), (_BLACK, _YELLOW),
)  # fmt: skip


def qr_code(photo: Picture, design: Random, own: Random) -> Picture:
    """A code of random modules between three finder patterns, with a word below; none can be read."""
    del photo
    count, side = int(design.choice([25, 29])), 12
    modules = own.random((count, count)) < 0.5
    finder = np.pad(np.pad(np.pad(np.ones((3, 3), bool), 1), 1, constant_values=True), 1)
    for y, x in ((0, 0), (0, count - 7), (count - 7, 0)):
        top, left = max(y - 1, 0), max(x - 1, 0)
        part = finder[1 if y == 0 else 0 :, 1 if x == 0 else 0 :][: count - top, : count - left]
        modules[top : top + part.shape[0], left : left + part.shape[1]] = part
    modules[6, 8 : count - 8] = modules[8 : count - 8, 6] = np.arange(count - 16) % 2 == 0
    ink = colour(design, 0, 40)
    image = Image.new("RGB", (side * (count + 8), side * (count + 8) + 50), (255, 255, 255))
    code = np.where(np.kron(modules, np.ones((side, side), bool))[..., None], ink, (255, 255, 255)).astype(np.uint8)
    image.paste(Image.fromarray(code), (4 * side, 4 * side))
    words = phrase(design, 6).upper()
    write_centred(ImageDraw.Draw(image), (40, image.height - 76, image.width - 40, image.height - 36), words, ink)
    return np.array(image)


def bar_code(photo: Picture, design: Random, own: Random) -> Picture:
    """A label with bars, their number, and what it is a label of."""
    del photo
    image = Image.new("RGB", (640, 420), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((8, 8, 631, 411), 24, outline=colour(design, 0, 120), width=5)
    draw.text((40, 30), phrase(design, 12).title(), fill=(20, 20, 20), font=font(38))
    draw.text((40, 84), phrase(design, 26), fill=(60, 60, 60), font=font(20))
    draw.text((40, 114), f"{phrase(design, 4)} {digits(own, 5)}", fill=(20, 20, 20), font=font(24))
    number = digits(own, 12)
    draw_bars(draw, (80, 160, 560, 345), number)
    write_centred(draw, (90, 352, 550, 384), " ".join(number), (20, 20, 20))
    return np.array(image)


def chess(photo: Picture, design: Random, own: Random) -> Picture:
    """A diagram of a position: men of two colours on a board."""
    del photo
    side, edge = 80, 30
    light, dark = colour(design, 215, 255), colour(design, 90, 180)
    image = Image.new("RGB", (8 * side + 2 * edge,) * 2, (250, 250, 250))
    draw = ImageDraw.Draw(image)
    for place in range(64):
        x, y = edge + place % 8 * side, edge + place // 8 * side
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=dark if (place + place // 8) % 2 else light)
    for place in range(8):
        middle = edge + (place + 0.5) * side
        draw.text((middle, image.height - 15), "abcdefgh"[place], fill=(40, 40, 40), font=font(20), anchor="mm")
        draw.text((15, middle), f"{8 - place}", fill=(40, 40, 40), font=font(20), anchor="mm")
    places = own.permutation(64)[: int(own.integers(9, 26))]
    for place, man in zip(places.tolist(), own.choice(len(_MEN), len(places), p=_SHARES), strict=True):
        white = bool(own.random() < 0.5)
        _draw_man(draw, edge + place % 8 * side, edge + place // 8 * side, side, _MEN[man], white=white)
    return np.array(image)


def sudoku(photo: Picture, design: Random, own: Random) -> Picture:
    """A grid of nine by nine, with some digits in it."""
    del photo
    side, ink = 66, colour(design, 0, 70)
    image = Image.new("RGB", (9 * side + 60, 9 * side + 110), (253, 253, 253))
    draw = ImageDraw.Draw(image)
    draw.text((30, 12), phrase(design, 14).title(), fill=ink, font=font(34))
    draw.text((image.width - 30, 20), f"Nr. {digits(own, 3)}", fill=ink, font=font(24), anchor="ra")
    for line in range(10):
        across, wide = 30 + line * side, 5 if line % 3 == 0 else 2
        draw.line((across, 70, across, 70 + 9 * side), fill=ink, width=wide)
        draw.line((30, 40 + across, 30 + 9 * side, 40 + across), fill=ink, width=wide)
    for place in own.permutation(81)[: int(own.integers(24, 36))].tolist():
        middle = 30 + (place % 9 + 0.5) * side, 70 + (place // 9 + 0.5) * side
        draw.text(middle, f"{own.integers(1, 10)}", fill=ink, font=font(42), anchor="mm")
    return np.array(image)


def sign(photo: Picture, design: Random, own: Random) -> Picture:
    """A plate, or a plain ground, with one word."""
    del photo
    ground, ink = _SIGNS[int(design.integers(len(_SIGNS)))]
    image = Image.new("RGB", (640, 400), ground)
    draw = ImageDraw.Draw(image)
    if design.random() < 0.6:
        draw.rounded_rectangle((20, 20, 620, 380), 30, outline=ink, width=10)
    # Any letters, in turn of two kinds: of the words of a phrase there are so few that two signs would have the same.
    pairs = ("BCDFGHJKLMNPRSTVWZ"[own.integers(18)] + "AEIOUY"[own.integers(6)] for _ in range(own.integers(2, 4)))
    words = "".join(pairs) + str(own.choice(["", "L", "N", "!", "?"]))
    write_centred(draw, (90, 100, 550, 300), words, ink)
    return np.array(image)


def flag(photo: Picture, design: Random, own: Random) -> Picture:
    """A flag of three colours with an emblem; only the shape is the design's."""
    del photo
    width, height = 600, int(design.choice([300, 360, 400]))
    first, second, third, fourth = (_PAINTS[k] for k in own.permutation(len(_PAINTS))[:4])
    image = Image.new("RGB", (width, height), first)
    draw = ImageDraw.Draw(image)
    a, b = np.sort(own.uniform(0.2, 0.8, 2)) + np.array([-0.08, 0.08])
    match own.integers(6):
        case 0:
            draw.rectangle((a * width, 0, b * width, height), fill=second)
            draw.rectangle((b * width, 0, width, height), fill=third)
        case 1:
            draw.rectangle((0, a * height, width, b * height), fill=second)
            draw.rectangle((0, b * height, width, height), fill=third)
        case 2:
            for wide, paint in ((0.14, second), (0.06, third)):
                draw.rectangle((0, height / 2 - wide * height, width, height / 2 + wide * height), fill=paint)
                draw.rectangle((a * width - wide * height, 0, a * width + wide * height, height), fill=paint)
        case 3:
            draw.polygon([(0, 0), (width, 0), (0, height)], fill=second)
            draw.line((0, height, width, 0), fill=third, width=round(0.25 * b * height))
        case 4:
            for stripe in range(1, 9, 2):
                draw.rectangle((0, height * stripe / 9, width, height * (stripe + 1) / 9), fill=second)
            draw.rectangle((0, 0, 0.2 * width + a * 0.5 * width, height * 5 / 9), fill=third)
        case _:
            draw.rectangle((0, b * height, width, height), fill=second)
            draw.polygon([(0, 0), (a * width + 60, height / 2), (0, height)], fill=third)
    x, y, radius = own.uniform(0.15, 0.85) * width, own.uniform(0.25, 0.75) * height, own.uniform(0.12, 0.24) * height
    points, inner = int(own.integers(4, 9)), own.uniform(0.35, 0.95)
    _draw_star(draw, x, y, radius, points, inner, fourth)
    return np.array(image)


def emoji(photo: Picture, design: Random, own: Random) -> Picture:
    """A round face with a mood; colour and line are the design's."""
    del photo
    disc = (*(int(value) for value in design.integers((235, 185), (256, 225))), int(design.integers(30, 110)))
    line, wide = colour(design, 30, 100), int(design.integers(4, 12))
    image = Image.new("RGB", (400, 400), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 20, 380, 380), fill=disc, outline=line, width=wide)
    apart, eyes, size = own.uniform(55, 85), own.uniform(135, 175), own.uniform(16, 34)
    looks, winks = own.integers(5), own.random() < 0.25
    for side in (-1, 1):
        x = 200 + side * apart
        _draw_eye(draw, x, eyes, size, 1 if winks and side == 1 else int(looks), line)
    if own.random() < 0.4:
        tilt = own.uniform(-14, 14)
        for side in (-1, 1):
            x, y = 200 + side * apart, eyes - size - 20
            draw.line((x - 26, y - side * tilt, x + 26, y + side * tilt), fill=line, width=9)
    _draw_mouth(draw, own.uniform(235, 270), own.uniform(50, 100), int(own.integers(6)), line)
    if own.random() < 0.3:
        for side in (-1, 1):
            x = 200 + side * 125
            draw.ellipse((x - 28, 205, x + 28, 245), fill=(240, 120, 110))
    match own.integers(6):
        case 0:
            draw.polygon([(120, 60), (200, -10), (290, 55)], fill=_PAINTS[int(own.integers(len(_PAINTS)))])
        case 1:
            draw.ellipse((300, 60, 350, 130), fill=(90, 170, 240))
        case 2:
            draw.rectangle((80, eyes - 6, 320, eyes + 6), fill=line)
        case _:
            pass
    return np.array(image)


def _draw_eye(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, look: int, ink: Ink) -> None:
    box = (x - size, y - size, x + size, y + size)
    if look == 0:
        draw.ellipse((x - 0.6 * size, y - size, x + 0.6 * size, y + size), fill=ink)
    elif look == 1:
        draw.arc(box, 190, 350, fill=ink, width=9)
    elif look == 2:
        draw.ellipse(box, fill=(255, 255, 255), outline=ink, width=5)
        draw.ellipse((x - 0.3 * size, y - 0.3 * size, x + 0.5 * size, y + 0.5 * size), fill=ink)
    elif look == 3:
        draw.line((x - size, y - size, x + size, y + size), fill=ink, width=9)
        draw.line((x - size, y + size, x + size, y - size), fill=ink, width=9)
    else:
        _draw_star(draw, x, y, 1.3 * size, 5, 0.45, (220, 40, 60))


def _draw_mouth(draw: ImageDraw.ImageDraw, y: float, wide: float, mood: int, ink: Ink) -> None:
    box = (200 - wide, y - 50, 200 + wide, y + 60)
    if mood == 0:
        draw.arc(box, 15, 165, fill=ink, width=10)
    elif mood == 1:
        draw.arc((box[0], y, box[2], y + 90), 195, 345, fill=ink, width=10)
    elif mood == 2:
        draw.chord(box, 0, 180, fill=ink)
    elif mood == 3:
        draw.ellipse((170, y - 5, 230, y + 65), fill=ink)
    elif mood == 4:
        draw.line((box[0], y + 25, box[2], y + 10), fill=ink, width=10)
    else:
        draw.chord(box, 0, 180, fill=ink)
        draw.ellipse((185, y + 20, 240, y + 95), fill=(230, 90, 110))


def _draw_star(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, points: int, inner: float, ink: Ink
) -> None:
    corners = [
        (x + r * math.sin(k * math.pi / points), y - r * math.cos(k * math.pi / points))
        for k, r in enumerate([radius, inner * radius] * points)
    ]
    draw.polygon(corners, fill=ink)


# Outlines of the men within a square of 1 by 1, y down: pawn, rook, bishop, knight, queen, king.
_Outline = Sequence[tuple[float, float]]
_FOOT: _Outline = ((0.25, 0.85), (0.75, 0.85), (0.75, 0.78), (0.25, 0.78))
_MEN: tuple[_Outline, ...] = (
    ((0.3, 0.78), (0.44, 0.5), (0.38, 0.45), (0.4, 0.3), (0.5, 0.24), (0.6, 0.3), (0.62, 0.45), (0.56, 0.5),
     (0.7, 0.78)),
    ((0.3, 0.78), (0.36, 0.38), (0.28, 0.38), (0.28, 0.2), (0.38, 0.2), (0.38, 0.27), (0.45, 0.27), (0.45, 0.2),
     (0.55, 0.2), (0.55, 0.27), (0.62, 0.27), (0.62, 0.2), (0.72, 0.2), (0.72, 0.38), (0.64, 0.38), (0.7, 0.78)),
    ((0.3, 0.78), (0.43, 0.62), (0.34, 0.5), (0.36, 0.36), (0.48, 0.2), (0.48, 0.13), (0.54, 0.13), (0.54, 0.2),
     (0.66, 0.36), (0.66, 0.5), (0.57, 0.62), (0.7, 0.78)),
    ((0.34, 0.78), (0.4, 0.6), (0.52, 0.48), (0.34, 0.54), (0.26, 0.5), (0.3, 0.38), (0.44, 0.22), (0.46, 0.14),
     (0.54, 0.21), (0.68, 0.32), (0.74, 0.55), (0.7, 0.78)),
    ((0.3, 0.78), (0.2, 0.3), (0.34, 0.52), (0.36, 0.2), (0.46, 0.5), (0.5, 0.15), (0.54, 0.5), (0.64, 0.2),
     (0.66, 0.52), (0.8, 0.3), (0.7, 0.78)),
    ((0.3, 0.78), (0.22, 0.48), (0.3, 0.36), (0.46, 0.4), (0.46, 0.28), (0.38, 0.28), (0.38, 0.2), (0.46, 0.2),
     (0.46, 0.12), (0.54, 0.12), (0.54, 0.2), (0.62, 0.2), (0.62, 0.28), (0.54, 0.28), (0.54, 0.4), (0.7, 0.36),
     (0.78, 0.48), (0.7, 0.78)),
)  # fmt: skip
_SHARES = (0.45, 0.13, 0.12, 0.12, 0.08, 0.1)  # of each of them


def _draw_man(draw: ImageDraw.ImageDraw, x: float, y: float, side: int, outline: _Outline, *, white: bool) -> None:
    for shape in (outline, _FOOT):
        points = [(x + across * side, y + down * side) for across, down in shape]
        draw.polygon(points, fill=(252, 252, 252) if white else (20, 20, 20), outline=(20, 20, 20), width=2)
