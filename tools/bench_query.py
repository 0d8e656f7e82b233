"""How much sooner are many queries answered by several processes? Time of `featmatch query`, as a Markdown table.

    python -m tools.bench_query PHOTOS... [--distractors PHOTOS...] [--images 1000] [--queries 200] [--jobs 2]

Half of the photos and as many distractors as are needed are indexed; queries are edited copies, as those of `featmatch
evaluate`. Each run is a command from its start to its end, and all print the same to the byte. One core and several,
one job and several take turns, so that a machine whose speed changes does the same to all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from featmatch import Index
from featmatch.evaluation.trials import EvaluationOptions, Trial, make, plan_for
from featmatch.images.folders import image_files


class Run(NamedTuple):
    """What a command took, in seconds, and what it printed."""

    seconds: float
    printed: bytes


def main() -> None:
    """Make index and queries, measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--distractors", nargs="*", default=[])
    parser.add_argument("--images", type=int, default=1000, help="in the index")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workspace", type=Path, help="kept, with the index and the queries")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        folder = Path(os.path.abspath(arguments.workspace or temporary))
        folder.mkdir(parents=True, exist_ok=True)
        index, queries = prepared(arguments, folder)
        cores = sorted(os.sched_getaffinity(0))
        ways = {"one core, one job": (1, cores[:1]), "one job": (1, cores)}
        ways[f"{arguments.jobs} jobs"] = (arguments.jobs, cores)
        runs: dict[str, list[Run]] = {way: [] for way in ways}
        for _ in range(arguments.repeats):
            for way, (jobs, allowed) in ways.items():
                runs[way].append(run(index, queries, jobs, allowed))
        assert len({one.printed for some in runs.values() for one in some}) == 1, "answers differ"
        report(runs, len(queries))


def prepared(arguments: argparse.Namespace, folder: Path) -> tuple[Path, list[str]]:
    """The index, and the files of the queries."""
    options = EvaluationOptions(count=-(-arguments.queries // 2))
    plan = plan_for(list(image_files(arguments.photos)), options)
    others = list(image_files(arguments.distractors))
    more = max(arguments.images - len(plan.indexed), 0)
    names = [*plan.indexed, *others[:: max(len(others) // max(more, 1), 1)]][: arguments.images]
    index = Index.open(folder / "index", create=True)
    index.add(names)
    queries = []
    for number in range(arguments.queries):
        file = folder / f"{number:04d}.jpg"
        if not file.exists():
            picture = make(Trial("random", number // 2, positive=number % 2 == 0), plan).picture
            Image.fromarray(picture).save(file, quality=90)
        queries.append(str(file))
    print(f"{len(index)} images, {len(queries)} queries\n")
    return index.folder, queries


def run(index: Path, queries: Sequence[str], jobs: int, cores: Sequence[int]) -> Run:
    """Run the command on some cores."""
    began = time.perf_counter()
    printed = subprocess.run(
        [sys.executable, "-m", "featmatch", "query", index, *queries, "--json", "--jobs", str(jobs)],
        stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ).stdout  # fmt: skip
    return Run(time.perf_counter() - began, printed)


def report(runs: dict[str, list[Run]], queries: int) -> None:
    """Print medians, and how many times as fast the last way is, run by run."""
    print("| | s | ms a query | times as long as the last (each run) |\n| --- | ---: | ---: | ---: |")
    last = list(runs.values())[-1]
    for way, some in runs.items():
        seconds = statistics.median(one.seconds for one in some)
        ratios = [one.seconds / other.seconds for one, other in zip(some, last, strict=True)]
        told = f"{statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        print(f"| {way} | {seconds:.1f} | {1000 * seconds / queries:.0f} | {told} |")


if __name__ == "__main__":
    main()
