"""Fit the probability of an answer to its evidence, for one detector, and write it to data/probability.json.

    featmatch evaluate PHOTOS... --features sift --suite random --suite hard --suite templates --json sift.json
    python -m tools.bench_real FOLDER --json real.json
    python -m tools.calibrate sift sift.json --real real.json --check other.json

Every recorded answer is a row: its evidence, and whether it was right. The model is ``featmatch.proof.probability``'s:
three logistic functions whose product is fitted by maximum likelihood, once with the agreement of pixels, once without.
Of pictures that others made only the half of the queries that ``tools.bench_real`` calls "fit" is taken. Answers of a
set or suite that has few of them weigh more, so that each is heard.
What is measured with ``--check`` are queries made of other photos than those of the fit.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_expit

from featmatch.evaluation.metrics import calibration_error, reliability
from featmatch.proof.probability import SISTER, FeatureEvidence, FeatureWeights, feature_weights, probability_of
from featmatch.proof.proof import PROVEN
from tools.bench_real import HALVES

TARGET = Path(__file__).parent.parent / "data" / "probability.json"
_PRIOR = 0.02  # of a normal distribution about 0 on every number: keeps what the data do not settle finite
ANSWERS = 2  # of each query: those below say little, and are many
_HEARD = 150.0  # answers for which a set or suite with fewer counts


def main() -> None:
    """Fit and write, and say how well it fits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("detector")
    parser.add_argument("reports", nargs="*", type=Path, help="JSON files of featmatch evaluate; none: only check")
    parser.add_argument(
        "--real", type=Path, action="append", default=[],
        help="JSON files of tools.bench_real: half of their queries are fitted to, the other half is measured",
    )  # fmt: skip
    parser.add_argument(
        "--check", type=Path, action="append", default=[],
        help="a report to measure on: with other reports, queries of photos that those do not have",
    )  # fmt: skip
    arguments = parser.parse_args()
    rows = [row for report in arguments.reports for row in rows_of(report, arguments.detector)]
    rows += [row for report in arguments.real for row in rows_of_real(report, arguments.detector, "fit")]
    if rows:
        fits = json.loads(TARGET.read_text()) if TARGET.exists() else {}
        fits[arguments.detector] = {
            f"{'with' if pixels else 'without'} pixels": fitted(rows, with_pixels=pixels)._asdict()
            for pixels in (True, False)
        }
        print(json.dumps(fits[arguments.detector], indent=1))
        TARGET.write_text(json.dumps(dict(sorted(fits.items())), indent=1) + "\n")
        feature_weights.cache_clear()
    seen = photos_in(arguments.reports)
    for report in arguments.reports:
        _print_fit(str(report), rows_of(report, arguments.detector))
    for report in arguments.check:
        _print_fit(str(report), rows_of(report, arguments.detector, seen))
    for report in arguments.real:
        for half in HALVES:
            _print_fit(f"{report}, {half}", rows_of_real(report, arguments.detector, half))


def _print_fit(title: str, rows: Sequence[Row]) -> None:
    """How well the fit fits, for each set or suite."""
    for name in sorted({row.of for row in rows}):
        mine = [row for row in rows if row.of == name]
        found, right = (np.array([of(row) for row in mine]) for of in (_probability, lambda row: row.right))
        claimed = found >= PROVEN
        error = calibration_error(reliability(found, right))
        print(
            f"{title}, {name}: {len(found)} answers, {right.sum()} right; claimed {(claimed & right).sum()} and "
            f"{(claimed & ~right).sum()} others; calibration error {error:.4f}"
        )


def _probability(row: Row) -> float:
    return probability_of(row.evidence.score())


def photos_in(reports: Iterable[Path]) -> frozenset[str]:
    """The photos that queries were made of, and those that they show beside."""
    records = (record for file in reports for record in json.loads(file.read_text())["records"])
    return frozenset(photo for record in records for photo in (record["photo"], *record["sources"]))


class Row(NamedTuple):
    """An answer.

    Attributes:
        of: the set or suite.
        evidence: of it.
        right: whether it was.
    """

    of: str
    evidence: FeatureEvidence
    right: bool


def rows_of(report: Path, detector: str, without: Collection[str] = ()) -> list[Row]:
    """All answers of a report of ``featmatch evaluate`` that are surely right or wrong.

    Queries made of the photos ``without`` are left out.
    """
    told = json.loads(report.read_text())
    if told["index"]["detector"] != detector:
        raise SystemExit(f"{report} is of {told['index']['detector']}, not of {detector}")
    records = [record for record in told["records"] if record["photo"] not in without]
    return _rows(((record["suite"], record["answers"]) for record in records), detector)


def rows_of_real(report: Path, detector: str, half: str) -> list[Row]:
    """The same of a report of ``tools.bench_real``, for one half of the queries."""
    sets = json.loads(report.read_text())["queries"]
    records = ((name, record) for name, told in sets.items() for record in told["records"])
    return _rows(((name, one["answers"]) for name, one in records if one["question"]["half"] == half), detector)


def _rows(queries: Iterable[tuple[str, list[dict[str, Any]]]], detector: str) -> list[Row]:
    names = FeatureEvidence.__dataclass_fields__
    found = []
    for of, answers in queries:
        for answer in answers[:ANSWERS]:
            evidence = answer["evidence"]
            if answer["right"] is None or evidence.get("layout") is not None:  # not sure, or a whole picture
                continue
            # A report of an earlier release has not all of it.
            numbers = {name: evidence[name] for name in names if name in evidence}
            found.append(Row(of, FeatureEvidence(**numbers, detector=detector), bool(answer["right"])))
    return found


def fitted(rows: Sequence[Row], *, with_pixels: bool) -> FeatureWeights:
    """The numbers under which these answers are the most likely."""
    rows = [row for row in rows if not with_pixels or row.evidence.agreement is not None]
    seen, right = [row.evidence for row in rows], np.array([row.right for row in rows])
    counts = Counter(row.of for row in rows)
    weights = np.array([max(1.0, _HEARD / counts[row.of]) for row in rows])
    ones = np.ones(len(seen))
    counted = np.array([one.counted if with_pixels else one.distinct for one in seen])
    agreement = np.array([one.clear_agreement for one in seen]) * with_pixels
    covering = np.array([one.covering for one in seen]) * with_pixels
    chance = np.stack([counted, agreement, ones, covering], axis=1)
    part = np.stack([np.array([one.evenness for one in seen]), agreement**2, ones, covering], axis=1)
    sisters = np.array([one.has_another_content for one in seen])
    content = np.stack([[-(one.contradiction or 0.0) for one in seen], [-one.enclosed for one in seen], ones], axis=1)

    def loss(numbers: NDArray[np.float64]) -> float:
        log_right = log_expit(chance @ numbers[[0, 1, 2, 6]]) + log_expit(part @ numbers[[3, 4, 5, 7]])
        own = np.where(sisters, SISTER, content @ numbers[8:])
        log_right = log_right + with_pixels * log_expit(own)
        log_wrong = np.log(np.maximum(-np.expm1(log_right), 1e-15))
        return float(-(weights * np.where(right, log_right, log_wrong)).sum() + _PRIOR * (numbers**2).sum())

    start = np.array([0.4, 5.0, -6.0, 5.0, 1.0, -4.0, 1.0, 1.0, 5.0, 5.0, 5.0])
    # More evidence never makes a match less likely.
    growth, odds = (0, None), (None, None)
    bounds = [growth, growth, odds, growth, growth, odds, *[growth] * 4, odds]
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return FeatureWeights(*(round(float(number), 3) for number in best))


if __name__ == "__main__":
    main()
