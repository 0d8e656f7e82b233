"""Record what the command line answers about photos, to be compared before and after a change that must alter nothing.

For each photo an edited copy is made, the same on every run; an index of the photos and a tenth of the copies is asked
about each copy (``query --json --all``), each copy is verified against its photo (``verify --json``), and the index is
grouped (``groups --json``). What is recorded is what was printed, and the SHA-256 of each file of features:

    python -m tools.record_answers PHOTOS before.txt
    python -m tools.record_answers PHOTOS after.txt && cmp before.txt after.txt
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from featmatch.evaluation import edits


def edited(photo: Path, number: int) -> Image.Image:
    """An edited copy of a photo: one of eight edits, by its number."""
    with Image.open(photo) as image:
        picture = np.asarray(image.convert("RGB"))
    random = np.random.default_rng(number)
    made = (
        lambda: edits.crop(picture, 0.3, random),
        lambda: edits.rotate(picture, 20.0 + number, random),
        lambda: edits.mirror(picture),
        lambda: edits.thumbnail(picture, 160),
        lambda: edits.negative(edits.crop(picture, 0.5, random)),
        lambda: edits.phone(picture, 1.0, random),
        lambda: edits.text_over(edits.jpeg(picture, 30), 0.2, random),
        lambda: edits.crop(edits.stretch(picture, 1.3), 0.1, random),
    )[number % 8]()
    return Image.fromarray(np.ascontiguousarray(made[..., :3]))


def answers(photos: list[Path], workspace: Path) -> Iterator[str]:
    """What is printed about photos, piece by piece."""
    copies = []
    for number, photo in enumerate(photos):
        copies.append(workspace / f"copy-{number:03d}.png")
        edited(photo, number).save(copies[-1])
    index = workspace / "index"
    _featmatch("add", index, "--jobs", "2", *photos, *copies[::10])
    for file in sorted(index.rglob("*.npy")) + sorted(index.rglob("*.bin")):
        yield f"{file.relative_to(index)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n"
    for photo, copy in zip(photos, copies, strict=True):
        yield _featmatch("query", "--json", "--all", index, copy)
        yield _featmatch("verify", "--json", photo, copy)
    yield _featmatch("groups", "--json", index)


def _featmatch(*arguments: str | Path) -> str:
    """What a command prints; nothing found is no failure."""
    ran = subprocess.run(
        [sys.executable, "-m", "featmatch", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"featmatch {arguments[0]}: {ran.stderr}")
    return ran.stdout


def main() -> None:
    """Record the answers about the first photos of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    photos = sorted(path.resolve() for path in options.photos.glob("*.jpg"))[: options.count]
    with tempfile.TemporaryDirectory() as folder, options.file.open("w") as file:
        workspace = Path(folder)
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            os.environ[name] = str(workspace / name)
        for text in answers(photos, workspace):
            file.write(text.replace(folder, "WORKSPACE"))


if __name__ == "__main__":
    main()
