from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from featmatch import FeatureOptions, Vocabulary
from featmatch.cli import measuring
from featmatch.errors import FeatmatchError
from featmatch.evaluation.running import Photos
from featmatch.evaluation.trials import SUITES, EvaluationOptions
from tests.cli.conftest import Run


def test_train_writes_a_vocabulary_that_works(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "own.npz"
    ended = run("train", target, pictures["collection"], "--words", "64", "--jobs", "1")
    assert (ended.status, ended.out) == (0, "")
    assert len(Vocabulary.load(target)) == 64
    assert run("add", tmp_path / "own.fm", pictures["chelsea"], "--vocabulary", target).status == 0
    assert run("query", tmp_path / "own.fm", pictures["crop"]).status == 0


def test_train_on_too_little_is_an_error_and_writes_nothing(
    run: Run, pictures: dict[str, Path], tmp_path: Path
) -> None:
    for paths in ([pictures["blank"]], [pictures["missing"]], [pictures["coins"]]):
        ended = run("train", tmp_path / "own.npz", *paths, "--words", "65536", "--jobs", "1")
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")
    assert list(tmp_path.iterdir()) == []


def test_train_into_a_folder_that_is_not_there_is_an_error(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    ended = run("train", tmp_path / "no" / "own.npz", pictures["collection"], "--words", "64", "--jobs", "1")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("featmatch: ")


def test_suites_are_those_of_the_evaluation() -> None:
    assert measuring._SUITES == SUITES


@pytest.mark.parametrize("kept", [False, True])
def test_evaluate_passes_on_what_is_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    called: list[Any] = []
    asked: dict[str, Any] = {}

    def evaluate(photos: Photos, workspace: Path, options: EvaluationOptions, **more: Any) -> SimpleNamespace:
        assert workspace.is_dir() != kept  # that of the user is made by the evaluation
        more.pop("progress")("querying", 1, 2)
        called.extend((photos, workspace, options))
        asked.update(more)
        return SimpleNamespace(unseen="not all was seen")

    monkeypatch.setattr("featmatch.evaluation.running.evaluate", evaluate)
    monkeypatch.setattr("featmatch.evaluation.report.report_of", lambda done: {"found": float("nan")})
    monkeypatch.setattr("featmatch.evaluation.report.text_of", lambda found: "two\nlines")
    monkeypatch.setattr("featmatch.pages.report.page_of", lambda found, done, workspace: f"page of {workspace.name}")
    (tmp_path / "twins").write_text("a.jpg\tb.jpg\n")
    files = ("--json", tmp_path / "a.json", "--html", tmp_path / "a.html")
    own = ("--index", tmp_path / "index") if kept else ()
    ended = run(
        "evaluate", "photos", "more", "--suite", "crops", "--suite", "hard", "--count", "7", "--seed", "3",
        "--jobs", "2", "--speed", "fast", "--distractors", "others", "--twins", tmp_path / "twins",
        "--vocabulary", "v.npz", *own, *files,
    )  # fmt: skip
    assert ended == (0, "two\nlines\n", "featmatch: not all was seen\n")
    photos, workspace, options = called
    assert photos == Photos(("photos", "more"), ("others",), [("a.jpg", "b.jpg")])
    assert options == EvaluationOptions(("crops", "hard"), 7, 3)
    assert asked == {"features": FeatureOptions.of("sift", "fast"), "vocabulary": "v.npz", "jobs": 2}
    assert (workspace == tmp_path / "index") == kept
    assert not workspace.exists()  # a temporary one is gone
    assert (tmp_path / "a.json").read_text() == '{"found": null}\n'
    assert (tmp_path / "a.html").read_text() == f"page of {workspace.name}"


def test_evaluate_all_is_every_suite(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[EvaluationOptions] = []

    def evaluate(photos: Photos, workspace: Path, options: EvaluationOptions, **more: Any) -> SimpleNamespace:
        called.append(options)
        return SimpleNamespace(unseen=None)

    monkeypatch.setattr("featmatch.evaluation.running.evaluate", evaluate)
    monkeypatch.setattr("featmatch.evaluation.report.report_of", lambda done: {})
    monkeypatch.setattr("featmatch.evaluation.report.text_of", lambda found: "")
    assert run("evaluate", "photos", "--suite", "all", "--suite", "crops") == (0, "\n", "")
    assert run("evaluate", "photos") == (0, "\n", "")
    assert called == [EvaluationOptions(SUITES, 300, 1), EvaluationOptions(("random",), 300, 1)]


def test_an_index_in_a_temporary_folder_is_forgotten(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featmatch.system import trust

    forgotten: list[Path] = []
    monkeypatch.setattr(trust, "forget_below", forgotten.append)

    def evaluate(photos: Photos, workspace: Path, *options: Any, **more: Any) -> SimpleNamespace:
        raise FeatmatchError(f"in {workspace}")

    monkeypatch.setattr("featmatch.evaluation.running.evaluate", evaluate)
    said = run("evaluate", "photos").err
    assert [f"featmatch: in {folder}\n" for folder in forgotten] == [said]
    assert not forgotten[0].exists()


def test_plots_that_cannot_be_drawn_are_refused_at_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featmatch.cli.measuring.find_spec", lambda name: None)
    ended = run("evaluate", tmp_path, "--html", tmp_path / "report.html")
    assert (ended.status, "pip install 'featmatch[plots]'" in ended.err) == (2, True)
