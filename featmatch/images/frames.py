"""Animations: the first frame that shows something stands for all."""

from __future__ import annotations

from PIL import Image

from featmatch.images.damage import load

_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
_MOST_FRAMES = 50  # looked at
_CONTRAST = 8  # a picture whose levels span no more than this is blank


def seek_first_shown(image: Image.Image) -> None:
    """Go to the first frame that is not blank; to the first of all, if many are blank or one cannot be read."""
    if image.format not in _ANIMATED or not getattr(image, "is_animated", False):
        return
    try:
        for frame in range(_MOST_FRAMES):
            if frame:
                image.seek(frame)
            if load(image) or not _is_blank(image):
                return
    except Exception:  # the end of the file, or a damaged frame
        pass
    image.seek(0)


def _is_blank(image: Image.Image) -> bool:
    shown = Image.new("RGBA", image.size, (128, 128, 128, 255))
    shown.alpha_composite(image.convert("RGBA"))
    bands: tuple[tuple[int, int], ...] = shown.convert("RGB").getextrema()  # type: ignore[assignment]
    return all(high - low <= _CONTRAST for low, high in bands)
