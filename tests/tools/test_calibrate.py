from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from featmatch.proof.probability import FeatureEvidence, FeatureWeights, feature_weights, probability_of
from tools import calibrate
from tools.calibrate import Row, fitted, rows_of_real


def answer(right: bool | None, **numbers: object) -> dict[str, object]:
    evidence = asdict(FeatureEvidence(10, 10, 1, 0.5, "sift", 0.5)) | numbers
    del evidence["detector"]
    return {"right": right, "evidence": evidence}


def real(path: Path) -> Path:
    records = [
        {"question": {"half": "fit"}, "answers": [answer(True), answer(False, geometry=2.0), answer(False)]},
        {"question": {"half": "measured"}, "answers": [answer(True, evenness=0.9), answer(None)]},
        {"question": {"half": "fit"}, "answers": [answer(True, layout=0.5), answer(False, geometry=3.0)]},
    ]
    path.write_text(json.dumps({"queries": {"covers": {"records": records}}, "groups": {}}))
    return path


def test_of_foreign_pictures_one_half_is_taken(tmp_path: Path) -> None:
    rows = rows_of_real(real(tmp_path / "real.json"), "sift", "fit")
    assert [(row.of, row.right, row.evidence.geometry) for row in rows] == [
        ("covers", True, 10), ("covers", False, 2), ("covers", False, 3),
    ]  # fmt: skip
    (row,) = rows_of_real(tmp_path / "real.json", "sift", "measured")
    assert (row.right, row.evidence.evenness, row.evidence.detector) == (True, 0.9, "sift")


def drawn(of: str, count: int, shift: float) -> list[Row]:
    """Answers whose odds of being right grow with the geometry."""
    random = np.random.default_rng(count)
    geometry = random.uniform(0, 20, count)
    right = random.uniform(0, 1, count) < 1 / (1 + np.exp(shift - geometry))
    return [
        Row(of, FeatureEvidence(float(one), float(one), 1, 1, "sift", 0.0), bool(yes))
        for one, yes in zip(geometry, right, strict=True)
    ]


def probability(weights: FeatureWeights, geometry: float, monkeypatch: pytest.MonkeyPatch) -> float:
    sure = weights._replace(content=max(weights.content, 7.0))  # which is fitted with pixels only
    monkeypatch.setattr("featmatch.proof.probability.feature_weights", lambda *_, **__: sure)
    return probability_of(FeatureEvidence(geometry, geometry, 1, 1, "sift", 0.0).score())


@pytest.mark.parametrize("pixels", [True, False])
def test_the_fit_follows_the_answers(pixels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = fitted(drawn("random", 2000, 8), with_pixels=pixels)
    assert [probability(weights, geometry, monkeypatch) for geometry in (2.0, 8.0, 14.0)] == pytest.approx(
        [0.0, 0.5, 1.0], abs=0.1
    )


def test_a_set_with_few_answers_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    many, few = drawn("random", 300, 6), drawn("covers", 30, 12)
    between = [probability(fitted([*many, *few], with_pixels=True), 9, monkeypatch)]
    monkeypatch.setattr(calibrate, "_HEARD", 0)
    between.append(probability(fitted([*many, *few], with_pixels=True), 9, monkeypatch))
    assert 0.3 < between[0] < between[1] - 0.05


def test_a_fit_is_written_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "probability.json"
    monkeypatch.setattr(calibrate, "TARGET", target)
    monkeypatch.setattr("sys.argv", ["calibrate", "sift", "--real", str(real(tmp_path / "real.json"))])
    calibrate.main()
    assert set(json.loads(target.read_text())["sift"]) == {"with pixels", "without pixels"}
    told = capsys.readouterr().out
    assert "real.json, fit, covers: 3 answers, 1 right" in told
    assert "real.json, measured, covers: 1 answers, 1 right" in told
    feature_weights.cache_clear()
