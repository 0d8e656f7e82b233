"""Records of an evaluation -> its figures, as a plain object (for JSON) and as a table to read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featmatch.evaluation.compositions import EDITS, Step
from featmatch.evaluation.metrics import average_precision, calibration_error, recall_at_zero_false, reliability
from featmatch.evaluation.running import Answer, Evaluation, Record

STAGES = ("features", "words", "votes", "verification", "pixels")
Figures = dict[str, Any]


def report_of(evaluation: Evaluation) -> Figures:
    """All figures of an evaluation, and the records that they (but for the index) are computed from."""
    options, index, records = evaluation.plan.options, evaluation.index, evaluation.records
    suites = {suite: [record for record in records if record.suite == suite] for suite in dict.fromkeys(options.suites)}
    return {
        "options": dataclasses.asdict(options),
        "index": {
            **dataclasses.asdict(index),
            "vocabulary_bytes": evaluation.vocabulary_bytes,
            "bytes_an_image": round((index.bytes - evaluation.vocabulary_bytes) / max(index.images, 1)),
            "added": evaluation.added,
            "failed": len(evaluation.failed),
            "images_per_second": evaluation.added / evaluation.adding_s if evaluation.added else None,
        },
        "suites": {suite: suite_figures(suite, of_suite) for suite, of_suite in suites.items()},
        "all": _claims(records),
        "times": stage_times(records),
        "records": [dataclasses.asdict(record) for record in records],
    }


def suite_figures(suite: str, records: Sequence[Record]) -> Figures:
    """The figures of one suite, as a whole and by edit."""
    wrong = _scores(records, right=False)
    best = [answer for record in records if (answer := _best(record)) is not None]
    bins = reliability(
        np.array([answer.probability for answer in best]), np.array([bool(answer.right) for answer in best], np.bool_)
    )
    return {
        **_found(records, wrong),
        **_claims(records),
        "average_precision": _average_precision(records),
        "calibration_error": calibration_error(bins),
        "reliability": [one._asdict() for one in bins],  # of the best answer to each query
        "relations": _relations(records),
        "rows": [
            {"edit": label, **_found(rows, wrong), **_claims(rows)} for label, rows in _rows(suite, records) if rows
        ],
    }


def stage_times(records: Iterable[Record]) -> Figures:
    """Milliseconds of each stage, and of the search (all stages but features): median and 95 % quantile.

    "forms" is of the queries alone of which other forms were tried.
    """
    complete = [record.times for record in records if set(record.times) >= set(STAGES)]
    if not complete:
        return {}
    columns = {stage: [times[stage] for times in complete] for stage in STAGES}
    forms = [times["forms"] for times in complete if "forms" in times]
    columns |= {"forms": forms} if forms else {}
    columns["search"] = [sum(times.values()) - times["features"] for times in complete]
    return {
        stage: {"median_ms": float(np.median(column)), "p95_ms": float(np.percentile(column, 95))}
        for stage, column in columns.items()
    }


def worst_misses(records: Iterable[Record], suite: str, count: int = 20) -> list[Record]:
    """Positives of a suite whose right answer does not score above all wrong answers of the suite, worst first.

    Those without a right answer come first, the largest queries first among these: they had the most to be found by.
    """
    of_suite = [record for record in records if record.suite == suite]
    floor = _scores(of_suite, right=False).max(initial=-math.inf)
    scored = [(_scores([record], right=True).max(initial=-math.inf), record) for record in of_suite if record.positive]
    missed = [(score, record) for score, record in scored if score <= floor or score == -math.inf]
    missed.sort(key=lambda one: (one[0], -one[1].width * one[1].height, one[1].recipe))
    return [record for _, record in missed[:count]]


def _found(records: Sequence[Record], wrong: NDArray[np.float64]) -> Figures:
    """Share of the shown photos that are found; ``wrong`` are the scores of all wrong answers of the suite."""
    positives = sum(len(record.sources) for record in records)
    first = sum(_found_first(record) for record in records)
    right = _scores(records, right=True)
    return {
        "positives": positives,
        "recall_at_1": first / positives if positives else math.nan,
        "recall_at_zero_false": recall_at_zero_false(right, wrong, positives),
    }


def _claims(records: Sequence[Record]) -> Figures:
    """How many answers are claimed at the default threshold, and how often claims are right."""
    positives = sum(len(record.sources) for record in records)
    proven = [answer for record in records for answer in record.answers if answer.proven]
    right = sum(answer.right is True for answer in proven)
    wrong = sum(answer.right is False for answer in proven)
    negatives = [record for record in records if not record.positive]
    false = [record for record in negatives if any(one.proven and one.right is False for one in record.answers)]
    return {
        "claim_precision": right / (right + wrong) if proven and right + wrong else math.nan,
        "claim_recall": right / positives if positives else math.nan,
        "negatives": len(negatives),
        "false_claims": len(false),  # negative queries with a claim
        "wrong_claims_of_positives": wrong - sum(one.proven and one.right is False for r in false for one in r.answers),
    }


def _relations(records: Iterable[Record]) -> Figures:
    """Of the answers of each true relation that are claimed or said to be related: how many, and how many named right.

    A copy is named right if it is claimed as one, whatever it covers; what shares a template, if it is said to.
    """
    listed = [one for record in records for one in record.answers if one.truth and (one.proven or one.related)]
    return {
        truth: {
            "listed": sum(one.truth == truth for one in listed),
            "claimed": sum(one.truth == truth and one.proven for one in listed),
            "named": sum(one.truth == truth == _said(one) for one in listed),
        }
        for truth in ("copy", "same template")
    }


def _said(answer: Answer) -> str:
    """What a listed answer says that it is: a copy, or the relation that is none."""
    return "copy" if answer.proven else answer.relation


def _average_precision(records: Sequence[Record]) -> float:
    counted = [answer for record in records for answer in record.answers if answer.right is not None]
    return average_precision(
        np.array([answer.score for answer in counted]),
        np.array([bool(answer.right) for answer in counted], np.bool_),
        sum(len(record.sources) for record in records),
    )


def _found_first(record: Record) -> int:
    """Number of photos that the query shows and that rank above any wrong answer."""
    count = 0
    for answer in record.answers:
        if answer.right is False:
            break
        count += answer.right is True
    return count


def _best(record: Record) -> Answer | None:
    return next((answer for answer in record.answers if answer.right is not None), None)


def _scores(records: Iterable[Record], *, right: bool) -> NDArray[np.float64]:
    return np.array([one.score for record in records for one in record.answers if one.right is right], np.float64)


def _rows(suite: str, records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """The rows of the table: a label and its records each."""
    if suite == "random":
        for name in EDITS:
            yield f"with {name}", [record for record in records if any(edit == name for edit, _ in record.steps)]
        for count in range(5):
            yield f"{count} edits", [record for record in records if len(record.steps) == count]
        return
    labels: dict[str, list[Record]] = {}
    for place in range(max((len(record.steps) for record in records), default=0)):
        for record in records:
            edit, strength = record.steps[place]
            label = str(Step(edit, strength)) if suite in ("single", "crops") else edit
            labels.setdefault(label, []).append(record)
    yield from labels.items()


def text_of(report: Figures) -> str:
    """The report as a table to read."""
    index = report["index"]
    rate = index["images_per_second"]
    lines = [
        f"{index['images']} images, {index['features']} features, {index['words']} words ({index['detector']}); "
        f"{index['bytes_an_image']} bytes an image without the vocabulary"
        + (f"; added {index['added']} at {rate:.1f} images/s" if rate else "")
        + (f"; {index['failed']} files failed" if index["failed"] else "")
    ]
    for suite, found in report["suites"].items():
        lines += ["", f"{suite}: {found['positives']} positives, {found['negatives']} negatives"]
        lines.append(
            f"  µAP {found['average_precision']:.4f}, recall at rank 1 {found['recall_at_1']:.4f}, "
            f"recall at zero false claims {found['recall_at_zero_false']:.4f}"
        )
        lines.append("  " + _claim_text(found) + f"; calibration error {found['calibration_error']:.4f}")
        lines += _relations_text(found["relations"])
        lines.append(f"  {'':<24}{'positives':>10}{'rank 1':>9}{'zero false':>12}{'claimed':>9}{'false claims':>18}")
        lines += [
            f"  {row['edit']:<24}{row['positives']:>10}{_share(row['recall_at_1']):>9}"
            f"{_share(row['recall_at_zero_false']):>12}{_share(row['claim_recall']):>9}"
            f"{row['false_claims']:>11} of {row['negatives']}"
            for row in found["rows"]
        ]
    lines += ["", f"all: {_claim_text(report['all'])}", "", f"  {'ms':<14}{'median':>9}{'95 %':>9}"]
    lines += [f"  {stage:<14}{of['median_ms']:>9.1f}{of['p95_ms']:>9.1f}" for stage, of in report["times"].items()]
    return "\n".join(lines)


def _claim_text(found: Figures) -> str:
    return (
        f"claims: precision {found['claim_precision']:.4f}, recall {found['claim_recall']:.4f}; "
        f"false claims {found['false_claims']} of {found['negatives']} negatives"
    )


def _relations_text(relations: Figures) -> list[str]:
    """How relations are named, where pictures share a template."""
    copies, sisters = relations["copy"], relations["same template"]
    if not sisters["listed"]:
        return []
    return [
        f"  named right: copies {copies['named']} of {copies['listed']}, same template {sisters['named']} of "
        f"{sisters['listed']}; {sisters['claimed']} of these claimed as copies"
    ]


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f} %"


def without_nan(value: Any) -> Any:
    """The same value with None in place of each NaN, which JSON does not have.

    >>> without_nan({"recall": [0.5, float("nan")]})
    {'recall': [0.5, None]}
    """
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
