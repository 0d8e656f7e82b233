"""Measure queries and groups on pictures that others made: photos of covers, forms, labels, a peer's collections.

    python -m tools.bench_real FOLDER [--cases FOLDER] [--set NAME]... [--half fit|measured] [--verify]
                               [--forms few|all|none] [--distractors PATH]... [--workspace DIR] [--json FILE]

FOLDER has one or both of these tables, tab-separated, with a head; files are named from FOLDER:

    queries.tsv  set, query, right, look_alike    of each set all right files and look-alikes (several: | between) are
                                                  indexed; whatever is claimed and not right is a false claim
    groups.tsv   set, file, group                 files of one group are copies of one another, others are not

In a folder of --cases each folder is a set of files `<thing>__<variant>`: those of one thing are copies. Each is looked
up in an index of its set, and passed over in the answers.

Half of all things (by the SHA-256 of the name of the right file, or of the thing) may be used to fit a probability,
the other half is only measured. A table shows both. With --verify each query is compared by `verify` in both directions
with the right file and with the best wrong answer: all three should claim the same.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import featmatch
from featmatch import Index
from featmatch.evaluation.metrics import average_precision, calibration_error, reliability
from featmatch.evaluation.report import without_nan
from featmatch.evaluation.running import evidence_of
from featmatch.features.forms import FORMS, Forms

HALVES = ("fit", "measured")
ANSWERS = 20  # recorded of each query
CALIBRATED = 2  # best answers of each query that the calibration error is of, as in ``tools.calibrate``


@dataclass(frozen=True)
class Question:
    """A file to look up.

    Attributes:
        query: the file.
        right: files that it is a copy of; none for a query that is not there.
        half: one of ``HALVES``.
    """

    query: str
    right: tuple[str, ...]
    half: str


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        name: of the file.
        right: whether the query is a copy of it.
        claimed: whether it is given as an answer, and not only with ``--all``.
        probability: of the match.
        score: of the match.
        evidence: its numbers by name, for fits.
    """

    name: str
    right: bool
    claimed: bool
    probability: float
    score: float
    evidence: dict[str, float | None]


@dataclass(frozen=True)
class Record:
    """A question, its answers, best first, and what ``verify`` says of some of them.

    Attributes:
        question: what was looked up.
        answers: without the query itself.
        verified: name -> whether it is claimed by ``query``, by ``verify`` query first, and reference first.
    """

    question: Question
    answers: tuple[Answer, ...]
    verified: dict[str, tuple[bool, bool, bool]]


