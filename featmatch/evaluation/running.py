"""An evaluation: index one half of the user's photos, query edited copies of all, and record the answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2

from featmatch.adding.batches import AddReport
from featmatch.errors import FeatmatchError, ImageError
from featmatch.evaluation.trials import (
    EvaluationOptions,
    Made,
    Plan,
    Trial,
    make,
    plan_for,
    write_decorated,
    write_plain,
    write_templates,
)
from featmatch.features.extraction import FeatureOptions
from featmatch.images.folders import image_files
from featmatch.index import Index
from featmatch.proof.whole_evidence import Likeness
from featmatch.search.matches import Match
from featmatch.store.info import IndexInfo
from featmatch.store.layout import VOCABULARY
from featmatch.system.progress import StageProgress, ignore, of_stage
from featmatch.system.worker_loop import at_work
from featmatch.system.workers import Lost, in_order, processes_for

_TRIAL_SECONDS = 600.0


@dataclass(frozen=True)
class Photos:
    """The user's photos.

    Attributes:
        paths: files and folders; one half of their photos (drawn by the seed) is indexed, the other held out.
        distractors: files and folders that are indexed as well, and not edited.
        twins: pairs of names that show the same picture, each a whole name or its end from a slash on. The twin of a
            photo that a query shows is neither a right nor a wrong answer.
    """

    paths: Iterable[str | os.PathLike[str]]
    distractors: Iterable[str | os.PathLike[str]] = ()
    twins: Iterable[tuple[str, str]] = ()


@dataclass(frozen=True)
class Answer:
    """One answer to a query.

    Attributes:
        name: of the image in the index; of a decorated copy "decorated/KIND-DESIGN-COPY.png".
        probability: of the match.
        score: of the match; comparable across queries.
        proven: whether the match is claimed.
        right: whether the query shows this photo; None for a known twin of a photo that it shows.
        evidence: other numbers of the match, by name.
        relation: what the match says that the two pictures are to one another.
        related: whether the match says that they share a design, and are no copies.
        truth: "copy" for what the query shows, "same template" for a sister of that; None: not known, or unrelated.
    """

    name: str
    probability: float
    score: float
    proven: bool
    right: bool | None
    evidence: dict[str, float | None]
    relation: str = "copy"
    related: bool = False
    truth: str | None = None


@dataclass(frozen=True)
class Record:
    """One trial and the answers to its query.

    Attributes:
        suite: one of ``SUITES``.
        number: in its suite.
        positive: whether its photo is in the index.
        photo: the one that was edited.
        sources: photos in the index that the query shows; empty for a negative.
        steps: edits and strengths, in the order in which they were applied.
        recipe: the same as text.
        width: of the query, px.
        height: of the query, px.
        status: of the query.
        answers: best first.
        times: milliseconds of each stage.
    """

    suite: str
    number: int
    positive: bool
    photo: str
    sources: tuple[str, ...]
    steps: tuple[tuple[str, float], ...]
    recipe: str
    width: int
    height: int
    status: str
    answers: tuple[Answer, ...]
    times: dict[str, float]

    @property
    def trial(self) -> Trial:
        """The trial that this is the record of."""
        return Trial(self.suite, self.number, self.positive)


@dataclass(frozen=True)
class Evaluation:
    """All records of a run, and the index that was queried.

    Attributes:
        plan: which photo played which part.
        records: one for each trial, suite by suite, the positives first.
        index: what the index holds.
        vocabulary_bytes: size of the vocabulary in it, which does not grow with the number of images.
        added: number of images that were added in this run; others were there before.
        adding_s: how long that took, seconds.
        failed: names of files that could not be indexed.
        unseen: why the pixels of the photos could not be compared; None: they could.
    """

    plan: Plan
    records: list[Record]
    index: IndexInfo
    vocabulary_bytes: int
    added: int
    adding_s: float
    failed: list[str]
    unseen: str | None


def evaluate(
    photos: Photos,
    workspace: Path,
    options: EvaluationOptions | None = None,
    *,
    features: str | FeatureOptions | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    jobs: int = -1,
    progress: StageProgress | None = None,
) -> Evaluation:
    """Index one half of the photos, query edited copies of both halves, and record the answers.

    Args:
        photos: to evaluate with.
        workspace: folder for the indexes and the decorated copies; what an earlier run left there is used again.
        options: what is tried.
        features: a detector by name, or options to extract with.
        vocabulary: file of the vocabulary; None: the shipped one.
        jobs: processes; -1: one for each core, -2: one fewer, and so on. Only times depend on it.
        progress: called with the stage, what is done of it, and its total.

    Raises:
        UsageError: there are fewer than ``FEWEST_PHOTOS`` photos.
        StoreError: the workspace holds an index that was made otherwise.
    """
    options = options or EvaluationOptions()
    progress = progress or ignore
    workspace = Path(os.path.abspath(workspace))
    plan = plan_for(list(dict.fromkeys(image_files(photos.paths))), options)
    apart = {*plan.held_out, *plan.decorated}
    wanted = [name for name in dict.fromkeys([*plan.indexed, *image_files(photos.distractors)]) if name not in apart]
    index = Index.open(workspace / _index_name("random"), create=True, features=features, vocabulary=vocabulary)
    began = time.perf_counter()
    report = _hold(index, wanted, jobs, progress)
    adding_s = time.perf_counter() - began
    for suite, write in _OWN_PICTURES.items():
        if suite in options.suites:
            _make_index_with(write(plan, workspace), suite, workspace, wanted, jobs, progress)
    trials = [
        Trial(suite, number, positive)
        for suite in dict.fromkeys(options.suites)
        for positive in (True, False)
        for number in range(options.count)
    ]
    twins = frozenset(photos.twins)
    records = []
    for record in _in_parallel(trials, plan, workspace, twins, jobs):
        records.append(record)
        progress("querying", len(records), len(trials))
    vocabulary_bytes = (workspace / _index_name("random") / VOCABULARY).stat().st_size
    failed = [failure.name for failure in report.failed]
    return Evaluation(
        plan, records, index.info(), vocabulary_bytes, len(report.added), adding_s, failed, index.trust_problem
    )


def _hold(index: Index, names: Sequence[str], jobs: int, progress: StageProgress) -> AddReport:
    """Make an index hold these files and no others."""
    name_of = index.places.naming(names).name_of
    index.remove({record.name for record in index.images()}.difference(map(name_of, names)))
    return index.add(names, jobs=jobs, progress=of_stage(progress, "indexing"))


# Suites that add pictures of their own to the index. They have one of their own, as other suites must not find these.
_OWN_PICTURES: dict[str, Callable[[Plan, Path], list[str]]] = {
    "hard": write_decorated,
    "plain": write_plain,
    "templates": write_templates,
}


def _make_index_with(
    pictures: Sequence[str], suite: str, workspace: Path, names: Sequence[str], jobs: int, progress: StageProgress
) -> None:
    """Make a copy of the index that holds the pictures of a suite as well."""
    folder = workspace / _index_name(suite)
    if not folder.exists():
        shutil.copytree(workspace / _index_name("random"), folder)
    _hold(Index.open(folder), [*names, *pictures], jobs, progress)


def _index_name(suite: str) -> str:
    return f"index-{suite}" if suite in _OWN_PICTURES else "index"


def _in_parallel(
    trials: Sequence[Trial], plan: Plan, workspace: Path, twins: frozenset[tuple[str, str]], jobs: int
) -> Iterator[Record]:
    """Run the trials; yield their records in the order of the trials."""
    processes = processes_for(jobs, len(trials))
    if processes == 1:
        yield from (run(trial, plan, workspace, twins) for trial in trials)
        return
    tasks = [(trial, plan, workspace, twins) for trial in trials]
    with contextlib.closing(in_order(run, tasks, jobs=processes, seconds=_TRIAL_SECONDS)) as records:
        for record in records:
            if isinstance(record, Lost):
                raise FeatmatchError(f"a process that made and queried a picture was lost: {record.reason}")
            yield record


def run(trial: Trial, plan: Plan, workspace: Path, twins: frozenset[tuple[str, str]] = frozenset()) -> Record:
    """Make the picture of a trial, query it, and record the answers."""
    made = make(trial, plan)
    index = index_of(trial.suite, workspace)
    index.refresh()
    found = index.query(made.picture, unproven=True, limit=plan.options.limit, forms=plan.options.forms)
    name_of = index.places.naming([]).name_of  # the index may have been made from another working directory
    given = {name_of(photo): photo for photo in (made.photo, *made.sources, *made.others, *made.kin)}
    listed = [*found, *(match for match in found.related if match not in found)]
    names = [_without_workspace(given.get(match.name, match.name), workspace) for match in listed]
    answers = tuple(_answer(match, name, made, twins) for match, name in zip(listed, names, strict=True))
    height, width = made.picture.shape[:2]
    return Record(
        trial.suite, trial.number, trial.positive, made.photo, made.sources, made.steps, made.recipe,
        width, height, found.status, answers, found.times,
    )  # fmt: skip


def _answer(match: Match, name: str, made: Made, twins: frozenset[tuple[str, str]]) -> Answer:
    shown = {*made.sources, *made.others, made.photo}
    right: bool | None = name in made.sources
    if not right and name in made.kin:
        right = None
    if not right and any(_ends(name, a) and any(_ends(one, b) for one in shown) for a, b in _both_ways(twins)):
        right = None
    return Answer(
        name, match.probability, match.score, match.proven, right, evidence_of(match), match.relation.kind,
        match.related, "copy" if right else "same template" if name in made.sisters else None,
    )  # fmt: skip


def evidence_of(match: Match) -> dict[str, float | None]:
    """The numbers of a match that a probability can be fitted to, by name."""
    numbers = match.proof.evidence.to_dict()
    likeness = numbers.pop("whole") or (None, None, None)
    return {
        **numbers,
        "inliers": match.inliers,
        "query_overlap": match.query_overlap,
        "reference_overlap": match.reference_overlap,
        "scale": match.relation.scale,
        "rotation_deg": match.relation.rotation_deg,
        "mirrored": match.relation.mirrored,
        "negative": match.relation.negative,
        **dict(zip(Likeness._fields, likeness, strict=True)),
    }


def _both_ways(twins: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for a, b in twins:
        yield a, b
        yield b, a


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith("/" + end)


def _without_workspace(name: str, workspace: Path) -> str:
    """The name of an image relative to the workspace, which may be another folder each time."""
    return name.removeprefix(str(workspace) + os.sep)


@lru_cache(maxsize=2)
def index_of(suite: str, workspace: Path) -> Index:
    """The index of a suite. A first query, which is not measured, loads what is loaded at first use."""
    if at_work():
        cv2.setNumThreads(1)  # the processes share the cores already
    index = Index.open(workspace / _index_name(suite))
    first = index.path_of(next(index.images()).name)
    if first is not None:
        with contextlib.suppress(ImageError):  # it was there when it was indexed
            index.query(first)
    return index
