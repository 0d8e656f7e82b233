"""The commands that train a vocabulary and measure accuracy on the user's own photos."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

import featmatch
from featmatch.cli.common import (
    FOUND,
    PathArgument,
    complain,
    features_option,
    forms_option,
    jobs_option,
    speed_option,
    tell,
    vocabulary_option,
    wanted_features,
    write,
)
from featmatch.cli.outputs import OutputArgument, OutputOption
from featmatch.cli.printing import say
from featmatch.errors import FeatmatchError, MissingFeatureError
from featmatch.system import opencv

if TYPE_CHECKING:
    from featmatch.features.forms import Forms

SEARCHES = ("two-level", "flann", "faiss", "nmslib", "annoy")  # of words.vocabulary_check, slow to import
_SUITES = ("random", "single", "crops", "hard", "plain", "templates", "photographed")


@click.command()
@click.argument("out", cls=OutputArgument)
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@features_option
@click.option("--words", type=int, default=65_536, show_default=True, help="Number of visual words.")
@click.option(
    "--nearest", "--word-search", "word_search", type=click.Choice(SEARCHES), default="two-level", show_default=True,
    help="How the nearest words are looked up, also whenever the vocabulary is used; all but two-level are slower.",
)  # fmt: skip
@jobs_option
def train(out: Path, paths: Sequence[str], features: str | None, words: int, word_search: str, jobs: int) -> int:
    """Train a vocabulary of visual words on your own images.

    An index looks features up by the visual word that they resemble most. Vocabularies for sift, akaze, orb and brisk
    come with featmatch; kaze and surf need one of your own. It is written to the file OUT, for `add --vocabulary OUT`.

    OUT is written at the end of a successful run only.
    """
    from featmatch.cli.progress import progress_bars

    if not out.absolute().parent.is_dir():  # better now than after an hour of training
        raise FeatmatchError(f"cannot write {out}: no such folder")
    options = featmatch.TrainingOptions(words=words, search=word_search)
    with progress_bars() as progress:
        vocabulary = featmatch.train_vocabulary(
            paths, features=features or "sift", options=options, jobs=jobs, progress=progress
        )
    vocabulary.save(out)
    tell(f"{out}: {len(vocabulary)} words from {vocabulary.provenance['images']} images")
    return FOUND


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathArgument(), metavar="PATH...")
@click.option(
    "--distractors",
    type=PathArgument(),
    multiple=True,
    metavar="PATH",
    help="Index these images too, without querying them; repeatable.",
)
@features_option
@speed_option
@vocabulary_option
@click.option(
    "--suite", "suites", type=click.Choice([*_SUITES, "all"]), multiple=True, default=["random"], show_default=True,
    help="What to query: several edits at once, single edits, crops, look-alikes, little detail, sisters of one "
    "template, prints photographed; repeatable.",
)  # fmt: skip
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Queries to find in each suite; as many that must not be found.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Random seed: the same seed makes the same queries.",
)
@forms_option
@jobs_option
@click.option(
    "--index", type=PathArgument(path_type=Path), metavar="DIR", help="Keep the index here, and use it again."
)
@click.option(
    "--twins",
    type=PathArgument(path_type=Path),
    metavar="FILE",
    help="Known copies: two names per line, separated by a tab.",
)
@click.option("--json", "json_file", cls=OutputOption, metavar="FILE", help="Write the report and all answers.")
@click.option(
    "--html",
    "html_file",
    cls=OutputOption,
    metavar="FILE",
    help="Write the report as a web page with plots.",
)
def evaluate(
    paths: Sequence[str], distractors: Sequence[str], features: str | None, speed: str | None,
    vocabulary: str | None, suites: Sequence[str], count: int, seed: int, forms: Forms, jobs: int, index: Path | None,
    twins: Path | None, json_file: Path | None, html_file: Path | None,
) -> int:  # fmt: skip
    """Measure how well edited copies of your photos are found.

    Half of the photos at PATH... are indexed: edited copies of these should be found. As many edited copies of the
    other half should not be found. The report also has the times and the size of the index. Parallel processes slow
    each other down: use --jobs 1 to measure times.
    """
    opencv.require()
    if html_file is not None and find_spec("matplotlib") is None:
        raise MissingFeatureError("plots need matplotlib: pip install 'featmatch[plots]'")
    from featmatch.cli.progress import progress_bars
    from featmatch.evaluation import report, running
    from featmatch.evaluation.trials import SUITES, EvaluationOptions, read_twins
    from featmatch.system.trust import forget_below

    options = EvaluationOptions(SUITES if "all" in suites else tuple(suites), count, seed, forms=forms)
    pairs = read_twins(twins) if twins else []
    with contextlib.ExitStack() as stack:
        workspace = index or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featmatch-")))
        if index is None:
            stack.callback(forget_below, workspace)
        with progress_bars() as progress:
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
