from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from featmatch.evaluation.report import report_of, suite_figures, worst_misses
from featmatch.evaluation.running import Answer, Photos, Record, evaluate
from featmatch.evaluation.trials import EvaluationOptions
from featmatch.pages import report
from featmatch.pages.report import page_of


def record(*answers: Answer, positive: bool = True) -> Record:
    sources, steps = ("x",) if positive else (), (("crop", 50.0),)
    return Record("crops", 0, positive, "x", sources, steps, "crop 50 %", 9, 9, "ok", answers, {})


def answer(score: float, right: bool | None, probability: float = 0.5) -> Answer:
    return Answer("x", probability, score, True, right, {})


def test_files_of_the_workspace_are_told_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report._file_of("plain/sky-0.png", Path("work")) == tmp_path / "work" / "plain/sky-0.png"
    assert report._file_of("decorated/a.png", Path("work")) == tmp_path / "work" / "decorated/a.png"
    assert report._file_of("plainer/a.png", Path("work")) == Path("plainer/a.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert str(report._embedded_file("a.png", tmp_path)).startswith("data:image/jpeg")
    assert report._embedded_file("moved.png", tmp_path) is None


def words(svg: str) -> set[str]:
    return {text.strip() for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}


def test_the_curve_of_crops_has_a_tick_for_each_size() -> None:
    rows: list[dict[str, Any]] = [
        {"edit": f"crop {share} %", "recall_at_1": 0.9, "recall_at_zero_false": 0.5, "claim_recall": 0.7}
        for share in (80, 5)
    ]
    svg = report._crop_plot(rows)
    assert svg.startswith("<svg")
    assert {"80", "5", "at rank 1", "at zero false claims", "claimed", "crop, % of the area"} <= words(svg)
    assert svg == report._crop_plot(rows)


def test_the_plots_of_a_suite_show_how_many_answers_there_are() -> None:
    records = [record(answer(9, True, 0.95)), record(answer(99, False, 0.35)), record(answer(3, False), positive=False)]
    svg = report._suite_plot("crops", records, suite_figures("crops", records))
    assert {
        "right",
        "wrong, photo indexed",
        "wrong, not indexed",
        "score (the last bin holds all above)",
    } <= words(svg)
    assert "60" in words(svg)  # the last bin
    assert svg != report._suite_plot("crops", records[:2], suite_figures("crops", records[:2]))
    assert report._suite_plot("hard", records, suite_figures("crops", records)) != svg  # of another suite no answers
    nothing = report._suite_plot("crops", [], suite_figures("crops", []))
    assert nothing.startswith("<svg")


def test_page_escapes_names_and_shows_misses(small_photos: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<b>&"
    odd.mkdir()
    for file in small_photos.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    options = EvaluationOptions(("crops",), count=5, forms="none")
    done = evaluate(Photos([odd]), tmp_path / "work", options, vocabulary=vocabulary_file, jobs=1)
    page = page_of(report_of(done), done, tmp_path / "work")
    missed = worst_misses(done.records, "crops")
    assert missed  # crops of 2 % of small photos
    assert page.count('alt="query"') == len(missed)
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&/" not in page
    assert page == page_of(report_of(done), done, tmp_path / "work")