Figures = dict[str, Any]
Pairs = set[tuple[str, str]]


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=Path, help="folder of folders of files <thing>__<variant>")
    parser.add_argument("--set", dest="sets", action="append", help="only this set; repeatable")
    parser.add_argument("--half", choices=HALVES, help="only questions of this half")
    parser.add_argument("--verify", action="store_true", help="compare with what verify says, in both directions")
    parser.add_argument("--forms", choices=FORMS, default="few", help="other forms of a query that are tried")
    parser.add_argument("--distractors", action="append", default=[], help="index these as well; repeatable")
    parser.add_argument("--workspace", type=Path, help="kept, with the indexes; another for other features")
    parser.add_argument("--json", type=Path, help="write figures and records to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="featmatch-") as temporary:
        workspace = Path(os.path.abspath(arguments.workspace or temporary))
        report = measured(arguments, workspace)
    if arguments.json:
        arguments.json.write_text(json.dumps(without_nan(report), indent=1))
    print(table(report))


def measured(arguments: argparse.Namespace, workspace: Path) -> Figures:
    """The figures of all sets, with the records that they are of."""
    report: Figures = {"queries": {}, "groups": {}}

    def wanted(name: str) -> bool:
        return not arguments.sets or name in arguments.sets

    asked = dict(questions_in(arguments.folder))
    asked |= dict(cases_in(arguments.cases)) if arguments.cases else {}
    for name, (questions, files) in asked.items():
        if wanted(name):
            index = index_of(workspace / name, [*files, *arguments.distractors])
            chosen = [one for one in questions if arguments.half in (None, one.half)]
            records = [ask(index, one, verify=arguments.verify, forms=arguments.forms) for one in chosen]
            halves = {half: [one for one in records if one.question.half == half] for half in HALVES}
            report["queries"][name] = {
                **figures(records),
                "halves": {half: figures(some) for half, some in halves.items() if some},
                "records": [asdict(one) for one in records],
            }
    for name, shows in groups_in(arguments.folder).items():
        if wanted(name):
            index = index_of(workspace / name, [*shows, *arguments.distractors])
            report["groups"][name] = group_figures(index, shows)
    return report


def questions_in(folder: Path) -> Iterator[tuple[str, tuple[list[Question], list[str]]]]:
    """Each set of ``queries.tsv``: its questions, and the files to index."""
    sets: dict[str, tuple[list[Question], list[str]]] = defaultdict(lambda: ([], []))
    for row in _rows(folder / "queries.tsv"):
        questions, files = sets[row["set"]]
        questions.append(Question(str(folder / row["query"]), (str(folder / row["right"]),), half_of(row["right"])))
        files += [str(folder / name) for name in [row["right"], *row["look_alike"].split("|")] if name]
    yield from sets.items()


def cases_in(folder: Path) -> Iterator[tuple[str, tuple[list[Question], list[str]]]]:
    """Each folder of files ``<thing>__<variant>``, as "FOLDER/PART": its questions, and the files to index."""
    for part in sorted(one for one in folder.iterdir() if one.is_dir()):
        files = sorted(str(file) for file in part.iterdir() if "__" in file.name)
        things = {file: Path(file).name.split("__")[0] for file in files}
        yield (
            f"{folder.name}/{part.name}",
            (
                [
                    Question(file, tuple(one for one in files if one != file and things[one] == thing), half_of(thing))
                    for file, thing in things.items()
                ],
                files,
            ),
        )


def groups_in(folder: Path) -> dict[str, dict[str, str]]:
    """Each set of ``groups.tsv``: the group of each file."""
    sets: dict[str, dict[str, str]] = defaultdict(dict)
    for row in _rows(folder / "groups.tsv"):
        sets[row["set"]][str(folder / row["file"])] = row["group"]
    return sets


def _rows(file: Path) -> Iterable[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))


def half_of(thing: str) -> str:
    """Whether a thing may be used to fit, or is only measured.

    >>> half_of("dvd/reference/001.jpg"), half_of("dvd/reference/004.jpg")
    ('measured', 'fit')
    """
    return HALVES[hashlib.sha256(thing.encode()).digest()[0] % 2]


