"""Fit the probability of an answer to its score, for one detector, and write it to data/probability.json.

    featmatch evaluate PHOTOS --distractors OTHERS --features sift --suite random --suite single --json sift.json
    python tools/calibrate.py sift sift.json

Answers that are known twins of what the query shows count neither way (``featmatch evaluate --twins``).

A logistic function is fitted to right and wrong answers, each kind with half of the weight, with a weak prior (a normal
distribution of the slope, 1.5 +- 0.5) since the two may not overlap at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

TARGET = Path(__file__).parent.parent / "data" / "probability.json"


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("detector")
    parser.add_argument("reports", nargs="+", type=Path, help="what featmatch evaluate --json wrote")
    arguments = parser.parse_args()
    answers = [answer for report in arguments.reports for answer in answers_in(report, arguments.detector)]
    scores = np.array([answer["score"] for answer in answers])
    right = np.array([answer["right"] for answer in answers])
    fit = fitted(scores, right)
    print(f"{right.sum()} right answers, the lowest {scores[right].min():.1f}; ", end="")
    print(f"{(~right).sum()} wrong ones, the highest {np.sort(scores[~right])[-3:].round(1)}; {fit}")
    fits = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    TARGET.write_text(json.dumps(dict(sorted({**fits, arguments.detector: fit}.items())), indent=1) + "\n")


def answers_in(report: Path, detector: str) -> list[dict[str, Any]]:
    """All answers of a report that are right or wrong."""
    found = json.loads(report.read_text())
    if found["index"]["detector"] != detector:
        raise SystemExit(f"{report} is of {found['index']['detector']}, not of {detector}")
    answers = [answer for record in found["records"] for answer in record["answers"]]
    return [answer for answer in answers if answer["right"] is not None]


def fitted(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, float]:
    """Midpoint and slope."""
    weights = np.where(right, 0.5 / max(right.sum(), 1), 0.5 / max((~right).sum(), 1)) * len(scores)
    signs = np.where(right, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> float:
        midpoint, slope = parameters
        misfit = weights @ np.logaddexp(0, -signs * slope * (scores - midpoint))
        return float(misfit + ((slope - 1.5) / 0.5) ** 2 / 2)

    midpoint, slope = minimize(loss, x0=np.array([12.0, 1.5]), method="Nelder-Mead").x
    return {"midpoint": round(float(midpoint), 2), "slope": round(float(slope), 3)}


if __name__ == "__main__":
    main()
