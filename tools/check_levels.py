"""Does what OpenCV, NumPy and others compute on the way from a file to an answer depend on the processor?

    python -m tools.check_levels PHOTOS [--count 24]

Each step is run on the photos of a folder, on edited copies of them, and on a few made pictures, as featmatch runs it
and on the same input: once as it is, and once with each library's choice of instructions forced down (``SETTINGS``),
in processes of their own. Then whole answers, from files to JSON. Printed is, for each step and each setting, ``=`` for
the same bits, or the largest difference. The exit status is 1 if a step or a claim differs.

Fields of answers are compared as printed. ``claims`` are what is said to be true: what is verified, which image is
found, how the one lies in the other, and which images are a group.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from featmatch import Index, Vocabulary, verify
from featmatch.features.extraction import FeatureOptions, Features, extract_grey, spread
from featmatch.features.looks import likeness, whole_picture
from featmatch.features.symmetry import Variant
from featmatch.geometry.homography import Fit, fit_homography
from featmatch.geometry.matches import GeometryOptions, TentativeMatches
from featmatch.grouping.detail import compare_detail
from featmatch.grouping.repeating import repeated
from featmatch.grouping.sameness import difference
from featmatch.images.pixels import GreyImage, load_grey
from featmatch.native.sift import SiftFeatures, sift
from featmatch.proof import difference as cells
from featmatch.proof.agreement import pixel_agreement
from featmatch.proof.matching import DescriptorMatcher, MatchingOptions
from featmatch.proof.proof import proof_of_fit
from featmatch.store.postings import quantised
from tools.record_answers import edited

STEPS = (
    "decoding", "reducing", "enlarging", "features", "words", "postings", "looks", "likeness", "matches", "geometry",
    "proof", "repeating", "agreement", "cells", "difference", "detail",
)  # fmt: skip
_LARGEST_PX = 300  # a working size below that of the photos, and one above
_SMALLEST_PX = 800

Values = dict[str, list[NDArray[Any]]]


def settings() -> dict[str, dict[str, str]]:
    """Environments in which one library each does without the instructions that it would choose, and all together."""
    numpy: Any = np._core._multiarray_umath  # type: ignore[attr-defined]
    opencv = [name[1:] for name in cv2.getCPUFeaturesLine().split() if name.startswith("*")]
    found = {
        "opencv": {"OPENCV_CPU_DISABLE": ",".join(name.rstrip("?") for name in opencv)},
        "ipp": {"OPENCV_IPP": "disabled"},
        "numpy": {
            "NPY_DISABLE_CPU_FEATURES": " ".join(
                name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__[name]
            )
        },
        "blas": {"OPENBLAS_CORETYPE": "Prescott"},
        "libm": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F"},
        "jpeg": {"JSIMD_FORCENONE": "1"},
        "kernels": {"FEATMATCH_CPU": "baseline"},
    }
    found["all"] = {name: value for environment in found.values() for name, value in environment.items()}
    return found


class Pair(NamedTuple):
    """What the steps after extraction are given: two pictures, their features, what matches, and the fit."""

    grey: GreyImage
    other: GreyImage
    query: Features
    reference: Features
    matches: TentativeMatches
    fit: Fit | None


def pairs(files: list[tuple[Path, Path]]) -> Iterator[Pair]:
    """From files to fits."""
    options = FeatureOptions()
    for copy, photo in files:
        grey, other = (load_grey(file, longest_px=options.longest_px, colours=True) for file in (copy, photo))
        query, reference = extract_grey(grey, options), extract_grey(other, options)
        matches = DescriptorMatcher(reference, MatchingOptions()).match(query)
        sizes = (query.width, query.height), (reference.width, reference.height)
        yield Pair(grey, other, query, reference, matches, fit_homography(matches, *sizes, GeometryOptions()))


def values(files: list[tuple[Path, Path]], given: list[Pair]) -> Values:
    """What each step makes of what it is given."""
    found: Values = {name: [] for name in STEPS}
    vocabulary = Vocabulary.shipped("sift")
    for file in (file for both in files for file in both):
        whole = load_grey(file, longest_px=10_000, colours=True)
        assert whole.colours is not None
        found["decoding"] += [whole.pixels, whole.colours]
        found["reducing"].append(load_grey(file, longest_px=_LARGEST_PX).pixels)
        found["enlarging"].append(load_grey(file, longest_px=2000, shortest_px=_SMALLEST_PX).pixels)
    for pair in given:
        looks = [whole_picture(one) for one in (pair.grey, pair.other)]
        found["looks"] += [one for look in looks for one in (look.phashes, look.looks.view(np.uint8))]
        found["likeness"].append(likeness(*(look.looks for look in looks)))
        found["features"] += list(vars(_sift(pair.grey.pixels)).values())
        words = vocabulary.assign(pair.query.descriptors, 3)
        found["words"] += [words.ids, words.signatures]
        query, size = pair.query, max(pair.query.width, pair.query.height)
        kept = quantised(query.keypoints, query.angles, query.sizes, words.signatures[:, 0], size)
        found["postings"] += [kept.x, kept.y, kept.angle, kept.size]
        matches = DescriptorMatcher(pair.reference, MatchingOptions()).match(query)
        found["matches"] += [matches.query_rows, matches.reference_rows, matches.octaves, matches.costs]
        if pair.fit is not None:
            _of_fit(pair, pair.fit, found)
    return found


def _sift(pixels: NDArray[np.uint8]) -> SiftFeatures:
    limit, (height, width) = FeatureOptions().limit(max(pixels.shape)), pixels.shape
    return sift(pixels, limit, lambda points, responses: spread(points, responses, width, height, limit))


def _of_fit(pair: Pair, given: Fit, found: Values) -> None:
    query, reference = pair.query, pair.reference
    sizes = (query.width, query.height), (reference.width, reference.height)
    fit = fit_homography(pair.matches, *sizes, GeometryOptions())
    assert fit is not None
    found["geometry"] += [fit.reference_from_query, fit.inliers, np.array([fit.effective, fit.clarity, fit.score])]
    proof = proof_of_fit(given, pair.matches, Variant.PLAIN, query, sizes[1])
    numbers = [proof.score, proof.probability, proof.query_overlap, proof.relation.rotation_deg, proof.relation.scale]
    found["proof"] += [proof.query_region, proof.reference_region, np.array(numbers)]
    way = given.reference_from_query
    again = repeated(query, reference, way, GeometryOptions(), negative=False)
    found["repeating"].append(np.array([again.covered, again.share, again.evenness]))
    agreement = pixel_agreement(pair.grey.pixels, pair.other.pixels, way, negative=False)
    found["agreement"].append(np.array(agreement or (-1.0, -1.0)))
    seen = cells.difference(pair.grey.pixels, pair.other.pixels, way, negative=False)
    found["cells"] += [np.array([-1])] if seen is None else [seen.states, seen.seen]
    said = difference(pair.grey.pixels, pair.other.pixels, way, negative=False)
    found["difference"].append(np.frombuffer(said.encode().ljust(50), np.uint8))
    detail = compare_detail(pair.grey.pixels, pair.other.pixels, way)
    found["detail"].append(np.array(detail or (9, 9, 9), np.int64))


def answers(files: list[tuple[Path, Path]], workspace: Path) -> list[dict[str, Any]]:
    """What ``verify``, ``query`` and ``groups`` say."""
    found: list[dict[str, Any]] = [verify(*both).to_dict() for both in files]
    index = Index.open(workspace / "index", create=True)
    index.add([photo for _, photo in files] + [copy for copy, _ in files[::4]], jobs=1)
    for copy, _ in files:
        found += [match.to_dict() for match in index.query(copy, unproven=True)]
    found += [group.to_dict() for group in index.groups(jobs=1)]
    return found


def made(folder: Path) -> list[tuple[Path, Path]]:
    """Pictures that no camera took, each with a copy: noise, shapes, soft colours."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (240, 320, 3)).astype(np.uint8)
    shapes = np.full((300, 400, 3), 230, np.uint8)
    for x, y, radius, *colour in random.integers(0, 255, (60, 6)).tolist():
        cv2.circle(shapes, (x * 400 // 255, y * 300 // 255), 5 + radius // 8, colour, -1)
    soft = cv2.resize(random.integers(0, 256, (5, 7, 3)).astype(np.uint8), (240, 180), interpolation=cv2.INTER_LINEAR)
    found = []
    for name, picture in {"noise": noise, "shapes": shapes, "soft": np.asarray(soft)}.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
        Image.fromarray(picture).rotate(7, Image.Resampling.BICUBIC).save(folder / f"{name}.jpg", quality=70)
        found.append((folder / f"{name}.jpg", folder / f"{name}.png"))
    return found


class Found(NamedTuple):
    """What a process of its own found.

    Attributes:
        steps: what each step made of what it was given.
        answers: whole ones; none where they were not asked for.
        features: OpenCV's line of the processor's features; those that it does without have a question mark.
    """

    steps: Values
    answers: list[dict[str, Any]]
    features: str


def apart(folder: Path, name: str, environment: dict[str, str], *, with_answers: bool = True) -> Found:
    """Run all steps on the pairs of files that ``folder`` lists, in a process of its own."""
    surroundings = {**os.environ, **environment, "XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-m", "tools.check_levels", "--child", str(folder), name, str(int(with_answers))]
    ran = subprocess.run(command, env=surroundings, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{name}: {ran.stderr}")
    return Found(*pickle.loads((folder / name).read_bytes()))  # our own


def listed(folder: Path, files: list[tuple[Path, Path]]) -> None:
    """Tell the processes to come which pairs of files to look at."""
    (folder / "files").write_bytes(pickle.dumps(files))


def _child(folder: Path, name: str, with_answers: str) -> None:
    cv2.setNumThreads(1)
    files = pickle.loads((folder / "files").read_bytes())
    given = folder / "given"  # the first process makes what all are given
    if not given.exists():
        given.write_bytes(pickle.dumps(list(pairs(files))))
    steps = values(files, pickle.loads(given.read_bytes()))
    workspace = folder / f"of-{name}"
    workspace.mkdir()
    said = answers(files, workspace) if int(with_answers) else []
    (folder / name).write_bytes(pickle.dumps((steps, said, cv2.getCPUFeaturesLine())))


def largest_difference(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> float:
    """0 for the same bits, infinite where the shapes differ."""
    if [value.shape for value in one] != [value.shape for value in other]:
        return np.inf
    unlike = [(a, b) for a, b in zip(one, other, strict=True) if a.tobytes() != b.tobytes()]
    return max((float(np.abs(a.astype(np.float64) - b).max()) for a, b in unlike), default=0.0)


_CLAIMS = ("verified", "name", "kind", "mirrored", "negative", "verdict", "original", "members", "reason")


def fields(answer: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of an answer, each with the name of the field that it is in."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield from fields(value, key)
    elif isinstance(answer, (list, tuple)):
        yield name, len(answer)
        for value in answer:
            yield from fields(value, name)
    else:
        yield name, answer


def differing(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> dict[str, float]:
    """By the name of a field, the largest difference; infinite for claims, or where there are more or fewer answers."""
    found: dict[str, float] = {}
    leaves = [list(fields(answers)) for answers in (one, other)]
    if [name for name, _ in leaves[0]] != [name for name, _ in leaves[1]]:
        return {"claims": np.inf}
    for (name, a), (_, b) in zip(*leaves, strict=True):
        if a != b:
            is_number = isinstance(a, float) and isinstance(b, float) and name not in _CLAIMS
            size = abs(a - b) if is_number else np.inf
            field = name if is_number else f"claims ({name})"
            found[field] = max(found.get(field, 0.0), size)
    return found


def main() -> int:
    """Compare all settings on photos; 1 if what must not differ does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=24)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = made(folder)
        for number, photo in enumerate(sorted(options.photos.rglob("*.jpg"))[: options.count]):
            edited(photo, number).save(folder / f"{number}.png")
            files.append((folder / f"{number}.png", photo.resolve()))
        listed(folder, files)
        plain = apart(folder, "plain", {})
        rows = {name: apart(folder, name, environment) for name, environment in settings().items()}
        print("| step | " + " | ".join(rows) + " |")
        for step in STEPS:
            off = [largest_difference(plain.steps[step], found.steps[step]) for found in rows.values()]
            failed |= any(off)
            print(f"| {step} | " + " | ".join(f"{size:.1e}" if size else "=" for size in off) + " |")
        print(f"\n{len(plain.answers)} answers of {len(files)} pairs:")
        for setting, found in rows.items():
            unlike = differing(plain.answers, found.answers)
            failed |= any(np.isinf(size) for size in unlike.values())
            fields_off = ", ".join(f"{field} {size:.1e}" for field, size in unlike.items())
            print(f"{setting}: {fields_off or '='} ({found.features})")
    return int(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), *sys.argv[3:])
    else:
        sys.exit(main())
