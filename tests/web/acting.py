"""What a reader does on the page, for tests."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.web.drawn import pixels


def saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path


def choose(tab: Any, *files: Path) -> None:
    tab.locator("input[type=file]").first.set_input_files(list(files))


def shot(tab: Any, selector: str = ".stage") -> NDArray[np.float64]:
    return pixels(Image.open(io.BytesIO(tab.locator(selector).screenshot())))


def sharp(tab: Any) -> None:
    """Wait until the layers of the comparison have their best pictures."""
    tab.wait_for_function(
        """() => [...document.querySelectorAll('.sheet img')].every(
          (image) => image.complete && /^blob:|file$/.test(image.src))"""
    )


def search_for(tab: Any, picture: Image.Image, folder: Path) -> None:
    choose(tab, saved(picture, folder / "asked.png"))
    tab.locator(".match").first.wait_for()


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)
