from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featmatch.errors import FeatmatchError, UsageError
from featmatch.evaluation import trials
from featmatch.evaluation.camera import HARD_SHOTS
from featmatch.evaluation.decorations import DECORATIONS
from featmatch.evaluation.edits import Picture
from featmatch.evaluation.plain import PLAIN
from featmatch.evaluation.templates import TEMPLATES
from featmatch.evaluation.trials import (
    CROP_SHARES,
    SUITES,
    EvaluationOptions,
    Plan,
    Trial,
    make,
    plan_for,
    read_twins,
    write_decorated,
    write_plain,
    write_templates,
)

SMALL = EvaluationOptions(SUITES, count=3, designs=1, copies=1, sisters=2)


@pytest.fixture(scope="module")
def plan(small_photos: Path) -> Plan:
    return plan_for([str(file) for file in sorted(small_photos.iterdir())], SMALL)


@pytest.fixture
def drawn_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates are grey and scanned at once, where only names tell; but for watermarks."""
    grey = np.full((300, 400, 3), 90, np.uint8)
    plain = {
        kind: template if kind == "watermark" else template._replace(draw=lambda *_: grey)
        for kind, template in TEMPLATES.items()
    }
    monkeypatch.setattr(trials, "TEMPLATES", plain)


def test_plan_gives_each_photo_one_part(small_photos: Path, plan: Plan) -> None:
    parts = (plan.indexed, plan.held_out, plan.decorated)
    assert [len(part) for part in parts] == [5, 4, 1]
    assert sorted(sum(parts, ())) == sorted(map(str, small_photos.iterdir()))
    assert plan_for(sorted(sum(parts, ())), EvaluationOptions(seed=2)).indexed != plan.indexed
    with pytest.raises(UsageError, match="too few"):
        plan_for(["a.jpg"] * 7, SMALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"suites": ()},
        {"suites": ("odd",)},
        {"count": 0},
        {"limit": 0},
        {"designs": 0},
        {"copies": 0},
        {"sisters": 0},
        {"seed": -1},
    ],
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
    drawn = suite in ("plain", "templates")  # in part
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
    singles = [make(Trial("single", number, True), plan) for number in range(60, 70)]
    shown = {made.recipe: len(made.sources) for made in singles if "collage" in made.recipe}
    assert shown["collage 1 of 4"] == 1
    assert shown["collage 4 of 4"] > 1  # three drawn of five, with repetition
    assert all(set(made.sources) <= set(plan.indexed) for made in singles)


@pytest.mark.parametrize(("photos", "parts"), [(8, (4, 3, 1)), (31, (15, 13, 3)), (200, (100, 92, 8))])
def test_half_of_the_photos_are_indexed_and_a_few_decorated(photos: int, parts: tuple[int, int, int]) -> None:
    plan = plan_for([f"{number}.png" for number in range(photos)], EvaluationOptions())
    assert (len(plan.indexed), len(plan.held_out), len(plan.decorated)) == parts


def test_each_round_through_the_edits_begins_one_photo_later(plan: Plan) -> None:
    turns = len(CROP_SHARES)
    shown = [make(Trial("crops", number, True), plan).photo for number in (0, 1, turns, 2 * turns + 1)]
    assert shown == [plan.indexed[place % 5] for place in (0, 1, turns + 1, 2 * turns + 3)]
    assert make(Trial("crops", 1, False), plan).photo == plan.held_out[1]


def test_designs_of_hard_trials_take_turns(small_photos: Path) -> None:
    plan = plan_for(sorted(map(str, small_photos.iterdir())), EvaluationOptions(("hard",), designs=2))
    kinds = len(DECORATIONS)
    made = [make(Trial("hard", number, False), plan) for number in (0, kinds, 2 * kinds)]
    assert [one.steps for one in made] == [(("caption", design),) for design in (0.0, 1.0, 0.0)]
    assert made[0].recipe.startswith("caption, design 0, scale 0.")
    assert made[0].recipe.endswith(", JPEG 60")
    assert make(Trial("hard", 0, True), plan).sources == (plan.indexed[0],)


def test_chance_is_all_in_the_seed(small_photos: Path) -> None:
    names = sorted(map(str, small_photos.iterdir()))
    plans = [plan_for(names, EvaluationOptions(("random",), seed=seed)) for seed in (1, 1, 2)]
    recipes = [[make(Trial("random", number, True), plan).recipe for number in range(4)] for plan in plans]
    assert recipes[0] == recipes[1] != recipes[2]
    assert len(set(recipes[0])) > 1


def test_decorated_copies_of_one_design_are_of_different_photos(
    small_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = ("caption", "frame", "text page", "plain border")
    monkeypatch.setattr(trials, "_KINDS", kinds)
    options = EvaluationOptions(("hard",), designs=2, copies=2)
    names = sorted(map(str, small_photos.iterdir()))
    plan = Plan(tuple(names[:4]), tuple(names[4:8]), tuple(names[8:]), options)
    written = [Path(name) for name in write_decorated(plan, tmp_path)]
    assert len({path.read_bytes() for path in written}) == len(written) == len(kinds) * 2 * 2
    assert {path.parent for path in written} == {tmp_path / "decorated"}
    assert [path.name for path in written[:5]] == [
        "caption-0-0.png", "caption-0-1.png", "caption-1-0.png", "caption-1-1.png", "frame-0-0.png",
    ]  # fmt: skip
    assert {"text_page-1-1.png", "plain_border-0-0.png"} <= {path.name for path in written}
    before = [path.stat().st_mtime_ns for path in written]
    written[1].write_bytes(b"damaged")
    assert [Path(name) for name in write_decorated(plan, tmp_path)] == written
    assert [path.stat().st_mtime_ns for path in written[2:]] == before[2:]
    with Image.open(written[1]) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("write", [write_decorated, write_plain, write_templates])
def test_a_workspace_that_cannot_be_written_to_is_an_error(plan: Plan, tmp_path: Path, write: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FeatmatchError, match="cannot write to"):
        write(plan, tmp_path / "file")


def test_a_query_is_a_mild_edit_of_what_the_index_holds(plan: Plan, tmp_path: Path) -> None:
    written = {str(Path(name).relative_to(tmp_path)) for name in write_plain(plan, tmp_path)}
    assert len(written) == len(plan.indexed) * (len(PLAIN) - 1)  # the photo itself serves for 64 px
    for number, kind in enumerate(PLAIN):
        made = make(Trial("plain", number, True), plan)
        assert made.steps == ((kind, 1.0),)
        assert made.sources == (made.photo,) if kind == "64 px" else set(made.sources) <= written
        assert bool(made.kin) is (kind in ("blurred", "64 px"))
        assert made.recipe.startswith(f"{kind}, ")
        negative = make(Trial("plain", number, False), plan)
        assert negative.photo in plan.held_out
        assert (negative.sources, negative.kin) == ((), ())


@pytest.mark.usefixtures("drawn_plainly")
def test_a_filling_of_a_template_is_one_of_the_index_or_another(plan: Plan, tmp_path: Path) -> None:
    written = {str(Path(name).relative_to(tmp_path)) for name in write_templates(plan, tmp_path)}
    assert len(written) == len(TEMPLATES) * 2
    for number, (kind, template) in enumerate(TEMPLATES.items()):
        made = make(Trial("templates", number, True), plan)
        assert made.steps == ((kind, 1.0), ("rescanned", 1.0))
        assert set(made.sources) < written
        assert len(made.sources) == 1
        assert set(made.sisters) < written - set(made.sources)
        assert len(made.sisters) == (1 if template.shared else 0)
        negative = make(Trial("templates", number, False), plan)
        assert (negative.sources, negative.steps) == ((), made.steps)
        assert negative.photo not in written
        assert len(negative.sisters) == (2 if template.shared else 0)
        assert set(negative.sisters) <= written


@pytest.mark.usefixtures("drawn_plainly")
def test_designs_of_templates_are_scanned_and_photographed_each(small_photos: Path) -> None:
    plan = plan_for(sorted(map(str, small_photos.iterdir())), EvaluationOptions(("templates",), sisters=3))
    made = [make(Trial("templates", 2 + len(TEMPLATES) * turn, True), plan) for turn in range(4)]
    ways = [(design, way) for design in (0, 1) for way in ("rescanned", "by telephone")]
    assert [one.recipe for one in made] == [f"form, design {design}, {way}" for design, way in ways]
    assert [one.steps for one in made] == [(("form", 1.0), (way, 1.0)) for _, way in ways]


@pytest.mark.usefixtures("drawn_plainly")
def test_a_scan_shows_the_filling_that_the_index_holds(plan: Plan, tmp_path: Path) -> None:
    write_templates(plan, tmp_path)
    watermark = list(TEMPLATES).index("watermark")
    made = make(Trial("templates", watermark, True), plan)
    indexed = [
        np.asarray(Image.open(tmp_path / name).convert("L").resize((64, 64)), np.float64)
        for name in (*made.sources, *made.sisters)
    ]
    seen = np.asarray(Image.fromarray(made.picture).convert("L").resize((64, 64)), np.float64)
    alike = [np.corrcoef(seen.ravel(), one.ravel())[0, 1] for one in indexed]
    assert alike[0] > max(alike[1:]) + 0.2


@pytest.mark.usefixtures("drawn_plainly")
def test_photos_of_negatives_and_backgrounds_are_not_in_the_index(
    small_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(60)]
    plan = plan_for(names, EvaluationOptions(("templates",), sisters=3, designs=2))
    shown: list[str] = []

    def readable(pool: Sequence[str], start: int) -> tuple[str, Picture]:
        shown.append(pool[start % len(pool)])
        return shown[-1], np.full((300, 400, 3), 90, np.uint8)

    monkeypatch.setattr(trials, "_readable", readable)
    monkeypatch.setattr(trials, "_written", lambda picture, file: str(file))
    monkeypatch.setattr(trials, "rescanned", lambda drawn, random: drawn)
    monkeypatch.setattr(trials, "photographed", lambda drawn, shot, random, background: drawn)
    monkeypatch.setattr(trials, "_writing_to", lambda folder: contextlib.nullcontext())
    write_templates(plan, Path("nowhere"))
    indexed, with_photos = set(shown), shown[:12]  # two kinds, two designs, three sisters
    assert len(set(with_photos)) == 12
    shown.clear()
    for number in range(2 * len(TEMPLATES)):
        make(Trial("templates", number, False), plan)
    assert len(shown) == 3 * len(TEMPLATES)  # one for each filling, and one for each background
    assert not indexed & set(shown)
    assert {*indexed, *shown} <= set(plan.held_out)


def test_prints_are_photographed_in_each_way(plan: Plan) -> None:
    for number, kind in enumerate(HARD_SHOTS):
        made = make(Trial("photographed", number, True), plan)
        assert (made.steps, made.recipe) == (((kind, 1.0),), kind)
        assert made.sources == (made.photo,)
        assert len(made.others) == 1  # behind the print


def test_what_is_written_already_stays(plan: Plan, tmp_path: Path) -> None:
    plan = dataclasses.replace(plan, indexed=plan.indexed[:1])
    name = write_plain(plan, tmp_path)[0]
    before = Path(name).stat().st_mtime_ns
    assert write_plain(plan, tmp_path)[0] == name
    assert Path(name).stat().st_mtime_ns == before  # else it would be indexed again


def test_photos_that_are_damaged_or_too_small_are_passed_over(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.png") for number in range(4)]
    (tmp_path / "0.png").write_bytes(b"no picture")
    for number, size in ((1, (200, 79)), (2, (200, 80)), (3, (2500, 100))):
        Image.fromarray(np.full((size[1], size[0], 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    plan = Plan(tuple(names), tuple(names), tuple(names), EvaluationOptions(("crops",)))
    assert [make(Trial("crops", number, True), plan).photo for number in range(4)] == [
        names[2], names[2], names[2], names[3],
    ]  # fmt: skip
    assert make(Trial("single", 3, True), plan).picture.shape[1] <= 2000
    nothing = Plan(tuple(names[:2]), (), (), EvaluationOptions(("crops",)))
    with pytest.raises(UsageError, match="none of 2 photos can be read and has 80 px"):
        make(Trial("crops", 5, True), nothing)


def test_twins_are_two_names_a_line(tmp_path: Path) -> None:
    (tmp_path / "twins").write_text("a.png\tb.png\n\n  \nc d.png\te.png")
    assert read_twins(tmp_path / "twins") == [("a.png", "b.png"), ("c d.png", "e.png")]
    for damaged in (b"one name only\n", b"a\tb\tc\n", b"\xff\t\xfe\n"):
        (tmp_path / "twins").write_bytes(damaged)
        with pytest.raises(FeatmatchError, match="twins"):
            read_twins(tmp_path / "twins")
    with pytest.raises(FeatmatchError, match="cannot read"):
        read_twins(tmp_path / "missing")
