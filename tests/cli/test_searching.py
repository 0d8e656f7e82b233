from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Run


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_query_exits_as_grep_does(run: Run, index: Path, pictures: dict[str, Path], form: list[str]) -> None:
    assert run("query", index, pictures["crop"], *form).status == 0
    assert run("query", index, pictures["stranger"], *form).status == 1
    assert run("query", index, pictures["blank"], *form).status == 1
    assert run("query", index, pictures["missing"], *form).status == 2
    assert run("query", index, pictures["stranger"], pictures["crop"], *form).status == 0
    assert run("query", index, pictures["text"], pictures["crop"], *form).status == 2


def test_query_all_shows_unproven_candidates_and_limit_bounds_them(
    run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = tmp_path / "both.png"
    two = [Image.open(pictures[name]).convert("RGB").resize((300, 300)) for name in ("astronaut", "chelsea")]
    Image.fromarray(np.hstack([np.asarray(one) for one in two])).save(both)

    def matches(*options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run("query", index, both, "--json", *options).lines()[0]["matches"]
        return found

    assert len(matches()) == 2
    assert matches("--limit", "1") == matches()[:1]
    monkeypatch.setattr("featmatch.proof.answers.PROVEN", 1.1)
    assert matches() == []
    assert len(matches("--all")) >= 2


def test_unproven_candidates_alone_are_nothing_found(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    assert run("query", index, pictures["stranger"], "--all").status == 1


def test_query_draws_each_match(run: Run, index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    ended = run("query", index, pictures["crop"], pictures["stranger"], "--json", "--draw", tmp_path / "new" / "drawn")
    assert ended.status == 0
    assert len(ended.lines()) == 2
    drawn = list((tmp_path / "new" / "drawn").iterdir())
    assert len(drawn) == 1
    with Image.open(drawn[0]) as picture:
        assert min(picture.size) > 100


def test_a_place_that_cannot_be_drawn_into_is_an_error(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    ended = run("query", index, pictures["crop"], "--draw", pictures["text"])
    assert ended.status == 2
    assert ended.err.startswith("featmatch: ")


@pytest.mark.parametrize("name", ["missing", "text"])
def test_verify_of_what_cannot_be_read_is_an_error(run: Run, pictures: dict[str, Path], name: str) -> None:
    for pair in ((pictures[name], pictures["coins"]), (pictures["coins"], pictures[name])):
        ended = run("verify", *pair)
        assert (ended.status, ended.out) == (2, "")
        assert ended.err.startswith("featmatch: ")


def test_verify_takes_other_features(run: Run, pictures: dict[str, Path]) -> None:
    assert run("verify", pictures["chelsea"], pictures["chelsea"], "--features", "orb").status == 0


def test_verify_draws_its_answer(run: Run, pictures: dict[str, Path], tmp_path: Path) -> None:
    for name, status in (("chelsea", 0), ("stranger", 1)):
        target = tmp_path / f"{name}.png"
        assert run("verify", pictures["crop"], pictures[name], "--draw", target).status == status
        with Image.open(target) as picture:
            assert picture.mode == "RGB"
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "no" / "x.png").status == 2
    assert run("verify", pictures["crop"], pictures["chelsea"], "--draw", tmp_path / "x.nonsense").status == 2


def test_larger_pictures_are_refused_by_every_command_that_decodes(
    run: Run, own_index: Path, pictures: dict[str, Path]
) -> None:
    coins = pictures["coins"]
    for command in (
        ("add", own_index, coins), ("query", own_index, coins), ("verify", coins, coins),
        ("explain", own_index, coins, coins),
    ):  # fmt: skip
        ended = run(*command, "--max-pixels", "1000")
        assert ended.status == 2
        assert "1000 at most (max-pixels)" in ended.err
    assert run("verify", coins, coins, "--max-pixels", "1000000", "--timeout", "50").status == 0
