"""Decorations that different pictures share, which prove nothing: captions, frames, logos, templates, faces.

Hard negatives are two different photos with the same decoration. Each decoration takes two generators: ``design`` draws
its words, colours and places, and is the same for all pictures of a design; ``own`` draws what differs between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw

from featmatch.evaluation.edits import Picture, Random, face_sticker, phrase
from featmatch.evaluation.lettering import colour, fill_with_lines, font

Decoration = Callable[[Picture, Random, Random], Picture]  # photo, design, own -> decorated photo


def caption(photo: Picture, design: Random, own: Random) -> Picture:
    """Add a bar with lines of text across the photo, as in a news programme."""
    del own
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    bar = round(height * design.uniform(0.18, 0.3))
    top = round((height - bar) * design.choice([0.0, 0.9, 1.0]))
    draw.rectangle((0, top, width, top + bar), fill=colour(design, 0, 120))
    for line in range(2):
        size = bar * (0.45, 0.3)[line]
        place = (0.03 * width, top + bar * (0.05, 0.58)[line])
        draw.text(place, phrase(design, math.ceil(1.6 * width / size)), fill=(255, 255, 255), font=font(size))
    return np.array(image)


def frame(photo: Picture, design: Random, own: Random) -> Picture:
    """Put an ornamental frame around the photo."""
    del own
    height, width = photo.shape[:2]
    margin = round(design.uniform(0.1, 0.18) * min(height, width))
    image = Image.new("RGB", (width + 2 * margin, height + 2 * margin), colour(design, 60, 200))
    draw = ImageDraw.Draw(image)
    step = margin / 2
    kinds = design.integers(4, size=64)
    inks = [colour(design, 0, 255) for _ in range(8)]
    for x in np.arange(0, image.width, step):
        for y in np.arange(0, image.height, step):
            place = int(x / step) * 7 + int(y / step) * 3
            box = (x + step * 0.1, y + step * 0.1, x + step * 0.9, y + step * 0.9)
            if kinds[place % 64] == 0:
                draw.ellipse(box, fill=inks[place % 8])
            elif kinds[place % 64] == 1:
                draw.polygon([(x, y), (x + step, y), (x, y + step)], fill=inks[place % 8])
            elif kinds[place % 64] == 2:
                draw.rectangle(box, outline=inks[place % 8], width=max(round(step / 6), 1))
    image.paste(Image.fromarray(photo), (margin, margin))
    return np.array(image)


def logo(photo: Picture, design: Random, own: Random) -> Picture:
    """Add a logo, an emblem with a name, in a corner."""
    del own
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    size = design.uniform(0.14, 0.24) * min(height, width)
    x = 0.03 * width if design.random() < 0.5 else 0.97 * width - 2.4 * size
    y = 0.03 * height if design.random() < 0.5 else 0.97 * height - size
    draw.rectangle((x, y, x + 2.4 * size, y + size), fill=colour(design, 160, 255))
    for ring in range(4):
        radius = size / 2 * (1 - ring / 4)
        centre = x + size / 2 + size * design.uniform(-0.04, 0.04), y + size / 2
        draw.regular_polygon((*centre, radius), int(design.integers(3, 8)), int(design.integers(90)), colour(design))
    draw.text(
        (x + 1.05 * size, y + 0.1 * size), phrase(design, 3)[:6], fill=colour(design, 0, 90), font=font(size * 0.4)
    )
    draw.text(
        (x + 1.05 * size, y + 0.6 * size), phrase(design, 6)[:9], fill=colour(design, 0, 90), font=font(size * 0.25)
    )
    return np.array(image)


def template(photo: Picture, design: Random, own: Random) -> Picture:
    """Put the photo on a page: heading, boxes and columns are the design's, the text below is the picture's own."""
    image = Image.new("RGB", (600, 800), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 600, 70), fill=colour(design, 0, 160))
    draw.text((20, 14), phrase(design, 16), fill=(255, 255, 255), font=font(36))
    for k in range(5):
        box = (20 + k * 114, 82, 124 + k * 114, 108)
        draw.rectangle(box, fill=colour(design, 150, 250), outline=(60, 60, 60))
        draw.text((box[0] + 8, box[1] + 5), phrase(design, 5), fill=(0, 0, 0), font=font(13))
    top = int(design.integers(120, 200))
    image.paste(Image.fromarray(photo).resize((360, 270), Image.Resampling.LANCZOS), (20, top))
    draw.rectangle((20, top, 380, top + 270), outline=(0, 0, 0), width=2)
    for line in range(12):
        draw.text((400, top + 22 * line), phrase(design, 18), fill=(40, 40, 40), font=font(15))
    fill_with_lines(draw, (20, top + 290, 580, 740), 16, own)
    draw.rectangle((0, 750, 600, 800), fill=colour(design, 180, 240))
    draw.text((20, 765), phrase(design, 50), fill=(40, 40, 40), font=font(15))
    return np.array(image)


def text_page(photo: Picture, design: Random, own: Random) -> Picture:
    """Make a page of text, with the design's layout and words of its own; nothing of the photo is shown."""
    del photo
    image = Image.new("RGB", (600, 800), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    size, margin = int(design.integers(13, 24)), int(design.integers(30, 80))
    draw.text((margin, margin), phrase(own, 20), fill=(0, 0, 0), font=font(2 * size))
    fill_with_lines(draw, (margin, margin + 3 * size, 600 - margin, 800 - margin), size, own)
    return np.array(image)


def tiles(photo: Picture, design: Random, own: Random) -> Picture:
    """Put the photo anywhere on a wall of tiles."""
    tile = design.integers(256, size=(6, 6, 3), dtype=np.uint8)
    side = int(design.integers(24, 48))
    tile = np.asarray(cv2.resize(tile, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    tile[:2] = tile[:, :2] = design.integers(256, size=3)
    height, width = photo.shape[:2]
    wall = np.tile(tile, (math.ceil(height / side), math.ceil(width / side), 1))[:height, :width].copy()
    small = np.asarray(cv2.resize(photo, (round(width * 0.6), round(height * 0.6)), interpolation=cv2.INTER_AREA))
    y, x = (int(own.integers(whole - part)) for whole, part in zip(photo.shape[:2], small.shape[:2], strict=True))
    wall[y : y + small.shape[0], x : x + small.shape[1]] = small
    return wall


def halftone(photo: Picture, design: Random, own: Random) -> Picture:
    """Print the photo in black through a halftone screen."""
    del own
    pitch, angle = design.uniform(5, 9), design.uniform(0, math.pi / 2)
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width] * (2 * math.pi / pitch)
    screen = (
        np.cos(x * math.cos(angle) + y * math.sin(angle)) * np.cos(y * math.cos(angle) - x * math.sin(angle)) * 127
        + 128
    )
    shade = cv2.GaussianBlur(photo.mean(axis=2), (0, 0), 1.5)
    ink = np.where(shade[..., None] < screen[..., None], 0, 255).astype(np.uint8)
    return np.repeat(ink, 3, axis=2)


def plain_border(photo: Picture, design: Random, own: Random) -> Picture:
    """Put a wide border of one colour around the photo."""
    del own
    margin = round(design.uniform(0.15, 0.35) * min(photo.shape[:2]))
    paint = (*colour(design), 0)
    sides = (margin, margin, margin, margin)
    return np.asarray(cv2.copyMakeBorder(photo, *sides, cv2.BORDER_CONSTANT, value=paint), np.uint8)


def face(photo: Picture, design: Random, own: Random) -> Picture:
    """Draw a face over the photo."""
    del own
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    radius = design.uniform(0.12, 0.22) * min(height, width)
    x, y = design.uniform(0.3, 0.7) * width, design.uniform(0.3, 0.7) * height
    face_sticker(ImageDraw.Draw(image), x, y, radius)
    return np.array(image)


DECORATIONS: dict[str, Decoration] = {
    "caption": caption,
    "frame": frame,
    "logo": logo,
    "template": template,
    "text page": text_page,
    "tiles": tiles,
    "halftone": halftone,
    "plain border": plain_border,
    "face": face,
}
