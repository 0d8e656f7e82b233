from __future__ import annotations

from pathlib import Path

from featmatch.evaluation.report import report_of, worst_misses
from featmatch.evaluation.running import Photos, evaluate
from featmatch.evaluation.trials import EvaluationOptions
from featmatch.pages.report import page_of


def test_page_escapes_names_and_shows_misses(small_photos: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / "<b>&"
    odd.mkdir()
    for file in small_photos.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    options = EvaluationOptions(("crops",), count=14)
    done = evaluate(Photos([odd]), tmp_path / "work", options, vocabulary=vocabulary_file, jobs=1)
    page = page_of(report_of(done), done, tmp_path / "work")
    missed = worst_misses(done.records, "crops")
    assert missed  # crops of 2 % of small photos
    assert page.count('alt="query"') == len(missed)
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&/" not in page
    assert page == page_of(report_of(done), done, tmp_path / "work")
