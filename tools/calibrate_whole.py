"""Fit the probability that two pictures are the same as a whole, and write it to data/whole.json.

    featmatch evaluate PHOTOS... --suite plain --count 1000 --json plain.json
    python -m tools.calibrate_whole plain.json --check other.json

Every recorded answer by the whole picture is a row: its evidence, and whether it was right. One logistic regression is
fitted with the agreement of pixels, and one without. What is measured with ``--check`` was not used for the fit; of it,
a table says what is claimed by features alone, and with whole pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_expit

from featmatch.evaluation.metrics import calibration_error, reliability
from featmatch.proof.probability import probability_of
from featmatch.proof.proof import PROVEN
from featmatch.proof.whole_evidence import Likeness, WholeEvidence, WholeWeights

TARGET = Path(__file__).parent.parent / "data" / "whole.json"
# A wrong answer counts as so many: a collection has more pictures that look alike than the few hundred of a report.
CAUTION = 10.0
_PRIOR = 0.01  # of a normal distribution about 0 on every number, each in units of its spread


def main() -> None:
    """Fit and write, and say how well it fits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("reports", nargs="*", type=Path, help="JSON files of featmatch evaluate; none: only check")
    parser.add_argument("--check", type=Path, action="append", default=[], help="a report to measure the fit on")
    arguments = parser.parse_args()
    if arguments.reports:
        evidence, right = whole_answers(arguments.reports)
        fits = {
            f"{'with' if pixels else 'without'} pixels": fitted(evidence, right, with_pixels=pixels)._asdict()
            for pixels in (True, False)
        }
        print(json.dumps(fits, indent=1))
        TARGET.write_text(json.dumps(fits, indent=1) + "\n")
    for report in [*arguments.reports, *arguments.check]:
        evidence, right = whole_answers([report])
        found = np.array([probability_of(one.score()) for one in evidence])
        claimed = found >= PROVEN
        print(
            f"{report}: {len(found)} answers, {right.sum()} right; claimed {claimed.sum()}, of which "
            f"{(claimed & ~right).sum()} wrong; calibration error {calibration_error(reliability(found, right)):.4f}"
        )
    for report in arguments.check:
        print(table(json.loads(report.read_text())["records"]))


def whole_answers(reports: Iterable[Path]) -> tuple[list[WholeEvidence], NDArray[np.bool_]]:
    """The evidence of all answers by the whole picture that are surely right or wrong, and whether they are right."""
    records = [record for file in reports for record in json.loads(file.read_text())["records"]]
    answers = [answer for record in records for answer in record["answers"]]
    rows = [one for one in answers if one["right"] is not None and one["evidence"]["layout"] is not None]
    evidence = [
        WholeEvidence(
            Likeness(*(row["evidence"][name] for name in Likeness._fields)),
            row["evidence"]["agreement"],
            row["evidence"].get("detail", 1.0),
        )
        for row in rows
    ]
    return evidence, np.array([row["right"] for row in rows], bool)


def fitted(evidence: list[WholeEvidence], right: NDArray[np.bool_], *, with_pixels: bool) -> WholeWeights:
    """The numbers under which these answers are the most likely."""
    used = [not with_pixels or one.agreement is not None for one in evidence]
    seen, right = [one for one, use in zip(evidence, used, strict=True) if use], right[used]
    columns = np.array([(*one.likeness, (one.agreement or 0.0) * with_pixels, 1.0) for one in seen])
    spread = np.where(columns.std(axis=0) > 0, columns.std(axis=0), 1.0)
    signs, weights = np.where(right, 1.0, -1.0), np.where(right, 1.0, CAUTION)

    def loss(numbers: NDArray[np.float64]) -> float:
        return float(-(weights * log_expit(signs * (columns / spread @ numbers))).sum() + _PRIOR * (numbers**2).sum())

    # More evidence never makes a match less likely.
    bounds = [(0.0, None)] * 4 + [(None, None)]
    best = minimize(loss, np.array([1.0, 1.0, 1.0, 1.0, -4.0]), method="L-BFGS-B", bounds=bounds).x / spread
    return WholeWeights(*(round(float(number), 4) for number in best))


def table(records: list[dict[str, Any]]) -> str:
    """Of each kind of picture: claims by features alone, and with whole pictures; right ones, and false."""
    lines = [
        "| | positives | by features | with whole pictures | negatives | false: by features | with whole pictures |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in [*dict.fromkeys(record["steps"][0][0] for record in records), "all"]:
        rows = [record for record in records if kind in (record["steps"][0][0], "all")]
        positives, negatives = ([row for row in rows if row["positive"] is wanted] for wanted in (True, False))
        shares = [f"{100 * _claimed(positives, which, True) / len(positives):.1f} %" for which in (_by_features, bool)]
        false = [str(_claimed(negatives, which, False)) for which in (_by_features, bool)]
        cells = [kind, str(len(positives)), *shares, str(len(negatives)), *false]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _claimed(records: list[dict[str, Any]], which: Callable[[dict[str, Any]], bool], right: bool) -> int:
    """How many queries have such a claim that is right, or wrong."""
    return sum(
        any(one["proven"] and one["right"] is right and which(one) for one in record["answers"]) for record in records
    )


def _by_features(answer: dict[str, Any]) -> bool:
    return answer["evidence"]["layout"] is None


if __name__ == "__main__":
    main()
