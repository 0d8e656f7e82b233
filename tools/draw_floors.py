"""Draw the rooms of featmatch and what they import, from the imports themselves.

    python -m tools.draw_floors             write docs/floors.svg
    python -m tools.draw_floors --check     exit status 1: it is out of date, or modules import in a circle

The floors are those of the contract in setup.cfg, which ``lint-imports`` checks. That check compares the modules of a
room with one another, but not with the room's own ``__init__``; the order of modules below does.
"""

from __future__ import annotations

import argparse
import configparser
import graphlib
import itertools
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import grimp
import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Curve

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "floors.svg"
PACKAGE = "featmatch"
_BOX_WIDTH, _BOX_HEIGHT = 2.0, 0.56  # in floors
_BESIDE = 1.25  # of two rooms on one floor: from the middle of the picture
_COLOURS = ("#1b6ca8", "#b4532a", "#3f7d3a", "#7a4b9d", "#8a6d00", "#a8325a", "#2f7f86", "#555555")


def floors() -> list[list[str]]:
    """The rooms of each floor, the highest first, as the contract in setup.cfg has them."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = settings["importlinter:contract:floors"]["layers"].split("\n")
    return [line.split(" | ") for line in lines if line]


def circle(graph: grimp.ImportGraph) -> list[str]:
    """Modules that import one another in a circle, if there are any."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def arrows(graph: grimp.ImportGraph) -> Counter[tuple[str, str]]:
    """(importing room, imported room) -> number of imports between their modules."""
    pairs: Counter[tuple[str, str]] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            rooms = _room(importer), _room(imported)
            if all(rooms) and rooms[0] != rooms[1]:
                pairs[rooms] += 1
    return pairs


def draw(rooms: list[list[str]], graph: grimp.ImportGraph, target: Path) -> None:
    """Draw one box a room, with its number of modules, and the imports as arrows, the wider the more there are."""
    counts = arrows(graph)
    place = {
        name: ((column - (len(floor) - 1) / 2) * 2 * _BESIDE, len(rooms) - row)
        for row, floor in enumerate(rooms)
        for column, name in enumerate(floor)
    }
    figure = Figure(figsize=(9, 10.5))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-6.2, 6.2), ylim=(0.4, len(rooms) + 0.6), aspect="equal")
    axes.set_axis_off()
    for row in range(1, len(rooms)):
        axes.axhline(row + 0.5, color="#e4e4e4", linewidth=0.8, zorder=0)
    colours = dict(zip(itertools.chain.from_iterable(rooms), itertools.cycle(_COLOURS)))
    for (importer, imported), count in sorted(counts.items()):
        arrow = FancyArrowPatch(path=_curve(place[importer], place[imported]), shrinkA=0, shrinkB=0)
        arrow.set_arrowstyle("-|>", head_length=3, head_width=1.6)
        to_the_ground = imported in rooms[-1]  # from nearly everywhere
        arrow.set(color="#c8c8c8" if to_the_ground else colours[importer], zorder=0 if to_the_ground else 1)
        arrow.set(linewidth=0.5 + 0.45 * count**0.5, alpha=0.75)
        axes.add_patch(arrow)
    for name, (x, y) in place.items():
        corner = (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2)
        box = FancyBboxPatch(corner, _BOX_WIDTH, _BOX_HEIGHT, "round,pad=0,rounding_size=0.08")
        box.set(facecolor="white", edgecolor=colours[name], linewidth=1.4, zorder=2)
        axes.add_patch(box)
        modules = len(graph.find_descendants(f"{PACKAGE}.{name}"))
        axes.text(x, y, f"{name}  {modules or ''}".rstrip(), ha="center", va="center", fontsize=10, zorder=3)
    metadata = {"Description": description(rooms, counts), "Date": None, "Creator": None}
    with mpl.rc_context({"svg.hashsalt": PACKAGE, "svg.fonttype": "none"}):
        figure.savefig(target, metadata=metadata if target.suffix == ".svg" else None)


def description(rooms: list[list[str]], pairs: Counter[tuple[str, str]]) -> str:
    """What the picture shows but for the numbers: the floors and the arrows. It is kept in the picture's metadata."""
    return "; ".join(
        [" / ".join(", ".join(floor) for floor in rooms), *(f"{upper} > {lower}" for upper, lower in sorted(pairs))]
    )


def _room(module: str) -> str:
    """The room of a module; none for the package itself, which hands out the public names of all rooms."""
    return module.split(".")[1] if "." in module else ""


def _curve(upper: tuple[float, float], lower: tuple[float, float]) -> Curve:
    """Straight to the next floor; past other floors in a bow, on the left from and to rooms on the left."""
    distance = upper[1] - lower[1]
    if distance == 1:
        return Curve([(upper[0], upper[1] - _BOX_HEIGHT / 2), (lower[0], lower[1] + _BOX_HEIGHT / 2)])
    side = -1 if min(upper[0], lower[0]) < 0 else 1
    start, end = ((x + side * _BOX_WIDTH / 2, y + shift) for (x, y), shift in ((upper, -0.12), (lower, 0.12)))
    bow = side * (0.35 + 0.42 * abs(distance))
    curve = [start, (start[0] + bow, start[1]), (end[0] + bow, end[1]), end]
    return Curve(curve, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])


def main() -> int:
    """Draw, or check what was drawn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("target", type=Path, nargs="?", default=PICTURE, help="an .svg or .png file")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the picture is up to date")
    arguments = parser.parse_args()
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    if found := circle(graph):
        print(f"modules import in a circle: {' -> '.join(reversed(found))}", file=sys.stderr)
        return 1
    rooms = floors()
    if not arguments.check:
        draw(rooms, graph, arguments.target)
        return 0
    drawn = ET.parse(arguments.target).findtext(".//{http://purl.org/dc/elements/1.1/}description")
    if drawn != description(rooms, arrows(graph)):
        print(f"{arguments.target} is out of date: python -m tools.draw_floors", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
