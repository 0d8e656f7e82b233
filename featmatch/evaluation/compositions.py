"""A table of the edits with the strengths at which each is measured, and random compositions of one to four edits.

Compositions are as hard as those of the Image Similarity Challenge (Douze et al., NeurIPS 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featmatch.evaluation import edits
from featmatch.evaluation.edits import Others, Picture, Random


@dataclass(frozen=True)
class Edit:
    """One kind of edit.

    Attributes:
        function: picture, strength, generator, other photos -> edited picture.
        strengths: at which it is measured alone, mild to strong.
        unit: of the strength, as written after the number.
        draw: draws a strength for a composition; None: the edit is not used in compositions.
        weight: how often it is drawn, relative to the others.
        moves: whether it moves pixels, and so accepts (H, W, 4) as well.
    """

    function: Callable[[Picture, float, Random, Others], Picture]
    strengths: tuple[float, ...] = (1.0,)
    unit: str = ""
    draw: Callable[[Random], float] | None = lambda random: 1.0
    weight: float = 1.0
    moves: bool = False


class Step(NamedTuple):
    """One edit and its strength.

    >>> str(Step("crop", 7.04)), str(Step("mirror", 1.0))
    ('crop 7 %', 'mirror')

    Attributes:
        edit: its name in ``EDITS``.
        strength: in that edit's unit.
    """

    edit: str
    strength: float

    def __str__(self) -> str:
        known = EDITS[self.edit]
        if len(known.strengths) == 1:
            return self.edit
        digits = 0 if abs(self.strength) >= 10 else 1 if abs(self.strength) >= 2 else 2
        return f"{self.edit} {round(self.strength, digits):g}{known.unit}"


def _between(low: float, high: float) -> Callable[[Random], float]:
    return lambda random: float(random.uniform(low, high))


def _logarithmic(low: float, high: float) -> Callable[[Random], float]:
    return lambda random: math.exp(random.uniform(math.log(low), math.log(high)))


# Strengths are drawn uniformly; ratios (aspect, gamma) and crops by their logarithm, so that half is as likely as
# double. Perspective is always 25 %, of which each corner takes a random part.
EDITS: dict[str, Edit] = {
    "crop": Edit(
        lambda p, s, r, o: edits.crop(p, s / 100, r), (80, 50, 30, 20, 10, 5), " %", _logarithmic(4, 80), 2, moves=True
    ),
    "rotation": Edit(
        lambda p, s, r, o: edits.rotate(p, s, r), (5, 17, 45, 100, 155), "°", _between(-180, 180), 2, moves=True
    ),
    "quarter turn": Edit(
        lambda p, s, r, o: edits.quarter_turn(p, round(s)),
        (1, 2, 3),
        " x 90°",
        lambda r: float(r.integers(1, 4)),
        moves=True,
    ),
    "mirror": Edit(lambda p, s, r, o: edits.mirror(p), moves=True),
    "negative": Edit(lambda p, s, r, o: edits.negative(p)),
    "JPEG": Edit(lambda p, s, r, o: edits.jpeg(p, s), (30, 15, 10, 5), "", lambda r: float(r.integers(5, 31))),
    "scale": Edit(lambda p, s, r, o: edits.scale(p, s), (1.8, 0.5, 0.3, 0.2), "", _between(0.2, 1.8), moves=True),
    "thumbnail": Edit(lambda p, s, r, o: edits.thumbnail(p, s), (250, 150, 100), " px", None, moves=True),
    "aspect": Edit(lambda p, s, r, o: edits.stretch(p, s), (1.25, 0.7, 1.6, 0.5), "", _logarithmic(0.5, 2), moves=True),
    "blur": Edit(lambda p, s, r, o: edits.blur(p, s), (0.8, 2, 3.5), " px", _between(0.8, 3.5)),
    "noise": Edit(lambda p, s, r, o: edits.noise(p, s, r), (8, 20, 40), "", _between(8, 40)),
    "tone": Edit(lambda p, s, r, o: edits.tone(p, s, r), (0.7, 1.5, 0.4, 2.5), "", _logarithmic(0.4, 2.5)),
    "hue": Edit(lambda p, s, r, o: edits.hue(p, s), (30, 90, 180), "°", _between(20, 340)),
    "grey": Edit(lambda p, s, r, o: edits.grey(p)),
    "perspective": Edit(
        lambda p, s, r, o: edits.perspective(p, s / 100, r), (5, 10, 18, 25), " %", lambda r: 25.0, moves=True
    ),
    "border": Edit(lambda p, s, r, o: edits.border(p, s / 100, r), (5, 15, 30), " %", _between(5, 30), moves=True),
    "text": Edit(lambda p, s, r, o: edits.text_over(p, s / 100, r), (10, 30, 60), " %", _between(10, 60)),
    "stickers": Edit(lambda p, s, r, o: edits.stickers_over(p, s / 100, r), (10, 25, 40), " %", _between(10, 40)),
    "paste-in": Edit(
        lambda p, s, r, o: edits.paste_in(p, s / 100, r, o), (50, 30, 20, 10, 5), " %", _between(6, 50), 2, moves=True
    ),
    # The strength says how many of the four photos are in the index; the caller must draw the others accordingly.
    "collage": Edit(lambda p, s, r, o: edits.collage(p, r, o), (1, 4), " of 4", lambda r: 1.0, moves=True),
    "phone": Edit(lambda p, s, r, o: edits.phone(p, s, r), (0.5, 1, 1.5), "", _between(0.5, 1.5), moves=True),
    "waves": Edit(lambda p, s, r, o: edits.waves(p, s / 100, r), (0.5, 1, 2), " %", _between(0.5, 2), moves=True),
}

_COUNTS = (0.25, 0.35, 0.25, 0.15)  # shares of compositions of one, two, three and four edits
_COMPOSED = tuple(name for name, edit in EDITS.items() if edit.draw)


def compose(picture: Picture, random: Random, others: Others) -> tuple[Picture, list[Step]]:
    """Apply one to four edits, each at most once, drawn by their weights.

    An edit fails if a side gets shorter than ``edits.SMALLEST_PX``, or if less than the square of that is left of the
    photo: a crop of the page that it was pasted on may miss it altogether. It is tried 50 times with each of four
    strengths; if it always fails it is left out.

    Args:
        picture: (H, W, 3) uint8 RGB, no side below ``edits.SMALLEST_PX``.
        random: the only source of chance.
        others: draws photos to paste into, and to show beside the picture.

    Returns:
        The edited picture, and the edits that were applied, in order.
    """
    weights = np.array([EDITS[name].weight for name in _COMPOSED])
    count = 1 + int(random.choice(len(_COUNTS), p=_COUNTS))
    drawn = random.choice(len(_COMPOSED), count, replace=False, p=weights / weights.sum())
    seen = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    recipe: list[Step] = []
    for name in (_COMPOSED[number] for number in drawn):
        edit = EDITS[name]
        assert edit.draw is not None
        for attempt in range(200):
            if attempt % 50 == 0:
                strength = edit.draw(random)
            edited = _apply(edit, seen, strength, random, others)
            if min(edited.shape[:2]) >= edits.SMALLEST_PX and (edited[..., 3] > 127).sum() >= edits.SMALLEST_PX**2:
                seen = edited
                recipe.append(Step(name, strength))
                break
    return np.ascontiguousarray(seen[..., :3]), recipe


def _apply(edit: Edit, picture: Picture, strength: float, random: Random, others: Others) -> Picture:
    """Edit (H, W, 4): the last channel is moved along, or kept."""
    if edit.moves:
        return edit.function(picture, strength, random, others)
    return np.dstack([edit.function(np.ascontiguousarray(picture[..., :3]), strength, random, others), picture[..., 3]])
