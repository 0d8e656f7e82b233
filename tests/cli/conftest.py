"""What the tests of the command line share: a way to run it, a few pictures, and indexes of them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch import FeatureOptions, Index, Vocabulary
from featmatch.cli import main

Photos = dict[str, NDArray[np.uint8]]

HOSTILE = (
    "\x1b]0;owned\a.png", "\x9b31m.png", "two\nlines.png", "\rover.png", "\u202egnp.exe.png", "\u2066.png", "tab\t.png",
    "\u2028.png", "\u200e.png", '"quoted".png', "日本.png", "=1+1.png", "+1.png", "-1.png", "@sum.png", "'=1.png",
)  # fmt: skip
BYTES = (b"caf\xe9.png", b"\x9b31m.png")


class Ended(NamedTuple):
    status: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")  # main would set it for good
    monkeypatch.setattr("featmatch.cli.progress._SECONDS", math.inf)  # however slow the machine is

    def run_main(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["featmatch", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run_main


def bare(*arguments: object, shell: str = 'exec "$@"') -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, begun by a shell."""
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "featmatch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def pictures(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small files: three photos, a crop of one of them, another photo, a blank picture, a text."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {}

    def save(name: str, picture: Image.Image, below: str = "") -> None:
        files[name] = folder / below / f"{name}.png"
        files[name].parent.mkdir(exist_ok=True)
        picture.save(files[name])

    small = {name: Image.fromarray(pixels) for name, pixels in photos.items()}
    for picture in small.values():
        picture.thumbnail((320, 320))
    for name in ("astronaut", "chelsea", "coins"):
        save(name, small[name], "collection")
    save("crop", small["chelsea"].crop((40, 20, 240, 180)).rotate(90, expand=True))
    save("stranger", small["rocket"])
    save("blank", Image.new("RGB", (200, 150), (10, 90, 30)))
    files["text"] = folder / "text.jpg"
    files["text"].write_text("this is no image")
    files["missing"] = folder / "missing.jpg"
    files["collection"] = folder / "collection"
    return files


@pytest.fixture(scope="session")
def index(pictures: dict[str, Path], vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the collection. Not to be written to."""
    folder = tmp_path_factory.mktemp("cli") / "photos.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add([pictures["collection"]], jobs=1)
    return folder


@pytest.fixture
def own_index(pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path) -> Path:
    """An index of one photo, to write to."""
    folder = tmp_path / "own.fm"
    Index.open(folder, create=True, vocabulary=vocabulary_file).add([pictures["chelsea"]], jobs=1)
    return folder


@pytest.fixture(scope="session")
def hostile(photos: Photos, tiny_vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of files that have hostile names, all parts of one photo. Not to be written to."""
    folder = tmp_path_factory.mktemp("hostile")
    names = [*HOSTILE, *(map(os.fsdecode, BYTES) if sys.platform == "linux" else ())]
    for number, name in enumerate(names):
        picture = Image.fromarray(photos["chelsea"][number : number + 200, 60:300])
        exif = Image.Exif()
        exif[0x010E] = "\x1b[31mcaption\u202e"
        exif[0x0110] = "=camera\x1b[31m"
        picture.save(folder / name, exif=exif)
    few = FeatureOptions(features=100)  # all of these pictures are proven, of one another
    index = Index.open(folder / "i.fm", create=True, features=few, vocabulary=tiny_vocabulary, root=folder)
    assert len(index.add([folder / name for name in names], jobs=1, text="=text\x1b[31m\u202e").added) == len(names)
    return folder


def filled_in(command: list[str], folder: Path) -> list[str]:
    values = {"INDEX": str(folder / "i.fm"), "IMAGE": str(folder / HOSTILE[0]), "NAME": HOSTILE[1]}
    return [values.get(word, word) for word in command]


def assert_harmless(text: str) -> None:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert [character for character in text if character != "\n" and unicodedata.category(character) in bad] == []
    text.encode()
