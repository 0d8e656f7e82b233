"""A small collection that is drawn: forty pictures, copies of some of them, and names that are hard to show."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from featmatch import Index

Picture: TypeAlias = Image.Image

SIZE = (400, 300)
MARKUP = "<img src=x onerror=alert(1)>.png"
ODD_NAMES = ("two\nlines.png", os.fsdecode(b"latin \xe9.png"), "日本 e\u0301 写真.png", MARKUP)


def draw(seed: int) -> Picture:
    """A picture of soft colours under many small shapes: hundreds of features, no two pictures alike."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    picture = Image.fromarray(colours).resize(SIZE, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(220):
        x, y, width, height = (int(value) for value in random.integers((0, 0, 4, 4), (*SIZE, 26, 26)))
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        (pen.ellipse if random.random() < 0.4 else pen.rectangle)((x, y, x + width, y + height), fill=colour)
    return picture


def collage(left: int, right: int) -> Picture:
    """Two pictures beside one another."""
    both = Image.new("RGB", (2 * SIZE[0], SIZE[1]))
    both.paste(draw(left), (0, 0))
    both.paste(draw(right), (SIZE[0], 0))
    return both


def make_collection(folder: Path) -> None:
    """Forty files: twenty-five pictures, and fifteen copies of some of them in ten groups."""
    folder.mkdir()
    for seed in range(25):
        draw(seed).save(folder / f"{seed:02d}.png")
    small = (SIZE[0] * 3 // 4, SIZE[1] * 3 // 4)
    copies = {
        "00 small.png": draw(0).resize(small),
        "00 crop.png": draw(0).crop((60, 40, 340, 260)),
        "01 small.png": draw(1).resize(small),
        "01 mirrored.png": draw(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        ODD_NAMES[0]: draw(2).resize(small),
        ODD_NAMES[1]: draw(2).rotate(180),
        ODD_NAMES[2]: draw(3).resize(small),
        "03 same.png": draw(3),
        MARKUP: draw(4).resize(small),
        "04 other.png": draw(4).rotate(90, expand=True),
        **{f"{seed} small.png": draw(seed).resize(small) for seed in range(20, 25)},
    }
    for name, picture in copies.items():
        picture.save(folder / name)


def make_index(folder: Path, photos: Path) -> Index:
    """An index of a collection, with names below it; what is gone has no small picture to be shown."""
    index = Index.open(folder, create=True, root=photos)
    report = index.add([photos], jobs=1, text="<b>bold</b> words", pictures=False)
    assert not report.failed
    return index


def pixels(picture: Picture) -> NDArray[np.float64]:
    """(H, W, 3) float64."""
    return np.asarray(picture.convert("RGB"), np.float64)
