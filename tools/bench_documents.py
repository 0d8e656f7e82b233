"""What do pages full of the same small things cost? Text, screentone, tiles, maps, noise. As a Markdown table.

    python -m tools.bench_documents [--pages 16] [--kinds text,screentone,...]

Draws PAGES pages of each kind, and indexes each kind by itself. Then it asks, each time in a process of its own, for
a rescan of one page, for a page that is not there, and for both with ``explain`` and ``verify``. CPU is of the call
when it is made for the second time: the first one loads compiled code as well, for 1.3 s, once in a process. Memory
is the most that the process ever had, in all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import featmatch

WIDTH, HEIGHT = 1240, 1754  # A4 at 150 dots an inch
_FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
_CONSONANTS, _VOWELS = "bcdfgklmnprstvwz", "aeiou"


def main() -> None:
    """Draw, index, ask, and print a row for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--pages", type=int, default=16)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--keep", type=Path, help="draw and index here, and use what is there already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        print("| page | asked | CPU, s | memory, MB | answer |\n| --- | --- | ---: | ---: | --- |")
        for kind in arguments.kinds.split(","):
            _measure(kind, folder, arguments.pages)


def _measure(kind: str, folder: Path, pages: int) -> None:
    collection, index = folder / kind, folder / f"{kind}.fm"
    if not index.exists():
        collection.mkdir(parents=True, exist_ok=True)
        for number in range(pages):
            Image.fromarray(page(kind, number)).save(collection / f"{number:03d}.png")
        featmatch.Index.open(index, create=True).add([collection])
        for name, drawn in (("rescan", rescanned(page(kind, 1), 1)), ("other", page(kind, pages))):
            Image.fromarray(drawn).save(folder / f"{kind}-{name}.jpg", quality=80)
    asked: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {}
    for name in ("rescan", "other"):
        file = str(folder / f"{kind}-{name}.jpg")
        true = str(collection / "001.png")
        asked[f"query, {name}"] = _query, (str(index), file, true)
        asked[f"explain, {name}"] = _explain, (str(index), file, true)
        asked[f"verify, {name}"] = _verify, (file, true)
    for title, (call, values) in asked.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            cpu, memory, answer = pool.apply(_timed, (call, values))
        print(f"| {kind} | {title} | {cpu:.2f} | {memory:.0f} | {answer} |", flush=True)


def _timed(call: Callable[..., str], values: tuple[str, ...]) -> tuple[float, float, str]:
    """CPU in s and memory in MB, of this process and of those that it started, and what was answered."""
    call(*values)
    before = time.process_time()
    answer = call(*values)
    cpu = time.process_time() - before
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return cpu, most / (1 << 20 if sys.platform == "darwin" else 1 << 10), answer


def _query(index: str, file: str, true: str) -> str:
    found = featmatch.Index.open(index).query(file, unproven=True)
    told = [
        f"{'right' if match.name == true else 'wrong'} {match.probability:.3f} ({match.inliers})" for match in found
    ]
    return ", ".join(told[:2]) or "nothing"


def _explain(index: str, file: str, true: str) -> str:
    found = featmatch.Index.open(index).explain(file, true)
    return f"lost: {found.lost}"


def _verify(file: str, true: str) -> str:
    proof = featmatch.verify(file, true)
    return f"{bool(proof)}, {proof.probability:.3f} ({proof.inliers})"


def page(kind: str, number: int) -> NDArray[np.uint8]:
    """Draw a page: (1754, 1240) uint8 grey, the same for the same number."""
    return KINDS[kind](number)


def rescanned(drawn: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """The same sheet on a scanner again: turned a little, not quite the same scale, blurred, lit, noisy."""
    chance = np.random.default_rng(seed)
    height, width = drawn.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), chance.uniform(-1.5, 1.5), chance.uniform(0.95, 1.0))
    scanned = cv2.warpAffine(drawn, turn, (width, height), flags=cv2.INTER_AREA, borderValue=235)
    scanned = cv2.GaussianBlur(scanned, (0, 0), 0.8).astype(np.float64) * 0.9 + 12 + chance.normal(0, 4, drawn.shape)
    return np.asarray(np.clip(scanned, 0, 255), np.uint8)


