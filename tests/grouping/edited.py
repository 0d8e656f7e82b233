"""Edits of photos, and what each does to the detail that a photo resolves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Picture: TypeAlias = Image.Image


def resized(factor: float, how: Image.Resampling = Image.Resampling.BICUBIC) -> Callable[[Picture], Picture]:
    return lambda photo: photo.resize((round(photo.width * factor), round(photo.height * factor)), how)


def sharpened(radius: float = 2, percent: int = 150) -> Callable[[Picture], Picture]:
    return lambda photo: photo.filter(ImageFilter.UnsharpMask(radius, percent, 0))


def blurred(sigma: float) -> Callable[[Picture], Picture]:
    return lambda photo: photo.filter(ImageFilter.GaussianBlur(sigma))


def as_jpeg(quality: int) -> Callable[[Picture], Picture]:
    def saved(photo: Picture) -> Picture:
        content = io.BytesIO()
        photo.save(content, "JPEG", quality=quality)
        return Image.open(content).convert(photo.mode)

    return saved


def noisy(photo: Picture) -> Picture:
    noise = np.random.default_rng(1).normal(0, 8, (photo.height, photo.width))
    return Image.fromarray(np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8))


# What was done -> whether the photo resolves more than what came of it (1) or the same (0), and whether the other was
# made of it by enlarging, reducing or sharpening (-1) or that is not said (0).
EDITS: dict[str, tuple[Callable[[Picture], Picture], tuple[int, int]]] = {
    "sharpened": (sharpened(), (0, -1)),
    "oversharpened": (sharpened(3, 250), (0, -1)),
    "sharpened beyond all measure": (sharpened(2, 500), (0, -1)),
    "crispened": (lambda photo: photo.filter(ImageFilter.DETAIL), (0, -1)),
    "sharpened a little": (lambda photo: photo.filter(ImageFilter.SHARPEN), (0, -1)),
    "enlarged": (resized(2), (0, -1)),
    "enlarged by Lanczos": (resized(2, Image.Resampling.LANCZOS), (0, -1)),
    "enlarged by half": (resized(1.5), (0, -1)),
    "enlarged and sharpened": (lambda photo: sharpened()(resized(2)(photo)), (0, -1)),
    "reduced": (resized(0.5), (1, -1)),
    "reduced by a quarter": (resized(0.75, Image.Resampling.LANCZOS), (1, -1)),
    "reduced a little": (resized(0.9, Image.Resampling.LANCZOS), (0, -1)),
    "reduced and sharpened": (lambda photo: sharpened()(resized(0.5)(photo)), (1, -1)),
    "reduced and compressed": (lambda photo: as_jpeg(80)(resized(0.4)(photo)), (1, -1)),
    "blurred a little": (blurred(0.7), (0, -1)),
    "blurred": (blurred(1), (1, -1)),
    "blurred much": (blurred(3), (1, -1)),
    "compressed": (as_jpeg(90), (0, 0)),
    "compressed much": (as_jpeg(30), (0, 0)),
    "of more contrast": (lambda photo: ImageEnhance.Contrast(photo).enhance(1.3), (0, 0)),
    "noisy": (noisy, (0, 0)),
}
