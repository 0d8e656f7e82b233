"""Are photos found that others have written over, and are fillings of one form kept apart? As Markdown tables.

    python -m tools.bench_designs PATH... [--count 48] [--fillings 8] [--seed 0]

PATH... are photos, or folders of them. *Written over*: three copies of each photo are indexed with other words each in
the same place, of every second one the photo itself, too; the query has words of its own there, is turned by 2 degrees,
made smaller, and saved as JPEG. *Fillings*: some of each kind of template are indexed, and how many of them `groups`
puts into a group; each is another picture.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from featmatch import Index
from featmatch.evaluation.edits import Picture, Random, jpeg, phrase, rotate, scale
from featmatch.evaluation.lettering import font
from featmatch.evaluation.templates import TEMPLATES
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display

WAYS = ("below", "above and below", "on a strip", "a number")  # how words are written over a photo
_COPIES = 3


def main() -> None:
    """Measure both and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--count", type=int, default=48, help="photos that are written over")
    parser.add_argument("--fillings", type=int, default=8, help="of each kind of template")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    photos = sorted(image_files(arguments.paths))
    order = np.random.default_rng(arguments.seed).permutation(len(photos)).tolist()
    chosen = [photos[place] for place in order]
    print("| words | queries | claimed | another photo claimed |\n| --- | ---: | ---: | ---: |")
    for row in _written_over(chosen[: arguments.count], arguments.seed):
        print(row, flush=True)
    print("\n| template | pictures | in a group |\n| --- | ---: | ---: |")
    for row in _fillings(chosen[arguments.count :] or chosen, arguments.fillings, arguments.seed):
        print(row, flush=True)


def _written_over(photos: Sequence[str], seed: int) -> list[str]:
    queries, claimed, wrong = Counter[str](), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as made:
        folder = Path(made)
        for number, name in enumerate(photos):
            photo, random = load_display(name), np.random.default_rng([seed, number])
            copies = [written_over(photo, WAYS[number % len(WAYS)], random) for _ in range(_COPIES)]
            if number // len(WAYS) % 2 == 0:
                copies.append(photo)
            for place, copy in enumerate(copies):
                Image.fromarray(copy).save(folder / f"{number}-{place}.png")
        index = Index.open(folder / "index.fm", create=True)
        index.add([folder])
        for number, name in enumerate(photos):
            way, random = WAYS[number % len(WAYS)], np.random.default_rng([seed, number, 1])
            query = written_over(load_display(name), way, random)
            answer = index.query(jpeg(scale(rotate(query, 2.0, random), 0.8), 75))
            found = [Path(match.name).name.partition("-")[0] == str(number) for match in answer]
            queries[way] += 1
            claimed[way] += any(found)
            wrong[way] += not all(found)
    return [f"| {way} | {queries[way]} | {claimed[way]} | {wrong[way]} |" for way in WAYS if queries[way]]


def written_over(photo: Picture, way: str, random: Random) -> Picture:
    """The photo with words over it, or a number.

    Args:
        photo: (H, W, 3) uint8 RGB.
        way: of ``WAYS``.
        random: which words.
    """
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    size = min(image.size) / 10
    face = font(size)
    middle, bottom = image.width / 2, image.height - size
    if way == "a number":
        number = "".join(map(str, random.integers(10, size=9)))
        draw.text((image.width - size, bottom), number, fill=(255, 140, 0), font=face, anchor="rm")
    elif way == "on a strip":
        draw.rectangle((0, image.height - 2 * size, image.width, image.height), fill="white")
        draw.text((middle, bottom), phrase(random, 20), fill="black", font=face, anchor="mm")
    else:
        for across in (bottom,) if way == "below" else (bottom, size):
            words = phrase(random, 18).upper()
            draw.text(
                (middle, across), words, fill="white", font=face, anchor="mm", stroke_width=2, stroke_fill="black"
            )
    return np.asarray(image)


def _fillings(photos: Sequence[str], count: int, seed: int) -> list[str]:
    grouped = Counter[str]()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as made:
        folder = Path(made)
        for place, (kind, template) in enumerate(TEMPLATES.items()):
            for number in range(count):
                photo = load_display(photos[(place * count + number) % len(photos)])
                drawn = template.draw(
                    photo, np.random.default_rng([seed, place]), np.random.default_rng([seed, place, number])
                )
                Image.fromarray(drawn).save(folder / f"{kind}-{number}.png")
        index = Index.open(folder / "index.fm", create=True)
        index.add([folder])
        for group in index.groups():
            grouped.update(Path(name).stem.partition("-")[0] for member in group for name in member.names)
    return [f"| {kind} | {count} | {grouped[kind]} |" for kind in TEMPLATES]


if __name__ == "__main__":
    main()
