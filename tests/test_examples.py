"""The examples (``>>>``) in the docstrings of featmatch say what happens.

Those of a module run in a folder of their own with ``photos/``, where there are three photos, and ``piece.jpg``, which
was cut out of ``photos/coffee.jpg`` and turned by 17 degrees.
"""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "featmatch").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.fixture(scope="session")
def pictures(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "photos").mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(photos[name]).save(folder / "photos" / f"{name}.jpg", quality=90)
    piece = Image.fromarray(photos["coffee"][80:330, 130:480]).rotate(17, expand=True, fillcolor=(128, 128, 128))
    piece.save(folder / "piece.jpg", quality=90)
    return folder


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_say_what_happens(name: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert attempted
    assert not failed
