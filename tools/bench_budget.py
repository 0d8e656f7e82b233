"""Measure what budgets of features for large photos find of their crops, and what they cost.

    python -m tools.bench_budget PHOTOS... --distractors FOLDER --budgets 4000 1900 1000 --choices contrast scale

PHOTOS are real ones of 6 megapixels and more: enlarged pictures lack the detail that crops at full size show. For each
budget (``FeatureOptions.features_at_longest``) and choice they are indexed among synthetic images of as many features,
made of the distractors (``tools/synthetic_images.py``). Queries are crops of 512 x 512 px of the original, and of
shares of its area, each plain, and scaled down and recompressed. Crops that show next to nothing are left out.

Searches are those of ``Index.query`` without other forms of a picture; their time is without the extraction.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featmatch import FeatureOptions, Index
from featmatch.evaluation.edits import Picture
from featmatch.features.extraction import CHOICES
from featmatch.images.folders import image_files
from featmatch.images.pixels import load_display
from featmatch.search.stages import Search
from featmatch.system.files import folder_bytes
from tools.bench_scale import Photos, build
from tools.demo import bundled_photos

_SEED = 7
_CROP_PX = 512
_PERCENT = (30, 10, 5, 2, 1)  # of the area
_LEAST_CONTRAST = 6.0  # standard deviation of the values of a crop
_MATERIAL = 200  # photos that synthetic images are made of, at most
Figures = dict[str, Any]


@dataclass(frozen=True)
class Crop:
    """A crop to look up.

    Attributes:
        kind: how large it is, and whether it was edited.
        name: of the photo that it was cut from.
        picture: its pixels.
    """

    kind: str
    name: str
    picture: Picture


def main() -> int:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="large photos: files and folders")
    parser.add_argument("--distractors", nargs="+", default=[], help="photos that synthetic images are made of")
    parser.add_argument("--images", type=int, default=2000, help="synthetic ones in each index")
    parser.add_argument("--budgets", type=int, nargs="+", default=[4000, 2000, 1500, 1000])
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--query-features", type=int, default=800, help="of a crop of 640 px or less, at most")
    parser.add_argument("--longest-px", type=int, default=2000, help="working size")
    parser.add_argument("--square", type=int, default=2, help="crops of 512 x 512 px of each photo")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    photos = list(image_files(arguments.photos))
    crops = [crop for number, name in enumerate(photos) for crop in crops_of(name, number, arguments.square)]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        material = list(image_files(arguments.distractors)) or bundled_photos(Path(temporary) / "photos")
        for budget in arguments.budgets:
            for choice in arguments.choices:
                options = FeatureOptions(
                    "sift", arguments.longest_px, 0, min(arguments.query_features, budget), budget, choice
                )
                folder = Path(temporary) / "index.fm"
                rows.append(measured(folder, photos, material[:_MATERIAL], arguments.images, options, crops))
                shutil.rmtree(folder)
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    print(table(rows))
    return 0


def crops_of(name: str, number: int, squares: int) -> Iterator[Crop]:
    """Crops of a photo, each plain and edited; the same ones whatever the budget."""
    photo = load_display(name)
    random = np.random.default_rng((_SEED, number))
    height, width = photo.shape[:2]
    kinds = [(f"{_CROP_PX} px", _CROP_PX, _CROP_PX)] * squares
    kinds += [(f"{share} %", *(round(side * (share / 100) ** 0.5) for side in (width, height))) for share in _PERCENT]
    for kind, across, down in kinds:
        x, y = random.integers(width - across + 1), random.integers(height - down + 1)
        crop = np.ascontiguousarray(photo[y : y + down, x : x + across])
        smaller, quality = float(random.uniform(0.5, 0.9)), int(random.integers(45, 80))
        if crop.std() >= _LEAST_CONTRAST:
            yield Crop(f"{kind} plain", name, crop)
            yield Crop(f"{kind} edited", name, recompressed(crop, smaller, quality))


def recompressed(picture: Picture, smaller: float, quality: int) -> Picture:
    """A picture scaled down, as a JPEG."""
    height, width = (max(round(side * smaller), 1) for side in picture.shape[:2])
    file = io.BytesIO()
    Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def measured(
    folder: Path,
    photos: Sequence[str],
    material: Sequence[str],
    images: int,
    options: FeatureOptions,
    crops: Sequence[Crop],
) -> Figures:
    """Index photos among synthetic images, and look up crops."""
    many = dataclasses.replace(options, features=options.features_at_longest)  # synthetic images have the whole budget
    build(folder, images, Photos([], [], list(material)), many, (0, 1))
    index, before = Index.open(folder), folder_bytes(folder)
    index.add(photos)
    features = [record.features for record in index.images() if not record.name.startswith("synthetic/")]
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    times, false_claims = [], 0
    for crop in crops:
        search = dataclasses.replace(Search.of(index), options=options)
        query = search.read(crop.picture)
        began = time.perf_counter()
        matches = search.matches(query, search.asked(query))[0] if query.enough else []
        times.append(1000 * (time.perf_counter() - began))
        right = [Path(match.name).name == Path(crop.name).name for match in matches]
        false_claims += any(match.proven and not own for match, own in zip(matches, right, strict=True))
        found[crop.kind].append((right[:1] == [True], right[:1] == [True] and matches[0].proven))
    return {
        "budget": options.features_at_longest,
        "choice": options.choice,
        "features_an_image": float(np.mean(features)),
        "bytes_an_image": (folder_bytes(folder) - before) / len(photos),
        "found": {kind: np.mean(each, axis=0).tolist() for kind, each in found.items()},
        "queries": {kind: len(each) for kind, each in found.items()},
        "all": np.mean([one for each in found.values() for one in each], axis=0).tolist(),
        "false_claims": false_claims,
        "search_ms": {f"p{q}": float(np.percentile(times, q)) for q in (50, 95)},
    }


def table(rows: Sequence[Figures]) -> str:
    """The figures as Markdown: percent put first, and percent claimed."""
    kinds = list(rows[0]["found"])
    head = ["budget", "choice", *(f"{kind} ({rows[0]['queries'][kind]})" for kind in kinds)]
    head += ["all", "false claims", "features", "bytes an image", "search, ms (p50, p95)"]
    body = [
        [
            f"{row['budget']:,}",
            row["choice"],
            *("{:.0f}, {:.0f}".format(*(100 * share for share in row["found"][kind])) for kind in kinds),
            "{:.1f}, {:.1f}".format(*(100 * share for share in row["all"])),
            str(row["false_claims"]),
            f"{row['features_an_image']:,.0f}",
            f"{row['bytes_an_image']:,.0f}",
            "{p50:.0f}, {p95:.0f}".format(**row["search_ms"]),
        ]
        for row in rows
    ]
    return "\n".join(
        "| " + " | ".join(line) + " |" for line in [head, ["---", "---", *["---:"] * (len(head) - 2)], *body]
    )


if __name__ == "__main__":
    sys.exit(main())
