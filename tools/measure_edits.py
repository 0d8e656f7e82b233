"""Measure how well edited copies are found: index photos, query edits of them, take the originals out, query again.

    python tools/measure_edits.py PHOTOS... --queries FOLDER [--features sift] [--count 300]

Every photo of the query folder that is drawn is edited in one way (seeded). First all photos are indexed and each edit
should bring its original first and proven; then the originals are removed and the same edits should prove nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

import featmatch
from featmatch.answers import Match
from featmatch.features import extract_grey
from featmatch.files import image_files
from featmatch.geometry import GeometryOptions
from featmatch.image import load_grey
from featmatch.symmetry import variants_of
from featmatch.verification import verify_candidates
from featmatch.voting import QueryWords, VotingOptions, vote

Edit = Callable[[Image.Image, Image.Image, np.random.Generator], Image.Image]


def crop(part: float) -> Edit:
    """Cut out a rectangle with this part of the area, anywhere, of about the photo's shape."""

    def edit(photo: Image.Image, other: Image.Image, random: np.random.Generator) -> Image.Image:
        del other
        stretch = np.exp(random.uniform(-0.3, 0.3))
        width = min(round(photo.width * part**0.5 * stretch), photo.width)
        height = min(round(photo.height * part**0.5 / stretch), photo.height)
        x, y = random.integers(photo.width - width + 1), random.integers(photo.height - height + 1)
        return photo.crop((x, y, x + width, y + height))

    return edit


def rotate(photo: Image.Image, other: Image.Image, random: np.random.Generator) -> Image.Image:
    """Turn by any angle, the corners black."""
    del other
    return photo.rotate(random.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)


def paste(photo: Image.Image, other: Image.Image, random: np.random.Generator) -> Image.Image:
    """Put the photo, at 40 to 80 % of its size, somewhere on another photo that is a little larger."""
    size = random.uniform(0.4, 0.8)
    small = photo.resize((round(photo.width * size), round(photo.height * size)), Image.Resampling.LANCZOS)
    canvas = other.resize((round(photo.width * 1.1), round(photo.height * 1.1)))
    x, y = random.integers(canvas.width - small.width), random.integers(canvas.height - small.height)
    canvas.paste(small, (int(x), int(y)))
    return canvas


def jpeg(photo: Image.Image, other: Image.Image, random: np.random.Generator) -> Image.Image:
    """Compress with quality 10."""
    del other, random
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=10)
    return Image.open(buffer).convert("RGB")


