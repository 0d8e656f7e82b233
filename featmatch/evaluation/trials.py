"""The trials of an evaluation: which photo is edited how, and the picture that results.

A trial depends only on the seed, its suite, its number and whether its photo is in the index. So it is the same however
many trials there are, and its picture can be made again for the report.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from featmatch.errors import FeatmatchError, ImageError, UsageError
from featmatch.evaluation.camera import HARD_SHOTS, photographed, rescanned, usual
from featmatch.evaluation.compositions import EDITS, Step, compose
from featmatch.evaluation.decorations import DECORATIONS
from featmatch.evaluation.edits import SMALLEST_PX, Picture, Random, jpeg, scale
from featmatch.evaluation.plain import PLAIN, mildly_edited
from featmatch.evaluation.templates import TEMPLATES
from featmatch.features.forms import Forms, forms_of
from featmatch.images.pixels import load_display

SUITES = ("random", "single", "crops", "hard", "plain", "templates", "photographed")
CROP_SHARES = (80.0, 50.0, 30.0, 20.0, 10.0, 5.0, 2.0)  # percent of the area
FEWEST_PHOTOS = 8
_LONGEST_PX = 2000  # longer side to which larger photos are reduced before they are edited
_DECORATED_PHOTOS = 8  # at most; else a fifth of the photos held out

_SINGLES = [Step(name, strength) for name, edit in EDITS.items() for strength in edit.strengths]
_KINDS = tuple(DECORATIONS)
_PLAIN = tuple(PLAIN)
_TEMPLATES = tuple(TEMPLATES)
_SHOTS = tuple(HARD_SHOTS)
_ITSELF = ("64 px",)  # kinds of plain pictures that are copies of the photo in the index, and not indexed themselves
_SAME = ("blurred",)  # kinds of plain pictures in the index that show the same as the photo
_WITH_PHOTO = tuple(kind for kind in _KINDS if kind != "text page")  # decorations that show the photo


@dataclass(frozen=True)
class EvaluationOptions:
    """What is tried."""

    suites: tuple[str, ...] = ("random",)  # of SUITES
    count: int = 300  # positives, and as many negatives, of each suite; 1 or more
    seed: int = 1  # of all chance; 0 or more
    limit: int = 20  # answers recorded of each query; 1 or more
    designs: int = 2  # of each decoration; 1 or more
    copies: int = 4  # indexed photos that bear one design; 1 or more
    sisters: int = 12  # indexed pictures of one design of a template; 1 or more
    forms: Forms = "few"  # other forms of a picture that are looked up if nothing is proven

    def __post_init__(self) -> None:
        if not self.suites or not set(self.suites) <= set(SUITES):
            raise UsageError(f"suites are {', '.join(SUITES)}, not {', '.join(self.suites)}")
        if min(self.count, self.limit, self.designs, self.copies, self.sisters) < 1 or self.seed < 0:
            raise UsageError("count, limit, designs, copies and sisters are 1 or more, and seed is 0 or more")
        forms_of(self.forms)


class Trial(NamedTuple):
    """One query: the number in its suite, and whether its photo is in the index."""

    suite: str
    number: int
    positive: bool


@dataclass(frozen=True)
class Plan:
    """Which photo plays which part.

    Attributes:
        indexed: photos in the index, in the order in which trials take them.
        held_out: photos that are not: those of negative trials, and those to paste into.
        decorated: photos of which only decorated copies are in the index; no trial shows them.
        options: what is tried.
    """

    indexed: tuple[str, ...]
    held_out: tuple[str, ...]
    decorated: tuple[str, ...]
    options: EvaluationOptions


class Made(NamedTuple):
    """The picture of a trial, and what is in it.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        photo: the one that was edited.
        sources: photos in the index that the picture shows.
        others: photos that it shows and that are not in the index.
        steps: edits or decorations, with their strengths.
        recipe: the same as text.
        kin: other images in the index that show the same: neither right nor wrong answers.
        sisters: images in the index that share a template with the picture, and show another content: wrong answers.
    """

    picture: Picture
    photo: str
    sources: tuple[str, ...]
    others: tuple[str, ...]
    steps: tuple[tuple[str, float], ...]
    recipe: str
    kin: tuple[str, ...] = ()
    sisters: tuple[str, ...] = ()


def plan_for(photos: Sequence[str], options: EvaluationOptions) -> Plan:
    """Divide photos into those that are indexed and those that are held out.

    Raises:
        UsageError: there are fewer than ``FEWEST_PHOTOS``.
    """
    if len(photos) < FEWEST_PHOTOS:
        raise UsageError(f"{len(photos)} photos are too few to evaluate with; {FEWEST_PHOTOS} at least")
    shuffled = [photos[place] for place in np.random.default_rng(options.seed).permutation(len(photos))]
    half = len(photos) // 2
    kept = min(max((len(photos) - half) // 5, 1), _DECORATED_PHOTOS)
    return Plan(tuple(shuffled[:half]), tuple(shuffled[half:-kept]), tuple(shuffled[-kept:]), options)


def write_decorated(plan: Plan, workspace: Path) -> list[str]:
    """Write the decorated copies of photos for the index; return their names."""
    folder = workspace / "decorated"
    names = []
    with _writing_to(folder):
        for kind in _KINDS:
            for design in range(plan.options.designs):
                for copy in range(plan.options.copies):
                    _, photo = _readable(plan.decorated, copy)
                    own = np.random.default_rng([plan.options.seed, 0, copy])
                    picture = DECORATIONS[kind](photo, _design(plan, kind, design), own)
                    names.append(_written(picture, folder / f"{kind.replace(' ', '_')}-{design}-{copy}.png"))
    return names


def write_plain(plan: Plan, workspace: Path) -> list[str]:
    """Write the pictures without detail for the index, one of each kind for each photo; return their names."""
    folder = workspace / "plain"
    names = []
    with _writing_to(folder):
        for kind in _PLAIN:
            for place in range(len(plan.indexed)):
                name, photo = _readable(plan.indexed, place)
                if kind not in _ITSELF and name == plan.indexed[place]:
                    names.append(
                        _written(_plain(plan, kind, name, photo, 0), workspace / _plain_name(plan, kind, name))
                    )
    return names


def write_templates(plan: Plan, workspace: Path) -> list[str]:
    """Write the pictures that share templates for the index; return their names."""
    with _writing_to(workspace / "templates"):
        return [
            _written(_filled_in(plan, kind, design, filling), workspace / _template_name(plan, kind, design, filling))
            for kind in _TEMPLATES
            for design in range(plan.options.designs)
            for filling in range(plan.options.sisters)
        ]


@contextlib.contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise FeatmatchError(f"cannot write to {folder}: {error.strerror or error}") from error


def _written(picture: Picture, file: Path) -> str:
    """Write a PNG file unless it is there already, byte for byte; return its name."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    if not (file.is_file() and file.read_bytes() == buffer.getvalue()):  # a file that is written anew is indexed anew
        file.write_bytes(buffer.getvalue())
    return str(file)