def index_of(folder: Path, files: Sequence[str]) -> Index:
    """An index of these files; one that is there is brought up to date."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    index = Index.open(folder, create=True)
    index.add(list(dict.fromkeys(files)), jobs=1)
    return index


def ask(index: Index, question: Question, *, verify: bool, forms: Forms) -> Record:
    """Look a file up."""
    found = index.query(question.query, unproven=True, limit=ANSWERS + 1, forms=forms)
    answers = []
    for match in found:
        name = index.path_of(match.name) or match.name
        if name != question.query:
            right = name in question.right
            answers.append(
                Answer(name, right, match.proven, match.probability, match.score, evidence_of(match))
            )  # fmt: skip
    verified = {}
    if verify:
        best_wrong = [one.name for one in answers if not one.right][:1]
        claimed = {one.name for one in answers if one.claimed}
        for name in [*question.right, *best_wrong]:
            there, back = featmatch.verify(question.query, name), featmatch.verify(name, question.query)
            verified[name] = (name in claimed, bool(there), bool(back))
    return Record(question, tuple(answers[:ANSWERS]), verified)


def figures(records: Sequence[Record]) -> Figures:
    """What was found and claimed, and how far probabilities and ``verify`` can be believed."""
    there = [one for one in records if one.question.right]
    wrong = [[one for one in record.answers if one.claimed and not one.right] for record in records]
    every = [answer for record in records for answer in record.answers]
    best = [answer for record in records for answer in record.answers[:CALIBRATED]]
    bins = reliability(np.array([one.probability for one in best]), np.array([one.right for one in best], bool))
    pairs = [said for record in records for said in record.verified.values()]
    return {
        "queries": len(records),
        "there": len(there),
        "first": _share(any(one.right for one in record.answers[:1]) for record in there),
        "claimed": _share(any(one.right and one.claimed for one in record.answers) for record in there),
        "false_claims": sum(map(len, wrong)),
        "queries_with_false_claims": sum(map(bool, wrong)),
        "average_precision": average_precision(
            np.array([one.score for one in every]),
            np.array([one.right for one in every], bool),
            sum(len(one.question.right) for one in there),
        ),
        "calibration_error": calibration_error(bins),
        "verify_agrees": _share(len(set(said)) == 1 for said in pairs),
        "compared_by_verify": len(pairs),
    }


def _share(said: Iterable[bool]) -> float:
    every = list(said)
    return sum(every) / len(every) if every else float("nan")


def group_figures(index: Index, shows: dict[str, str]) -> Figures:
    """How many pairs ``groups`` finds, and how many of those that ``query`` proves; files are pairs of names."""
    groups = index.groups(jobs=1)
    paths = [
        [index.path_of(name) or name for member in group.members for name in member.names] for group in groups
    ]  # fmt: skip
    grouped = _pairs(shows, paths)
    proven: Pairs = set()
    for file in shows:
        found = [index.path_of(match.name) or match.name for match in index.query(file, limit=len(shows))]
        proven |= _pairs(shows, ([file, other] for other in found if other != file))
    same = {(a, b) for a, b in combinations(sorted(shows), 2) if shows[a] == shows[b]}
    return {
        "files": len(shows),
        "pairs": len(same),
        "found": len(grouped & same),
        "wrong": sorted(grouped - same),
        "precision": len(grouped & same) / max(len(grouped), 1),
        "recall": len(grouped & same) / max(len(same), 1),
        "proven_by_query": len(proven & same) / max(len(same), 1),
        "wrong_by_query": sorted(proven - same),
        "recall_of_proven": len(grouped & same & proven) / max(len(proven & same), 1),
        "missing": sorted(same - grouped),
    }


def _pairs(shows: dict[str, str], groups: Iterable[Sequence[str]]) -> Pairs:
    """All pairs of files of each group, among those of which the truth is known."""
    return {pair for group in groups for pair in combinations(sorted(set(group) & shows.keys()), 2)}


def table(report: Figures) -> str:
    """The figures as Markdown tables."""
    head = ["set", "half", "queries", "there", "first", "claimed", "false claims", "in queries", "µAP", "calibration"]
    lines = [_row([*head, "verify agrees"]), _row(["---", "---", *["---:"] * 9])]
    for name, found in report["queries"].items():
        for half, one in {"both": found, **found["halves"]}.items():
            agrees = f"{_percent(one['verify_agrees'])} of {one['compared_by_verify']}"
            numbers = [
                one["queries"], one["there"], _percent(one["first"]), _percent(one["claimed"]), one["false_claims"],
                one["queries_with_false_claims"], f"{one['average_precision']:.4f}", f"{one['calibration_error']:.3f}",
                agrees if one["compared_by_verify"] else "",
            ]  # fmt: skip
            lines.append(_row([name, half, *map(str, numbers)]))
    if report["groups"]:
        head = ["set", "files", "pairs", "precision", "recall", "proven by query", "of these grouped"]
        lines += ["", _row(head), _row(["---", *["---:"] * 6])]
    for name, found in report["groups"].items():
        shares = [_percent(found[key]) for key in ("precision", "recall", "proven_by_query", "recall_of_proven")]
        lines.append(_row([name, str(found["files"]), str(found["pairs"]), *shares]))
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