def _text(number: int) -> NDArray[np.uint8]:
    """A printed page: one type face, words of few syllables, paragraphs."""
    chance = random.Random(number)
    sheet = Image.new("L", (WIDTH, HEIGHT), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(_FONTS / "DejaVuSerif.ttf"), 22)
    y = 120
    while y < HEIGHT - 150:
        words = [_word(chance) for _ in range(chance.randint(40, 110))]
        for line in textwrap.wrap(" ".join(words).capitalize() + ".", 82):
            if y < HEIGHT - 150:
                pen.text((120, y), line, 20, font)
            y += 31
        y += 16
    pen.text((WIDTH // 2, HEIGHT - 110), str(number + 1), 20, font)
    return np.array(sheet)


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(chance.randint(1, 4)))


def _screentone(number: int) -> NDArray[np.uint8]:
    """A page of a comic: panels, each under dots of one size, with a few strokes."""
    chance = np.random.default_rng(number)
    sheet = Image.new("L", (WIDTH, HEIGHT), 255)
    pen = ImageDraw.Draw(sheet)
    for top in range(40, HEIGHT - 300, 420):
        for left in range(40, WIDTH - 300, 390):
            right, bottom = left + 360, top + 390
            step, size = chance.integers(9, 14), chance.uniform(2, 4)
            for y in np.arange(top + step, bottom - size, step):
                for x in np.arange(left + step + (y // step % 2) * step / 2, right - size, step):
                    pen.ellipse((x - size, y - size, x + size, y + size), 0)
            for _ in range(6):
                points = np.column_stack([chance.uniform(left, right, 4), chance.uniform(top, bottom, 4)])
                pen.line([tuple(point) for point in points], 0, 5)
            pen.rectangle((left, top, right, bottom), outline=0, width=5)
    return np.array(sheet)


def _tiles(number: int) -> NDArray[np.uint8]:
    """A tiled wall: one ornament again and again, another on each wall."""
    chance = np.random.default_rng(number)
    tile = np.asarray(cv2.resize(chance.integers(0, 256, (9, 9)).astype(np.uint8), (62, 62)), np.uint8)
    tile[:3], tile[:, :3] = 255, 255
    wall = np.tile(tile, (HEIGHT // 62 + 1, WIDTH // 62 + 1))[:HEIGHT, :WIDTH]
    return np.asarray(np.clip(wall + chance.normal(0, 6, wall.shape), 0, 255), np.uint8)


def _map(number: int) -> NDArray[np.uint8]:
    """A plan of streets: thin lines, the same signs in many places, hatched blocks."""
    chance = np.random.default_rng(number)
    sheet = Image.new("L", (WIDTH, HEIGHT), 245)
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(_FONTS / "DejaVuSans.ttf"), 15)
    for _ in range(60):
        points = np.cumsum(np.vstack([chance.uniform(0, (WIDTH, HEIGHT)), chance.normal(0, 160, (5, 2))]), axis=0)
        pen.line([tuple(point) for point in points], 90, int(chance.integers(2, 9)))
    for left, top in chance.uniform(0, (WIDTH - 90, HEIGHT - 60), (160, 2)):
        for shift in range(0, 90, 8):
            pen.line((left + shift, top, left + shift - 30, top + 50), 60, 1)
        pen.text((left, top), chance.choice(["P", "H", "+", "School", "Park", "Bus"]), 0, font)
    return np.array(sheet)


def _noise(number: int) -> NDArray[np.uint8]:
    """Grain all over, at three scales."""
    chance = np.random.default_rng(number)
    grains = [
        cv2.resize(chance.normal(128, 40, (HEIGHT // scale, WIDTH // scale)), (WIDTH, HEIGHT)) for scale in (2, 5, 11)
    ]
    return np.asarray(np.clip(np.mean(grains, axis=0), 0, 255), np.uint8)


KINDS: dict[str, Callable[[int], NDArray[np.uint8]]] = {
    "text": _text, "screentone": _screentone, "tiles": _tiles, "map": _map, "noise": _noise,
}  # fmt: skip


if __name__ == "__main__":
    main()
