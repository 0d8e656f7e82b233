from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from featmatch.cli import main
from featmatch.errors import UsageError
from featmatch.evaluation.report import STAGES, report_of, suite_figures, text_of, worst_misses
from featmatch.evaluation.running import Answer, Record, evaluate
from featmatch.evaluation.trials import CROP_SHARES, SUITES, EvaluationOptions, Plan, Trial, make, plan_for
from featmatch.index import Index
from tools.calibrate import ANSWERS, answers_in

SMALL = EvaluationOptions(SUITES, count=3, designs=1, copies=1)


PARTS = [("roof.png", "coffee.png"), ("suit.png", "astronaut.png")]


@pytest.fixture(scope="module")
def folder(photos: dict[str, NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small photos: the bundled ones, and two parts of them."""
    target = tmp_path_factory.mktemp("evaluated")
    pictures = {**photos, "roof": photos["coffee"][:, 300:], "suit": photos["astronaut"][256:]}
    for name, picture in pictures.items():
        image = Image.fromarray(picture)
        image.thumbnail((320, 320))
        image.save(target / f"{name}.png")
    return target


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return plan_for([str(file) for file in sorted(folder.iterdir())], SMALL)


def answer(score: float, right: bool | None, *, proven: bool = False, probability: float = 0.5) -> Answer:
    return Answer("x", probability, score, proven, right, {})


def record(*answers: Answer, positive: bool = True, number: int = 0, share: float = 50.0, side: int = 100) -> Record:
    sources = ("x",) if positive else ()
    steps = (("crop", share),)
    times = dict.fromkeys(STAGES, 2.0)
    return Record("crops", number, positive, "x", sources, steps, f"crop {share:g} %", side, side, "ok", answers, times)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setattr(sys, "argv", ["featmatch", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_plan_gives_each_photo_one_part(folder: Path, plan: Plan) -> None:
    parts = (plan.indexed, plan.held_out, plan.decorated)
    assert [len(part) for part in parts] == [5, 4, 1]
    assert sorted(sum(parts, ())) == sorted(map(str, folder.iterdir()))
    assert plan_for(sorted(sum(parts, ())), EvaluationOptions(seed=2)).indexed != plan.indexed
    with pytest.raises(UsageError, match="too few"):
        plan_for(["a.jpg"] * 7, SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"suites": ()}, {"suites": ("odd",)}, {"count": 0}, {"limit": 0}, {"designs": 0}, {"copies": 0}, {"seed": -1}],
)
def test_options_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        EvaluationOptions(**wrong)


@pytest.mark.parametrize("suite", SUITES)
def test_trials_repeat_themselves_and_differ(suite: str, plan: Plan) -> None:
    first, again, second = (make(Trial(suite, number, True), plan) for number in (4, 4, 5))
    np.testing.assert_array_equal(first.picture, again.picture)
    assert first.recipe == again.recipe
    assert first.picture.shape != second.picture.shape or (first.picture != second.picture).any()
    drawn = suite == "plain"  # in part
    assert drawn or first.photo in plan.indexed
    assert drawn or first.sources[0] == first.photo
    negative = make(Trial(suite, 4, False), plan)
    assert drawn or negative.photo in plan.held_out
    assert negative.sources == ()
    assert {*first.others, *negative.others} <= set(plan.held_out)


def test_suites_go_through_their_edits(plan: Plan) -> None:
    crops = [make(Trial("crops", number, True), plan) for number in range(len(CROP_SHARES))]
    assert [made.steps for made in crops] == [(("crop", share),) for share in CROP_SHARES]
    kinds = {make(Trial("hard", number, False), plan).steps[0][0] for number in range(9)}
    assert {"caption", "text page", "face"} <= kinds
    assert "text page" not in {make(Trial("hard", number, True), plan).steps[0][0] for number in range(9)}


def test_a_collage_can_show_several_photos_of_the_index(plan: Plan) -> None:
    singles = [make(Trial("single", number, True), plan) for number in range(80)]
    shown = {made.recipe: len(made.sources) for made in singles if "collage" in made.recipe}
    assert shown["collage 1 of 4"] == 1
    assert shown["collage 4 of 4"] > 1  # three drawn of five, with repetition
    assert all(set(made.sources) <= set(plan.indexed) for made in singles)


def test_figures_by_hand() -> None:
    records = [
        record(answer(9, True, proven=True, probability=1.0), number=0),
        record(answer(5, False, probability=0.4), answer(4, True), number=1),
        record(answer(8, None, proven=True), answer(7, True, proven=True, probability=0.8), number=2, share=10.0),
        record(number=3, share=10.0),
        record(answer(6, False, proven=True, probability=0.6), positive=False),
        record(positive=False, number=1, share=10.0),
    ]
    found = suite_figures("crops", records)
    assert found["positives"] == 4
    assert found["recall_at_1"] == 0.5  # a twin before it does no harm
    assert found["recall_at_zero_false"] == 0.5  # above 6
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 5) / 4)
    assert found["claim_precision"] == pytest.approx(2 / 3)
    assert found["claim_recall"] == 0.5
    assert (found["false_claims"], found["negatives"]) == (1, 2)
    # best answers: 1.0 right, 0.4 wrong, 0.8 right, 0.6 wrong
    assert found["calibration_error"] == pytest.approx((0.0 + 0.4 + 0.2 + 0.6) / 4)
    rows = {row["edit"]: row for row in found["rows"]}
    assert rows["crop 50 %"]["recall_at_zero_false"] == 0.5
    assert rows["crop 10 %"]["claim_recall"] == 0.5
    assert rows["crop 10 %"]["false_claims"] == 0


def test_worst_misses_come_first() -> None:
    records = [
        record(answer(9, True), number=0),
        record(answer(4, True), number=1),
        record(number=2, side=50),
        record(number=3, side=90),
        record(answer(6, False), positive=False),
    ]
    assert [miss.number for miss in worst_misses(records, "crops")] == [3, 2, 1]
    assert [miss.number for miss in worst_misses(records, "crops", count=1)] == [3]


def test_same_seed_same_answers_however_many_and_used_again(
    folder: Path, vocabulary_file: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "kept"
    few = evaluate([folder], workspace, SMALL, vocabulary=vocabulary_file, jobs=1)
    assert few.added == len(few.plan.indexed) == few.index.images
    assert (few.added, few.failed) == (5, [])
    assert len(few.records) == 3 * 2 * len(SUITES)
    assert len(Index.open(workspace / "index-hard")) == 5 + 9
    more = EvaluationOptions(("random",), count=4)
    again = evaluate([folder], workspace, more, vocabulary=vocabulary_file, jobs=1)
    assert again.added == 0

    def told(one: Record) -> Record:
        return Record(**{**vars(one), "times": {}})

    by_trial = {one.trial: told(one) for one in again.records}
    assert [by_trial[one.trial] for one in few.records if one.suite == "random"] == [
        told(one) for one in few.records if one.suite == "random"
    ]
    other = evaluate([folder], workspace, EvaluationOptions(count=1, seed=5), vocabulary=vocabulary_file, jobs=1)
    assert {image.name for image in Index.open(workspace / "index").images()} == set(other.plan.indexed)


def test_an_index_that_was_kept_serves_from_another_working_directory(
    folder: Path, vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EvaluationOptions(("single",), count=2)
    done = []
    for place, photos in ((folder.parent, folder.name), (folder, ".")):
        monkeypatch.chdir(place)
        done.append(evaluate([photos], tmp_path / "kept", options, vocabulary=vocabulary_file, jobs=1))
    here, there = done
    assert (here.added, there.added) == (5, 0)
    assert (here.unseen, there.unseen) == (None, None)
    assert any(answer.right and answer.evidence["agreement"] for record in here.records for answer in record.answers)

    def told(one: Record) -> list[tuple[float, bool | None]]:
        return [(answer.score, answer.right) for answer in one.answers]

    assert list(map(told, here.records)) == list(map(told, there.records))


def test_distractors_and_twins(folder: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    options = EvaluationOptions(("crops",), count=4)
    held_out = plan_for([str(file) for file in sorted(folder.iterdir())], options).held_out
    (tmp_path / "more").mkdir()
    for name in held_out:  # the photos held out are in the index all the same, under other names
        Image.open(name).save(tmp_path / "more" / f"copy_of_{Path(name).name}")
    done = evaluate(
        [folder], tmp_path / "a", options, distractors=[tmp_path / "more", folder], vocabulary=vocabulary_file, jobs=1
    )
    assert done.index.images == 5 + 4
    assert report_of(done)["all"]["false_claims"] == 4
    twins = [(f"more/copy_of_{Path(name).name}", Path(name).name) for name in held_out]
    for part, whole in PARTS:
        twins += [(part, whole), (f"copy_of_{part}", whole), (f"copy_of_{whole}", part)]
    known = evaluate(
        [folder],
        tmp_path / "a",
        options,
        distractors=[tmp_path / "more"],
        vocabulary=vocabulary_file,
        twins=twins,
        jobs=1,
    )
    found = report_of(known)
    assert found["all"]["false_claims"] == 0
    assert any(one.right is None and one.proven for record in known.records for one in record.answers)


def test_times_of_a_query(folder: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index", create=True, vocabulary=vocabulary_file)
    index.add([folder / "coffee.png"])
    found = index.query(str(folder / "coffee.png"))
    assert tuple(found.times) == STAGES
    assert all(milliseconds > 0 for milliseconds in found.times.values())
    assert index.query(np.zeros((64, 64), np.uint8)).times == {}


def test_whole_evaluation_through_the_command_line(
    folder: Path,
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
        "7",
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
    assert run_main(monkeypatch, "evaluate", folder, *arguments, *files) == 0
    printed = capsys.readouterr().out
    for words in ("random: 7 positives, 7 negatives", "crops: 7 positives", "µAP", "zero false", "verification"):
        assert words in printed
    assert "hard" not in printed
    found = json.loads(json_file.read_text())
    assert found["suites"]["crops"]["rows"][0] == {
        **found["suites"]["crops"]["rows"][0], "edit": "crop 80 %", "positives": 1, "recall_at_1": 1.0,
    }  # fmt: skip
    assert len(found["records"]) == 28
    assert found["index"]["images"] == 5
    assert set(found["times"]) == {*STAGES, "search"}
    restored = [
        Record(**{**one, "answers": tuple(Answer(**each) for each in one["answers"])}) for one in found["records"]
    ]
    crops = [one for one in restored if one.suite == "crops"]
    for name, value in suite_figures("crops", crops).items():  # all follows from the records
        if name not in ("rows", "reliability"):
            assert value == found["suites"]["crops"][name]
    evidence, right = answers_in([json_file], "sift")
    told = [each for one in restored for each in one.answers[:ANSWERS] if each.right is not None]
    assert [one.right for one in told] == right.tolist()
    assert [one.score() for one in evidence] == pytest.approx([one.score for one in told])
    with pytest.raises(SystemExit, match="sift"):
        answers_in([json_file], "orb")
    page = html_file.read_text()
    assert page.count("<svg") == 3  # two suites, and the curve of crop sizes
    assert "http" not in re.sub(r"http://(www\.w3\.org|purl\.org|creativecommons\.org)\S*", "", page)  # self-contained
    assert set(re.findall(r'src="(\S{22})', page)) <= {"data:image/jpeg;base64"}


def test_page_escapes_names_and_shows_misses(folder: Path, vocabulary_file: Path, tmp_path: Path) -> None:
    from featmatch.pages.report import page_of

    odd = tmp_path / "<b>&"
    odd.mkdir()
    for file in folder.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    options = EvaluationOptions(("crops",), count=14)
    done = evaluate([odd], tmp_path / "work", options, vocabulary=vocabulary_file, jobs=1)
    page = page_of(report_of(done), done, tmp_path / "work")
    missed = worst_misses(done.records, "crops")
    assert missed  # crops of 2 % of small photos
    assert page.count('alt="query"') == len(missed)
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&/" not in page
    assert page == page_of(report_of(done), done, tmp_path / "work")


def test_figures_of_nothing_are_left_empty() -> None:
    found = suite_figures("crops", [record(positive=False)])
    index = {"images": 1, "features": 1, "words": 1, "detector": "sift", "bytes_an_image": 1, "failed": 2, "added": 0}
    report = {"index": {**index, "images_per_second": None}, "suites": {"crops": found}, "all": found, "times": {}}
    text = text_of(report)
    assert "2 files failed" in text
    assert re.search(r"crop 50 % +0 +0 of 1", text)


@pytest.mark.parametrize("content", ["one name only\n", "a\tb\tc\n"])
def test_damaged_twins(content: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "twins").write_text(content)
    assert run_main(monkeypatch, "evaluate", folder, "--twins", tmp_path / "twins") == 2
    assert run_main(monkeypatch, "evaluate", folder, "--twins", tmp_path / "missing") == 2
