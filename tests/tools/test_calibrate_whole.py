"""The fit of whole pictures to reports of the suite ``plain``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.evaluation.report import report_of
from featmatch.evaluation.running import Photos, evaluate
from featmatch.evaluation.trials import EvaluationOptions
from featmatch.proof.whole_evidence import Likeness, WholeEvidence
from tools import calibrate_whole

OPTIONS = EvaluationOptions(("plain",), count=10)


@pytest.fixture(scope="module")
def folder(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight small photos."""
    target = tmp_path_factory.mktemp("plain")
    for name, picture in photos.items():
        image = Image.fromarray(picture)
        image.thumbnail((240, 240))
        image.save(target / f"{name}.png")
    return target


@pytest.fixture(scope="module")
def report(folder: Path, vocabulary_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("report")
    done = evaluate(Photos([folder]), target / "work", OPTIONS, vocabulary=vocabulary_file, jobs=1)
    (target / "plain.json").write_text(json.dumps(report_of(done)))
    return target / "plain.json"


def test_the_report_holds_all_that_the_fit_needs(report: Path) -> None:
    records = json.loads(report.read_text())["records"]
    assert len(records) == 20
    told = [one for record in records for one in record["answers"] if one["evidence"]["layout"] is not None]
    told = [one for one in told if one["right"] is not None]
    evidence, right = calibrate_whole.whole_answers([report])
    assert right.tolist() == [one["right"] for one in told]
    assert right.any()
    assert [one.score() for one in evidence] == pytest.approx([one["score"] for one in told])
    claimed = [one for record in records for one in record["answers"] if one["proven"] and one["right"] is False]
    assert not claimed


def evidence_of(random: np.random.Generator, right: bool) -> WholeEvidence:
    share = random.uniform(0.6, 1) if right else random.uniform(0, 0.7)
    likeness = Likeness(100 * share, share, random.uniform(0.5, 1))
    return WholeEvidence(likeness, random.uniform(0.6, 1) if right else random.uniform(0, 0.7))


def test_the_fit_tells_right_from_wrong_and_never_minds_more_evidence() -> None:
    random = np.random.default_rng(1)
    right = np.arange(200) % 2 == 0
    evidence = [evidence_of(random, one) for one in right.tolist()]
    with_pixels = calibrate_whole.fitted(evidence, right, with_pixels=True)
    without = calibrate_whole.fitted(evidence, right, with_pixels=False)
    assert min(with_pixels[:-1]) >= 0
    assert with_pixels.agreement > 0 == without.agreement
    scores = np.array([np.dot(with_pixels, (*one.likeness, one.agreement or 0.0, 1.0)) for one in evidence])
    assert ((scores > 0) == right).mean() > 0.9
    assert (scores[~right] > 0).mean() < 0.02  # a wrong answer counts more


def test_a_wrong_answer_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    right = np.arange(200) % 2 == 0
    evidence = [evidence_of(random, one) for one in right.tolist()]
    cautious = calibrate_whole.fitted(evidence, right, with_pixels=True)
    monkeypatch.setattr(calibrate_whole, "CAUTION", 1.0)
    bold = calibrate_whole.fitted(evidence, right, with_pixels=True)
    terms = [(*one.likeness, one.agreement or 0.0, 1.0) for one in evidence]
    assert np.mean(np.dot(terms, cautious)) < np.mean(np.dot(terms, bold))


def test_the_table_counts_queries_by_what_proves_them() -> None:
    def answer(right: bool, layout: float | None, *, proven: bool = True) -> dict[str, Any]:
        return {"right": right, "proven": proven, "evidence": {"layout": layout}}

    def record(kind: str, positive: bool, *answers: dict[str, Any]) -> dict[str, Any]:
        return {"steps": [[kind, 1.0]], "positive": positive, "answers": list(answers)}

    records = [
        record("sky", True, answer(True, None), answer(True, None)),
        record("sky", True, answer(True, 9.0)),
        record("sky", True, answer(True, 9.0, proven=False)),
        record("sky", False, answer(False, 9.0)),
        record("icon", True),
        record("icon", False, answer(False, None)),
        record("icon", False, answer(False, None, proven=False)),
    ]
    assert calibrate_whole.table(records).splitlines()[2:] == [
        "| sky | 3 | 33.3 % | 66.7 % | 1 | 0 | 1 |",
        "| icon | 1 | 0.0 % | 0.0 % | 2 | 1 | 1 |",
        "| all | 4 | 25.0 % | 50.0 % | 3 | 1 | 2 |",
    ]


def test_the_tool_writes_its_fit_and_checks_it(
    report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibrate_whole, "TARGET", tmp_path / "whole.json")
    monkeypatch.setattr(sys, "argv", ["calibrate_whole", str(report), "--check", str(report)])
    calibrate_whole.main()
    written = json.loads((tmp_path / "whole.json").read_text())
    assert list(written) == ["with pixels", "without pixels"]
    assert set(written["with pixels"]) == {"layout", "share", "colours", "agreement", "odds"}
    printed = capsys.readouterr().out
    assert "| icon |" in printed
    assert printed.count("calibration error") == 2
