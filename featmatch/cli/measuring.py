"""The commands that train on the user's own photos, and measure with them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

import featmatch
from featmatch.cli.common import (
    FOUND,
    PathArgument,
    complain,
    features_option,
    jobs_option,
    speed_option,
    tell,
    vocabulary_option,
    wanted_features,
    write,
)
from featmatch.cli.printing import say
from featmatch.errors import FeatmatchError
from featmatch.system import opencv

_SUITES = ("random", "single", "crops", "hard", "plain")


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@features_option
@click.option("--words", type=int, default=65_536, show_default=True, help="Number of visual words.")
@click.option(
    "--word-search", type=click.Choice(["two-level", "flann"]), default="two-level", show_default=True,
    help="How words are found.",
)  # fmt: skip
@jobs_option
def train(out: Path, paths: Sequence[str], features: str | None, words: int, word_search: str, jobs: int) -> int:
    """Train a vocabulary on the images at PATH..., and write it to the file OUT.

    Until it is done, nothing is written to OUT.
    """
    from featmatch.cli.progress import stages_bar

    if not out.absolute().parent.is_dir():  # better said now than after an hour
        raise FeatmatchError(f"cannot write {out}: no such folder")
    options = featmatch.TrainingOptions(words=words, search=word_search)
    with stages_bar() as progress:
        vocabulary = featmatch.train_vocabulary(
            paths, features=features or "sift", options=options, jobs=jobs, progress=progress
        )
    vocabulary.save(out)
    tell(f"{out}: {len(vocabulary)} words from {vocabulary.provenance['images']} images")
    return FOUND


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@click.option(
    "--distractors", type=PathArgument(), multiple=True, metavar="PATH", help="Index this as well; repeatable."
)
@features_option
@speed_option
@vocabulary_option
@click.option(
    "--suite", "suites", type=click.Choice([*_SUITES, "all"]), multiple=True, default=["random"], show_default=True,
    help="What is tried: compositions of edits, edits alone, crops, look-alikes, pictures without detail; repeatable.",
)  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), default=300, show_default=True, help="Positives of each suite.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of all chance.")
@jobs_option
@click.option("--index", type=PathArgument(path_type=Path), metavar="DIR", help="Keep the index here, to use it again.")
@click.option(
    "--twins", type=PathArgument(path_type=Path), metavar="FILE", help="Known copies: two names a line, a tab between."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write report and records.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with plots.")
def evaluate(
    paths: Sequence[str], distractors: Sequence[str], features: str | None, speed: str | None,
    vocabulary: str | None, suites: Sequence[str], count: int, seed: int, jobs: int, index: Path | None,
    twins: Path | None, json_file: Path | None, html_file: Path | None,
) -> int:  # fmt: skip
    """Say how well edited copies of the photos at PATH... are found, how fast, and how big it gets.

    One half of the photos is indexed: edited copies of these should be found. Edited copies of the other half, as many,
    should not. Processes side by side disturb each other's times: use --jobs 1 to measure them.
    """
    opencv.require()
    from featmatch.cli.progress import stages_bar
    from featmatch.evaluation import report, running
    from featmatch.evaluation.trials import SUITES, EvaluationOptions, read_twins
    from featmatch.system.trust import forget_below

    options = EvaluationOptions(SUITES if "all" in suites else tuple(suites), count, seed)
    pairs = read_twins(twins) if twins else []
    with contextlib.ExitStack() as stack:
        workspace = index or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featmatch-")))
        if index is None:
            stack.callback(forget_below, workspace)
        with stages_bar() as progress:
            done = running.evaluate(
                running.Photos(paths, distractors, pairs), workspace, options,
                features=wanted_features(features, speed), vocabulary=vocabulary, jobs=jobs, progress=progress,
            )  # fmt: skip
        if done.unseen is not None:
            complain(done.unseen)
        found = report.report_of(done)
        for line in report.text_of(found).split("\n"):
            say(line)
        if json_file is not None:
            write(json_file, json.dumps(report.without_nan(found)) + "\n")
        if html_file is not None:
            from featmatch.pages.report import page_of

            write(html_file, page_of(found, done, workspace))
    return FOUND
