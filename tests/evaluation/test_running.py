from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch.cli import main
from featmatch.evaluation import running, trials
from featmatch.evaluation.report import STAGES, report_of, suite_figures
from featmatch.evaluation.running import Answer, Photos, Record, evaluate
from featmatch.evaluation.trials import EvaluationOptions, Made, Trial, plan_for
from featmatch.index import Index
from tools.calibrate import ANSWERS, rows_of

SUITES = ("random", "hard", "templates")  # one without pictures of its own, and two with them
SMALL = EvaluationOptions(SUITES, count=1, designs=1, copies=1, sisters=2, forms="none")
PARTS = [("roof.png", "coffee.png"), ("suit.png", "astronaut.png")]  # of ``small_photos``


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setattr(sys, "argv", ["featmatch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_same_seed_same_answers_however_many_and_used_again(
    small_photos: Path, vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("form", "watermark")  # the others are as these, and take as long to draw
    monkeypatch.setattr(trials, "_TEMPLATES", kinds)
    workspace = tmp_path / "kept"
    few = evaluate(Photos([small_photos]), workspace, SMALL, vocabulary=vocabulary_file, jobs=1)
    assert few.added == len(few.plan.indexed) == few.index.images
    assert (few.added, few.failed) == (5, [])
    assert len(few.records) == 2 * len(SUITES)
    assert len(Index.open(workspace / "index-hard")) == 5 + 9
    assert len(Index.open(workspace / "index-templates")) == 5 + 2 * len(kinds)
    more = EvaluationOptions(("random",), count=2, forms="none")
    again = evaluate(Photos([small_photos]), workspace, more, vocabulary=vocabulary_file, jobs=1)
    assert again.added == 0

    def told(one: Record) -> Record:
        return Record(**{**vars(one), "times": {}})

    by_trial = {one.trial: told(one) for one in again.records}
    assert [by_trial[one.trial] for one in few.records if one.suite == "random"] == [
        told(one) for one in few.records if one.suite == "random"
    ]
    other_seed = EvaluationOptions(("random",), count=1, seed=5, forms="none")
    other = evaluate(Photos([small_photos]), workspace, other_seed, vocabulary=vocabulary_file, jobs=1)
    assert {image.name for image in Index.open(workspace / "index").images()} == set(other.plan.indexed)


def test_an_index_that_was_kept_serves_from_another_working_directory(
    small_photos: Path, vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EvaluationOptions(("single",), count=2)
    done = []
    for place, photos in ((small_photos.parent, small_photos.name), (small_photos, ".")):
        monkeypatch.chdir(place)
        done.append(evaluate(Photos([photos]), tmp_path / "kept", options, vocabulary=vocabulary_file, jobs=1))
    here, there = done
    assert (here.added, there.added) == (5, 0)
    assert (here.unseen, there.unseen) == (None, None)
    assert any(answer.right and answer.evidence["agreement"] for record in here.records for answer in record.answers)

    def told(one: Record) -> list[tuple[float, bool | None]]:
        return [(answer.score, answer.right) for answer in one.answers]

    assert list(map(told, here.records)) == list(map(told, there.records))


def test_distractors_and_twins(small_photos: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    options = EvaluationOptions(("crops",), count=4)
    held_out = plan_for([str(file) for file in sorted(small_photos.iterdir())], options).held_out
    (tmp_path / "more").mkdir()
    for name in held_out:  # the photos held out are in the index all the same, under other names
        Image.open(name).save(tmp_path / "more" / f"copy_of_{Path(name).name}")
    done = evaluate(
        Photos([small_photos], [tmp_path / "more", small_photos]), tmp_path / "a", options,
        vocabulary=vocabulary_file, jobs=1,
    )  # fmt: skip
    assert done.index.images == 5 + 4
    assert report_of(done)["all"]["false_claims"] == 4
    twins = [(f"more/copy_of_{Path(name).name}", Path(name).name) for name in held_out]
    for part, whole in PARTS:
        twins += [(part, whole), (f"copy_of_{part}", whole), (f"copy_of_{whole}", part)]
    photos = Photos([small_photos], [tmp_path / "more"], twins)
    known = evaluate(photos, tmp_path / "a", options, vocabulary=vocabulary_file, jobs=1)
    found = report_of(known)
    assert found["all"]["false_claims"] == 0
    assert any(one.right is None and one.proven for record in known.records for one in record.answers)


def test_times_of_a_query(small_photos: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=vocabulary_file)
    index.add([small_photos / "coffee.png"])
    found = index.query(str(small_photos / "coffee.png"))
    assert tuple(found.times) == STAGES
    assert all(milliseconds > 0 for milliseconds in found.times.values())
    assert index.query(np.zeros((64, 64), np.uint8)).times == {}


def test_whole_evaluation_through_the_command_line(
    small_photos: Path,
    vocabulary_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    json_file, html_file, twins = tmp_path / "r.json", tmp_path / "r.html", tmp_path / "twins.tsv"
    twins.write_text("".join(f"{part}\t{whole}\n" for part, whole in PARTS))
    arguments: list[str | Path] = [
        "--suite",
        "random",
        "--suite",
        "crops",
        "--count",
        "2",
        "--forms",
        "none",
        "--jobs",
        "1",
        "--vocabulary",
        vocabulary_file,
    ]
    files: list[str | Path] = [
        "--vocabulary",
        vocabulary_file,
        "--json",
        json_file,
        "--html",
        html_file,
        "--twins",
        twins,
    ]
    assert run_main(monkeypatch, "evaluate", small_photos, *arguments, *files) == 0
    printed = capsys.readouterr().out
    for words in ("random: 2 positives, 2 negatives", "crops: 2 positives", "µAP", "zero false", "verification"):
        assert words in printed
    assert "hard" not in printed
    found = json.loads(json_file.read_text())
    assert found["suites"]["crops"]["rows"][0] == {
        **found["suites"]["crops"]["rows"][0], "edit": "crop 80 %", "positives": 1, "recall_at_1": 1.0,
    }  # fmt: skip
    assert len(found["records"]) == 8
    assert found["index"]["images"] == 5
    assert set(found["times"]) == {*STAGES, "search"}  # and no "forms"
    restored = [
        Record(**{**one, "answers": tuple(Answer(**each) for each in one["answers"])}) for one in found["records"]
    ]
    crops = [one for one in restored if one.suite == "crops"]
    for name, value in suite_figures("crops", crops).items():  # all follows from the records
        if name not in ("rows", "reliability"):
            assert value == found["suites"]["crops"][name]
    rows = rows_of(json_file, "sift")
    told = [each for one in restored for each in one.answers[:ANSWERS] if each.right is not None]
    assert [one.right for one in told] == [row.right for row in rows]
    assert [row.evidence.score() for row in rows] == pytest.approx([one.score for one in told])
    with pytest.raises(SystemExit, match="sift"):
        rows_of(json_file, "orb")
    page = html_file.read_text()
    assert page.count("<svg") == 3  # two suites, and the curve of crop sizes
    assert "http" not in re.sub(r"http://(www\.w3\.org|purl\.org|creativecommons\.org)\S*", "", page)  # self-contained
    assert set(re.findall(r'src="(\S{22})', page)) <= {"data:image/jpeg;base64"}


@pytest.mark.parametrize("content", ["one name only\n", "a\tb\tc\n"])
def test_damaged_twins(content: str, small_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twins").write_text(content)
    assert run_main(monkeypatch, "evaluate", small_photos, "--twins", tmp_path / "twins") == 2
    assert run_main(monkeypatch, "evaluate", small_photos, "--twins", tmp_path / "missing") == 2


STAGE_TIMES = dict.fromkeys(STAGES, 1.0)
MADE = Made(
    np.zeros((4, 4, 3), np.uint8), "/p/shown.png", ("/p/shown.png", "/p/beside.png"), ("/p/host.png",),
    (("crop", 50.0),), "crop 50 %", ("/p/kin.png",), ("/p/sister.png",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("/p/shown.png", True),
        ("/p/beside.png", True),
        ("/p/kin.png", None),
        ("/p/host.png", False),
        ("/p/sister.png", False),
        ("/p/other.png", False),
        ("/q/twin of shown.png", None),
        ("twin of shown.png", None),
        ("/q/another twin of shown.png", False),  # its name only ends alike
        ("/q/twin of host.png", None),
        ("/q/first.png", None),
        ("/q/twin of other.png", False),
    ],
)
def test_answers_are_judged_by_what_the_query_shows(
    monkeypatch: pytest.MonkeyPatch, name: str, right: bool | None
) -> None:
    monkeypatch.setattr(running, "evidence_of", lambda match: {})
    relation = SimpleNamespace(kind="crop")
    match: Any = SimpleNamespace(probability=0.9, score=7.0, proven=True, related=False, relation=relation)
    twins = frozenset([
        ("twin of shown.png", "shown.png"), ("p/host.png", "twin of host.png"), ("first.png", "/p/shown.png"),
        ("twin of other.png", "other.png"),
    ])  # fmt: skip
    assert running._answer(match, name, MADE, twins) == Answer(
        name,
        0.9,
        7.0,
        True,
        right,
        {},
        "crop",
        False,
        "copy" if right else "same template" if "sister" in name else None,
    )


def test_what_is_related_is_recorded_once_and_after_the_matches(
    small_photos: Path, vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told(list[Any]):
        status, times = "ok", STAGE_TIMES
        related: tuple[Any, ...] = ()

    relation = SimpleNamespace(kind="same template")
    told = [
        SimpleNamespace(name=name, probability=0.1, score=1.0, proven=False, relation=relation, related=name != "a")
        for name in "abc"
    ]
    found = Told(told[:2])
    found.related = tuple(told[1:])
    monkeypatch.setattr(running, "evidence_of", lambda match: {})
    monkeypatch.setattr(Index, "query", lambda *_, **__: found)
    options = EvaluationOptions(("crops",), count=1)
    done = evaluate(Photos([small_photos]), tmp_path / "a", options, vocabulary=vocabulary_file, jobs=1)
    for record in done.records:
        assert [(Path(one.name).name, one.related) for one in record.answers] == [
            ("a", False),
            ("b", True),
            ("c", True),
        ]
        assert {one.relation for one in record.answers} == {"same template"}


def test_names_do_not_say_where_the_workspace_is(tmp_path: Path) -> None:
    assert running._without_workspace(str(tmp_path / "plain" / "sky-0.png"), tmp_path) == "plain/sky-0.png"
    assert running._without_workspace("/p/a.png", tmp_path) == "/p/a.png"


def test_a_record_knows_its_trial() -> None:
    record = Record("crops", 3, False, "x", (), (), "", 1, 1, "ok", (), {})
    assert record.trial == Trial("crops", 3, False)