EDITS: dict[str, Edit] = {
    "crop 50 %": crop(0.5),
    "crop 20 %": crop(0.2),
    "crop 10 %": crop(0.1),
    "rotation": rotate,
    "mirror": lambda photo, other, random: ImageOps.mirror(photo),
    "negative": lambda photo, other, random: ImageOps.invert(photo),
    "half size": lambda photo, other, random: photo.resize((photo.width // 2, photo.height // 2)),
    "JPEG 10": jpeg,
    "pasted": paste,
}


def edited_queries(photos: list[str], count: int, seed: int) -> list[tuple[str, str, Image.Image]]:
    """Draw photos, and edit each in one way: its name, the edit, the edited picture."""
    random = np.random.default_rng(seed)
    drawn = random.choice(len(photos), min(count, len(photos)), replace=False)
    queries = []
    for place, number in enumerate(drawn):
        edit = list(EDITS)[place % len(EDITS)]
        photo = Image.open(photos[number]).convert("RGB")
        # What it is pasted into is edited away from any photo of the index: turned upside down and blurred.
        other = Image.open(photos[drawn[place - 1]]).convert("RGB")
        blank = other.resize((12, 8)).resize(other.size, Image.Resampling.BICUBIC)
        queries.append((photos[number], edit, EDITS[edit](photo, blank, random)))
    return queries


def search(index: featmatch.Index, picture: Image.Image) -> tuple[list[Match], dict[str, float]]:
    """What ``Index.query`` does, with the time of each stage in milliseconds."""
    times = {}
    start = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal start
        now = time.perf_counter()
        times[stage] = 1000 * (now - start)
        start = now

    options = index.options
    grey = load_grey(picture, longest_px=options.longest_px, shortest_px=options.shortest_px)
    seen = list(variants_of(extract_grey(grey, options), grey, options))
    lap("features")
    query = QueryWords.of(index.vocabulary, seen, VotingOptions().words)
    lap("words")
    snapshot = index.snapshot
    candidates = vote(query, seen, tuple(snapshot.segments.values()), snapshot.removed, VotingOptions())
    lap("votes")
    names = index.snapshot.catalog.names_of([candidate.id for candidate in candidates])
    found = verify_candidates(candidates, names, seen[0], GeometryOptions())
    lap("verification")
    times["search"] = times["words"] + times["votes"] + times["verification"]
    return found, times


def main() -> None:
    """Run the measurement and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+", help="files and folders to index beside the query folder")
    parser.add_argument("--queries", required=True, help="folder of the photos that are edited; indexed as well")
    parser.add_argument("--features", default="sift")
    parser.add_argument("--vocabulary")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--index", type=Path, help="keep the index here (and use it again)")
    parser.add_argument("--evidence", type=Path, help="write the evidence of each best match here, for calibration")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.index or Path(scratch) / "index"
        index = featmatch.Index.open(folder, create=True, features=arguments.features, vocabulary=arguments.vocabulary)
        begin = time.perf_counter()
        report = index.add([*arguments.photos, arguments.queries])
        took = time.perf_counter() - begin
        info = index.info()
        print(f"{info.images} images, {info.features} features, {info.words} words ({info.detector})")
        print(f"added {len(report.added)} in {took:.0f} s; failed {len(report.failed)}")
        vocabulary_bytes = (folder / "vocabulary.npz").stat().st_size
        catalog_bytes = (folder / "catalog.sqlite").stat().st_size
        postings = info.bytes - catalog_bytes
        print(
            f"{info.bytes} bytes: {postings / info.features:.2f} a feature with the vocabulary ({vocabulary_bytes}), "
            f"without the catalogue ({catalog_bytes})"
        )
        begin = time.perf_counter()
        index = featmatch.Index.open(folder)
        print(f"opened in {1000 * (time.perf_counter() - begin):.0f} ms")
        queries = edited_queries(list(image_files([arguments.queries])), arguments.count, arguments.seed)
        evidence = measure(index, queries)
        if arguments.evidence:
            arguments.evidence.write_text("".join(json.dumps(row) + "\n" for row in evidence))


def measure(index: featmatch.Index, queries: list[tuple[str, str, Image.Image]]) -> list[dict[str, object]]:
    """Query with the originals in the index, and without them; print what was found."""
    found: dict[str, list[bool]] = defaultdict(list)
    first: dict[str, list[bool]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    evidence: list[dict[str, object]] = []
    missed, false = [], []
    search(index, queries[0][2])  # compiles
    for name, edit, picture in tqdm(queries, file=sys.stderr, disable=None):
        matches, stages = search(index, picture)
        for stage, milliseconds in stages.items():
            times[stage].append(milliseconds)
        best = matches[0] if matches else None
        right = best is not None and best.name == name
        first[edit].append(right)
        found[edit].append(right and best is not None and best.proven)
        if not found[edit][-1]:
            missed.append(f"{edit}: {name}: {best and (best.name, round(best.score, 1), best.inliers)}")
        evidence += [_evidence(match, match.name == name, edit) for match in matches]
    removed = set(index.remove({name for name, _, _ in queries}))
    for name, edit, picture in tqdm(queries, file=sys.stderr, disable=None):
        assert name in removed
        matches, _ = search(index, picture)
        if matches and matches[0].proven:
            false.append(f"{edit}: {name}: {matches[0].name}, {matches[0].score:.1f}, {matches[0].inliers} inliers")
        evidence += [_evidence(match, False, edit) for match in matches]
    print(f"\n{'edit':<12}{'queries':>8}{'first':>8}{'first and proven':>18}")
    for edit, results in found.items():
        print(f"{edit:<12}{len(results):>8}{np.mean(first[edit]):>8.1%}{np.mean(results):>18.1%}")
    everything = [result for results in found.values() for result in results]
    print(
        f"{'all':<12}{len(everything):>8}{np.mean([right for results in first.values() for right in results]):>8.1%}"
        f"{np.mean(everything):>18.1%}"
    )
    plain = [result for edit, results in found.items() if edit not in ("mirror", "negative") for result in results]
    print(f"without mirror and negative: {np.mean(plain):.1%}")
    print(f"originals removed: {len(false)} of {len(queries)} queries have a proven (false) answer")
    print("milliseconds, median (95 %): " + ", ".join(
        f"{stage} {np.median(values):.1f} ({np.percentile(values, 95):.1f})" for stage, values in times.items()
    ))  # fmt: skip
    for line in missed:
        print("missed:", line)
    for line in false:
        print("false:", line)
    return evidence


def _evidence(match: Match, right: bool, edit: str) -> dict[str, object]:
    return {"right": right, "edit": edit, "score": match.score, "inliers": match.inliers, "name": match.name}


if __name__ == "__main__":
    main()
