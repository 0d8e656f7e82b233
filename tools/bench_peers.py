"""What is found, how fast and in how many bytes, by featmatch and by other tools? As a Markdown table.

    OMP_NUM_THREADS=1 python -m tools.bench_peers PHOTOS --distractors OTHERS --at-most 150 --count 60 --every 3

All get the same photos and the same queries: those of `featmatch evaluate` (one half of the photos is indexed; edited
copies of these should be found, and as many of the other half should not), and work on one thread. What is not
installed is skipped. ``tools/peers.py`` has the tools; `pip install '.[bench]'` brings those that go together, and
`pip install --no-deps --ignore-requires-python cropcatcher image-match imagededup` the others (with torch, torchvision,
matplotlib, scikit-image and scikit-learn beside them).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version

import cv2
import numpy as np

from featmatch.evaluation.report import suite_figures
from featmatch.evaluation.running import Answer, Record
from featmatch.evaluation.trials import EvaluationOptions, Made, Plan, Trial, make, plan_for
from featmatch.images.folders import image_files
from tools.peers import ANSWERS, Search, peers

_SUITES = ("single", "random")


def main() -> None:
    """Measure every peer and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--distractors", default=None)
    parser.add_argument("--at-most", type=int, default=1000, help="distractors, drawn evenly")
    parser.add_argument("--count", type=int, default=100, help="positives, and as many negatives, of each suite")
    parser.add_argument("--every", type=int, default=20, help="brute force gets one in so many queries")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="tools whose names begin so")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    cv2.setRNGSeed(1)
    plan = plan_for(list(image_files(arguments.paths)), EvaluationOptions(_SUITES, arguments.count))
    others = list(image_files([arguments.distractors])) if arguments.distractors else []
    names = [*plan.indexed, *others[:: -(-len(others) // arguments.at_most) or 1]]
    queries = list(made(plan))
    print(f"{len(names)} images, {len(queries)} queries\n")
    print("| | | one edit | | | one to four edits | | | | | |\n| --- |" + " ---: |" * 10)
    print("| | queries | first | above all false | µAP | first | above all false | µAP | build, s | query, ms | KB |")
    for peer in peers(arguments.every):
        if not peer.name.startswith(tuple(arguments.only)):
            continue
        began = time.perf_counter()
        try:
            built = peer.build(names)
        except (ImportError, OSError) as error:
            print(f"{peer.name}: skipped, {error}", file=sys.stderr)
            continue
        name = f"{peer.name} ({peer.package} {version(peer.package)})"
        built_s = time.perf_counter() - began
        built.search(queries[0][1].picture)  # what is loaded or compiled at first use
        records = [answered(trial, one, built.search) for trial, one in queries if trial.number % peer.every == 0]
        rows = [(name, records)]
        if peer.every == 1 and arguments.every > 1:
            rows.append((f"the same, of one query in {arguments.every}", some(records, arguments.every)))
        for label, of_row in rows:
            cost = f"{built_s:.0f} | {milliseconds(of_row):.1f} | {built.bytes / 1000 / len(names):.2f}"
            suites = [[record for record in of_row if record.suite == suite] for suite in _SUITES]
            print(f"| {label} | {len(of_row)} | {' | '.join(map(accuracy, suites))} | {cost} |", flush=True)


def made(plan: Plan) -> Iterator[tuple[Trial, Made]]:
    """All trials with their pictures."""
    for suite in plan.options.suites:
        for positive in (True, False):
            for number in range(plan.options.count):
                trial = Trial(suite, number, positive)
                yield trial, make(trial, plan)


def some(records: Sequence[Record], every: int) -> list[Record]:
    """One in so many of each kind."""
    return [record for record in records if record.number % every == 0]


def answered(trial: Trial, made: Made, search: Search) -> Record:
    """The record of one query."""
    began = time.perf_counter()
    found = search(made.picture)
    times = {"all": 1000 * (time.perf_counter() - began)}
    answers = tuple(Answer(name, 0.0, score, False, name in made.sources, {}) for name, score in found[:ANSWERS])
    height, width = made.picture.shape[:2]
    return Record(*trial, made.photo, made.sources, made.steps, made.recipe, width, height, "ok", answers, times)


def accuracy(records: Sequence[Record]) -> str:
    """Recall at rank 1, recall at zero false claims and µAP of one suite, as cells of a table."""
    figures = suite_figures(records[0].suite, records)
    return f"{figures['recall_at_1']:.1%} | {figures['recall_at_zero_false']:.1%} | {figures['average_precision']:.3f}"


def milliseconds(records: Sequence[Record]) -> float:
    """Of a query, its features or hash included: the median."""
    return float(np.median([record.times["all"] for record in records]))


if __name__ == "__main__":
    main()
