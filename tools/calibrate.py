"""Fit the probability of an answer to its evidence, for one detector, and write it to data/probability.json.

    featmatch evaluate PHOTOS... --features sift --suite random --suite hard --json sift.json
    python tools/calibrate.py sift sift.json --check other.json

Every recorded answer is a row: its evidence, and whether it was right. The model is ``featmatch.proof.probability``'s:
three logistic functions whose product is fitted by maximum likelihood, once with the agreement of pixels, once without.
What is measured with ``--check`` are queries made of other photos than those of the fit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_expit

from featmatch.evaluation.metrics import calibration_error, reliability
from featmatch.proof.probability import SISTER, FeatureEvidence, FeatureWeights, probability_of
from featmatch.proof.proof import PROVEN

TARGET = Path(__file__).parent.parent / "data" / "probability.json"
_PRIOR = 0.02  # of a normal distribution about 0 on every number: keeps what the data do not settle finite
ANSWERS = 2  # of each query: those below say little, and are many


def main() -> None:
    """Fit and write, and say how well it fits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("detector")
    parser.add_argument("reports", nargs="*", type=Path, help="JSON files of featmatch evaluate; none: only check")
    parser.add_argument(
        "--check", type=Path, action="append", default=[],
        help="a report to measure on: with other reports, queries of photos that those do not have",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.reports:
        evidence, right = answers_in(arguments.reports, arguments.detector)
        fits = json.loads(TARGET.read_text()) if TARGET.exists() else {}
        fits[arguments.detector] = {
            f"{'with' if pixels else 'without'} pixels": fitted(evidence, right, with_pixels=pixels)._asdict()
            for pixels in (True, False)
        }
        print(json.dumps(fits[arguments.detector], indent=1))
        TARGET.write_text(json.dumps(dict(sorted(fits.items())), indent=1) + "\n")
    seen = photos_in(arguments.reports)
    for report in [*arguments.reports, *arguments.check]:
        evidence, right = answers_in([report], arguments.detector, seen if report in arguments.check else frozenset())
        found = np.array([probability_of(one.score()) for one in evidence])
        claimed = found >= PROVEN
        print(
            f"{report}: {len(found)} answers, {right.sum()} right; claimed {claimed.sum()}, of which "
            f"{(claimed & ~right).sum()} wrong; calibration error {calibration_error(reliability(found, right)):.4f}"
        )


def photos_in(reports: Iterable[Path]) -> frozenset[str]:
    """The photos that queries were made of, and those that they show beside."""
    records = (record for file in reports for record in json.loads(file.read_text())["records"])
    return frozenset(photo for record in records for photo in (record["photo"], *record["sources"]))


def answers_in(
    reports: Iterable[Path], detector: str, without: Collection[str] = ()
) -> tuple[list[FeatureEvidence], NDArray[np.bool_]]:
    """The evidence of all answers that are surely right or wrong, and whether they are right.

    Queries made of the photos ``without`` are left out.
    """
    rows: list[dict[str, Any]] = []
    for file in reports:
        report = json.loads(file.read_text())
        if report["index"]["detector"] != detector:
            raise SystemExit(f"{file} is of {report['index']['detector']}, not of {detector}")
        records = [record for record in report["records"] if record["photo"] not in without]
        answers = (answer for record in records for answer in record["answers"][:ANSWERS])
        rows += [
            answer
            for answer in answers
            if answer["right"] is not None and answer["evidence"].get("layout") is None  # else a whole picture
        ]
    names = FeatureEvidence.__dataclass_fields__
    # A report of an earlier release has not all of it.
    numbers = ({name: row["evidence"][name] for name in names if name in row["evidence"]} for row in rows)
    evidence = [FeatureEvidence(**one, detector=detector) for one in numbers]
    return evidence, np.array([row["right"] for row in rows], bool)


def fitted(evidence: list[FeatureEvidence], right: NDArray[np.bool_], *, with_pixels: bool) -> FeatureWeights:
    """The numbers under which these answers are the most likely."""
    seen = [one for one in evidence if not with_pixels or one.agreement is not None]
    right = right[[not with_pixels or one.agreement is not None for one in evidence]]
    ones = np.ones(len(seen))
    counted = np.array([one.counted if with_pixels else one.distinct for one in seen])
    agreement = np.array([one.clear_agreement for one in seen]) * with_pixels
    covering = np.array([one.covering for one in seen]) * with_pixels
    chance = np.stack([counted, agreement, ones, covering], axis=1)
    part = np.stack([np.array([one.evenness for one in seen]), agreement**2, ones, covering], axis=1)
    looked_at = np.array([with_pixels and one.contradiction is not None for one in seen])
    sisters = np.array([one.is_sister for one in seen])
    content = np.stack([[-(one.contradiction or 0.0) for one in seen], [-one.enclosed for one in seen], ones], axis=1)

    def loss(numbers: NDArray[np.float64]) -> float:
        log_right = log_expit(chance @ numbers[[0, 1, 2, 6]]) + log_expit(part @ numbers[[3, 4, 5, 7]])
        own = np.where(sisters, SISTER, content @ numbers[8:])
        log_right = log_right + np.where(looked_at, log_expit(own), 0)
        log_wrong = np.log(np.maximum(-np.expm1(log_right), 1e-15))
        return float(-np.where(right, log_right, log_wrong).sum() + _PRIOR * (numbers**2).sum())

    start = np.array([0.4, 5.0, -6.0, 5.0, 1.0, -4.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    # More evidence never makes a match less likely.
    growth, odds = (0, None), (None, None)
    bounds = [growth, growth, odds, growth, growth, odds, *[growth] * 4, odds]
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return FeatureWeights(*(round(float(number), 3) for number in best))


if __name__ == "__main__":
    main()