def make(trial: Trial, plan: Plan) -> Made:
    """Make the picture of a trial."""
    options = plan.options
    if trial.suite == "templates":
        return _made_from_template(trial, plan)
    random = np.random.default_rng([options.seed, 1 + SUITES.index(trial.suite), trial.positive, trial.number])
    pool = plan.indexed if trial.positive else plan.held_out
    kinds = _WITH_PHOTO if trial.positive else _KINDS
    # Kinds and photos are taken in turn. Each round through the kinds begins one photo later, or some kinds would be
    # tried on some photos only.
    rounds = {
        "single": len(_SINGLES), "crops": len(CROP_SHARES), "hard": len(kinds), "plain": len(_PLAIN),
        "photographed": len(_SHOTS),
    }  # fmt: skip
    turns = rounds.get(trial.suite, len(pool))
    name, photo = _readable(pool, trial.number + trial.number // turns)
    others = _Others(plan)
    turn = trial.number % turns
    if trial.suite == "plain":
        return _made_plain(trial, plan, _PLAIN[turn], name, photo, random)
    if trial.suite == "hard":
        kind, design = kinds[turn], trial.number // turns % options.designs
        decorated = DECORATIONS[kind](photo, _design(plan, kind, design), random)
        factor = random.uniform(0.6, 1)  # saved again, as pictures that are passed on are
        recipe = f"{kind}, design {design}, scale {factor:.2f}, JPEG 60"
        picture = jpeg(scale(decorated, factor), 60)
        return Made(picture, name, (name,) if trial.positive else (), (), ((kind, float(design)),), recipe)
    if trial.suite == "photographed":
        shot = _SHOTS[turn]
        picture = photographed(photo, HARD_SHOTS[shot], random, others(random))
        shown = (name,) if trial.positive else ()
        return Made(picture, name, shown, tuple(others.held_out), ((shot, 1.0),), shot)
    if trial.suite == "random":
        picture, steps = compose(photo, random, others)
    else:
        steps = [_SINGLES[turn] if trial.suite == "single" else Step("crop", CROP_SHARES[turn])]
        ((edit, strength),) = steps
        if edit == "collage" and trial.positive:
            others.from_index = round(strength) - 1
        picture = EDITS[edit].function(photo, strength, random, others)
    sources = (name, *others.indexed) if trial.positive else ()
    recipe = ", ".join(map(str, steps)) or "as it is"
    return Made(
        picture,
        name,
        tuple(dict.fromkeys(sources)),
        tuple(others.held_out),
        tuple((step.edit, step.strength) for step in steps),
        recipe,
    )


def _made_plain(trial: Trial, plan: Plan, kind: str, name: str, photo: Picture, random: Random) -> Made:
    """Make a mild edit of a picture without detail: of one in the index, or of one that is made for this trial."""
    picture, edits = mildly_edited(_plain(plan, kind, name, photo, 0 if trial.positive else 1 + trial.number), random)
    recipe = ", ".join([kind, *edits])
    if not trial.positive:
        return Made(picture, name, (), (), ((kind, 1.0),), recipe)
    source = name if kind in _ITSELF else _plain_name(plan, kind, name)
    kin = (name, *(_plain_name(plan, one, name) for one in _SAME)) if kind in (*_SAME, *_ITSELF) else ()
    return Made(picture, name, (source,), (), ((kind, 1.0),), recipe, kin)


def _plain(plan: Plan, kind: str, name: str, photo: Picture, draw: int) -> Picture:
    place = (plan.indexed + plan.held_out).index(name)
    return PLAIN[kind](photo, np.random.default_rng([plan.options.seed, 200 + _PLAIN.index(kind), place, draw]))


def _plain_name(plan: Plan, kind: str, name: str) -> str:
    """Name of a plain picture in the workspace."""
    return f"plain/{kind}-{plan.indexed.index(name)}.png"


def _made_from_template(trial: Trial, plan: Plan) -> Made:
    """Scan or photograph a filling of a template: one of those in the index, or one that is made for this trial."""
    options, (round_, turn) = plan.options, divmod(trial.number, len(_TEMPLATES))
    random = np.random.default_rng([options.seed, 1 + SUITES.index(trial.suite), trial.positive, trial.number])
    kind, design = _TEMPLATES[turn], round_ // 2 % options.designs  # each design scanned, and photographed
    filling = int(random.integers(options.sisters)) if trial.positive else options.sisters + trial.number
    drawn = _filled_in(plan, kind, design, filling)
    if round_ % 2:
        way, picture = "by telephone", photographed(drawn, usual(random), random, _background(plan, random))
    else:
        way, picture = "rescanned", rescanned(drawn, random)
    indexed = [_template_name(plan, kind, design, one) for one in range(options.sisters)]
    name = _template_name(plan, kind, design, filling)
    return Made(
        picture,
        name,
        (name,) if trial.positive else (),
        (),
        ((kind, 1.0), (way, 1.0)),
        f"{kind}, design {design}, {way}",
        sisters=tuple(one for one in indexed if one != name) if TEMPLATES[kind].shared else (),
    )


def _filled_in(plan: Plan, kind: str, design: int, filling: int) -> Picture:
    """A filling of a template. Those in the index show photos that no other picture shows, or a part of them.

    With few photos some must be shown twice.
    """
    options, place = plan.options, _TEMPLATES.index(kind)
    _, photo = _readable(
        *(
            (plan.held_out[::2], (place * options.designs + design) * options.sisters + filling)
            if filling < options.sisters
            else (plan.held_out[1::2], filling)
        )
    )
    drawn = np.random.default_rng([options.seed, 300 + place, design])
    own = np.random.default_rng([options.seed, 300 + place, design, 1 + filling])
    return TEMPLATES[kind].draw(photo, drawn, own)


def _template_name(plan: Plan, kind: str, design: int, filling: int) -> str:
    """Name of a filling of a template in the workspace. Another seed draws others: a fit may know only one of these."""
    return f"templates/{kind.replace(' ', '_')}-{plan.options.seed}-{design}-{filling}.png"


def _background(plan: Plan, random: Random) -> Picture:
    """A photo that no picture in the index shows."""
    apart = plan.held_out[1::2]
    return _readable(apart, int(random.integers(len(apart))))[1]


class _Others:
    """Draws photos to show beside the edited one, and records their names."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.from_index = 0  # number of the next photos that come from the index
        self.indexed: list[str] = []
        self.held_out: list[str] = []

    def __call__(self, random: Random) -> Picture:
        pool, drawn = (
            (self._plan.indexed, self.indexed) if self.from_index > 0 else (self._plan.held_out, self.held_out)
        )
        self.from_index -= 1
        name, photo = _readable(pool, int(random.integers(len(pool))))
        drawn.append(name)
        return photo


def _readable(names: Sequence[str], start: int) -> tuple[str, Picture]:
    """The first photo from ``start`` on (cyclically) that can be read and is not too small; its name and pixels."""
    for step in range(len(names)):
        name = names[(start + step) % len(names)]
        try:
            photo = load_display(name)
        except ImageError:
            continue
        if min(photo.shape[:2]) >= 2 * SMALLEST_PX:
            return name, scale(photo, min(_LONGEST_PX / max(photo.shape[:2]), 1.0))
    raise UsageError(f"none of {len(names)} photos can be read and has {2 * SMALLEST_PX} px on each side")


def _design(plan: Plan, kind: str, design: int) -> Random:
    return np.random.default_rng([plan.options.seed, 100 + _KINDS.index(kind), design])


def read_twins(file: Path) -> list[tuple[str, str]]:
    """Read pairs of names that show the same picture: two per line, separated by a tab.

    Raises:
        FeatmatchError: it cannot be read, or is not such a file.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise FeatmatchError(f"cannot read {file}: {error}") from error
    pairs = [tuple(line.split("\t")) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise FeatmatchError(f"{file}: each line is two names with a tab between")
    return [(pair[0], pair[1]) for pair in pairs]
